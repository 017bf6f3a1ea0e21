package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/alecthomas/kong"

	"github.com/cullet-vision/cullet/internal/notify"
	"github.com/cullet-vision/cullet/internal/training"
)

// settings are what every command needs to find a server's data. Each is also an
// environment variable, and a key of DIR/cullet.toml: flags win over the
// environment, and that over the file.
type settings struct {
	Data             string        `help:"Folder of the data." required:"" placeholder:"DIR" env:"CULLET_DATA"`
	DatabaseURL      string        `name:"database-url" help:"PostgreSQL database (default: SQLite in the data folder)." placeholder:"URL" env:"CULLET_DATABASE_URL"`
	Blobs            string        `help:"Folder of the bytes (default: blobs in the data folder)." placeholder:"DIR" env:"CULLET_BLOBS"`
	TrashRetention   time.Duration `help:"How long what is deleted from now on stays restorable." default:"720h" env:"CULLET_TRASH_RETENTION"`
	CleanupInterval  time.Duration `help:"Time between two looks for what is due." default:"1m" env:"CULLET_CLEANUP_INTERVAL"`
	CleanupGrace     time.Duration `help:"How long cleanup waits, after the clock jumped or the server was off for long, before it purges what became due meanwhile." default:"24h" env:"CULLET_CLEANUP_GRACE"`
	UploadMaxBytes   int64         `help:"Largest image that is taken, in bytes." default:"67108864" env:"CULLET_UPLOAD_MAX_BYTES"`
	PublicURL        string        `name:"public-url" help:"Address that links are made from (default: that of the request)." placeholder:"URL" env:"CULLET_PUBLIC_URL"`
	AllowPrivateURLs bool          `name:"allow-private-urls" help:"Let webhooks reach private networks, and images be fetched from there (fetching itself comes with a later release)." env:"CULLET_ALLOW_PRIVATE_URLS"`
	SMTPURL          string        `name:"smtp-url" help:"Mail server for warnings: smtp://user:password@host:587 or smtps://user:password@host:465 (default: no mail)." placeholder:"URL" env:"CULLET_SMTP_URL"`
	MailFrom         string        `name:"mail-from" help:"Sender of mails, such as Cullet <cullet@example.com>." placeholder:"ADDRESS" env:"CULLET_MAIL_FROM"`
	LogFormat        string        `help:"text or json." enum:"text,json" default:"text" env:"CULLET_LOG_FORMAT"`
	MetricsAddr      string        `help:"Address that answers GET /metrics to a Prometheus, without a key: loopback, or a network of yours (default: none does)." placeholder:"HOST:PORT" env:"CULLET_METRICS_ADDR"`
	TrainingCapacity int           `help:"Trainings that run at once on this machine." default:"2" env:"CULLET_TRAINING_CAPACITY"`
}

// check refuses settings that cannot work.
func (s settings) check() error {
	switch {
	case s.TrashRetention <= 0 || s.CleanupInterval <= 0:
		return errors.New("--trash-retention and --cleanup-interval must be longer than nothing")
	case s.CleanupGrace < 0:
		return errors.New("--cleanup-grace cannot be less than nothing")
	case s.UploadMaxBytes <= 0:
		return errors.New("--upload-max-bytes must be more than 0")
	case strings.Contains(s.Blobs, "://"):
		return fmt.Errorf("--blobs %s: this release keeps bytes in a folder; S3 comes with a later one", s.Blobs)
	case s.DatabaseURL != "" && !strings.HasPrefix(s.DatabaseURL, "postgres://") && !strings.HasPrefix(s.DatabaseURL, "postgresql://"):
		return errors.New("--database-url must begin with postgres://")
	case s.MetricsAddr != "" && !isAddress(s.MetricsAddr):
		return fmt.Errorf("--metrics-addr %s: it has to be HOST:PORT, such as 127.0.0.1:7081", s.MetricsAddr)
	}
	if s.SMTPURL == "" {
		return nil
	}
	_, err := notify.ParseSMTP(s.SMTPURL)
	if err == nil {
		err = notify.CheckFrom(s.MailFrom)
	}
	return err
}

// isAddress says whether s is HOST:PORT; an empty host is every address of the machine.
func isAddress(s string) bool {
	_, port, err := net.SplitHostPort(s)
	return err == nil && port != ""
}

func (s settings) blobs() string {
	if s.Blobs != "" {
		return s.Blobs
	}
	return filepath.Join(s.Data, "blobs")
}

// logger writes to stderr: stdout is for what scripts read.
func (s settings) logger() *slog.Logger {
	if s.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, nil))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, nil))
}

// file is DIR/cullet.toml.
type file struct {
	Trainer []struct {
		Name           string   `toml:"name"`
		ModelTypes     []string `toml:"model_types"`
		Command        []string `toml:"command"`
		CreditsPerHour float64  `toml:"credits_per_hour"`
		Retry          *int     `toml:"retry"`
	} `toml:"trainer"`
}

// defaultRetry is how often a training is begun again after its worker was lost.
const defaultRetry = 1

func configFile(data string) string { return filepath.Join(data, "cullet.toml") }

// trainers reads the trainers that the operator set up.
func (s settings) trainers() ([]training.Trainer, error) {
	var f file
	_, err := toml.DecodeFile(configFile(s.Data), &f)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("reading %s: %w", configFile(s.Data), err)
	}
	var all []training.Trainer
	for n, t := range f.Trainer {
		if t.Name == "" || len(t.ModelTypes) == 0 || len(t.Command) == 0 || t.CreditsPerHour < 0 {
			return nil, fmt.Errorf("%s: trainer %d needs a name, model_types, a command, and credits_per_hour of 0 or more", configFile(s.Data), n+1)
		}
		retry := defaultRetry
		if t.Retry != nil {
			retry = *t.Retry
		}
		all = append(all, training.Trainer{Name: t.Name, ModelTypes: t.ModelTypes, Command: t.Command, CreditsPerHour: t.CreditsPerHour, Retry: retry})
	}
	return all, nil
}

// fileSettings resolves flags from DIR/cullet.toml: what neither the command line
// nor the environment says.
func fileSettings(args []string) kong.Resolver {
	values := map[string]any{}
	_, err := toml.DecodeFile(configFile(dataFolder(args)), &values)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		if err != nil {
			return nil, fmt.Errorf("reading cullet.toml: %w", err)
		}
		for _, name := range flag.Envs {
			if _, set := os.LookupEnv(name); set {
				return nil, nil
			}
		}
		if v, ok := values[flag.Name]; ok {
			return v, nil
		}
		return values[strings.ReplaceAll(flag.Name, "-", "_")], nil
	})
}

// dataFolder finds --data before the flags are parsed: the file in it has the rest.
func dataFolder(args []string) string {
	for n, a := range args {
		if dir, ok := strings.CutPrefix(a, "--data="); ok {
			return dir
		}
		if a == "--data" && n+1 < len(args) {
			return args[n+1]
		}
	}
	return os.Getenv("CULLET_DATA")
}

// Command bench measures what docs/performance.md says of permanent deletion and of the
// Trash, each number beside a peer in the same run, as a ratio:
//
//	go run ./internal/bench purge|gc|latency|memory|page|all
//
// It makes its own data in a temporary folder (--dir says where) and, with
// --database-url, in a database of its own on that PostgreSQL server. It is no part of
// the product: nothing imports it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"time"

	"github.com/alecthomas/kong"

	"github.com/cullet-vision/cullet"
)

// common is what every measurement is told.
type common struct {
	Dir         string `help:"Folder on the disk to measure; a temporary one is made in it." default:"${tmp}" type:"existingdir"`
	DatabaseURL string `name:"database-url" help:"PostgreSQL server on which a database is made (default: SQLite)." placeholder:"URL"`
	Images      int    `help:"Images in the project that is purged." default:"100000"`
	Bytes       int    `help:"Bytes of each of their files." default:"10000"`
	Runs        int    `help:"How often each is measured; the median counts." default:"3"`
	Cold        bool   `help:"Empty the page cache before each measurement (as root, and for the whole machine)."`
}

type commands struct {
	Purge   purgeCommand   `cmd:"" help:"Purge of a project against rm -rf on the same files."`
	GC      gcCommand      `cmd:"" name:"gc" help:"Purge of a project against mlflow gc on as many artifacts."`
	Latency latencyCommand `cmd:"" help:"Delete, restore and trash list, on an idle server and while a purge runs."`
	Memory  memoryCommand  `cmd:"" help:"Resident memory of a server while it purges rows."`
	Page    pageCommand    `cmd:"" help:"Trash page and trash list with many items against few."`
	All     allCommand     `cmd:"" help:"All of them, with their defaults."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var c commands
	k := kong.Parse(&c, kong.Name("bench"), kong.UsageOnError(), kong.Vars{"tmp": os.TempDir()}, kong.BindTo(ctx, (*context.Context)(nil)))
	k.FatalIfErrorf(k.Run())
}

type allCommand struct {
	common
	MLflow string `name:"mlflow" help:"The mlflow command; without it gc is left out." placeholder:"FILE"`
}

// Run measures everything with the defaults of each.
func (c *allCommand) Run(ctx context.Context) error {
	err := errors.Join((&purgeCommand{common: c.common}).Run(ctx),
		(&latencyCommand{common: c.common, Samples: 200, Pause: 10 * time.Millisecond}).Run(ctx),
		(&memoryCommand{common: c.common, Rows: 1_000_000}).Run(ctx),
		(&pageCommand{common: c.common, Many: 100_000, Few: 100, Requests: 10}).Run(ctx))
	if c.MLflow == "" {
		fmt.Println("gc: left out, --mlflow names no command")
		return err
	}
	return errors.Join(err, (&gcCommand{common: c.common, MLflow: c.MLflow, PerRun: 100}).Run(ctx))
}

// clock is the machine's own: this is about how long things take on it.
var clock = cullet.SystemClock{}

// took is how long fn takes.
func took(fn func() error) (time.Duration, error) {
	began := clock.Now()
	err := fn()
	return clock.Now().Sub(began), err
}

// nth is the share'th of the durations in their order: 0.5 is the median.
func nth(all []time.Duration, share float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

// settle has the disk take all that was written, so that no measurement pays for what
// was before it.
func (c common) settle() error {
	if err := exec.Command("sync").Run(); err != nil {
		return err
	}
	if !c.Cold {
		return nil
	}
	return os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0o200)
}

// temp makes a folder that is removed when the measurement ends.
func (c common) temp() (dir string, done func(), err error) {
	dir, err = os.MkdirTemp(c.Dir, "cullet-bench-")
	return dir, func() { _ = os.RemoveAll(dir) }, err
}

// buildServer builds the program that is measured, as it is released.
func buildServer(ctx context.Context, dir string) (string, error) {
	to := filepath.Join(dir, "cullet")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", to, "github.com/cullet-vision/cullet/cmd/cullet")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	return to, cmd.Run()
}

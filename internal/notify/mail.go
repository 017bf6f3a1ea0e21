package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/mail"
	"net/url"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/store"
)

// SMTP is the server that takes the operator's mail.
type SMTP struct {
	Host     string
	Port     int
	User     string // "": without signing in
	Password string
	TLS      bool // from the first byte; else as soon as the server offers it
}

// ParseSMTP reads smtp(s)://user:password@host:port. What it says of a wrong one
// holds nothing of it: there may be a password in it.
func ParseSMTP(address string) (s SMTP, err error) {
	wrong := errors.New("--smtp-url must look like smtp://user:password@host:587 or smtps://user:password@host:465")
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" {
		return s, wrong
	}
	s = SMTP{Host: u.Hostname(), Port: 587, User: u.User.Username()}
	s.Password, _ = u.User.Password()
	switch u.Scheme {
	case "smtp":
	case "smtps":
		s.TLS, s.Port = true, 465
	default:
		return SMTP{}, wrong
	}
	if p := u.Port(); p != "" {
		if s.Port, err = strconv.Atoi(p); err != nil || s.Port < 1 || s.Port > 65535 {
			return SMTP{}, wrong
		}
	}
	return s, nil
}

// CheckFrom refuses what cannot be the sender of a mail.
func CheckFrom(from string) error {
	if _, err := mail.ParseAddress(from); err != nil {
		return errors.New("--mail-from must be an address such as cullet@example.com or Cullet <cullet@example.com>")
	}
	return nil
}

// Mailer sends mails that are on their way. Any number of them share the work.
type Mailer struct {
	DB        *store.DB
	Server    SMTP
	From      string
	PublicURL string // where people reach the web app, "": mails hold no link
	Log       *slog.Logger

	worker string
}

const (
	mailEvery    = 10 * time.Second // between two looks
	mailPatience = 30 * time.Second // with the mail server
	mailLease    = 2 * time.Minute  // of a worker on a mail
)

// NewMailer makes a mailer.
func NewMailer(db *store.DB, server SMTP, from, publicURL string, log *slog.Logger) *Mailer {
	return &Mailer{DB: db, Server: server, From: from, PublicURL: strings.TrimRight(publicURL, "/"), Log: log, worker: cullet.NewID("w")}
}

// Run sends until the context ends.
func (m *Mailer) Run(ctx context.Context) {
	tick := m.DB.Clock().NewTicker(mailEvery)
	defer tick.Stop()
	for {
		if err := m.Round(ctx); err != nil && ctx.Err() == nil {
			m.Log.Error("mail could not be looked for; it is looked for again", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C():
		}
	}
}

// Round tries each mail whose time has come once.
func (m *Mailer) Round(ctx context.Context) error {
	for {
		var next store.Mail
		var ws cullet.Workspace
		err := m.DB.Update(ctx, func(tx *store.Tx) (err error) {
			if next, err = tx.ClaimMail(ctx, m.worker, mailLease); err != nil {
				return err
			}
			ws, err = tx.GetWorkspaceByID(ctx, next.Workspace)
			return err
		})
		if errors.Is(err, store.ErrNoRow) {
			return nil
		} else if err != nil {
			return err
		}
		m.try(ctx, &next, ws)
		err = m.DB.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error { return tx.RecordMail(ctx, next, m.worker) })
		if err != nil || ctx.Err() != nil {
			return err
		}
	}
}

// try sends a mail once, and keeps in it how that went.
func (m *Mailer) try(ctx context.Context, next *store.Mail, ws cullet.Workspace) {
	err := m.send(ctx, *next, ws)
	if ctx.Err() != nil {
		return // the server stops: this was no try
	}
	now := m.DB.Clock().Now()
	next.Tries++
	if err == nil {
		next.State, next.Problem = cullet.DeliveryDone, ""
		return
	}
	tried := now.Sub(next.CreatedAt)
	next.NextAt, next.Problem = now.Add(min(pause(tried), max(giveUp-tried, 0))), err.Error()
	if tried >= giveUp {
		next.State = cullet.DeliveryGivenUp
	}
	m.Log.Warn("a mail could not be sent", "mail", next.ID, "workspace", ws.Slug, "server", net.JoinHostPort(m.Server.Host, strconv.Itoa(m.Server.Port)),
		"tries", next.Tries, "state", next.State, "err", err)
}

func (m *Mailer) send(ctx context.Context, next store.Mail, ws cullet.Workspace) error {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := errors.Join(msg.From(m.From), msg.To(next.Address)); err != nil {
		return err
	}
	now := m.DB.Clock().Now()
	msg.SetMessageIDWithValue(next.ID + "@" + m.Server.Host) // the same over all tries
	msg.SetDateWithValue(now)
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.Subject(subject(next.Digest, ws))
	msg.SetBodyString(gomail.TypeTextPlain, m.text(next.Digest, ws))
	opts := []gomail.Option{gomail.WithPort(m.Server.Port), gomail.WithTimeout(mailPatience), gomail.WithTLSPolicy(gomail.TLSOpportunistic)}
	if m.Server.TLS {
		opts = append(opts, gomail.WithSSL())
	}
	if m.Server.User != "" {
		opts = append(opts, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(m.Server.User), gomail.WithPassword(m.Server.Password))
	}
	c, err := gomail.NewClient(m.Server.Host, opts...)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, mailPatience)
	defer cancel()
	return c.DialAndSendWithContext(ctx, msg)
}

// subject says what will happen, to how much, where.
func subject(d store.Digest, ws cullet.Workspace) string {
	return fmt.Sprintf("%s in the Trash of %s will be deleted permanently", items(d.Items), ws.Name)
}

func items(n int64) string {
	if n == 1 {
		return "1 item"
	}
	return fmt.Sprintf("%d items", n)
}

// text names what will go and when, and says what can be done.
func (m *Mailer) text(d store.Digest, ws cullet.Workspace) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s in the Trash of the workspace %s will be deleted permanently, the first on %s:\n\n",
		items(d.Items), ws.Name, d.FirstDue.UTC().Format("2 Jan 2006 15:04 UTC"))
	for _, n := range d.Named {
		fmt.Fprintf(&b, "- %s %s, on %s\n", n.Type, n.Name, n.Due.UTC().Format("2 Jan 2006 15:04 UTC"))
	}
	if more := d.Items - int64(len(d.Named)); more > 0 {
		fmt.Fprintf(&b, "- and %s more\n", items(more))
	}
	b.WriteString("\nRestore what you want to keep. What you do nothing about goes by itself on its date.\n")
	if m.PublicURL != "" {
		fmt.Fprintf(&b, "\n%s/app/%s/settings/trash?due=7\n", m.PublicURL, ws.Slug)
	}
	b.WriteString("\nYou get this mail because you are an administrator or owner of the workspace. An owner can switch it off in its settings.\n")
	return b.String()
}

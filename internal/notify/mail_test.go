package notify_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"mime/quotedprintable"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/notify"
	"github.com/cullet-vision/cullet/internal/store"
)

// postOffice is a small SMTP server on loopback.
type postOffice struct {
	net.Listener
	mu    sync.Mutex
	busy  bool // refuses for now
	mails []letter
}

type letter struct {
	from, to, text string
}

func newPostOffice(t *testing.T) *postOffice {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &postOffice{Listener: l}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return p
}

func (p *postOffice) serve(c net.Conn) {
	defer c.Close()
	say := func(s string) { fmt.Fprint(c, s+"\r\n") }
	say("220 office.test")
	in := bufio.NewScanner(c)
	var at letter
	for in.Scan() {
		verb, rest, _ := strings.Cut(in.Text(), " ")
		switch strings.ToUpper(verb) {
		case "EHLO", "HELO":
			say("250-office.test\r\n250 8BITMIME")
		case "MAIL":
			at = letter{from: rest}
			say("250 ok")
		case "RCPT":
			at.to += rest
			p.mu.Lock()
			busy := p.busy
			p.mu.Unlock()
			if busy {
				say("451 try again later")
			} else {
				say("250 ok")
			}
		case "DATA":
			say("354 go on")
			for in.Scan() && in.Text() != "." {
				at.text += in.Text() + "\n"
			}
			p.mu.Lock()
			p.mails = append(p.mails, at)
			p.mu.Unlock()
			say("250 ok")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func (p *postOffice) letters() []letter {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.mails
	p.mails = nil
	return all
}

// TestMail: administrators and owners get one mail a look, tried again where the
// server does not take it, with the same id; nothing where the workspace wants none.
func TestMail(t *testing.T) {
	t.Parallel()
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := newTown(t, d)
		w.warner.Mail = true
		office := newPostOffice(t)
		server, err := notify.ParseSMTP("smtp://" + office.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		mailer := notify.NewMailer(w.DB, server, "Cullet <cullet@example.com>", "https://cullet.example.com/", quiet)
		round := func() {
			t.Helper()
			if err := mailer.Round(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Access.AddPerson(ctx, w.Workspace.ID, "bob@example.com", "Bob", cullettest.Password, cullet.Admin); err != nil {
			t.Fatal(err)
		}
		w.Project(t, "cars")
		w.Project(t, "bikes")
		w.trash("cars")
		w.fill(w.trash("bikes"), 40)
		w.Clock.Advance(23 * cullettest.Day)
		office.busy = true
		w.look()
		w.look()
		round()
		round()
		for _, m := range w.mails() {
			if m.State != cullet.DeliveryWaiting || m.Tries != 1 || !strings.Contains(m.Problem, "451") {
				t.Errorf("after a refusal the mail is %+v", m)
			}
		}
		office.busy = false
		w.Clock.Advance(10 * time.Second)
		round()
		round()
		letters := office.letters()
		var to []string
		for _, l := range letters {
			to = append(to, l.to)
			b, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(l.text)))
			if err != nil {
				t.Fatal(err)
			}
			l.text = string(b)
			for _, want := range []string{"From: \"Cullet\" <cullet@example.com>", "Subject: 41 items in the Trash of Acme will be deleted permanently",
				"first on 1 May 2026 12:00 UTC", "project bikes", "and 21 items more", "https://cullet.example.com/app/acme/settings/trash?due=7", "Auto-Submitted: auto-generated"} {
				if !strings.Contains(l.text, want) {
					t.Errorf("the mail does not say %q:\n%s", want, l.text)
				}
			}
			if !slices.ContainsFunc(w.mails(), func(m store.Mail) bool { return strings.Contains(l.text, "<"+m.ID+"@") }) {
				t.Errorf("the mail's id is none of ours:\n%.800s", l.text)
			}
		}
		slices.Sort(to)
		if len(to) != 2 || !strings.Contains(to[0], "<ann@example.com>") || !strings.Contains(to[1], "<bob@example.com>") {
			t.Errorf("mail went to %v", to)
		}
		w.Clock.Advance(6 * cullettest.Day)
		w.exec(`UPDATE workspaces SET email_warnings = FALSE`)
		w.look()
		round()
		if got := office.letters(); len(got) != 0 || len(w.mails()) != 2 {
			t.Errorf("a workspace that wants none got %d mails", len(got))
		}
	})
}

// TestMailGivenUp: a mail server that is away is tried for a day; its password is in no log.
func TestMailGivenUp(t *testing.T) {
	t.Parallel()
	w := newTown(t, cullettest.NewDatabase(t, "sqlite"))
	w.warner.Mail = true
	office := newPostOffice(t)
	address := office.Addr().String()
	office.Close()
	server, err := notify.ParseSMTP("smtp://ann:pass-word@" + address)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	mailer := notify.NewMailer(w.DB, server, "cullet@example.com", "", slog.New(slog.NewTextHandler(&log, nil)))
	w.Project(t, "cars")
	w.trash("cars")
	w.Clock.Advance(23 * cullettest.Day)
	w.look()
	for range 60 {
		if err := mailer.Round(ctx); err != nil {
			t.Fatal(err)
		}
		w.Clock.Advance(time.Hour)
	}
	all := w.mails()
	if len(all) != 1 || all[0].State != cullet.DeliveryGivenUp || all[0].Tries < 20 || all[0].Tries > 30 || all[0].Problem == "" {
		t.Errorf("the mail is %+v", all)
	}
	if strings.Contains(log.String(), "pass-word") || !strings.Contains(log.String(), address) {
		t.Errorf("the log says %.500s", log.String())
	}
}

// TestParseSMTP: what the operator may set; a wrong one is refused without its password.
func TestParseSMTP(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]notify.SMTP{
		"smtp://mail.example.com":                {Host: "mail.example.com", Port: 587},
		"smtp://mail.example.com:25/":            {Host: "mail.example.com", Port: 25},
		"smtps://ann%40x:p%3Aw@mail.example.com": {Host: "mail.example.com", Port: 465, User: "ann@x", Password: "p:w", TLS: true},
	} {
		if got, err := notify.ParseSMTP(address); err != nil || got != want {
			t.Errorf("%s is read as %+v, %v", address, got, err)
		}
	}
	for _, address := range []string{"", "mail.example.com:25", "http://ann:secret@mail.example.com", "smtp://ann:secret@", "smtp://ann:secret@host:0", "smtp://ann:secret@host:99999",
		"smtp://ann:secret@host:port", "smtp://ann:sec ret@host", "smtp://host/inbox", "smtp://host?x=secret"} {
		if _, err := notify.ParseSMTP(address); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", address, err)
		}
	}
	for from, ok := range map[string]bool{"cullet@example.com": true, "Cullet <cullet@example.com>": true, "": false, "Cullet": false, "a@b\r\nBcc: c@d": false} {
		if err := notify.CheckFrom(from); (err == nil) != ok {
			t.Errorf("the sender %q: %v", from, err)
		}
	}
}

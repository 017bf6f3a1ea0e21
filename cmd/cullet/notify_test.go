package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/notify"
	"github.com/cullet-vision/cullet/internal/outward"
)

// told is a webhook's receiver on this machine.
type told struct {
	*httptest.Server
	mu   sync.Mutex
	down bool
	got  []string // "event name", verified
	bad  int      // requests whose signature is none of ours
}

func newTold(t *testing.T, secret func() string) *told {
	t.Helper()
	r := &told{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		b, _ := io.ReadAll(q.Body)
		var said struct {
			Event string
			Item  struct{ Name string }
		}
		_ = json.Unmarshal(b, &said)
		r.mu.Lock()
		defer r.mu.Unlock()
		seconds, _, _ := strings.Cut(strings.TrimPrefix(q.Header.Get("Cullet-Signature"), "t="), ",")
		var at int64
		_ = json.Unmarshal([]byte(seconds), &at)
		switch {
		case q.Header.Get("Cullet-Signature") != notify.Sign(secret(), time.Unix(at, 0), b):
			r.bad++
		case r.down:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			r.got = append(r.got, said.Event+" "+said.Item.Name)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// heard counts how often the receiver was told of something.
func (r *told) heard(what string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, g := range r.got {
		if g == what {
			n++
		}
	}
	return n
}

// TestToldOfWhatHappens: a real server tells a real receiver of what the official
// route caused, warns once, also over a restart, and purges while a receiver is down.
func TestToldOfWhatHappens(t *testing.T) {
	cullettest.TakesLong(t, "starts servers")
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		p := newPlace(t, d)
		p.project(t, "Belt")
		p.project(t, "Cars")
		g := p.ground(t, false)
		defer g.close()
		var hook cullet.Webhook
		r := newTold(t, func() string { return hook.Secret })
		person := cullet.Actor{Workspace: p.opened.Workspace.ID, ID: p.opened.Owner.ID, Name: "Ann", Means: cullet.ByWeb, Role: cullet.Owner, Session: "s"}
		desk := &notify.Desk{DB: g.db, Guard: outward.Guard{AllowPrivate: true}}
		var err error
		if hook, err = desk.Create(context.Background(), person, notify.Wish{URL: r.URL, Choices: cullet.Choices()}); err != nil {
			t.Fatal(err)
		}

		closed := p.serve(t, "--trash-retention", "48h")
		p.remove(t, closed, "belt")
		waitFor(t, 30*time.Second, "a try that is refused", func() bool {
			all, _, err := desk.Deliveries(context.Background(), person, time.Time{}, "", 10)
			return err == nil && len(all) > 0 && strings.Contains(all[len(all)-1].Problem, "private network")
		})
		closed.kill()
		if r.heard("trash.moved belt") != 0 {
			t.Error("without --allow-private-urls the receiver on loopback was told")
		}

		s := p.serve(t, "--allow-private-urls", "--trash-retention", "48h")
		waitFor(t, 60*time.Second, "the deletion to be told of", func() bool { return r.heard("trash.moved belt") == 1 })
		waitFor(t, 30*time.Second, "the warning", func() bool { return r.heard("trash.due_soon belt") == 1 })
		s.kill()

		r.mu.Lock()
		r.down = true
		r.mu.Unlock()
		s = p.serve(t, "--allow-private-urls", "--trash-retention", "1s", "--cleanup-interval", "100ms")
		p.remove(t, s, "cars")
		waitFor(t, 30*time.Second, "cleanup with the receiver down", func() bool { return len(p.items(t, g)) == 1 })
		r.mu.Lock()
		r.down = false
		r.mu.Unlock()
		waitFor(t, 60*time.Second, "the end to be told of", func() bool { return r.heard("trash.purged cars") == 1 })
		s.kill()
		if n := r.heard("trash.due_soon belt"); n != 1 {
			t.Errorf("C10: over a restart the item was warned of %d times", n)
		}
		var cars []string
		for _, g := range r.got {
			if strings.HasSuffix(g, " cars") && !strings.HasPrefix(g, "trash.due_soon") {
				cars = append(cars, strings.TrimSuffix(g, " cars"))
			}
		}
		if strings.Join(cars, " ") != "trash.moved trash.purge_started trash.purged" || r.bad != 0 {
			t.Errorf("the receiver was told %v; %d signatures were wrong", r.got, r.bad)
		}
	})
}

// remove moves a project to Trash by the route that the official SDK uses.
func (p *place) remove(t *testing.T, s *process, project string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodDelete, s.url+"/"+p.opened.Workspace.Slug+"/"+project+"?api_key="+p.opened.Secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", res.Status, b)
	}
}

// TestMailSettings: a wrong mail server starts no server, and its password is not told.
func TestMailSettings(t *testing.T) {
	for address, from := range map[string]string{"http://ann:secret@mail.example.com": "cullet@example.com", "smtp://ann:secret@mail.example.com": "nobody"} {
		s := settings{TrashRetention: time.Hour, CleanupInterval: time.Second, UploadMaxBytes: 1, SMTPURL: address, MailFrom: from}
		if err := s.check(); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s from %s: %v", address, from, err)
		}
	}
	s := settings{TrashRetention: time.Hour, CleanupInterval: time.Second, UploadMaxBytes: 1, SMTPURL: "smtps://ann:secret@mail.example.com", MailFrom: "Cullet <cullet@example.com>"}
	if err := s.check(); err != nil {
		t.Error(err)
	}
}

package notify_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/notify"
	"github.com/cullet-vision/cullet/internal/outward"
	"github.com/cullet-vision/cullet/internal/purge"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/training"
	"github.com/cullet-vision/cullet/internal/trash"
)

var ctx = context.Background()

var quiet = slog.New(slog.DiscardHandler)

// town is a workspace with who warns and sends in it.
type town struct {
	*cullettest.World
	t      *testing.T
	d      cullettest.Database
	desk   *notify.Desk
	sender *notify.Sender
	engine *purge.Engine
	warner *notify.Warner
}

func newTown(t *testing.T, d cullettest.Database) *town {
	t.Helper()
	w := cullettest.WorldOn(t, d, cullettest.NewClock())
	guard := outward.Guard{AllowPrivate: true}
	return &town{World: w, t: t, d: d, desk: &notify.Desk{DB: w.DB, Guard: guard}, sender: notify.NewSender(w.DB, guard, quiet),
		engine: purge.NewEngine(w.DB, w.Blobs, time.Minute, quiet), warner: &notify.Warner{DB: w.DB, Log: quiet}}
}

func (w *town) hook(url string, choices ...string) cullet.Webhook {
	w.t.Helper()
	if len(choices) == 0 {
		choices = cullet.Choices()
	}
	h, err := w.desk.Create(ctx, w.Person(), notify.Wish{URL: url, Choices: choices})
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

func (w *town) look() {
	w.t.Helper()
	if err := w.warner.Look(ctx); err != nil {
		w.t.Fatal(err)
	}
}

func (w *town) send() {
	w.t.Helper()
	if err := w.sender.Round(ctx); err != nil {
		w.t.Fatal(err)
	}
}

func (w *town) trash(slug string) cullet.TrashItem {
	w.t.Helper()
	t, err := w.Bin.DeleteProject(ctx, w.By, slug)
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

func (w *town) restore(t cullet.TrashItem) {
	w.t.Helper()
	if _, err := w.Bin.RestoreItem(ctx, w.By, t.ID, ""); err != nil {
		w.t.Fatal(err)
	}
}

// out returns what is in the outbox, oldest first.
func (w *town) out() []notify.Sent {
	w.t.Helper()
	all, more, err := w.desk.Deliveries(ctx, w.Person(), time.Time{}, "", 100_000)
	if err != nil || more {
		w.t.Fatal(more, err)
	}
	slices.SortFunc(all, func(x, y notify.Sent) int { return int(x.Seq - y.Seq) })
	return all
}

// warned lists the steps that an item was warned of.
func (w *town) warned(item string) (steps []string) {
	for _, s := range w.out() {
		if s.Notice.Topic == cullet.TopicDueSoon && s.Notice.ItemID == item {
			steps = append(steps, s.Notice.Detail["days"])
		}
	}
	return steps
}

func (w *town) wantWarned(item string, steps ...string) {
	w.t.Helper()
	if got := w.warned(item); !slices.Equal(got, steps) {
		w.t.Errorf("C10: the item was warned of at the steps %v, want %v", got, steps)
	}
}

// exec changes rows behind the store's back.
func (w *town) exec(statement string, args ...any) {
	w.t.Helper()
	if _, err := w.DB.Conn().Writer.ExecContext(ctx, statement, args...); err != nil {
		w.t.Fatal(err)
	}
}

// TestC10OnceForEachStep: 7 days and 1 day before, once each, whatever looks how often.
func TestC10OnceForEachStep(t *testing.T) {
	t.Parallel()
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := newTown(t, d)
		w.hook("http://receiver.test/")
		w.Project(t, "cars")
		item := w.trash("cars")
		w.look()
		w.Clock.Advance(23*cullettest.Day - time.Second)
		w.look()
		w.wantWarned(item.ID)
		w.Clock.Advance(time.Second)
		w.look()
		w.wantWarned(item.ID, "7")
		w.look()
		w.warner = &notify.Warner{DB: w.d.Open(t, w.Clock), Log: quiet} // started again
		w.look()
		w.Clock.Advance(6*cullettest.Day - time.Second)
		w.look()
		w.wantWarned(item.ID, "7")
		w.Clock.Advance(time.Second)
		w.look()
		w.look()
		w.wantWarned(item.ID, "7", "1")
		w.Clock.Advance(-10 * cullettest.Day) // a clock that goes back repeats nothing
		w.look()
		w.wantWarned(item.ID, "7", "1")
		last := w.out()[len(w.out())-1].Notice
		if last.Detail["cleanupAt"] != item.EffectiveAt.Format(time.RFC3339) || last.Target != item.Target || last.ItemName != "cars" {
			t.Errorf("the warning says %+v", last)
		}
	})
}

// TestC10Nearest: several steps at once are one warning, for the nearest.
func TestC10Nearest(t *testing.T) {
	t.Parallel()
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := newTown(t, d)
		w.hook("http://receiver.test/")
		w.Project(t, "cars")
		w.Project(t, "bikes")
		item := w.trash("cars")
		w.Clock.Advance(29*cullettest.Day + time.Hour) // the server was off
		w.Bin.Retention = 3 * cullettest.Day
		short := w.trash("bikes")
		w.look()
		w.look()
		w.wantWarned(item.ID, "1")
		w.wantWarned(short.ID, "7")
	})
}

// TestC10Anew: a postponed item is warned of for its new date; what left Trash, and
// what is being deleted, is not warned of.
func TestC10Anew(t *testing.T) {
	t.Parallel()
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := newTown(t, d)
		w.hook("http://receiver.test/")
		for _, name := range []string{"postponed", "restored", "purging"} {
			w.Project(t, name)
		}
		postponed, restored, purging := w.trash("postponed"), w.trash("restored"), w.trash("purging")
		w.Clock.Advance(24 * cullettest.Day)
		w.restore(restored)
		w.exec(`UPDATE trash_items SET state = 'purging' WHERE id = $1`, purging.ID)
		w.look()
		w.wantWarned(postponed.ID, "7")
		w.wantWarned(restored.ID)
		w.wantWarned(purging.ID)
		if kept, err := w.Bin.Postpone(ctx, w.Person(), []string{postponed.ID}, trash.Later(30*cullettest.Day)); err != nil || kept[0].Err != nil {
			t.Fatal(kept, err)
		}
		w.look()
		w.Clock.Advance(29 * cullettest.Day)
		w.look()
		w.look()
		w.wantWarned(postponed.ID, "7", "7")
		w.Clock.Advance(6 * cullettest.Day)
		w.look()
		w.wantWarned(postponed.ID, "7", "7", "1")
	})
}

// TestC10Held: what is held is not warned of, nor its parent; after a release it is,
// for the date it has then. Who asked is told of the hold.
func TestC10Held(t *testing.T) {
	t.Parallel()
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := newTown(t, d)
		w.hook("http://receiver.test/")
		p := w.Project(t, "cars")
		w.Image(t, p.Slug, 1)
		w.Version(t, p.Slug)
		v, err := w.Bin.DeleteVersion(ctx, w.By, p.Slug, 1)
		if err != nil {
			t.Fatal(err)
		}
		item := w.trash("cars")
		if _, err := w.Bin.Hold(ctx, w.Person(), []string{v.ID}, "it is looked into"); err != nil {
			t.Fatal(err)
		}
		held := w.out()[len(w.out())-1].Notice
		if held.Topic != cullet.TopicHeld || held.Target != v.Target || held.ItemName != "cars/1" || held.Detail["reason"] != "it is looked into" {
			t.Errorf("the hold is told of as %+v", held)
		}
		w.Clock.Advance(29*cullettest.Day + 12*time.Hour)
		w.look()
		w.wantWarned(v.ID)
		w.wantWarned(item.ID)
		if b, err := w.desk.Banner(ctx, w.Person()); err != nil || b.Items != 0 {
			t.Errorf("the banner tells of %d items that are held, %v", b.Items, err)
		}
		if _, err := w.Bin.Release(ctx, w.Person(), []string{v.ID}); err != nil {
			t.Fatal(err)
		}
		w.look()
		w.look()
		w.wantWarned(v.ID, "1")
		w.wantWarned(item.ID, "1")
	})
}

// TestC10Steps: a workspace sets its own steps; what was told at a wider one before is
// told at the nearer ones alone.
func TestC10Steps(t *testing.T) {
	t.Parallel()
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := newTown(t, d)
		w.hook("http://receiver.test/")
		w.Project(t, "cars")
		item := w.trash("cars")
		set := func(days ...int64) {
			t.Helper()
			want := cullet.Warnings{Days: days, Email: true}
			if err := want.Check(); err != nil {
				t.Fatal(err)
			}
			if err := w.DB.Update(ctx, func(tx *store.Tx) error { return tx.SetWarnings(ctx, w.Workspace.ID, want) }); err != nil {
				t.Fatal(err)
			}
		}
		set()
		w.Clock.Advance(10 * cullettest.Day)
		w.look()
		w.wantWarned(item.ID)
		set(2, 20, 20)
		w.look()
		w.wantWarned(item.ID, "20")
		set(14)
		w.look()
		w.Clock.Advance(6 * cullettest.Day)
		w.look()
		w.wantWarned(item.ID, "20", "14")
		set(30, 14, 3)
		w.look()
		w.Clock.Advance(11 * cullettest.Day)
		w.look()
		w.wantWarned(item.ID, "20", "14", "3")
	})
	for _, bad := range [][]int64{{0}, {-1}, {366}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}} {
		w := cullet.Warnings{Days: bad}
		if err := w.Check(); cullet.CodeOf(err) != cullet.Invalid {
			t.Errorf("the days %v are taken: %v", bad, err)
		}
	}
}

// TestC10Race: four servers look at once at 350 items: each is told of once, and each
// person gets one mail.
func TestC10Race(t *testing.T) {
	t.Parallel()
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		const many = 350
		w := newTown(t, d)
		w.hook("http://receiver.test/")
		w.Project(t, "cars")
		w.fill(w.trash("cars"), many)
		for _, p := range []struct {
			name string
			role cullet.Role
		}{{"admin", cullet.Admin}, {"editor", cullet.Editor}, {"viewer", cullet.Viewer}} {
			if _, err := w.Access.AddPerson(ctx, w.Workspace.ID, p.name+"@example.com", p.name, cullettest.Password, p.role); err != nil {
				t.Fatal(err)
			}
		}
		w.Clock.Advance(25 * cullettest.Day)
		var looks sync.WaitGroup
		for range 4 {
			server := &notify.Warner{DB: d.Open(t, w.Clock), Log: quiet, Mail: true}
			looks.Go(func() {
				for range 3 {
					if err := server.Look(ctx); err != nil {
						t.Error(err)
					}
				}
			})
		}
		looks.Wait()
		told := map[string]int{}
		for _, s := range w.out() {
			if s.Notice.Topic == cullet.TopicDueSoon {
				told[s.Notice.ItemID]++
			}
		}
		if len(told) != many {
			t.Errorf("C10: %d items were warned of, want %d", len(told), many)
		}
		for item, n := range told {
			if n != 1 {
				t.Errorf("C10: %s was warned of %d times", item, n)
			}
		}
		var to []string
		for _, m := range w.mails() {
			to = append(to, m.Address)
			if m.Digest.Items != many || len(m.Digest.Named) != 20 {
				t.Errorf("a mail tells of %d items and names %d", m.Digest.Items, len(m.Digest.Named))
			}
		}
		if !slices.Equal(slices.Sorted(slices.Values(to)), []string{"admin@example.com", "ann@example.com"}) {
			t.Errorf("mail goes to %v", to)
		}
	})
}

// fill adds items to Trash by rows alone, like the given one.
func (w *town) fill(like cullet.TrashItem, items int) {
	w.t.Helper()
	w.exec(`WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < $2)
		INSERT INTO trash_items (id, workspace_id, type, target_id, name, slug, deleted_at, deleted_by, deleted_by_name, deleted_means, cleanup_at, effective_at, state, contents, bytes)
		SELECT s.id || '-' || n.i, s.workspace_id, s.type, s.target_id || '-' || n.i, s.name, s.slug, s.deleted_at, s.deleted_by, s.deleted_by_name, s.deleted_means,
			s.cleanup_at, s.effective_at, s.state, s.contents, s.bytes FROM trash_items s, n WHERE s.id = $1`, like.ID, items)
}

func (w *town) mails() (all []store.Mail) {
	w.t.Helper()
	if err := w.DB.View(ctx, func(tx *store.Tx) (err error) {
		all, err = tx.ListMails(ctx, w.Workspace.ID)
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return all
}

// TestC10Bounded: however many items, one transaction warns of some, and a second
// look at what was warned of writes nothing.
func TestC10Bounded(t *testing.T) {
	t.Parallel()
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := newTown(t, d)
		w.Project(t, "cars")
		w.fill(w.trash("cars"), 1000)
		w.Clock.Advance(25 * cullettest.Day)
		most, written := int64(0), int64(0)
		watch := func(_ string, rows int64) { most, written = max(most, rows), written+rows }
		w.DB.Watch(watch)
		w.look()
		w.DB.Watch(nil)
		var marked int
		if err := w.DB.Conn().Reader.QueryRowContext(ctx, `SELECT COUNT(*) FROM trash_items WHERE warned_for = effective_at AND warned_step = 7`).Scan(&marked); err != nil || marked != 1000 {
			t.Fatalf("%d items are marked, %v", marked, err)
		}
		most, written = 0, 0
		w.DB.Watch(watch)
		w.look()
		w.DB.Watch(nil)
		if written != 0 {
			t.Errorf("a look at what was told of writes %d rows", written)
		}
	})
}

// TestC10AMailThatACrashHeldUp: what was gathered before a crash is told by the next
// look, with what that finds.
func TestC10AMailThatACrashHeldUp(t *testing.T) {
	t.Parallel()
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := newTown(t, d)
		w.Project(t, "cars")
		w.Project(t, "bikes")
		first, second := w.trash("cars"), w.trash("bikes")
		w.Clock.Advance(25 * cullettest.Day)
		err := w.DB.Update(ctx, func(tx *store.Tx) error {
			told, err := tx.MarkWarned(ctx, []cullet.TrashItem{first}, 7)
			if err != nil || len(told) != 1 {
				t.Fatal(told, err)
			}
			return tx.AddToDigest(ctx, w.Workspace.ID, told)
		})
		if err != nil {
			t.Fatal(err)
		}
		w.warner.Mail = true
		w.look()
		w.look()
		all := w.mails()
		if len(all) != 1 || all[0].Digest.Items != 2 || len(all[0].Digest.Named) != 2 || !all[0].Digest.FirstDue.Equal(second.EffectiveAt) {
			t.Errorf("the mails are %+v", all)
		}
	})
}

// TestOutbox: each cause leaves its notice, in its order, and nothing that did not
// happen leaves one.
func TestOutbox(t *testing.T) {
	t.Parallel()
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := newTown(t, d)
		p := w.Project(t, "cars")
		w.restore(w.trash("cars")) // nobody asked yet
		w.hook("http://receiver.test/all")
		w.hook("http://receiver.test/moved", string(cullet.TopicMoved))
		w.Image(t, p.Slug, 1)
		w.Version(t, p.Slug)
		job, err := w.Queue.Start(ctx, w.By, p.Slug, 1, training.NewTraining{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Queue.Cancel(ctx, w.By, p.Slug, 1, job.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Queue.Start(ctx, w.By, p.Slug, 1, training.NewTraining{}); err != nil {
			t.Fatal(err)
		}
		v, err := w.Bin.DeleteVersion(ctx, w.By, p.Slug, 1)
		if err != nil {
			t.Fatal(err)
		}
		item := w.trash("cars")
		if _, err := w.Bin.Restore(ctx, w.By, trash.Request{Type: cullet.TrashVersion, ID: "1", Parent: p.ID}); err == nil {
			t.Fatal("R2: a version came back without its project")
		}
		w.restore(item)
		w.trash("cars")
		w.Clock.Advance(31 * cullettest.Day)
		if err := w.engine.Round(ctx); err != nil {
			t.Fatal(err)
		}
		var all, moved []string
		for _, s := range w.out() {
			line := string(s.Notice.Topic) + " " + s.Notice.ItemName
			if strings.Contains(line, "_") && s.Notice.ItemType == "training" {
				t.Errorf("a training is called %s", line)
			}
			if s.Host == "" || s.Notice.At.IsZero() {
				t.Errorf("a delivery says %+v", s)
			}
			if s.Seq > 0 && s.Webhook == w.out()[0].Webhook {
				all = append(all, line)
			} else {
				moved = append(moved, line)
			}
		}
		if len(all) < len(moved) {
			all, moved = moved, all
		}
		want := []string{"version.generated cars/1", "training.queued test-model", "training.cancelled test-model", "training.queued test-model",
			"training.cancelled test-model", "trash.moved " + v.Handle(), "trash.moved cars", "trash.restored cars", "trash.moved cars",
			"trash.purge_started cars/1", "trash.purge_started cars", "trash.purged cars/1", "trash.purged cars"}
		if !slices.Equal(all, want) {
			t.Errorf("the outbox holds\n%s\nwant\n%s", strings.Join(all, "\n"), strings.Join(want, "\n"))
		}
		if !slices.Equal(moved, []string{"trash.moved " + v.Handle(), "trash.moved cars", "trash.moved cars"}) {
			t.Errorf("who asked for what moved is told %v", moved)
		}
		// What is rolled back is told nobody.
		before := len(w.out())
		err = w.DB.Update(ctx, func(tx *store.Tx) error {
			tx.Notify(cullet.Notice{Topic: cullet.TopicMoved, Workspace: w.Workspace.ID, ItemID: "x"})
			return fmt.Errorf("no")
		})
		if err == nil || len(w.out()) != before {
			t.Errorf("a transaction that came to nothing left %d notices", len(w.out())-before)
		}
	})
}

// TestD2NoWebhookOneRead: where nobody asked, a notice costs one read.
func TestD2NoWebhookOneRead(t *testing.T) {
	t.Parallel()
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := newTown(t, d)
		w.Project(t, "cars")
		var seen []string
		w.DB.Watch(func(statement string, _ int64) {
			if strings.Contains(statement, "webhooks") || strings.Contains(statement, "deliveries") {
				seen = append(seen, statement)
			}
		})
		w.trash("cars")
		w.DB.Watch(nil)
		if len(seen) != 1 || !strings.HasPrefix(seen[0], "SELECT") {
			t.Errorf("D2: a deletion that nobody is told of costs %q", seen)
		}
	})
}

// receiver takes webhooks' requests and answers as it is told to.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []request
	answer func(request) int
}

type request struct {
	header http.Header
	body   string
	said   struct {
		ID, Event, Workspace string
		Item                 struct{ Type, ID, TrashItem, Name string }
		By                   struct{ Name, Means string }
		Detail               map[string]string
	}
}

func newReceiver(t *testing.T, answer func(request) int) *receiver {
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		b, err := io.ReadAll(q.Body)
		if err != nil {
			t.Error(err)
		}
		got := request{header: q.Header, body: string(b)}
		if err := json.Unmarshal(b, &got.said); err != nil {
			t.Errorf("the body is %q: %v", b, err)
		}
		r.mu.Lock()
		r.got = append(r.got, got)
		r.mu.Unlock()
		status := http.StatusOK
		if r.answer != nil {
			status = r.answer(got)
		}
		w.WriteHeader(status)
		fmt.Fprint(w, "noted\x00 "+strings.Repeat("x", 10_000))
	}))
	t.Cleanup(r.Close)
	return r
}

// requests returns what came since the last time.
func (r *receiver) requests() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.got
	r.got = nil
	return got
}

func events(all []request) (names []string) {
	for _, q := range all {
		names = append(names, q.said.Event+" "+q.said.Item.Name)
	}
	return names
}

// TestOrder: a later notice of a thing waits for the earlier one; other things go on.
func TestOrder(t *testing.T) {
	t.Parallel()
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := newTown(t, d)
		broken := true
		r := newReceiver(t, func(q request) int {
			if broken && q.said.Event == "trash.moved" && q.said.Item.Name == "cars" {
				return http.StatusInternalServerError
			}
			return http.StatusNoContent
		})
		w.hook(r.URL)
		w.Project(t, "cars")
		w.Project(t, "bikes")
		w.restore(w.trash("cars"))
		w.trash("bikes")
		w.trash("cars")
		w.send()
		if got := events(r.requests()); !slices.Contains(got, "trash.moved bikes") || slices.Contains(got, "trash.restored cars") || len(got) != 2 {
			t.Errorf("the receiver got %v", got)
		}
		w.Clock.Advance(9 * time.Second)
		w.send()
		if got := r.requests(); len(got) != 0 {
			t.Errorf("before the pause is over the receiver got %v", events(got))
		}
		w.Clock.Advance(time.Second)
		broken = false
		w.send()
		if got := events(r.requests()); !slices.Equal(got, []string{"trash.moved cars", "trash.restored cars", "trash.moved cars"}) {
			t.Errorf("the receiver got %v", got)
		}
		w.send()
		if got := r.requests(); len(got) != 0 {
			t.Errorf("what was taken is sent again: %v", events(got))
		}
	})
}

// TestGiveUp: a delivery is tried for 24 hours with growing pauses, always the same
// one; then it is given up and shown, and a person can have it sent again.
func TestGiveUp(t *testing.T) {
	t.Parallel()
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := newTown(t, d)
		status := http.StatusServiceUnavailable
		r := newReceiver(t, func(request) int { return status })
		w.hook(r.URL)
		w.Project(t, "cars")
		item := w.trash("cars")
		began := w.Clock.Now()
		var tries []request
		var at []time.Duration
		for w.Clock.Now().Sub(began) <= 26*time.Hour {
			w.send()
			if got := r.requests(); len(got) > 0 {
				tries = append(tries, got...)
				at = append(at, w.Clock.Now().Sub(began))
			}
			w.Clock.Advance(5 * time.Second)
			if len(at) > 5 {
				w.Clock.Advance(5*time.Minute - 5*time.Second)
			}
		}
		if len(tries) < 15 || len(tries) > 50 || at[1] != 10*time.Second || at[2] != 20*time.Second || at[3] != 40*time.Second {
			t.Fatalf("tried %d times, at %v", len(tries), at)
		}
		if last := at[len(at)-1]; last < 24*time.Hour || last > 24*time.Hour+6*time.Minute {
			t.Errorf("the last try was after %v, want 24 hours", last)
		}
		for n := 1; n < len(at); n++ {
			if at[n]-at[n-1] > time.Hour+6*time.Minute {
				t.Errorf("between two tries were %v", at[n]-at[n-1])
			}
		}
		for _, q := range tries {
			if q.body != tries[0].body || q.header.Get("Cullet-Delivery") != tries[0].header.Get("Cullet-Delivery") || q.said.ID != q.header.Get("Cullet-Delivery") {
				t.Errorf("a repeated delivery differs: %v %s", q.header, q.body)
			}
		}
		s := w.out()[0]
		if s.State != cullet.DeliveryGivenUp || s.Status != 503 || s.Tries != int64(len(tries)) || s.Problem == "" || s.Body != tries[0].body {
			t.Errorf("the page shows %+v", s)
		}
		if len(s.Answer) > 5000 || !strings.HasPrefix(s.Answer, "noted") {
			t.Errorf("%d bytes of the answer are kept: %.20q", len(s.Answer), s.Answer)
		}
		// What was given up holds up nothing.
		status = http.StatusOK
		w.restore(item)
		w.send()
		if got := events(r.requests()); !slices.Equal(got, []string{"trash.restored cars"}) {
			t.Errorf("after the first was given up the receiver got %v", got)
		}
		if err := w.desk.Retry(ctx, w.Person(), s.ID); err != nil {
			t.Fatal(err)
		}
		w.send()
		if got := r.requests(); len(got) != 1 || got[0].body != tries[0].body {
			t.Errorf("sent again by a person: %v", events(got))
		}
		if s := w.out()[0]; s.State != cullet.DeliveryDone {
			t.Errorf("then it is %s", s.State)
		}
	})
}

// TestDownDelaysNobody: a receiver that never answers holds up no deletion, and no
// other receiver.
func TestDownDelaysNobody(t *testing.T) {
	t.Parallel()
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := newTown(t, d)
		stop, asked := make(chan struct{}), make(chan struct{}, 100)
		down := newReceiver(t, func(request) int { asked <- struct{}{}; <-stop; return http.StatusOK })
		up := newReceiver(t, nil)
		w.hook(down.URL)
		running, end := context.WithCancel(ctx)
		var run sync.WaitGroup
		run.Go(func() { w.sender.Run(running) })
		defer run.Wait()
		defer end()
		defer close(stop)
		w.Project(t, "cars")
		w.Project(t, "bikes")
		w.trash("cars")
		w.tickUntil("the receiver that is down was asked", func() bool { return len(asked) > 0 })
		w.hook(up.URL)
		w.trash("bikes") // with the other's request under way
		w.tickUntil("the other receiver was told", func() bool {
			up.mu.Lock()
			defer up.mu.Unlock()
			return len(up.got) == 1
		})
	})
}

// tickUntil moves the clock on, a second at a time, until something is so.
func (w *town) tickUntil(what string, so func() bool) {
	w.t.Helper()
	late := time.NewTimer(20 * time.Second)
	defer late.Stop()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !so() {
		w.Clock.Advance(time.Second)
		select {
		case <-late.C:
			w.t.Fatalf("waited in vain until %s", what)
		case <-look.C:
		}
	}
}

// TestSendersShare: of four servers each delivery is sent by one.
func TestSendersShare(t *testing.T) {
	t.Parallel()
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := newTown(t, d)
		r := newReceiver(t, nil)
		w.hook(r.URL)
		for n := range 60 {
			name := fmt.Sprintf("p%d", n)
			w.Project(t, name)
			w.restore(w.trash(name))
		}
		var servers sync.WaitGroup
		for range 4 {
			s := notify.NewSender(d.Open(t, w.Clock), outward.Guard{AllowPrivate: true}, quiet)
			servers.Go(func() {
				for range 4 {
					if err := s.Round(ctx); err != nil {
						t.Error(err)
					}
				}
			})
		}
		servers.Wait()
		last := map[string]string{}
		seen := map[string]bool{}
		for _, q := range r.requests() {
			if seen[q.said.ID] {
				t.Errorf("%s was sent twice", q.said.ID)
			}
			seen[q.said.ID] = true
			if q.said.Event == "trash.restored" && last[q.said.Item.ID] != "trash.moved" {
				t.Errorf("%s was told of before it was moved", q.said.Item.Name)
			}
			last[q.said.Item.ID] = q.said.Event
		}
		if len(seen) != 120 {
			t.Errorf("%d deliveries came, want 120", len(seen))
		}
	})
}

// TestSignature: the snippet in docs/webhooks.md takes what we sign, and nothing else.
func TestSignature(t *testing.T) {
	t.Parallel()
	python := os.Getenv("CULLET_TEST_PYTHON")
	if python == "" {
		cullettest.Lacks(t, "CULLET_TEST_PYTHON names no Python")
	}
	text, err := os.ReadFile("../../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	_, snippet, found := strings.Cut(string(text), "```python\n")
	snippet, _, closed := strings.Cut(snippet, "```")
	if !found || !closed {
		t.Fatal("docs/webhooks.md has no Python snippet")
	}
	w := newTown(t, cullettest.NewDatabase(t, "sqlite"))
	w.Clock.Advance(cullet.SystemClock{}.Now().Sub(w.Clock.Now())) // the snippet compares with its own clock
	r := newReceiver(t, nil)
	h := w.hook(r.URL)
	if _, err := w.desk.Test(ctx, w.Person(), h.ID); err != nil {
		t.Fatal(err)
	}
	w.send()
	got := r.requests()
	if len(got) != 1 || got[0].said.Event != "ping" || got[0].said.Workspace != "acme" || got[0].header.Get("Cullet-Event") != "ping" {
		t.Fatalf("the receiver got %+v", got)
	}
	genuine := func(secret, header, body string) string {
		t.Helper()
		out, err := exec.Command(python, "-c", snippet+"\nimport sys\nprint(genuine(sys.argv[1], sys.argv[2], sys.argv[3].encode()))", secret, header, body).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	signature := got[0].header.Get("Cullet-Signature")
	if s := genuine(h.Secret, signature, got[0].body); s != "True" {
		t.Errorf("the snippet says %s of a genuine request", s)
	}
	old := notify.Sign(h.Secret, w.Clock.Now().Add(-time.Hour), []byte(got[0].body))
	for name, s := range map[string]string{"another secret": genuine("whsec_x", signature, got[0].body), "another body": genuine(h.Secret, signature, got[0].body+" "),
		"an old request": genuine(h.Secret, old, got[0].body), "another time": genuine(h.Secret, "t=1"+signature[2:], got[0].body)} {
		if s != "False" {
			t.Errorf("the snippet says %s of %s", s, name)
		}
	}
}

// TestPrivate: without the operator's leave nothing reaches a private network, and
// the page says why.
func TestPrivate(t *testing.T) {
	t.Parallel()
	w := newTown(t, cullettest.NewDatabase(t, "sqlite"))
	r := newReceiver(t, nil)
	w.hook(r.URL + "/secret-token")
	var log strings.Builder
	w.desk.Guard = outward.Guard{}
	w.sender = notify.NewSender(w.DB, outward.Guard{}, slog.New(slog.NewTextHandler(&log, nil)))
	w.Project(t, "cars")
	w.trash("cars")
	w.send()
	if got := r.requests(); len(got) != 0 {
		t.Fatalf("the receiver on loopback got %v", events(got))
	}
	s := w.out()[0]
	if s.State != cullet.DeliveryWaiting || !strings.Contains(s.Problem, "private network") || s.Tries != 1 {
		t.Errorf("the page shows %+v", s)
	}
	if !strings.Contains(log.String(), "private network") || strings.Contains(log.String(), "secret-token") || strings.Contains(s.Problem, "secret-token") {
		t.Errorf("the log says %s", log.String())
	}
	if _, err := w.desk.Create(ctx, w.Person(), notify.Wish{URL: r.URL, Choices: cullet.Choices()}); cullet.CodeOf(err) != cullet.Invalid {
		t.Errorf("a private address is taken: %v", err)
	}
}

// TestRights: administrators set webhooks up, signed in; no key does.
func TestRights(t *testing.T) {
	t.Parallel()
	w := newTown(t, cullettest.NewDatabase(t, "sqlite"))
	h := w.hook("http://receiver.test/path-token")
	wish := notify.Wish{URL: "http://other.test/", Choices: []string{"training.*"}, Disabled: true}
	editor, key, sessionless := w.Person(), w.By, w.Person()
	editor.Role, sessionless.Session = cullet.Editor, ""
	if _, err := w.desk.Test(ctx, w.Person(), h.ID); err != nil {
		t.Fatal(err)
	}
	delivery := w.out()[0].ID
	for _, by := range []cullet.Actor{editor, key, sessionless} {
		_, create := w.desk.Create(ctx, by, wish)
		_, list := w.desk.Webhooks(ctx, by)
		_, test := w.desk.Test(ctx, by, h.ID)
		_, _, deliveries := w.desk.Deliveries(ctx, by, time.Time{}, "", 5)
		for n, err := range []error{create, list, test, deliveries, w.desk.Change(ctx, by, h.ID, wish), w.desk.Remove(ctx, by, h.ID), w.desk.Retry(ctx, by, delivery)} {
			if cullet.CodeOf(err) != cullet.Forbidden {
				t.Errorf("act %d of %+v: %v", n, by, err)
			}
		}
	}
	stranger := w.Person()
	stranger.Workspace = "ws_other"
	if err := w.desk.Remove(ctx, stranger, h.ID); cullet.CodeOf(err) != cullet.NotFound {
		t.Errorf("another workspace's administrator: %v", err)
	}
	if err := w.desk.Retry(ctx, stranger, delivery); cullet.CodeOf(err) != cullet.NotFound {
		t.Errorf("another workspace's administrator: %v", err)
	}
	// Switched off it is sent nothing new; removed, it and what waited for it are gone.
	if err := w.desk.Change(ctx, w.Person(), h.ID, wish); err != nil {
		t.Fatal(err)
	}
	if _, err := w.desk.Test(ctx, w.Person(), h.ID); cullet.CodeOf(err) != cullet.Conflict {
		t.Errorf("a webhook that is off is tested: %v", err)
	}
	if err := w.desk.Remove(ctx, w.Person(), h.ID); err != nil {
		t.Fatal(err)
	}
	if all := w.out(); len(all) != 0 {
		t.Errorf("deliveries of a removed webhook are shown: %+v", all)
	}
	end, cancel := context.WithCancel(ctx)
	cancel()
	w.sender.Run(end) // one look
	if err := w.sender.Forget(ctx); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"webhooks", "deliveries"} {
		var n int
		if err := w.DB.Conn().Reader.QueryRowContext(ctx, `SELECT COUNT(*) FROM `+table).Scan(&n); err != nil || n != 0 {
			t.Errorf("%d rows are left in %s, %v", n, table, err)
		}
	}
	// The audit names who and what, and nothing secret.
	var acts []cullet.Act
	if err := w.DB.View(ctx, func(tx *store.Tx) error {
		entries, err := tx.AuditOf(ctx, w.Workspace.ID, h.ID)
		for _, e := range entries {
			acts = append(acts, e.Act)
			if strings.Contains(fmt.Sprint(e), "path-token") || strings.Contains(fmt.Sprint(e), h.Secret) || e.ActorName != "Ann" {
				t.Errorf("the audit says %+v", e)
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(acts, []cullet.Act{cullet.ActWebhookCreated, cullet.ActWebhookTested, cullet.ActWebhookChanged, cullet.ActWebhookRemoved}) {
		t.Errorf("the audit holds %v", acts)
	}
}

// TestForget: deliveries are kept for 30 days.
func TestForget(t *testing.T) {
	t.Parallel()
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := newTown(t, d)
		w.hook("http://receiver.test/")
		w.Project(t, "cars")
		w.restore(w.trash("cars"))
		w.Clock.Advance(30*cullettest.Day - time.Second)
		w.trash("cars")
		for _, step := range []struct {
			later time.Duration
			left  int
		}{{0, 3}, {2 * time.Second, 1}} {
			w.Clock.Advance(step.later)
			if err := w.sender.Forget(ctx); err != nil {
				t.Fatal(err)
			}
			if n := len(w.out()); n != step.left {
				t.Errorf("%d deliveries are left, want %d", n, step.left)
			}
		}
	})
}

// TestBanner: it names what is due within 7 days, is gone once it was put away, and
// comes back with something new, for that person alone.
func TestBanner(t *testing.T) {
	t.Parallel()
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := newTown(t, d)
		ann, bob := w.Person(), w.Person()
		bob.ID = "u_bob"
		want := func(by cullet.Actor, items int64, first string) {
			t.Helper()
			b, err := w.desk.Banner(ctx, by)
			if err != nil || b.Items != items || b.Items > 0 && b.First.Handle() != first {
				t.Errorf("the banner tells of %d items, first %s, %v; want %d, first %s", b.Items, b.First.Handle(), err, items, first)
			}
		}
		for _, name := range []string{"cars", "bikes", "boats"} {
			w.Project(t, name)
		}
		cars := w.trash("cars")
		want(ann, 0, "")
		w.Clock.Advance(cullettest.Day)
		w.trash("bikes")
		w.Clock.Advance(22 * cullettest.Day)
		want(ann, 1, "cars")
		if err := w.desk.PutAway(ctx, ann); err != nil {
			t.Fatal(err)
		}
		want(ann, 0, "")
		want(bob, 1, "cars")
		w.Clock.Advance(cullettest.Day)
		want(ann, 2, "cars")
		if err := w.desk.PutAway(ctx, ann); err != nil {
			t.Fatal(err)
		}
		w.restore(cars)
		want(ann, 0, "") // one that left brings nothing back
		w.Bin.Retention = time.Hour
		w.Clock.Advance(time.Second)
		w.trash("boats") // due before all others
		want(ann, 2, "boats")
	})
}

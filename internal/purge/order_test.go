package purge_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/blob/memblob"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/purge"
	"github.com/cullet-vision/cullet/internal/store"
)

// bench is a World with the desk at which people order, and an engine.
type bench struct {
	*cullettest.World
	desk   *purge.Desk
	engine *purge.Engine
}

func eachBench(t *testing.T, test func(t *testing.T, b *bench)) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := cullettest.WorldOn(t, d, cullettest.NewClock())
		test(t, &bench{w, &purge.Desk{DB: w.DB, Bin: w.Bin, Access: w.Access}, newEngine(w)})
	})
}

func newEngine(w *cullettest.World) *purge.Engine {
	return purge.NewEngine(w.DB, w.Blobs, time.Minute, slog.New(slog.DiscardHandler))
}

// trashed makes a project with two images and moves it to Trash.
func (b *bench) trashed(t *testing.T, name string) cullet.TrashItem {
	t.Helper()
	p := b.Project(t, name)
	b.Image(t, p.ID, 1)
	b.Image(t, p.ID, len(name)+10)
	item, err := b.Bin.DeleteProject(ctx, b.By, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	return item
}

func ids(items ...cullet.TrashItem) (all []string) {
	for _, i := range items {
		all = append(all, i.ID)
	}
	return all
}

func (b *bench) prepare(t *testing.T, by cullet.Actor, c purge.Choice) purge.Plan {
	t.Helper()
	p, err := b.desk.Prepare(ctx, by, b.Workspace.Slug, c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (b *bench) order(t *testing.T, by cullet.Actor, p purge.Plan) store.Order {
	t.Helper()
	o, err := b.desk.Order(ctx, by, purge.Confirmation{Token: p.Token, Typed: p.Typed, Password: cullettest.Password})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (b *bench) report(t *testing.T, o store.Order) purge.Report {
	t.Helper()
	r, err := b.desk.Report(ctx, b.Person(), o.ID)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (b *bench) round(t *testing.T) {
	t.Helper()
	if err := b.engine.Round(ctx); err != nil {
		t.Fatal(err)
	}
}

// acts lists what the audit keeps of an item, in order.
func (b *bench) acts(t *testing.T, item string) (acts []string) {
	t.Helper()
	all, err := b.Bin.History(ctx, b.By, item)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		acts = append(acts, fmt.Sprintf("%s by %s", e.Act, e.ActorName))
	}
	return acts
}

// TestP1OrderToReport: what was confirmed goes after the countdown, nothing else
// does, and the report says what was freed and what others still use.
func TestP1OrderToReport(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		doomed, kept := b.trashed(t, "doomed"), b.trashed(t, "kept")
		person := b.Person()
		p := b.prepare(t, person, purge.Choice{Items: ids(doomed)})
		if p.Typed != "doomed" || p.Password || p.Everything || p.Sums.Images != 2 {
			t.Fatalf("P1: the dialog shows %+v", p)
		}
		o := b.order(t, person, p)
		b.round(t)
		if r := b.report(t, o); r.State != store.OrderScheduled || r.Waiting != 1 {
			t.Fatalf("P4: within the countdown the order is %s", r.State)
		}
		b.Clock.Advance(10 * time.Second)
		b.round(t)
		r := b.report(t, o)
		if r.State != store.OrderFinished || r.Deleted != 1 || r.Sums.BytesKept == 0 || r.Sums.BytesFreed == 0 || r.Sums.Files != 2 {
			t.Errorf("P3: the report is %+v", r)
		}
		if got := fmt.Sprint(b.acts(t, doomed.ID)); got != "[delete by key default purge-began by Ann purged by Ann]" {
			t.Errorf("A1: %s", got)
		}
		if _, err := b.Bin.Item(ctx, b.By, doomed.ID); cullet.CodeOf(err) != cullet.Conflict || !strings.Contains(err.Error(), "deleted permanently") {
			t.Errorf("R5: what is gone is told as %v", err)
		}
		if _, err := b.Bin.RestoreItem(ctx, b.By, kept.ID, ""); err != nil {
			t.Errorf("C4: the other project, which shares bytes: %v", err)
		}
		b.Check(t)
	})
}

// TestP4Refusals: without the token, with another's, a used or an old one, without
// the right text or password, nothing is ordered, and each attempt is audited.
func TestP4Refusals(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		item, person := b.trashed(t, "doomed"), b.Person()
		other := b.trashed(t, "second")
		elsewhere, editor, key := person, person, b.By
		elsewhere.Session = "another"
		editor.Role = cullet.Editor
		one := func() purge.Plan { return b.prepare(t, person, purge.Choice{Items: ids(item)}) }
		all := func() purge.Plan { return b.prepare(t, person, purge.Choice{All: true}) }
		old := one()
		b.Clock.Advance(10 * time.Minute)
		used := one()
		o := b.order(t, person, used)
		if err := b.desk.Stop(ctx, person, o.ID); err != nil {
			t.Fatal(err)
		}
		fresh, everything := one(), all()
		for what, try := range map[string]struct {
			by   cullet.Actor
			c    purge.Confirmation
			code cullet.Code
		}{
			"no token":         {person, purge.Confirmation{Typed: "doomed"}, cullet.Conflict},
			"unknown token":    {person, purge.Confirmation{Token: "x", Typed: "doomed"}, cullet.Conflict},
			"used token":       {person, purge.Confirmation{Token: used.Token, Typed: used.Typed}, cullet.Conflict},
			"old token":        {person, purge.Confirmation{Token: old.Token, Typed: old.Typed}, cullet.Conflict},
			"another session":  {elsewhere, purge.Confirmation{Token: fresh.Token, Typed: fresh.Typed}, cullet.Conflict},
			"wrong text":       {person, purge.Confirmation{Token: fresh.Token, Typed: "Doomed"}, cullet.Invalid},
			"no password":      {person, purge.Confirmation{Token: everything.Token, Typed: everything.Typed}, cullet.Forbidden},
			"an editor":        {editor, purge.Confirmation{Token: fresh.Token, Typed: fresh.Typed}, cullet.Forbidden},
			"a key":            {key, purge.Confirmation{Token: fresh.Token, Typed: fresh.Typed}, cullet.Forbidden},
			"key with session": {withSession(key), purge.Confirmation{Token: fresh.Token, Typed: fresh.Typed}, cullet.Forbidden},
		} {
			before := len(b.refusals(t))
			_, err := b.desk.Order(ctx, try.by, try.c)
			if cullet.CodeOf(err) != try.code {
				t.Errorf("P4: %s: %v (%s), want %s", what, err, cullet.CodeOf(err), try.code)
			}
			if n := len(b.refusals(t)) - before; n != 1 {
				t.Errorf("P2: %s leaves %d entries in the audit, want 1", what, n)
			}
		}
		b.Clock.Advance(time.Minute)
		b.round(t)
		if items, err := b.Bin.List(ctx, b.By); err != nil || len(items) != 2 {
			t.Errorf("P4: %d items are left, %v; want both (%s, %s)", len(items), err, item.Name, other.Name)
		}
	})
}

func withSession(a cullet.Actor) cullet.Actor {
	a.Session = "session"
	return a
}

// TestP1EverythingIsTheOwners: a choice that comes to all of the Trash, however it
// is put together, is the owner's and asks for the password.
func TestP1EverythingIsTheOwners(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		p := b.Project(t, "parent")
		b.Image(t, p.ID, 1)
		b.Version(t, p.ID)
		if _, err := b.Bin.DeleteVersion(ctx, b.By, p.ID, 1); err != nil {
			t.Fatal(err)
		}
		parent, err := b.Bin.DeleteProject(ctx, b.By, p.ID)
		if err != nil {
			t.Fatal(err)
		}
		owner, admin := b.Person(), b.Person()
		admin.Role = cullet.Admin
		if plan := b.prepare(t, owner, purge.Choice{Items: ids(parent)}); !plan.Everything || !plan.Password || len(plan.Children) != 1 {
			t.Errorf("P1: a parent with all the rest below it: %+v", plan)
		}
		if _, err := b.desk.Prepare(ctx, admin, b.Workspace.Slug, purge.Choice{Items: ids(parent)}); cullet.CodeOf(err) != cullet.Forbidden {
			t.Errorf("P1: an administrator chooses all of it: %v", err)
		}
		a, c := b.trashed(t, "a"), b.trashed(t, "c")
		b.order(t, owner, b.prepare(t, owner, purge.Choice{Items: ids(parent)}))
		if plan := b.prepare(t, admin, purge.Choice{Items: ids(a, c)}); plan.Everything {
			t.Errorf("what waits for an order still counts: %+v", plan)
		}
		b.Clock.Advance(10 * time.Second)
		b.begin(t, parent) // being deleted: it does not count any more
		if _, err := b.desk.Prepare(ctx, admin, b.Workspace.Slug, purge.Choice{Items: ids(a, c)}); cullet.CodeOf(err) != cullet.Forbidden {
			t.Errorf("P1: an administrator chooses all that is not being deleted already: %v", err)
		}
	})
}

// begin moves an item to purging without going further.
func (b *bench) begin(t *testing.T, item cullet.TrashItem) {
	t.Helper()
	if err := b.DB.Update(ctx, func(tx *store.Tx) error { return tx.BeginOrdered(ctx, item, "") }); err != nil {
		t.Fatal(err)
	}
}

// TestP4Stop: what has not begun when somebody stops stays in Trash, restorable.
func TestP4Stop(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		a, c := b.trashed(t, "a"), b.trashed(t, "c")
		b.trashed(t, "rest")
		person := b.Person()
		o := b.order(t, person, b.prepare(t, person, purge.Choice{Items: ids(a, c)}))
		b.Clock.Advance(9 * time.Second)
		if err := b.desk.Stop(ctx, person, o.ID); err != nil {
			t.Fatal(err)
		}
		b.Clock.Advance(time.Hour)
		b.round(t)
		if r := b.report(t, o); r.State != store.OrderStopped || r.Kept != 2 || r.StoppedBy != "Ann" {
			t.Errorf("P4: %+v", r)
		}
		for _, item := range []cullet.TrashItem{a, c} {
			if _, err := b.Bin.RestoreItem(ctx, b.By, item.ID, ""); err != nil {
				t.Errorf("P4: %s after the stop: %v", item.Name, err)
			}
		}
		if err := b.desk.Stop(ctx, person, o.ID); cullet.CodeOf(err) != cullet.Conflict {
			t.Errorf("stopping what has ended: %v", err)
		}
	})
}

// TestP4StopAgainstTheEngine lets a stop and two engines meet: every item the stop
// says it kept is there afterwards, and every other is gone and reported so.
func TestP4StopAgainstTheEngine(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		person := b.Person()
		b.trashed(t, "rest")
		for round := range 6 {
			var items []cullet.TrashItem
			for n := range 4 {
				items = append(items, b.trashed(t, fmt.Sprintf("r%d-%d", round, n)))
			}
			o := b.order(t, person, b.prepare(t, person, purge.Choice{Items: ids(items...)}))
			b.Clock.Advance(10 * time.Second)
			var acts sync.WaitGroup
			for _, e := range []*purge.Engine{b.engine, newEngine(b.World)} {
				acts.Go(func() {
					if err := e.Round(ctx); err != nil {
						t.Error(err)
					}
				})
			}
			acts.Go(func() {
				if err := b.desk.Stop(ctx, person, o.ID); err != nil && cullet.CodeOf(err) != cullet.Conflict {
					t.Error(err)
				}
			})
			acts.Wait()
			b.round(t)
			r := b.report(t, o)
			if r.Waiting != 0 || r.EndedAt.IsZero() {
				t.Errorf("the order does not end: %+v", r)
			}
			for _, i := range r.Items {
				_, err := b.Bin.Item(ctx, b.By, i.Item)
				if there := err == nil; there != (i.Result == store.ResultKept) {
					t.Errorf("P4: round %d: %s is reported %q (%s); in Trash: %v", round, i.Name, i.Result, i.Reason, there)
				}
			}
			for _, i := range items {
				_, _ = b.Bin.RestoreItem(ctx, b.By, i.ID, "") // leaves the next round a clean Trash
			}
		}
		b.Check(t)
	})
}

// TestP4ChangedMeanwhile: an item that left Trash, or changed, after it was
// confirmed is kept, and the report says why.
func TestP4ChangedMeanwhile(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		a, c := b.trashed(t, "a"), b.trashed(t, "c")
		b.trashed(t, "rest")
		person := b.Person()
		o := b.order(t, person, b.prepare(t, person, purge.Choice{Items: ids(a, c)}))
		if _, err := b.Bin.RestoreItem(ctx, b.By, a.ID, ""); err != nil {
			t.Fatal(err)
		}
		again, err := b.Bin.DeleteProject(ctx, b.By, "a") // another act of deletion: not what was confirmed
		if err != nil {
			t.Fatal(err)
		}
		b.Clock.Advance(10 * time.Second)
		b.round(t)
		if r := b.report(t, o); r.State != store.OrderProblems || r.Deleted != 1 || r.Kept != 1 {
			t.Errorf("P4: %+v", r)
		}
		if _, err := b.Bin.Item(ctx, b.By, again.ID); err != nil {
			t.Errorf("P4: what was deleted again after the confirmation: %v", err)
		}
	})
}

// TestA1ChildrenAreAudited: what goes along with its parent has its own entries.
func TestA1ChildrenAreAudited(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		p := b.Project(t, "parent")
		b.Image(t, p.ID, 1)
		b.Version(t, p.ID)
		child, err := b.Bin.DeleteVersion(ctx, b.By, p.ID, 1)
		if err != nil {
			t.Fatal(err)
		}
		b.Clock.Advance(time.Hour)
		if _, err := b.Bin.DeleteProject(ctx, b.By, p.ID); err != nil {
			t.Fatal(err)
		}
		person := b.Person()
		o := b.order(t, person, b.prepare(t, person, purge.Choice{All: true}))
		b.Clock.Advance(10 * time.Second)
		b.round(t)
		if r := b.report(t, o); r.State != store.OrderFinished || r.Deleted != 2 {
			t.Errorf("all of the Trash: %+v", r)
		}
		if got := fmt.Sprint(b.acts(t, child.ID)); got != "[delete by key default purge-began by Ann purged by Ann]" {
			t.Errorf("A1: %s", got)
		}
		q := b.Project(t, "due")
		b.Image(t, q.ID, 1)
		b.Version(t, q.ID)
		if child, err = b.Bin.DeleteVersion(ctx, b.By, q.ID, 1); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Bin.DeleteProject(ctx, b.By, q.ID); err != nil {
			t.Fatal(err)
		}
		b.Pass(t, 31*cullettest.Day)
		b.round(t)
		if got := fmt.Sprint(b.acts(t, child.ID)); got != "[delete by key default purge-began by Cleanup purged by Cleanup]" {
			t.Errorf("A1: cleanup: %s", got)
		}
		if r := b.Check(t); r.Files != 0 {
			t.Errorf("C5: %d files are left", r.Files)
		}
	})
}

// TestC11ContradictionIsKept: an item whose root does not point back at it is not
// touched; it stops neither its order nor other items, and says so.
func TestC11ContradictionIsKept(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		odd, fine := b.trashed(t, "odd"), b.trashed(t, "fine")
		due := b.trashed(t, "due")
		if _, err := b.DB.Conn().Writer.ExecContext(ctx, `UPDATE projects SET trash_item_id = NULL WHERE id = $1`, odd.Target); err != nil {
			t.Fatal(err)
		}
		person := b.Person()
		o := b.order(t, person, b.prepare(t, person, purge.Choice{Items: ids(odd, fine)}))
		b.Clock.Advance(10 * time.Second)
		b.round(t)
		b.round(t)
		r := b.report(t, o)
		if r.State != store.OrderProblems || r.Deleted != 1 || !strings.Contains(r.Items[0].Reason+r.Items[1].Reason, "kept") {
			t.Errorf("C11: %+v", r)
		}
		if _, err := b.Catalog.Project(ctx, b.By, odd.Target); err != nil {
			t.Errorf("C11: the project that is active after all: %v", err)
		}
		if got := b.acts(t, odd.ID); len(got) != 3 || got[2] != "purge-problem by Cleanup" {
			t.Errorf("A1: %v", got)
		}
		b.Pass(t, 31*cullettest.Day)
		b.round(t)
		if _, err := b.Bin.Item(ctx, b.By, due.ID); err == nil {
			t.Error("C11: another item is held up")
		}
	})
}

// stubborn is a blob driver that does not remove one object.
type stubborn struct {
	blob.Driver
	mu   sync.Mutex
	keep string
}

func (s *stubborn) Remove(ctx context.Context, area blob.Area, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if area == blob.Objects && s.keep == name {
		return errors.New("the disk says no")
	}
	return s.Driver.Remove(ctx, area, name)
}

// TestC11UndeletableFile: it stops neither the rest nor the retry, and the report
// names it.
func TestC11UndeletableFile(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		driver := &stubborn{Driver: memblob.New()}
		b.Blobs = blob.New(driver, b.Clock)
		b.Intake.Blobs, b.engine = b.Blobs, newEngine(b.World)
		item := b.trashed(t, "doomed")
		b.trashed(t, "rest")
		var path string
		err := b.Blobs.List(ctx, func(i blob.Info) error { path = i.Path; return nil })
		if err != nil {
			t.Fatal(err)
		}
		driver.keep = path
		person := b.Person()
		first := b.order(t, person, b.prepare(t, person, purge.Choice{Items: ids(item)}))
		b.Clock.Advance(10 * time.Second)
		b.round(t)
		second := b.order(t, person, b.prepare(t, person, purge.Choice{All: true}))
		b.Clock.Advance(10 * time.Second)
		b.round(t)
		named := false
		for _, o := range []store.Order{first, second} {
			r := b.report(t, o)
			if r.Deleted != 1 {
				t.Errorf("C11: %+v", r)
			}
			named = named || r.State == store.OrderProblems && strings.Contains(r.Items[0].Reason, path)
		}
		if !named {
			t.Errorf("C11: no report names %s", path)
		}
		driver.mu.Lock()
		driver.keep = ""
		driver.mu.Unlock()
		b.Clock.Advance(5 * time.Minute)
		b.round(t)
		if r := b.Check(t); r.Files != 0 {
			t.Errorf("C5: %d files are left after the retry", r.Files)
		}
	})
}

// TestC6ClockBack: a clock that goes back purges nothing early, and does not keep
// what a dead worker held.
func TestC6ClockBack(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		item := b.trashed(t, "a")
		b.Clock.Advance(-24 * time.Hour)
		b.round(t)
		b.Pass(t, 30*cullettest.Day)
		b.round(t)
		if _, err := b.Bin.Item(ctx, b.By, item.ID); err != nil {
			t.Fatalf("C1: it went before its date: %v", err)
		}
		b.begin(t, item)
		err := b.DB.Update(ctx, func(tx *store.Tx) error { return tx.LeaseItem(ctx, item.ID, "a dead worker", 10*time.Second) })
		if err != nil {
			t.Fatal(err)
		}
		b.Clock.Advance(-2 * time.Hour)
		b.round(t)
		if _, err := b.Bin.Item(ctx, b.By, item.ID); cullet.CodeOf(err) != cullet.Conflict {
			t.Errorf("C6: an item waits for a lease from the future: %v", err)
		}
	})
}

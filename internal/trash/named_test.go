package trash_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/trash"
)

// dying runs an act whose context ends at its nth statement, as a process that is killed
// there would leave it, and says whether it came to its end before.
func dying(w *cullettest.World, n int, act func(context.Context) error) (done bool) {
	mortal, kill := context.WithCancel(ctx)
	defer kill()
	left := n
	w.DB.Watch(func(string, int64) {
		if left--; left == 0 {
			kill()
		}
	})
	defer w.DB.Watch(nil)
	return act(mortal) == nil
}

func entries(t *testing.T, w *cullettest.World, act cullet.Act) (n int) {
	t.Helper()
	err := w.DB.View(ctx, func(tx *store.Tx) error {
		all, err := tx.FindAudit(ctx, w.Workspace.ID, store.AuditFilter{Acts: []cullet.Act{act}, Limit: 1000})
		n = len(all)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestD1OneTransaction: wherever a deletion is cut off, hiding, item, cancellation, meter
// and audit entry are all there, or none is. The same for a restore (R1).
func TestD1OneTransaction(t *testing.T) {
	each(t, func(t *testing.T, w *cullettest.World) {
		p, v := filled(t, w)
		tr := start(t, w, p, v)
		cut := 0
		for n := 1; ; n++ {
			done := dying(w, n, func(ctx context.Context) error { _, err := w.Bin.DeleteProject(ctx, w.By, p.ID); return err })
			items, err := w.Bin.List(ctx, w.By)
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.Catalog.Project(ctx, w.By, p.ID)
			ledger, lerr := w.Queue.Ledger(ctx, w.By)
			if lerr != nil {
				t.Fatal(lerr)
			}
			seen := fmt.Sprintf("hidden %v, %d items, meter closed %v, %d entries", err != nil, len(items), !ledger[0].ClosedAt.IsZero(), entries(t, w, cullet.ActDelete))
			want := "hidden false, 0 items, meter closed false, 0 entries"
			if done {
				want = "hidden true, 1 items, meter closed true, 1 entries"
			}
			if seen != want {
				t.Fatalf("D1: cut off at statement %d (done %v): %s; want %s", n, done, seen, want)
			}
			if done {
				break
			}
			cut++
		}
		if cut < 8 {
			t.Errorf("only %d places were tried", cut)
		}
		for n := 1; ; n++ {
			done := dying(w, n, func(ctx context.Context) error {
				_, err := w.Bin.Restore(ctx, w.By, trash.Request{Type: cullet.TrashProject, ID: p.ID})
				return err
			})
			items, err := w.Bin.List(ctx, w.By)
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.Catalog.Project(ctx, w.By, p.ID)
			if back := err == nil; back != done || (len(items) == 0) != done || (entries(t, w, cullet.ActRestore) == 1) != done {
				t.Fatalf("R1: cut off at statement %d (done %v): active %v, %d items", n, done, back, len(items))
			}
			if done {
				break
			}
		}
		if got, err := w.Queue.List(ctx, w.By, p.ID, v.Number); err != nil || len(got) != 1 || got[0].ID != tr.ID || got[0].State != cullet.TrainCancelled {
			t.Errorf("R1: %+v, %v; want the training back, cancelled", got, err)
		}
		w.Check(t)
	})
}

// TestD6NumbersAreUsedOnce: not while a version is in Trash, nor after its restore.
func TestD6NumbersAreUsedOnce(t *testing.T) {
	each(t, func(t *testing.T, w *cullettest.World) {
		p := w.Project(t, "a")
		w.Image(t, p.ID, 1)
		for want := int64(1); want <= 3; want++ {
			if v := w.Version(t, p.ID); v.Number != want {
				t.Fatalf("D6: version %d, want %d", v.Number, want)
			}
			if _, err := w.Bin.DeleteVersion(ctx, w.By, p.ID, want); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Bin.Restore(ctx, w.By, trash.Request{Type: cullet.TrashVersion, ID: "2", Parent: p.ID}); err != nil {
			t.Fatal(err)
		}
		if v := w.Version(t, p.ID); v.Number != 4 {
			t.Errorf("D6: after a restore version %d, want 4", v.Number)
		}
	})
}

// TestD7NameIsFree, and R3: the name can be taken while its owner is in Trash; then the
// restore says so, offers a free one, changes nothing, and works under it.
func TestD7NameIsFree(t *testing.T) {
	each(t, func(t *testing.T, w *cullettest.World) {
		first := w.Project(t, "same")
		if _, err := w.Bin.DeleteProject(ctx, w.By, first.ID); err != nil {
			t.Fatal(err)
		}
		second := w.Project(t, "same")
		if second.Slug != first.Slug {
			t.Errorf("D7: the slug is %s while the other is in Trash, want %s", second.Slug, first.Slug)
		}
		_, err := w.Bin.Restore(ctx, w.By, trash.Request{Type: cullet.TrashProject, ID: first.ID})
		var taken *cullet.SlugTaken
		if !errors.As(err, &taken) || taken.Owner != second.ID || taken.Free != "same-2" {
			t.Fatalf("R3: %v, want the conflict named and same-2 offered", err)
		}
		if items, err := w.Bin.List(ctx, w.By); err != nil || len(items) != 1 {
			t.Errorf("R3: a refusal changes the Trash: %d items, %v", len(items), err)
		}
		r, err := w.Bin.Restore(ctx, w.By, trash.Request{Type: cullet.TrashProject, ID: first.ID, NewSlug: taken.Free})
		if err != nil || r.Slug != "same-2" || r.WasSlug != "same" {
			t.Errorf("R3: %+v, %v", r, err)
		}
	})
}

// TestD8AgainIsHarmless: deleting what is in Trash changes nothing, not its dates either.
func TestD8AgainIsHarmless(t *testing.T) {
	each(t, func(t *testing.T, w *cullettest.World) {
		p, v := filled(t, w)
		f := w.Workflow(t, "flow")
		acts := map[string]func() (cullet.TrashItem, error){
			"version":  func() (cullet.TrashItem, error) { return w.Bin.DeleteVersion(ctx, w.By, p.ID, v.Number) },
			"workflow": func() (cullet.TrashItem, error) { return w.Bin.DeleteWorkflow(ctx, w.By, f.ID) },
			"project":  func() (cullet.TrashItem, error) { return w.Bin.DeleteProject(ctx, w.By, p.ID) },
		}
		for _, what := range []string{"version", "workflow", "project"} {
			item, err := acts[what]()
			if err != nil {
				t.Fatal(err)
			}
			w.Clock.Advance(time.Hour)
			n := entries(t, w, cullet.ActDelete)
			if _, err := acts[what](); cullet.CodeOf(err) != cullet.NotFound {
				t.Errorf("D8: %s again: %v, want not found", what, err)
			}
			now, err := w.Bin.Item(ctx, w.By, item.ID)
			if err != nil || !now.DeletedAt.Equal(item.DeletedAt) || !now.CleanupAt.Equal(item.CleanupAt) || now.Revision != item.Revision || entries(t, w, cullet.ActDelete) != n {
				t.Errorf("D8: %s again changes %+v to %+v, %v", what, item, now, err)
			}
		}
	})
}

// TestD9StillCounts: what lies in Trash counts as storage, to the byte.
func TestD9StillCounts(t *testing.T) {
	each(t, func(t *testing.T, w *cullettest.World) {
		p, _ := filled(t, w)
		before, err := w.Book.Storage(ctx, w.By)
		if err != nil || before.Active == 0 {
			t.Fatalf("%+v, %v", before, err)
		}
		if _, err := w.Bin.DeleteProject(ctx, w.By, p.ID); err != nil {
			t.Fatal(err)
		}
		after, err := w.Book.Storage(ctx, w.By)
		if err != nil || after.Active != 0 || after.Trash != before.Active {
			t.Errorf("D9: %d bytes before, then %d active and %d in Trash, %v", before.Active, after.Active, after.Trash, err)
		}
		s, err := w.Bin.Summary(ctx, w.By)
		if err != nil || s.Bytes != before.Active {
			t.Errorf("D9: the Trash says %d bytes, %v; want %d", s.Bytes, err, before.Active)
		}
	})
}

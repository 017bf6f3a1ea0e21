package trash_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/purge"
	"github.com/cullet-vision/cullet/internal/store"
)

// TestStatus: what a status says of a Trash in which things are being deleted is what is
// there, and nothing of another workspace.
func TestStatus(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		ctx := context.Background()
		w := cullettest.WorldOn(t, d, cullettest.NewClock())
		engine := purge.NewEngine(w.DB, w.Blobs, time.Minute, slog.New(slog.DiscardHandler))
		update := func(fn func(tx *store.Tx) error) {
			t.Helper()
			if err := w.DB.Update(ctx, fn); err != nil {
				t.Fatal(err)
			}
		}
		trashed := func(w *cullettest.World, name string, first, images int) cullet.TrashItem {
			t.Helper()
			p := w.Project(t, name)
			for n := range images {
				w.Image(t, p.ID, first+n)
			}
			item, err := w.Bin.DeleteProject(ctx, w.By, p.ID)
			if err != nil {
				t.Fatal(err)
			}
			return item
		}
		due, stuck := trashed(w, "due", 1, 5), trashed(w, "stuck", 20, 1)
		w.Pass(t, 31*cullettest.Day)
		began := w.Clock.Now()
		if err := engine.BeginDue(ctx); err != nil {
			t.Fatal(err)
		}
		rows := int64(0)
		update(func(tx *store.Tx) (err error) {
			rows, err = tx.RowsBelow(ctx, due)
			return err
		})
		w.Pass(t, time.Hour)
		update(func(tx *store.Tx) error {
			return tx.DelayItem(ctx, stuck.ID, "a disk on fire", tx.Now.Add(time.Minute))
		})
		update(func(tx *store.Tx) error {
			_, err := tx.SweepRows(ctx, due, 4)
			return err
		})
		kept := trashed(w, "kept", 30, 1)
		if _, err := w.Bin.Hold(ctx, w.Person(), []string{kept.ID}, "needed in court"); err != nil {
			t.Fatal(err)
		}
		trashed(w, "fresh", 40, 1)

		s, err := w.Bin.Status(ctx, w.By)
		if err != nil {
			t.Fatal(err)
		}
		of := s.Items[cullet.TrashProject]
		for standing, n := range map[store.Standing]int64{store.StandsTrashed: 1, store.StandsHeld: 1, store.StandsPurging: 1, store.StandsProblem: 1} {
			if of[standing] != n {
				t.Errorf("%d projects are %s, want %d", of[standing], standing, n)
			}
		}
		if s.Total[cullet.TrashProject].Items != 4 || s.Cleanup.Items != 2 || s.Ordered.Items != 0 || s.More != 0 || len(s.Leaving) != 2 {
			t.Fatalf("%+v", s)
		}
		first, second := s.Leaving[0], s.Leaving[1]
		if first.ID != stuck.ID || first.Problem != "a disk on fire" || !first.RetryAt.Equal(s.At.Add(time.Minute)) || first.DoneRows != 0 {
			t.Errorf("the one with a problem: %+v", first)
		}
		if second.ID != due.ID || second.DoneRows != 4 || second.RowsLeft != rows-4 || !second.BeganAt.Equal(began) || second.Problem != "" {
			t.Errorf("%d rows of %d are gone since %v: %+v", 4, rows, began, second)
		}
		if second.Files == 0 || s.Files.Files != second.Files || s.Files.Bytes != second.FileBytes || s.Files.Problems != 0 {
			t.Errorf("files to be removed: %+v, of the item %d (%d bytes)", s.Files, second.Files, second.FileBytes)
		}
		if !s.DueSince.Equal(due.EffectiveAt) || s.Waits || s.Waiting != 0 {
			t.Errorf("due since %v, want %v; waits %v", s.DueSince, due.EffectiveAt, s.Waits)
		}

		// Files whose item is gone are still the workspace's, and no other's.
		path := ""
		update(func(tx *store.Tx) error {
			left, err := tx.ListUnlinks(ctx, due.ID, 1)
			if err != nil {
				return err
			}
			path = left[0].Path
			if err := tx.DelayUnlink(ctx, path, "a disk on fire", tx.Now.Add(time.Hour)); err != nil {
				return err
			}
			return tx.AddBackup(ctx, "b")
		})
		other := w.Another(t, "Other")
		o, err := other.Bin.Status(ctx, other.By)
		if err != nil {
			t.Fatal(err)
		}
		if o.Files.Files != 0 || len(o.Leaving) != 0 || o.Total[cullet.TrashProject].Items != 0 || !o.DueSince.IsZero() {
			t.Errorf("another workspace is told %+v", o)
		}
		if s, err = w.Bin.Status(ctx, w.By); err != nil || s.Files.Problems != 1 || !s.Backup {
			t.Errorf("with a file that is stuck and a backup: %+v, %v", s.Files, err)
		}
		w.Pass(t, 2*time.Minute) // the backup's lease is over; the file is not tried again before an hour
		if err := engine.Round(ctx); err != nil {
			t.Fatal(err)
		}
		s, err = w.Bin.Status(ctx, w.By)
		if err != nil || len(s.Leaving) != 0 || s.Files.Files != 1 || s.Files.Problems != 1 || !s.DueSince.IsZero() {
			t.Errorf("with the items gone and a file that is stuck: %d leaving, %+v, %v", len(s.Leaving), s.Files, err)
		}
		if _, err := w.Bin.Status(ctx, cullet.Actor{Workspace: w.Workspace.ID, Means: cullet.ByKey, Role: cullet.Owner, Scoped: true}); cullet.CodeOf(err) != cullet.Forbidden {
			t.Errorf("a key without a scope: %v", err)
		}
	})
}

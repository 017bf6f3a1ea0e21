package version_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/trash"
)

var ctx = context.Background()

// exported is a World with an export that was asked for and waits for a worker.
func exported(t *testing.T, d cullettest.Database) (*cullettest.World, cullet.Project, cullet.Export) {
	t.Helper()
	w := cullettest.WorldOn(t, d, cullettest.NewClock())
	p := w.Project(t, "one")
	w.Image(t, p.ID, 7)
	e, err := w.Press.Export(ctx, w.By, p.ID, w.Version(t, p.ID).Number, "coco")
	if err != nil {
		t.Fatal(err)
	}
	return w, p, e
}

func jobs(t *testing.T, w *cullettest.World) (n int) {
	t.Helper()
	if err := w.DB.Conn().Reader.QueryRowContext(ctx, `SELECT COUNT(*) FROM river_job`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestAnExportThatWaits is not begun again and again while all workers are busy,
// and does not fail by waiting.
func TestAnExportThatWaits(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w, p, e := exported(t, d)
		before := jobs(t, w)
		for range 10 {
			w.Clock.Advance(20 * time.Second)
			if err := w.Press.Revive(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if n := jobs(t, w); n != before {
			t.Errorf("an export that waits has %d jobs more", n-before)
		}
		if _, err := w.Press.Write(ctx, e.ID); err != nil {
			t.Fatal(err)
		}
		if e, err := w.Press.Export(ctx, w.By, p.ID, 1, "coco"); err != nil || e.State != cullet.ExportReady {
			t.Errorf("written at last it is %s, %v; want ready", e.State, err)
		}
	})
}

// TestAnExportWhoseRunsAreLost is begun again a few times, and then has failed.
func TestAnExportWhoseRunsAreLost(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w, p, e := exported(t, d)
		lose := func() error {
			err := w.DB.Update(ctx, func(tx *store.Tx) error { return tx.ClaimExport(ctx, e.ID, "a run", tx.Now) })
			w.Clock.Advance(20 * time.Second)
			if err == nil {
				err = w.Press.Revive(ctx)
			}
			return err
		}
		for round := range 2 { // asked for again, it is begun as often again
			for n := range 5 {
				if got, err := w.Press.Export(ctx, w.By, p.ID, 1, "coco"); err != nil || got.State != cullet.ExportRunning {
					t.Fatalf("round %d: after %d lost runs it is %s, %v; want running", round, n, got.State, err)
				}
				if err := lose(); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := w.Press.Export(ctx, w.By, p.ID, 1, "coco"); cullet.CodeOf(err) != cullet.Unavailable || !strings.Contains(err.Error(), "5 times") {
				t.Fatalf("after 5 lost runs: %v, want unavailable and why", err)
			}
		}
		w.Check(t)
	})
}

// TestAFailedExportAskedForTwice: who comes second finds it begun again.
func TestAFailedExportAskedForTwice(t *testing.T) {
	for _, name := range cullettest.Databases() {
		if name == "sqlite" {
			continue // nobody comes second beside a writer
		}
		w, p, e := exported(t, cullettest.NewDatabase(t, name))
		if _, err := w.Bin.DeleteProject(ctx, w.By, p.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Bin.Restore(ctx, w.By, trash.Request{Type: cullet.TrashProject, ID: p.ID}); err != nil {
			t.Fatal(err)
		}
		first, err := w.DB.Conn().Writer.BeginTx(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer first.Rollback()
		if _, err := first.ExecContext(ctx, `UPDATE exports SET state = 'running' WHERE id = $1 AND state = 'failed'`, e.ID); err != nil {
			t.Fatal(err)
		}
		type answer struct {
			e   cullet.Export
			err error
		}
		second := make(chan answer, 1)
		go func() { e, err := w.Press.Export(ctx, w.By, p.ID, 1, "coco"); second <- answer{e, err} }()
		for waits := 0; waits == 0; {
			err := w.DB.Conn().Reader.QueryRowContext(ctx, `SELECT COUNT(*) FROM pg_stat_activity
				WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waits)
			if err != nil {
				t.Fatal(err)
			}
			<-cullet.SystemClock{}.After(10 * time.Millisecond)
		}
		if err := first.Commit(); err != nil {
			t.Fatal(err)
		}
		if got := <-second; got.err != nil || got.e.ID != e.ID || got.e.State != cullet.ExportRunning {
			t.Errorf("who came second got %+v, %v; want the running export", got.e, got.err)
		}
	}
}

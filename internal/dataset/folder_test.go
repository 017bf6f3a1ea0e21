package dataset_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/dataset"
)

var ctx = context.Background()

// TestManyTakeOneName: of those that make a project of one name at once, each gets
// one, under a slug of its own.
func TestManyTakeOneName(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := cullettest.WorldOn(t, d, cullettest.NewClock())
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if _, err := w.Catalog.CreateProject(ctx, w.By, dataset.NewProject{Name: "same", Type: "object-detection"}); err != nil {
					t.Errorf("making a project: %v", err)
				}
			})
		}
		all.Wait()
		projects, err := w.Catalog.Projects(ctx, w.By)
		slugs := map[string]bool{}
		for _, p := range projects {
			slugs[p.Slug] = true
		}
		if err != nil || len(slugs) != 8 {
			t.Errorf("slugs %v, %v; want 8", slugs, err)
		}
	})
}

// TestASlugIsNoID: no project gets another's id for a slug.
func TestASlugIsNoID(t *testing.T) {
	w := cullettest.NewWorld(t, "sqlite")
	p := w.Project(t, "one")
	if q, err := w.Catalog.CreateProject(ctx, w.By, dataset.NewProject{Name: p.ID, Type: "object-detection"}); cullet.CodeOf(err) != cullet.Invalid {
		t.Errorf("a project named like an id: slug %q, %v; want invalid", q.Slug, err)
	}
}

// TestMovesIntoAFolderThatGoes: at the end no project is in a folder that is gone.
func TestMovesIntoAFolderThatGoes(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := cullettest.WorldOn(t, d, cullettest.NewClock())
		p := w.Project(t, "one")
		for n := range 10 {
			f, err := w.Catalog.CreateFolder(ctx, w.By, fmt.Sprint("f", n), "", nil)
			if err != nil {
				t.Fatal(err)
			}
			var both sync.WaitGroup
			both.Go(func() {
				if err := w.Catalog.MoveProjects(ctx, w.By, f.ID, []string{p.Slug}, true); err != nil && cullet.CodeOf(err) != cullet.NotFound {
					t.Errorf("moving: %v", err)
				}
			})
			both.Go(func() {
				if err := w.Catalog.RemoveFolder(ctx, w.By, f.ID); err != nil {
					t.Errorf("removing: %v", err)
				}
			})
			both.Wait()
			if now, err := w.Catalog.Project(ctx, w.By, p.ID); err != nil || now.Folder != "" {
				t.Fatalf("the project is in folder %q, which is gone; %v", now.Folder, err)
			}
		}
	})
}

// TestMovesWhatIsInTheWay waits, on PostgreSQL, for a removal and a deletion that
// are under way when a project is moved.
func TestMovesWhatIsInTheWay(t *testing.T) {
	for _, name := range cullettest.Databases() {
		if name == "sqlite" {
			continue // nothing is under way beside a writer
		}
		w := cullettest.NewWorld(t, name)
		p, q := w.Project(t, "one"), w.Project(t, "two")
		f, err := w.Catalog.CreateFolder(ctx, w.By, "f", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		g, err := w.Catalog.CreateFolder(ctx, w.By, "g", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Bin.DeleteProject(ctx, w.By, q.ID); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct{ folder, statement, names string }{
			{f.ID, `DELETE FROM folders WHERE id = '` + f.ID + `'`, f.ID},
			{g.ID, `UPDATE projects SET trash_item_id = (SELECT id FROM trash_items) WHERE id = '` + p.ID + `'`, p.Slug},
		} {
			err := beside(t, w, c.statement, func() error {
				return w.Catalog.MoveProjects(ctx, w.By, c.folder, []string{p.Slug}, true)
			})
			if cullet.CodeOf(err) != cullet.NotFound || !strings.Contains(err.Error(), c.names) {
				t.Errorf("moving beside %s: %v, want not_found that names %s", c.statement, err, c.names)
			}
		}
	}
}

// beside runs fn while the statement is under way, which is committed once fn waits
// for it.
func beside(t *testing.T, w *cullettest.World, statement string, fn func() error) error {
	t.Helper()
	other, err := w.DB.Conn().Writer.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Rollback()
	if _, err := other.ExecContext(ctx, statement); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- fn() }()
	waiting(t, w.DB.Conn().Reader)
	if err := other.Commit(); err != nil {
		t.Fatal(err)
	}
	return <-done
}

// waiting returns once a statement waits for a lock.
func waiting(t *testing.T, db *sql.DB) {
	t.Helper()
	for range 500 {
		var n int
		err := db.QueryRowContext(ctx, `SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			return
		}
		<-cullet.SystemClock{}.After(10 * time.Millisecond)
	}
	t.Fatal("nothing waits for the statement that is under way")
}

package trash_test

import (
	"context"
	"testing"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/trash"
)

var ctx = context.Background()

// cost is what an operation did to the database.
type cost struct {
	statements int
	rows       int64 // written
}

func measure(w *cullettest.World, act func()) (c cost) {
	w.DB.Watch(func(_ string, rows int64) {
		c.statements++
		c.rows += rows
	})
	defer w.DB.Watch(nil)
	act()
	return c
}

// TestD2ConstantCost counts statements and written rows: a project of 200,000
// images goes to Trash, and comes back, for what an empty one costs.
func TestD2ConstantCost(t *testing.T) {
	cullettest.TakesLong(t, "makes 200,000 rows")
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := cullettest.WorldOn(t, d, cullettest.NewClock())
		empty, large := w.Project(t, "empty"), w.Project(t, "large")
		w.Fill(t, large.ID, 200_000)
		cycle := func(p cullet.Project) (deleted, restored cost) {
			deleted = measure(w, func() {
				if _, err := w.Bin.DeleteProject(ctx, w.By, p.Slug); err != nil {
					t.Fatal(err)
				}
			})
			restored = measure(w, func() {
				if _, err := w.Bin.Restore(ctx, w.By, trash.Request{Type: cullet.TrashProject, ID: p.ID}); err != nil {
					t.Fatal(err)
				}
			})
			return deleted, restored
		}
		smallDelete, smallRestore := cycle(empty)
		largeDelete, largeRestore := cycle(large)
		if smallDelete != largeDelete || smallRestore != largeRestore {
			t.Errorf("D2: an empty project costs %+v and %+v, one of 200,000 images %+v and %+v", smallDelete, smallRestore, largeDelete, largeRestore)
		}
		if smallDelete.rows == 0 || smallDelete.statements == 0 {
			t.Error("nothing was counted")
		}
		t.Logf("%s: delete %+v, restore %+v", d.Name, largeDelete, largeRestore)
	})
}

// BenchmarkDeleteRestore prints what deleting and restoring a project of 200,000
// images costs against an empty one, in turns in the same run.
func BenchmarkDeleteRestore(b *testing.B) {
	for _, name := range cullettest.Databases() {
		b.Run(name, func(b *testing.B) {
			w := cullettest.NewWorld(b, name)
			empty, large := w.Project(b, "empty"), w.Project(b, "large")
			w.Fill(b, large.ID, 200_000)
			spent := map[string]float64{}
			clock := cullet.SystemClock{}
			for b.Loop() {
				for _, p := range []cullet.Project{empty, large} {
					began := clock.Now()
					if _, err := w.Bin.DeleteProject(ctx, w.By, p.Slug); err != nil {
						b.Fatal(err)
					}
					if _, err := w.Bin.Restore(ctx, w.By, trash.Request{Type: cullet.TrashProject, ID: p.ID}); err != nil {
						b.Fatal(err)
					}
					spent[p.Slug] += clock.Now().Sub(began).Seconds()
				}
			}
			b.ReportMetric(spent["large"]/spent["empty"], "large/empty")
		})
	}
}

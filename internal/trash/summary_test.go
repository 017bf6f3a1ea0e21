package trash_test

import (
	"testing"

	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/store"
)

// TestSummary: what every page of the web app asks of the Trash, on both databases.
func TestSummary(t *testing.T) {
	t.Parallel()
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := cullettest.WorldOn(t, d, cullettest.NewClock())
		for _, name := range []string{"cars", "bikes"} {
			w.Project(t, name)
			if _, err := w.Bin.DeleteProject(ctx, w.By, name); err != nil {
				t.Fatal(err)
			}
			w.Clock.Advance(cullettest.Day)
		}
		w.Clock.Advance(21 * cullettest.Day)
		s, err := w.Bin.Summary(ctx, w.Person())
		if err != nil || s.Items != 2 || s.DueSoon != 1 || !s.Next.Equal(cullettest.Start.Add(30*cullettest.Day)) {
			t.Errorf("the summary is %+v, %v", s, err)
		}
		p, err := w.Bin.Find(ctx, w.Person(), store.TrashFilter{Limit: 1})
		if err != nil || len(p.Items) != 1 || !p.More || p.Count != 2 {
			t.Errorf("the page is %+v, %v", p, err)
		}
	})
}

package trash_test

import (
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/store"
)

// TestC8SummaryPassesByWhatIsHeld: the next cleanup and what is due soon are those of
// what cleanup will touch.
func TestC8SummaryPassesByWhatIsHeld(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := cullettest.WorldOn(t, d, cullettest.NewClock())
		trashed := func(name string) cullet.TrashItem {
			item, err := w.Bin.DeleteProject(ctx, w.By, w.Project(t, name).Slug)
			if err != nil {
				t.Fatal(err)
			}
			return item
		}
		first := trashed("first")
		w.Clock.Advance(time.Hour)
		second := trashed("second")
		w.Pass(t, 25*cullettest.Day)
		for n, want := range []struct {
			next time.Time
			soon int64
			held int
		}{{first.EffectiveAt, 2, 0}, {second.EffectiveAt, 1, 1}, {time.Time{}, 0, 2}} {
			s, err := w.Bin.Summary(ctx, w.By)
			if err != nil || !s.Next.Equal(want.next) || s.DueSoon != want.soon || s.Items != 2 {
				t.Errorf("with %d held: next %v, %d due soon, %d items, %v; want %v, %d, 2", n, s.Next, s.DueSoon, s.Items, err, want.next, want.soon)
			}
			held, err := w.Bin.Find(ctx, w.By, store.TrashFilter{Held: true, Limit: 10})
			if err != nil || len(held.Items) != want.held {
				t.Errorf("%d are held, %v; want %d", len(held.Items), err, want.held)
			}
			if n < 2 {
				if all, err := w.Bin.Hold(ctx, w.Person(), []string{[]string{first.ID, second.ID}[n]}, "needed"); err != nil || all[0].Err != nil {
					t.Fatal(all, err)
				}
			}
		}
	})
}

// TestP2RefusedBeforeAllElse: who may not hold is refused, and in the audit, also where
// the reason does not fit.
func TestP2RefusedBeforeAllElse(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := cullettest.WorldOn(t, d, cullettest.NewClock())
		if _, err := w.Bin.Hold(ctx, w.By, []string{"x"}, ""); cullet.CodeOf(err) != cullet.Forbidden {
			t.Errorf("P2: a key that holds without a reason: %v, want forbidden", err)
		}
	})
}

// TestC10SetWarnings: how people are warned is the owner's to say; a change is kept and
// audited, what is so already is not, and days that are none are refused.
func TestC10SetWarnings(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := cullettest.WorldOn(t, d, cullettest.NewClock())
		entries := func() (n int64) {
			if err := w.DB.View(ctx, func(tx *store.Tx) (err error) {
				n, _, err = tx.AuditHead(ctx, w.Workspace.ID)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return n
		}
		for _, c := range []struct {
			set  cullet.Warnings
			want string
			more int64
			code cullet.Code
		}{
			{cullet.DefaultWarnings(), "7 and 1 days before, also by mail", 0, ""},
			{cullet.Warnings{Days: []int64{1, 3, 3}, Email: true}, "3 and 1 days before, also by mail", 1, ""},
			{cullet.Warnings{Days: []int64{3, 1}}, "3 and 1 days before", 1, ""},
			{cullet.Warnings{Days: []int64{0}}, "3 and 1 days before", 0, cullet.Invalid},
			{cullet.Warnings{Days: []int64{1}}, "1 day before", 1, ""},
			{cullet.Warnings{}, "not at all", 1, ""},
			{cullet.Warnings{Days: []int64{90, 30, 7}}, "90, 30 and 7 days before", 1, ""},
		} {
			before := entries()
			err := w.Bin.SetWarnings(ctx, w.Person(), c.set)
			if c.code == "" && err != nil || c.code != "" && cullet.CodeOf(err) != c.code {
				t.Errorf("%+v: %v, want %s", c.set, err, c.code)
			}
			p, err := w.Bin.Policy(ctx, w.By)
			if err != nil || p.Warnings.Words() != c.want || entries()-before != c.more {
				t.Errorf("%+v: %q, %v, %d entries; want %q, %d", c.set, p.Warnings.Words(), err, entries()-before, c.want, c.more)
			}
		}
	})
}

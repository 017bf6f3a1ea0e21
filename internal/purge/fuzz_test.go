package purge_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/dataset"
	"github.com/cullet-vision/cullet/internal/purge"
)

// FuzzConfirmation tries tokens and texts against a confirmation that is open: nothing
// but the very token with the very text orders anything, and what was refused changed
// nothing (P4).
func FuzzConfirmation(f *testing.F) {
	w := cullettest.NewWorld(f, "sqlite")
	b := &bench{w, &purge.Desk{DB: w.DB, Bin: w.Bin, Access: w.Access}, newEngine(w)}
	p, err := w.Catalog.CreateProject(ctx, w.By, dataset.NewProject{Name: "doomed", Type: "object-detection", License: "MIT", Group: "things"})
	if err != nil {
		f.Fatal(err)
	}
	item, err := w.Bin.DeleteProject(ctx, w.By, p.ID)
	if err != nil {
		f.Fatal(err)
	}
	if p, err = w.Catalog.CreateProject(ctx, w.By, dataset.NewProject{Name: "rest", Type: "object-detection", License: "MIT", Group: "things"}); err != nil {
		f.Fatal(err)
	}
	if _, err := w.Bin.DeleteProject(ctx, w.By, p.ID); err != nil {
		f.Fatal(err)
	}
	person := b.Person()
	for _, s := range [][2]string{{"", "doomed"}, {"T", "Doomed"}, {"T", "doomed\x00"}, {"t", "doomed"}, {"T ", "doomed"}, {"T", "delete 1 items"}, {"T\x00", "doomed"}, {"T%", "doomed"}, {"' OR 1=1 --", "doomed"}} {
		f.Add(s[0], s[1], "")
	}
	f.Fuzz(func(t *testing.T, token, typed, password string) {
		plan, err := b.desk.Prepare(ctx, person, b.Workspace.Slug, purge.Choice{Items: ids(item)})
		if err != nil {
			t.Fatal(err)
		}
		given := strings.ReplaceAll(token, "T", plan.Token) // so that something near the real one is tried
		o, err := b.desk.Order(ctx, person, purge.Confirmation{Token: given, Typed: typed, Password: password})
		right := given == plan.Token && strings.TrimSpace(typed) == plan.Typed
		switch {
		case right && err == nil:
			if err := b.desk.Stop(ctx, person, o.ID); err != nil {
				t.Fatal(err)
			}
		case right || err == nil:
			t.Fatalf("P4: token %q (%q), text %q: %v", given, plan.Token, typed, err)
		case cullet.CodeOf(err) == cullet.Internal:
			t.Fatalf("token %q, text %q: %v", token, typed, err)
		}
		b.Clock.Advance(11 * time.Second)
		if err := b.engine.Round(ctx); err != nil {
			t.Fatal(err)
		}
		if now, err := b.Bin.Item(ctx, person, item.ID); err != nil || now.State != cullet.Trashed {
			t.Fatalf("P4: token %q, text %q: %+v, %v", given, typed, now, err)
		}
	})
}

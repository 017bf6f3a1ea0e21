package trash_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/access"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/trash"
)

// work does the job of a rescue to its end.
func work(t *testing.T, w *cullettest.World, id string) trash.RescueReport {
	t.Helper()
	for again := true; again; {
		var err error
		if again, err = w.Bin.WorkRescue(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	r, err := w.Bin.RescueReport(ctx, w.By, id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// stray deletes what a stray script would: versions, then projects, then workflows.
func stray(t *testing.T, w *cullettest.World, by cullet.Actor, projects int) {
	t.Helper()
	for n := range projects {
		p := w.Project(t, fmt.Sprintf("p%d", n))
		w.Image(t, p.ID, n)
		w.Version(t, p.ID)
		w.Version(t, p.ID)
		if _, err := w.Bin.DeleteVersion(ctx, by, p.ID, 1); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Bin.DeleteProject(ctx, by, p.ID); err != nil {
			t.Fatal(err)
		}
		f := w.Workflow(t, fmt.Sprintf("f%d", n))
		if _, err := w.Bin.DeleteWorkflow(ctx, by, f.ID); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRescue: one operation brings back what one key deleted in a time, parents first,
// and nothing that others deleted or that was deleted before.
func TestRescue(t *testing.T) {
	each(t, func(t *testing.T, w *cullettest.World) {
		script := w.By
		script.ID, script.Name = "key_stray", "key ci-bot"
		early := w.Project(t, "early")
		if _, err := w.Bin.DeleteProject(ctx, script, early.ID); err != nil {
			t.Fatal(err)
		}
		w.Clock.Advance(time.Hour)
		from := w.Clock.Now()
		stray(t, w, script, 4)
		anns := w.Project(t, "anns")
		if _, err := w.Bin.DeleteProject(ctx, w.Person(), anns.ID); err != nil {
			t.Fatal(err)
		}
		f := trash.RescueFilter{By: "key ci-bot", From: from, To: from.Add(time.Hour)}
		plan, err := w.Bin.RescuePlan(ctx, w.By, f)
		if err != nil || len(plan) != 12 {
			t.Fatalf("the plan has %d steps, %v; want 12", len(plan), err)
		}
		if items, err := w.Bin.List(ctx, w.By); err != nil || len(items) != 14 {
			t.Fatalf("a plan changes the Trash: %d items, %v", len(items), err)
		}
		r, err := w.Bin.Rescue(ctx, w.By, f, false)
		if err != nil {
			t.Fatal(err)
		}
		if running, err := w.Bin.RunningRescues(ctx, w.By); err != nil || len(running) != 1 || running[0].ID != r.ID || running[0].Items != 12 {
			t.Errorf("under way are %+v, %v", running, err)
		}
		report := work(t, w, r.ID)
		if running, err := w.Bin.RunningRescues(ctx, w.By); err != nil || len(running) != 0 {
			t.Errorf("after its end are under way %+v, %v", running, err)
		}
		if last, err := w.Bin.LastRescues(ctx, w.By, 10); err != nil || len(last) != 1 || last[0].Restored != 12 {
			t.Errorf("the last rescues are %+v, %v", last, err)
		}
		if report.State != store.RescueFinished || report.Restored != 12 || report.Left != 0 || report.EndedAt.IsZero() {
			t.Errorf("%+v", report)
		}
		items, err := w.Bin.List(ctx, w.By)
		if err != nil || len(items) != 2 {
			t.Errorf("%d items are left in Trash, %v; want the two that were not asked for", len(items), err)
		}
		for n := range 4 {
			versions, err := w.Press.Versions(ctx, w.By, fmt.Sprintf("p%d", n))
			if err != nil || len(versions) != 2 {
				t.Errorf("R1: p%d has %d versions, %v", n, len(versions), err)
			}
		}
		w.Check(t)
	})
}

// TestRescueOfWhoLost: a rescue ends with the rights of who asked for it: what a key has
// not brought back when it is revoked or switched off stays in Trash.
func TestRescueOfWhoLost(t *testing.T) {
	yes := true
	for name, lose := range map[string]func(w *cullettest.World) error{
		"revoked": func(w *cullettest.World) error { return w.Access.RevokeKey(ctx, w.Person(), w.By.ID) },
		"switched off": func(w *cullettest.World) error {
			_, err := w.Access.ChangeKey(ctx, w.Person(), w.By.ID, access.KeyChange{Disabled: &yes})
			return err
		},
		"narrowed": func(w *cullettest.World) error {
			_, err := w.Access.ChangeKey(ctx, w.Person(), w.By.ID, access.KeyChange{Scopes: &[]cullet.Scope{cullet.ProjectRead}})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, w *cullettest.World) {
				if _, err := w.Bin.DeleteProject(ctx, w.By, w.Project(t, "p").ID); err != nil {
					t.Fatal(err)
				}
				r, err := w.Bin.Rescue(ctx, w.By, trash.RescueFilter{Means: cullet.ByKey}, false)
				if err != nil {
					t.Fatal(err)
				}
				if err := lose(w); err != nil {
					t.Fatal(err)
				}
				report := work(t, w, r.ID)
				if report.Restored != 0 || report.Left != 1 || report.State != store.RescueFinished || report.Listed[0].Reason == "" {
					t.Errorf("%+v", report)
				}
			})
		})
	}
}

// TestRescueConflicts: what lost its slug is left out with the free one named, or comes
// back under it where that was asked for; it stops nothing else.
func TestRescueConflicts(t *testing.T) {
	each(t, func(t *testing.T, w *cullettest.World) {
		for _, rename := range []bool{false, true} {
			from := w.Clock.Now()
			stray(t, w, w.By, 2)
			taken := w.Project(t, "p0")
			r, err := w.Bin.Rescue(ctx, w.By, trash.RescueFilter{From: from}, rename)
			if err != nil {
				t.Fatal(err)
			}
			report := work(t, w, r.ID)
			if !rename {
				// The project, and its version, whose parent stays in Trash.
				if report.Restored != 4 || report.Left != 2 || report.Listed[0].Slug != "p0-2" || !strings.Contains(report.Listed[0].Reason, "p0") {
					t.Errorf("R3: %+v", report)
				}
			} else if report.Restored != 6 || report.Left != 0 || !slices.ContainsFunc(report.Listed, func(i store.RescueItem) bool { return i.Slug == "p0-2" }) {
				t.Errorf("R3: renamed: %+v", report)
			}
			w.Check(t)
			w.Clock.Advance(time.Minute)
			for _, ref := range []string{taken.ID, "p1"} {
				if _, err := w.Bin.DeleteProject(ctx, w.By, ref); err != nil {
					t.Fatal(err)
				}
			}
			for n := range 2 {
				if _, err := w.Bin.DeleteWorkflow(ctx, w.By, fmt.Sprintf("f%d", n)); err != nil {
					t.Fatal(err)
				}
			}
			w.Clock.Advance(time.Minute)
		}
	})
}

// TestRescueTwice: two workers on one rescue restore each item once, and a killed one is
// followed by another.
func TestRescueTwice(t *testing.T) {
	each(t, func(t *testing.T, w *cullettest.World) {
		from := w.Clock.Now()
		stray(t, w, w.By, 6)
		r, err := w.Bin.Rescue(ctx, w.By, trash.RescueFilter{From: from}, false)
		if err != nil {
			t.Fatal(err)
		}
		var workers sync.WaitGroup
		for range 2 {
			workers.Go(func() {
				if _, err := w.Bin.WorkRescue(ctx, r.ID); err != nil {
					t.Error(err)
				}
			})
		}
		workers.Wait()
		if report := work(t, w, r.ID); report.Restored != 18 || report.Left != 0 {
			t.Errorf("R6: %d restored, %d left: %+v", report.Restored, report.Left, report.Listed[:3])
		}
		w.Check(t)
	})
}

// TestRescueAsks: a rescue needs to be told what; its rights are those of who asked.
func TestRescueAsks(t *testing.T) {
	each(t, func(t *testing.T, w *cullettest.World) {
		now := w.Clock.Now()
		for _, f := range []trash.RescueFilter{{}, {Types: []cullet.Trashable{"project"}}, {From: now, To: now}, {By: "x", Types: []cullet.Trashable{"dataset"}}} {
			if _, err := w.Bin.Rescue(ctx, w.By, f, false); cullet.CodeOf(err) != cullet.Invalid {
				t.Errorf("%+v: %v, want invalid", f, err)
			}
		}
		stray(t, w, w.By, 1)
		reader := w.By
		reader.Scoped, reader.Scopes = true, []cullet.Scope{cullet.ProjectRead, cullet.WorkflowUpdate}
		r, err := w.Bin.Rescue(ctx, reader, trash.RescueFilter{By: w.By.ID}, false)
		if err != nil {
			t.Fatal(err)
		}
		if report := work(t, w, r.ID); report.Restored != 1 || report.Left != 2 {
			t.Errorf("a key that may restore workflows alone: %+v", report)
		}
	})
}

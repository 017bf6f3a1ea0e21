package trash_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/dataset"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/training"
	"github.com/cullet-vision/cullet/internal/trash"
)

// filled makes a project with images, annotations, a version and an export.
func filled(t *testing.T, w *cullettest.World) (cullet.Project, cullet.Version) {
	t.Helper()
	p := w.Project(t, "My Detector")
	for n := range 3 {
		w.Annotate(t, p.ID, w.Image(t, p.ID, n), "jar")
	}
	v := w.Version(t, p.ID)
	w.Export(t, p.ID, v.Number, "coco")
	return p, v
}

func each(t *testing.T, test func(t *testing.T, w *cullettest.World)) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) { test(t, cullettest.WorldOn(t, d, cullettest.NewClock())) })
}

// start begins a training as a worker would, so that its meter runs.
func start(t *testing.T, w *cullettest.World, p cullet.Project, v cullet.Version) cullet.Training {
	t.Helper()
	tr, err := w.Queue.Start(ctx, w.By, p.Slug, v.Number, training.NewTraining{ModelType: "test-model"})
	if err != nil {
		t.Fatal(err)
	}
	err = w.DB.Update(ctx, func(tx *store.Tx) error {
		move := store.TrainingMove{To: cullet.TrainRunning, Worker: "w", Token: "token", LeaseUntil: tx.Now.Add(cullet.LeaseTime)}
		if err := tx.MoveTraining(ctx, tr, move); err != nil {
			return err
		}
		return tx.AddInterval(ctx, cullet.Interval{ID: cullet.NewID(cullet.IntervalID), Workspace: tr.Workspace, Training: tr.ID, OpenedAt: tx.Now, RenewedAt: tx.Now, Rate: tr.Rate})
	})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// TestD3HiddenAtOnce: from the deletion on no read finds the project, or anything
// below it, by any name.
func TestD3HiddenAtOnce(t *testing.T) {
	each(t, func(t *testing.T, w *cullettest.World) {
		p, v := filled(t, w)
		images, _, err := w.Catalog.FindImages(ctx, w.By, p.Slug, store.ImageFilter{Limit: 10})
		if err != nil || len(images) != 3 {
			t.Fatalf("%d images, %v", len(images), err)
		}
		e := w.Export(t, p.ID, v.Number, "coco")
		tr := start(t, w, p, v)
		if _, err := w.Bin.DeleteProject(ctx, w.By, p.Slug); err != nil {
			t.Fatal(err)
		}
		reads := map[string]func() error{
			"project by slug": func() error { _, err := w.Catalog.Project(ctx, w.By, p.Slug); return err },
			"project by id":   func() error { _, err := w.Catalog.Project(ctx, w.By, p.ID); return err },
			"image":           func() error { _, _, err := w.Catalog.Image(ctx, w.By, p.ID, images[0].ID); return err },
			"image file":      func() error { _, err := w.Catalog.File(ctx, images[0].ID, false); return err },
			"thumbnail":       func() error { _, err := w.Catalog.File(ctx, images[0].ID, true); return err },
			"search": func() error {
				_, _, err := w.Catalog.FindImages(ctx, w.By, p.ID, store.ImageFilter{Limit: 1})
				return err
			},
			"version":     func() error { _, err := w.Press.Version(ctx, w.By, p.ID, 1); return err },
			"versions":    func() error { _, err := w.Press.Versions(ctx, w.By, p.ID); return err },
			"export":      func() error { _, err := w.Press.Export(ctx, w.By, p.ID, 1, "coco"); return err },
			"export file": func() error { _, err := w.Press.File(ctx, e.ID); return err },
			"trainings":   func() error { _, err := w.Queue.List(ctx, w.By, p.ID, 1); return err },
			"metrics":     func() error { _, err := w.Queue.Metrics(ctx, w.By, tr.ID, 1); return err },
			"annotate": func() error {
				_, err := w.Catalog.SaveShapes(ctx, w.By, p.ID, images[0].ID, nil, dataset.NewAnnotation{Overwrite: true})
				return err
			},
			"generate": func() error { _, err := w.Press.Generate(ctx, w.By, p.ID, noSettings); return err },
			"train":    func() error { _, err := w.Queue.Start(ctx, w.By, p.ID, 1, training.NewTraining{}); return err },
			"cancel":   func() error { _, err := w.Queue.Cancel(ctx, w.By, p.ID, 1, tr.ID); return err },
		}
		for what, read := range reads {
			if err := read(); cullet.CodeOf(err) != cullet.NotFound {
				t.Errorf("D3: %s of what is in Trash: %v, want not found", what, err)
			}
		}
		if all, err := w.Catalog.Projects(ctx, w.By); err != nil || len(all) != 0 {
			t.Errorf("D3: %d projects listed, %v", len(all), err)
		}
		w.Check(t)
	})
}

// TestD4TrainingsStop: the deletion cancels what is in flight and closes its meter
// at that instant; one whose worker was lost is charged to the last heartbeat.
func TestD4TrainingsStop(t *testing.T) {
	each(t, func(t *testing.T, w *cullettest.World) {
		p, v := filled(t, w)
		start(t, w, p, v)
		w.Clock.Advance(5 * time.Second)
		item, err := w.Bin.DeleteVersion(ctx, w.By, p.Slug, v.Number)
		if err != nil {
			t.Fatal(err)
		}
		if c := item.Contents.Cancelled; len(c) != 1 || c[0].MicroCredits != 5000 {
			t.Errorf("D4: cancelled %+v, want one that cost 5000 micro-credits (5 s at 3.6 credits an hour)", c)
		}
		w.Clock.Advance(time.Hour)
		ledger, err := w.Queue.Ledger(ctx, w.By)
		if err != nil || len(ledger) != 1 || !ledger[0].ClosedAt.Equal(item.DeletedAt) || ledger[0].MicroCredits != 5000 {
			t.Errorf("D4: ledger %+v, %v; want one interval closed at the deletion", ledger, err)
		}
		if _, err := w.Bin.Restore(ctx, w.By, trash.Request{Type: cullet.TrashVersion, ID: "1", Parent: p.ID}); err != nil {
			t.Fatal(err)
		}
		got, err := w.Queue.List(ctx, w.By, p.Slug, 1)
		if err != nil || len(got) != 1 || got[0].State != cullet.TrainCancelled {
			t.Errorf("R1: after the restore %+v, %v; a cancelled training stays cancelled", got, err)
		}

		start(t, w, p, v)
		w.Clock.Advance(time.Minute) // no heartbeat for longer than a lease
		if item, err = w.Bin.DeleteProject(ctx, w.By, p.Slug); err != nil {
			t.Fatal(err)
		}
		if c := item.Contents.Cancelled; len(c) != 1 || c[0].MicroCredits != 0 {
			t.Errorf("decided 5: a lost worker is charged to its last heartbeat; got %+v", c)
		}
		w.Check(t)
	})
}

// TestR1GenerationCanBeStartedAgain: a generation that a deletion stopped is told
// apart after the restore, and ends as it would have.
func TestR1GenerationCanBeStartedAgain(t *testing.T) {
	each(t, func(t *testing.T, w *cullettest.World) {
		p := w.Project(t, "a")
		w.Image(t, p.ID, 1)
		v, err := w.Press.Generate(ctx, w.By, p.ID, noSettings)
		if err != nil {
			t.Fatal(err)
		}
		w.Image(t, p.ID, 2) // after the freeze
		if _, err := w.Bin.DeleteProject(ctx, w.By, p.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Press.Freeze(ctx, v.ID); err != nil {
			t.Fatal(err)
		}
		w.Check(t)
		if _, err := w.Bin.Restore(ctx, w.By, trash.Request{Type: cullet.TrashProject, ID: p.ID}); err != nil {
			t.Fatal(err)
		}
		d, err := w.Press.Version(ctx, w.By, p.ID, 1)
		if err != nil || d.State != cullet.Interrupted {
			t.Fatalf("R1: the version is %s, %v; want interrupted", d.State, err)
		}
		if _, err := w.Press.Resume(ctx, w.By, p.ID, 1); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Press.Freeze(ctx, v.ID); err != nil {
			t.Fatal(err)
		}
		if d, err = w.Press.Version(ctx, w.By, p.ID, 1); err != nil || d.State != cullet.Ready || d.Images != 1 {
			t.Errorf("after starting it again: %s with %d images, %v; want ready with the 1 of its moment", d.State, d.Images, err)
		}
		w.Check(t)
	})
}

// TestR4FolderGone: the project comes back at the root, and the answer says so.
func TestR4FolderGone(t *testing.T) {
	each(t, func(t *testing.T, w *cullettest.World) {
		stays, goes := w.Project(t, "stays"), w.Project(t, "goes")
		for name, p := range map[string]cullet.Project{"kept": stays, "removed": goes} {
			f, err := w.Catalog.CreateFolder(ctx, w.By, name, "", []string{p.Slug})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Bin.DeleteProject(ctx, w.By, p.Slug); err != nil {
				t.Fatal(err)
			}
			if name == "removed" {
				if err := w.Catalog.RemoveFolder(ctx, w.By, f.ID); err != nil {
					t.Fatal(err)
				}
			}
			r, err := w.Bin.Restore(ctx, w.By, trash.Request{Type: cullet.TrashProject, ID: p.ID})
			if err != nil {
				t.Fatal(err)
			}
			back, err := w.Catalog.Project(ctx, w.By, p.Slug)
			if err != nil {
				t.Fatal(err)
			}
			if name == "kept" && (r.AtRoot || back.Folder != f.ID) {
				t.Errorf("R1: back in folder %q, at root %v; want %s", back.Folder, r.AtRoot, f.ID)
			}
			if name == "removed" && (!r.AtRoot || r.FolderName != "removed" || back.Folder != "") {
				t.Errorf("R4: %+v, folder %q; want the root, and the folder named", r, back.Folder)
			}
		}
	})
}

// TestR7Order: of two items with one slug the one deleted last comes first, and
// what has an active parent before what has not.
func TestR7Order(t *testing.T) {
	each(t, func(t *testing.T, w *cullettest.World) {
		var ids []string
		for range 2 {
			p := w.Project(t, "same")
			w.Image(t, p.ID, 1)
			w.Version(t, p.ID)
			if _, err := w.Bin.DeleteVersion(ctx, w.By, p.ID, 1); err != nil {
				t.Fatal(err)
			}
			w.Clock.Advance(time.Minute)
			if _, err := w.Bin.DeleteProject(ctx, w.By, p.ID); err != nil {
				t.Fatal(err)
			}
			w.Clock.Advance(time.Minute)
			ids = append(ids, p.ID)
		}
		if _, err := w.Bin.Restore(ctx, w.By, trash.Request{Type: cullet.TrashProject, ID: ids[0]}); err != nil {
			t.Fatal(err)
		}
		items, err := w.Bin.List(ctx, w.By)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, i := range items {
			got = append(got, fmt.Sprintf("%s of %s", i.Type, map[bool]string{true: "older", false: "newer"}[i.Target == ids[0] || i.Project == ids[0]]))
		}
		want := "[project of newer version of older version of newer]"
		if fmt.Sprint(got) != want {
			t.Errorf("R7: %v, want %s", got, want)
		}
	})
}

// TestC7Retention: what lies in Trash keeps its date when the retention changes.
func TestC7Retention(t *testing.T) {
	each(t, func(t *testing.T, w *cullettest.World) {
		a, b := w.Project(t, "a"), w.Project(t, "b")
		before, err := w.Bin.DeleteProject(ctx, w.By, a.ID)
		if err != nil {
			t.Fatal(err)
		}
		err = w.DB.Update(ctx, func(tx *store.Tx) error { return tx.SetRetention(ctx, w.Workspace.ID, 7*cullettest.Day) })
		if err != nil {
			t.Fatal(err)
		}
		after, err := w.Bin.DeleteProject(ctx, w.By, b.ID)
		if err != nil {
			t.Fatal(err)
		}
		kept, err := w.Bin.Item(ctx, w.By, before.ID)
		if err != nil || !kept.CleanupAt.Equal(before.DeletedAt.Add(30*cullettest.Day)) {
			t.Errorf("C7: %v, %v; what was in Trash keeps 30 days", kept.CleanupAt, err)
		}
		if !after.CleanupAt.Equal(after.DeletedAt.Add(7 * cullettest.Day)) {
			t.Errorf("C7: %v; what is deleted from now on has 7 days", after.CleanupAt)
		}
	})
}

// TestR2PlanAddsParents: a bulk restore orders parents first and adds those that
// lie in Trash themselves.
func TestR2PlanAddsParents(t *testing.T) {
	each(t, func(t *testing.T, w *cullettest.World) {
		p, v := filled(t, w)
		version, err := w.Bin.DeleteVersion(ctx, w.By, p.ID, v.Number)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Bin.DeleteProject(ctx, w.By, p.ID); err != nil {
			t.Fatal(err)
		}
		_, err = w.Bin.RestoreItem(ctx, w.By, version.ID, "")
		var parent *cullet.ParentTrashed
		if !errors.As(err, &parent) || parent.Name != p.Slug {
			t.Fatalf("R2: %v, want the parent named", err)
		}
		plan, err := w.Bin.Plan(ctx, w.By, []string{version.ID})
		if err != nil || len(plan) != 2 || plan[0].Item.Type != cullet.TrashProject || !plan[0].Added || plan[1].Added {
			t.Fatalf("R2: plan %+v, %v; want the project added before the version", plan, err)
		}
		outcomes, err := w.Bin.RestoreAll(ctx, w.By, []string{version.ID}, nil)
		if err != nil || len(outcomes) != 2 || outcomes[0].Err != nil || outcomes[1].Err != nil {
			t.Fatalf("R2: %+v, %v", outcomes, err)
		}
		if _, err := w.Bin.RestoreItem(ctx, w.By, version.ID, ""); cullet.CodeOf(err) != cullet.Conflict || cullet.MessageOf(err) != "version my-detector/1 was already restored by key default" {
			t.Errorf("R6: the second restore says %v", err)
		}
		w.Check(t)
	})
}

// TestScopes: a key needs the scope of what it does, and gets nothing done without.
func TestScopes(t *testing.T) {
	each(t, func(t *testing.T, w *cullettest.World) {
		p, _ := filled(t, w)
		f := w.Workflow(t, "flow")
		reader := w.By
		reader.Scoped, reader.Scopes = true, []cullet.Scope{cullet.ProjectRead, cullet.VersionRead, cullet.WorkflowRead}
		acts := map[string]func(cullet.Actor) error{
			"delete project":  func(a cullet.Actor) error { _, err := w.Bin.DeleteProject(ctx, a, p.ID); return err },
			"delete version":  func(a cullet.Actor) error { _, err := w.Bin.DeleteVersion(ctx, a, p.ID, 1); return err },
			"delete workflow": func(a cullet.Actor) error { _, err := w.Bin.DeleteWorkflow(ctx, a, f.ID); return err },
			"restore": func(a cullet.Actor) error {
				_, err := w.Bin.Restore(ctx, a, trash.Request{Type: cullet.TrashProject, ID: p.ID})
				return err
			},
		}
		for what, act := range acts {
			if err := act(reader); cullet.CodeOf(err) != cullet.Forbidden {
				t.Errorf("%s by a key that may only read: %v, want forbidden", what, err)
			}
		}
		if items, err := w.Bin.List(ctx, reader); err != nil || len(items) != 0 {
			t.Errorf("a refused act left %d items, %v", len(items), err)
		}
	})
}

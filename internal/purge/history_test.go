package purge_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/purge"
	"github.com/cullet-vision/cullet/internal/trash"
	"github.com/cullet-vision/cullet/internal/upload"
)

// The model: what a person would expect to be there, kept in plain maps.
type model struct {
	projects  map[string]*modelProject  // by id
	workflows map[string]*modelWorkflow // by id
}

type modelProject struct {
	slug     string
	images   map[int]bool            // numbers of pictures
	versions map[int64]*modelVersion // that are not gone
	last     int64
	trash    *modelItem
}

type modelVersion struct {
	images int
	trash  *modelItem
}

type modelWorkflow struct {
	slug  string
	trash *modelItem
}

type modelItem struct {
	at  time.Time
	due time.Time
}

// latest is when a project's cleanup comes: never before a child's (C8).
func (p *modelProject) latest() time.Time {
	due := p.trash.due
	for _, v := range p.versions {
		if v.trash != nil && v.trash.due.After(due) {
			due = v.trash.due
		}
	}
	return due
}

type history struct {
	*cullettest.World
	model
	engine *purge.Engine
	t      *rapid.T
}

var ctx = context.Background()

// TestHistories drives random deletions, restores, creations, uploads, versions,
// cleanups and clocks against the store and the model, and holds the one against
// the other, with fsck, after each step.
func TestHistories(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := cullettest.WorldOn(t, d, cullettest.NewClock())
		log := slog.New(slog.NewTextHandler(io.Discard, nil))
		engine := purge.NewEngine(w.DB, w.Blobs, time.Minute, log)
		rapid.Check(t, func(t *rapid.T) {
			h := &history{World: w, engine: engine, t: t, model: model{map[string]*modelProject{}, map[string]*modelWorkflow{}}}
			h.empty()
			t.Repeat(map[string]func(*rapid.T){
				"":                h.check,
				"create project":  h.createProject,
				"upload":          h.upload,
				"upload again":    h.upload,
				"generate":        h.generate,
				"delete project":  h.deleteProject,
				"delete version":  h.deleteVersion,
				"restore project": h.restoreProject,
				"restore version": h.restoreVersion,
				"create workflow": h.createWorkflow,
				"delete workflow": h.deleteWorkflow,
				"restore wf":      h.restoreWorkflow,
				"time passes":     h.timePasses,
				"cleanup":         h.cleanup,
			})
		})
	})
}

// empty deletes what the history before left, so that each begins with nothing.
func (h *history) empty() {
	projects, err := h.Catalog.Projects(ctx, h.By)
	h.must(err)
	for _, p := range projects {
		_, err := h.Bin.DeleteProject(ctx, h.By, p.Slug)
		h.must(err)
	}
	workflows, err := h.Shelf.List(ctx, h.By)
	h.must(err)
	for _, w := range workflows {
		_, err := h.Bin.DeleteWorkflow(ctx, h.By, w.Slug)
		h.must(err)
	}
	h.Pass(h.t, 400*cullettest.Day)
	h.must(h.engine.BeginDue(ctx))
	h.must(h.engine.Round(ctx))
	if r := h.Check(h.t); r.Files != 0 {
		h.t.Fatalf("C5: %d files are left when everything is gone", r.Files)
	}
}

func (h *history) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatalf("unexpected: %v", err)
	}
}

// want holds a refusal against the code that the rules give it.
func (h *history) want(err error, code cullet.Code, rule string) {
	h.t.Helper()
	if cullet.CodeOf(err) != code {
		h.t.Fatalf("%s: got %v (%s), want %s", rule, err, cullet.CodeOf(err), code)
	}
}

func (h *history) activeSlug(slug string) *modelProject {
	for _, p := range h.projects {
		if p.trash == nil && p.slug == slug {
			return p
		}
	}
	return nil
}

var names = rapid.SampledFrom([]string{"my detector", "glass", "jars"})

func (h *history) createProject(t *rapid.T) {
	p := h.Project(t, names.Draw(t, "name"))
	if h.activeSlug(p.Slug) != nil {
		t.Fatalf("D7: slug %s was given twice", p.Slug)
	}
	h.projects[p.ID] = &modelProject{slug: p.Slug, images: map[int]bool{}, versions: map[int64]*modelVersion{}}
}

func draw[V any](t *rapid.T, m map[string]V, label string) (string, V) {
	if len(m) == 0 {
		t.Skip("nothing there")
	}
	id := rapid.SampledFrom(slices.Sorted(maps.Keys(m))).Draw(t, label)
	return id, m[id]
}

func (h *history) upload(t *rapid.T) {
	id, p := draw(t, h.projects, "project")
	n := rapid.IntRange(0, 2).Draw(t, "picture") // few, so that projects share bytes
	taken, err := h.Intake.Image(ctx, h.By, id, upload.NewImage{Name: fmt.Sprintf("%d.png", n)}, bytes.NewReader(cullettest.PNG(n)))
	if p.trash != nil {
		h.want(err, cullet.NotFound, "D3: upload into what is in Trash")
		return
	}
	h.must(err)
	if taken.Duplicate != p.images[n] {
		t.Fatalf("picture %d: duplicate %v, the model says %v", n, taken.Duplicate, p.images[n])
	}
	p.images[n] = true
}

func (h *history) generate(t *rapid.T) {
	id, p := draw(t, h.projects, "project")
	if p.trash != nil || len(p.images) == 0 {
		t.Skip("cannot")
	}
	v := h.Version(t, id)
	if rapid.Bool().Draw(t, "export") {
		h.Export(t, id, v.Number, "coco")
	}
	p.last++
	if v.Number != p.last {
		t.Fatalf("D6: version %d, want %d", v.Number, p.last)
	}
	p.versions[v.Number] = &modelVersion{images: len(p.images)}
}

func (h *history) deleteProject(t *rapid.T) {
	id, p := draw(t, h.projects, "project")
	item, err := h.Bin.DeleteProject(ctx, h.By, id)
	if p.trash != nil {
		h.want(err, cullet.NotFound, "D8: delete again")
		return
	}
	h.must(err)
	p.trash = &modelItem{h.Clock.Now(), h.Clock.Now().Add(h.Bin.Retention)}
	if !item.EffectiveAt.Equal(p.latest()) {
		t.Fatalf("C8: due %v, want %v", item.EffectiveAt, p.latest())
	}
}

func (h *history) version(t *rapid.T) (id string, p *modelProject, n int64, v *modelVersion) {
	id, p = draw(t, h.projects, "project")
	if len(p.versions) == 0 {
		t.Skip("no version")
	}
	n = rapid.SampledFrom(slices.Sorted(maps.Keys(p.versions))).Draw(t, "version")
	return id, p, n, p.versions[n]
}

func (h *history) deleteVersion(t *rapid.T) {
	id, p, n, v := h.version(t)
	_, err := h.Bin.DeleteVersion(ctx, h.By, id, n)
	if p.trash != nil || v.trash != nil {
		h.want(err, cullet.NotFound, "D8: delete again")
		return
	}
	h.must(err)
	v.trash = &modelItem{h.Clock.Now(), h.Clock.Now().Add(h.Bin.Retention)}
}

func (h *history) restoreProject(t *rapid.T) {
	id, p := draw(t, h.projects, "project")
	r, err := h.Bin.Restore(ctx, h.By, trash.Request{Type: cullet.TrashProject, ID: id})
	var taken *cullet.SlugTaken
	switch {
	case p.trash == nil:
		h.want(err, cullet.NotFound, "R5: restore what is active")
	case h.activeSlug(p.slug) != nil:
		if !errors.As(err, &taken) {
			t.Fatalf("R3: got %v, want the conflict", err)
		}
		if h.activeSlug(taken.Free) != nil {
			t.Fatalf("R3: the slug %s is proposed as free and is not", taken.Free)
		}
		r, err = h.Bin.Restore(ctx, h.By, trash.Request{Type: cullet.TrashProject, ID: id, NewSlug: taken.Free})
		h.must(err)
		p.slug, p.trash = r.Slug, nil
	default:
		h.must(err)
		p.trash = nil
	}
}

func (h *history) restoreVersion(t *rapid.T) {
	id, p, n, v := h.version(t)
	_, err := h.Bin.Restore(ctx, h.By, trash.Request{Type: cullet.TrashVersion, ID: fmt.Sprint(n), Parent: id})
	var parent *cullet.ParentTrashed
	switch {
	case v.trash == nil:
		h.want(err, cullet.NotFound, "R5: restore what is not in Trash by itself")
	case p.trash != nil:
		if !errors.As(err, &parent) || parent.ID != id {
			t.Fatalf("R2: got %v, want the parent named", err)
		}
	default:
		h.must(err)
		v.trash = nil
	}
}

func (h *history) createWorkflow(t *rapid.T) {
	name := names.Draw(t, "name")
	for _, w := range h.workflows {
		if w.trash == nil && w.slug == cullet.Slugify(name) {
			t.Skip("taken")
		}
	}
	w := h.Workflow(t, name)
	h.workflows[w.ID] = &modelWorkflow{slug: w.Slug}
}

func (h *history) deleteWorkflow(t *rapid.T) {
	id, w := draw(t, h.workflows, "workflow")
	_, err := h.Bin.DeleteWorkflow(ctx, h.By, id)
	if w.trash != nil {
		h.want(err, cullet.NotFound, "D8: delete again")
		return
	}
	h.must(err)
	w.trash = &modelItem{h.Clock.Now(), h.Clock.Now().Add(h.Bin.Retention)}
}

func (h *history) restoreWorkflow(t *rapid.T) {
	id, w := draw(t, h.workflows, "workflow")
	_, err := h.Bin.Restore(ctx, h.By, trash.Request{Type: cullet.TrashWorkflow, ID: id})
	switch taken := h.workflowSlug(w.slug); {
	case w.trash == nil:
		h.want(err, cullet.NotFound, "R5: restore what is active")
	case taken:
		h.want(err, cullet.Conflict, "R3: the slug is taken")
	default:
		h.must(err)
		w.trash = nil
	}
}

func (h *history) workflowSlug(slug string) bool {
	for _, w := range h.workflows {
		if w.trash == nil && w.slug == slug {
			return true
		}
	}
	return false
}

// timePasses moves the clock, now and then back (C6).
func (h *history) timePasses(t *rapid.T) {
	hours := rapid.SampledFrom([]int{-30, 1, 300, 719, 720, 900}).Draw(t, "hours") // around the 30 days
	h.Pass(h.t, time.Duration(hours)*time.Hour)
}

// cleanup purges what is due in the model, and nothing else (C1, C2, C8).
func (h *history) cleanup(*rapid.T) {
	now := h.Clock.Now()
	h.must(h.engine.BeginDue(ctx))
	h.must(h.engine.Round(ctx))
	for id, p := range h.projects {
		if p.trash != nil && !p.latest().After(now) {
			delete(h.projects, id)
			continue
		}
		for n, v := range p.versions {
			if v.trash != nil && !v.trash.due.After(now) {
				if p.trash != nil {
					p.trash.due = maxTime(p.trash.due, v.trash.due)
				}
				delete(p.versions, n)
			}
		}
	}
	for id, w := range h.workflows {
		if w.trash != nil && !w.trash.due.After(now) {
			delete(h.workflows, id)
		}
	}
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// check holds the store against the model, through the doors' own operations.
func (h *history) check(t *rapid.T) {
	active := map[string]bool{}
	projects, err := h.Catalog.Projects(ctx, h.By)
	h.must(err)
	for _, p := range projects {
		active[p.ID] = true
		m := h.projects[p.ID]
		if m == nil || m.trash != nil {
			t.Fatalf("D3: project %s is listed and should not be", p.Slug)
		}
		if m.slug != p.Slug || int64(len(m.images)) != p.Counts.Images {
			t.Fatalf("R1: project %s has %d images, the model has %s with %d", p.Slug, p.Counts.Images, m.slug, len(m.images))
		}
		h.checkVersions(t, p.ID, m)
	}
	inTrash := map[string]bool{}
	items, err := h.Bin.List(ctx, h.By)
	h.must(err)
	for _, i := range items {
		inTrash[string(i.Type)+i.Target] = true
	}
	roots := 0
	for id, p := range h.projects {
		if active[id] != (p.trash == nil) {
			t.Fatalf("project %s: active %v, the model says in Trash %v", p.slug, active[id], p.trash != nil)
		}
		if p.trash != nil {
			roots++
			if !inTrash["project"+id] {
				t.Fatalf("project %s is in Trash and not listed", p.slug)
			}
		}
		for _, v := range p.versions {
			if v.trash != nil {
				roots++
			}
		}
	}
	for id, w := range h.workflows {
		if w.trash != nil {
			roots++
		}
		if inTrash["workflow"+id] != (w.trash != nil) {
			t.Fatalf("workflow %s: listed in Trash %v, the model says %v", w.slug, inTrash["workflow"+id], w.trash != nil)
		}
	}
	if roots != len(items) {
		t.Fatalf("Trash lists %d items, the model has %d: only roots are items", len(items), roots)
	}
	h.Check(t)
}

func (h *history) checkVersions(t *rapid.T, id string, m *modelProject) {
	versions, err := h.Press.Versions(ctx, h.By, id)
	h.must(err)
	listed := 0
	for _, v := range versions {
		mv := m.versions[v.Number]
		if mv == nil || mv.trash != nil || int64(mv.images) != v.Images {
			t.Fatalf("version %d of %s is listed with %d images; the model has %+v", v.Number, m.slug, v.Images, mv)
		}
		listed++
	}
	for _, v := range m.versions {
		if v.trash == nil {
			listed--
		}
	}
	if listed != 0 {
		t.Fatalf("R1: %d versions of %s are missing", -listed, m.slug)
	}
}

package purge_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/blob/memblob"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/purge"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/training"
	"github.com/cullet-vision/cullet/internal/trash"
	"github.com/cullet-vision/cullet/internal/upload"
)

var ctx = context.Background()

// The model: what a person would expect to be there. Things are in the order in which
// they were made, never by their ids, which are random: a history that failed is
// replayed by its seed.
type model struct {
	projects  []*modelProject
	workflows []*modelWorkflow
	watch     modelWatch
}

type modelProject struct {
	id       string
	slug     string
	images   map[int]bool    // numbers of pictures
	versions []*modelVersion // that are not gone
	last     int64
	trash    *modelItem
	gone     bool
}

type modelVersion struct {
	number    int64
	images    int
	trainings []*modelTraining
	trash     *modelItem
	gone      bool
}

type modelTraining struct {
	id    string
	state cullet.TrainingState
}

type modelWorkflow struct {
	id    string
	slug  string
	trash *modelItem
	gone  bool
}

type modelItem struct {
	id   string
	due  time.Time
	held bool
}

// modelWatch is C6 told once more, simply: what may go is what was due by the trusted time.
type modelWatch struct {
	seen, began, until, trusted time.Time
	waits                       bool
}

func (w *modelWatch) look(now time.Time) {
	switch {
	case !w.seen.IsZero() && now.Sub(w.seen) > time.Hour+3*time.Minute:
		if !w.waits || w.seen.Before(w.trusted) {
			w.trusted = w.seen
		}
		w.waits, w.began, w.until = true, now, now.Add(24*time.Hour)
	case w.waits && now.Before(w.began):
		if now.Before(w.trusted) {
			w.trusted = now
		}
		w.began, w.until = now, now.Add(24*time.Hour)
	case w.waits && !now.Before(w.until):
		w.waits = false
	}
	w.seen = now
}

func (w *modelWatch) dueBy(now time.Time) time.Time {
	if w.waits {
		return w.trusted
	}
	return now
}

// latest is when a project's cleanup comes: never before a child's (C8).
func (p *modelProject) latest() time.Time {
	due := p.trash.due
	for _, v := range p.versions {
		if !v.gone && v.trash != nil && v.trash.due.After(due) {
			due = v.trash.due
		}
	}
	return due
}

// held says whether nobody may purge the project: it, or a version in Trash by itself, is.
func (p *modelProject) held() bool {
	for _, v := range p.versions {
		if !v.gone && v.trash != nil && v.trash.held {
			return true
		}
	}
	return p.trash.held
}

// target is something that is in Trash by itself, as the model has it.
type target struct {
	item    *modelItem
	typ     cullet.Trashable
	project *modelProject
	version *modelVersion
	flow    *modelWorkflow
}

func (t target) held() bool {
	if t.typ == cullet.TrashProject {
		return t.project.held()
	}
	return t.item.held
}

func (t target) ended() bool {
	return t.project != nil && t.project.gone || t.version != nil && t.version.gone || t.flow != nil && t.flow.gone
}

// end is the end of it; its parent in Trash keeps the date that it took over (C8).
func (t target) end() {
	if t.version != nil && t.project.trash != nil {
		t.project.trash.due = t.project.latest()
	}
	switch t.typ {
	case cullet.TrashProject:
		t.project.gone = true
	case cullet.TrashVersion:
		t.version.gone = true
	case cullet.TrashWorkflow:
		t.flow.gone = true
	}
}

// inTrash lists what is in Trash by itself, children before their parents.
func (m *model) inTrash() (all []target) {
	for _, p := range m.projects {
		if p.gone {
			continue
		}
		for _, v := range p.versions {
			if !v.gone && v.trash != nil {
				all = append(all, target{v.trash, cullet.TrashVersion, p, v, nil})
			}
		}
		if p.trash != nil {
			all = append(all, target{p.trash, cullet.TrashProject, p, nil, nil})
		}
	}
	for _, w := range m.workflows {
		if !w.gone && w.trash != nil {
			all = append(all, target{w.trash, cullet.TrashWorkflow, nil, nil, w})
		}
	}
	return all
}

type history struct {
	*cullettest.World
	model
	driver *mortal
	engine *purge.Engine
	desk   *purge.Desk
	t      *rapid.T
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// TestHistories drives random deletions, restores, creations, uploads, versions,
// trainings, holds, postponements, cleanups, permanent deletions, clocks that jump and
// crashes against the store and a model, and holds the one against the other
// after each step, and fsck after each crash, cleanup and history. Every history begins
// with nothing.
func TestHistories(t *testing.T) {
	eachHistory(t, func(t *rapid.T, h *history) {
		acts := h.acts()
		acts["crash"] = h.crash
		acts[""] = h.check
		t.Repeat(acts)
		h.sound()
		h.empty()
	})
}

func begin(t *rapid.T, stage *cullettest.Stage) *history {
	h := &history{driver: &mortal{Driver: memblob.New()}, t: t}
	h.World = stage.World(t, h.driver)
	h.start()
	return h
}

// start makes what a server that starts makes, and has it do what it does first.
func (h *history) start() {
	h.engine = purge.NewEngine(h.DB, h.Blobs, time.Minute, quiet)
	h.desk = &purge.Desk{DB: h.DB, Bin: h.Bin, Access: h.Access}
	now := h.Clock.Now().Add(time.Minute)
	_, err := h.Blobs.SweepTemp(ctx, now)
	h.must(err)
	h.must(upload.Recover(ctx, h.DB, h.Blobs, now))
	h.must(h.engine.Inherit(ctx))
}

func (h *history) acts() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"create project":   h.createProject,
		"upload":           h.upload,
		"upload again":     h.upload,
		"generate":         h.generate,
		"train":            h.train,
		"end training":     h.endTraining,
		"delete project":   h.deleteProject,
		"delete version":   h.deleteVersion,
		"restore project":  h.restoreProject,
		"restore version":  h.restoreVersion,
		"create workflow":  h.createWorkflow,
		"delete workflow":  h.deleteWorkflow,
		"restore workflow": h.restoreWorkflow,
		"hold or release":  h.holdOrRelease,
		"postpone":         h.postpone,
		"time passes":      h.timePasses,
		"clock jumps":      h.clockJumps,
		"cleanup":          h.cleanup,
		"purge for good":   h.purgeForGood,
	}
}

// empty deletes, releases and purges everything, and sees that nothing is left (C5).
func (h *history) empty() {
	for _, t := range h.inTrash() {
		if t.item.held {
			_, err := h.Bin.Release(ctx, h.Person(), []string{t.item.id})
			h.must(err)
		}
	}
	for _, p := range h.projects {
		if !p.gone && p.trash == nil {
			_, err := h.Bin.DeleteProject(ctx, h.By, p.id)
			h.must(err)
		}
	}
	for _, w := range h.workflows {
		if !w.gone && w.trash == nil {
			_, err := h.Bin.DeleteWorkflow(ctx, h.By, w.id)
			h.must(err)
		}
	}
	items, err := h.Bin.List(ctx, h.By)
	h.must(err)
	last := h.Clock.Now()
	for _, i := range items {
		last = maxTime(last, i.EffectiveAt)
	}
	h.Pass(h.t, last.Sub(h.Clock.Now())+time.Minute)
	h.must(h.engine.Round(ctx))
	h.Pass(h.t, 2*cullettest.Day) // a wait may have been on
	h.must(h.engine.Round(ctx))
	items, err = h.Bin.List(ctx, h.By)
	h.must(err)
	if r := h.Check(h.t); r.Files != 0 || r.Blobs != 0 || len(items) != 0 {
		h.t.Fatalf("C5: %d files, %d rows of files and %d items are left at %v when everything is gone: %+v", r.Files, r.Blobs, len(items), h.Clock.Now(), items)
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

func (h *history) activeSlug(slug string) bool {
	for _, p := range h.projects {
		if !p.gone && p.trash == nil && p.slug == slug {
			return true
		}
	}
	return false
}

// choose draws one of the things, or gives the act up where there is none.
func choose[V any](t *rapid.T, all []V, label string) V {
	if len(all) == 0 {
		t.Skip("nothing there")
	}
	return all[rapid.IntRange(0, len(all)-1).Draw(t, label)]
}

func (h *history) project(t *rapid.T) *modelProject {
	var there []*modelProject
	for _, p := range h.projects {
		if !p.gone {
			there = append(there, p)
		}
	}
	return choose(t, there, "project")
}

var names = rapid.SampledFrom([]string{"my detector", "glass", "jars"})

func (h *history) createProject(t *rapid.T) {
	p := h.Project(t, names.Draw(t, "name"))
	if h.activeSlug(p.Slug) {
		t.Fatalf("D7: slug %s was given twice", p.Slug)
	}
	h.projects = append(h.projects, &modelProject{id: p.ID, slug: p.Slug, images: map[int]bool{}})
}

func (h *history) upload(t *rapid.T) {
	p := h.project(t)
	n := rapid.IntRange(0, 2).Draw(t, "picture") // few, so that projects share bytes
	taken, err := h.put(ctx, p, n)
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

func (h *history) put(ctx context.Context, p *modelProject, n int) (upload.Taken, error) {
	return h.Intake.Image(ctx, h.By, p.id, upload.NewImage{Name: fmt.Sprintf("%d.png", n)}, bytes.NewReader(cullettest.PNG(n)))
}

func (h *history) generate(t *rapid.T) {
	p := h.project(t)
	if p.trash != nil || len(p.images) == 0 {
		t.Skip("cannot")
	}
	v := h.Version(t, p.id)
	if rapid.Bool().Draw(t, "export") {
		h.Export(t, p.id, v.Number, "coco")
	}
	p.last++
	if v.Number != p.last {
		t.Fatalf("D6: version %d, want %d", v.Number, p.last)
	}
	p.versions = append(p.versions, &modelVersion{number: v.Number, images: len(p.images)})
}

func (h *history) version(t *rapid.T) (*modelProject, *modelVersion) {
	p := h.project(t)
	var there []*modelVersion
	for _, v := range p.versions {
		if !v.gone {
			there = append(there, v)
		}
	}
	return p, choose(t, there, "version")
}

// train queues a training, and in half of the cases begins it as a worker would.
func (h *history) train(t *rapid.T) {
	p, v := h.version(t)
	running := rapid.Bool().Draw(t, "running")
	tr, err := h.Queue.Start(ctx, h.By, p.id, v.number, training.NewTraining{ModelType: "test-model"})
	if p.trash != nil || v.trash != nil {
		h.want(err, cullet.NotFound, "D3: train what is in Trash")
		return
	}
	h.must(err)
	m := &modelTraining{id: tr.ID, state: cullet.TrainQueued}
	if running {
		h.must(h.DB.Update(ctx, func(tx *store.Tx) error {
			move := store.TrainingMove{To: cullet.TrainRunning, Worker: "w", Token: "token", LeaseUntil: tx.Now.Add(cullet.LeaseTime)}
			if err := tx.MoveTraining(ctx, tr, move); err != nil {
				return err
			}
			return tx.AddInterval(ctx, cullet.Interval{ID: cullet.NewID(cullet.IntervalID), Workspace: tr.Workspace, Training: tr.ID, OpenedAt: tx.Now, RenewedAt: tx.Now, Rate: tr.Rate})
		}))
		m.state = cullet.TrainRunning
	}
	v.trainings = append(v.trainings, m)
}

// endTraining cancels a training, or has it finish as a worker would.
func (h *history) endTraining(t *rapid.T) {
	p, v := h.version(t)
	m := choose(t, v.trainings, "training")
	if rapid.Bool().Draw(t, "cancel") {
		_, err := h.Queue.Cancel(ctx, h.By, p.id, v.number, m.id)
		switch {
		case p.trash != nil || v.trash != nil:
			h.want(err, cullet.NotFound, "D3: cancel what is in Trash")
		case m.state.Ended():
			h.want(err, cullet.Conflict, "a training ends once")
		default:
			h.must(err)
			m.state = cullet.TrainCancelled
		}
		return
	}
	err := h.DB.Update(ctx, func(tx *store.Tx) error {
		now, err := tx.TakeTraining(ctx, m.id)
		if err != nil {
			return err
		}
		if now.State != cullet.TrainRunning {
			return store.ErrNoRow
		}
		if err := tx.MoveTraining(ctx, now, store.TrainingMove{To: cullet.TrainFinished}); err != nil {
			return err
		}
		i, err := tx.OpenInterval(ctx, m.id)
		if err != nil {
			return err
		}
		_, err = tx.CloseInterval(ctx, i, store.ChargeUntil(i, tx.Now))
		return err
	})
	switch {
	case m.state == cullet.TrainRunning:
		h.must(err)
		m.state = cullet.TrainFinished
	case !errors.Is(err, store.ErrNoRow):
		t.Fatalf("D4: a training that is %s finished: %v", m.state, err)
	}
}

// cancel is what a deletion does to what is in flight below it (D4).
func cancel(versions ...*modelVersion) (n int) {
	for _, v := range versions {
		for _, t := range v.trainings {
			if !t.state.Ended() {
				t.state = cullet.TrainCancelled
				n++
			}
		}
	}
	return n
}

func (h *history) deleteProject(t *rapid.T) {
	p := h.project(t)
	item, err := h.Bin.DeleteProject(ctx, h.By, p.id)
	if p.trash != nil {
		h.want(err, cullet.NotFound, "D8: delete again")
		return
	}
	h.must(err)
	h.deleted(p, item)
	if !item.EffectiveAt.Equal(p.latest()) {
		t.Fatalf("C8: due %v, want %v", item.EffectiveAt, p.latest())
	}
}

func (h *history) deleted(p *modelProject, item cullet.TrashItem) {
	p.trash = &modelItem{id: item.ID, due: h.Clock.Now().Add(h.Bin.Retention)}
	if n := cancel(p.versions...); n != len(item.Contents.Cancelled) {
		h.t.Fatalf("D4: %d trainings were cancelled, want %d", len(item.Contents.Cancelled), n)
	}
}

func (h *history) deleteVersion(t *rapid.T) {
	p, v := h.version(t)
	item, err := h.Bin.DeleteVersion(ctx, h.By, p.id, v.number)
	if p.trash != nil || v.trash != nil {
		h.want(err, cullet.NotFound, "D8: delete again")
		return
	}
	h.must(err)
	v.trash = &modelItem{id: item.ID, due: h.Clock.Now().Add(h.Bin.Retention)}
	if n := cancel(v); n != len(item.Contents.Cancelled) {
		t.Fatalf("D4: %d trainings were cancelled, want %d", len(item.Contents.Cancelled), n)
	}
}

func (h *history) restoreProject(t *rapid.T) {
	p := h.project(t)
	r, err := h.Bin.Restore(ctx, h.By, trash.Request{Type: cullet.TrashProject, ID: p.id})
	var taken *cullet.SlugTaken
	switch {
	case p.trash == nil:
		h.want(err, cullet.NotFound, "R5: restore what is active")
	case p.trash.held:
		h.want(err, cullet.Conflict, "C8: a key restores what is held")
	case h.activeSlug(p.slug):
		if !errors.As(err, &taken) {
			t.Fatalf("R3: got %v, want the conflict", err)
		}
		if h.activeSlug(taken.Free) {
			t.Fatalf("R3: the slug %s is proposed as free and is not", taken.Free)
		}
		r, err = h.Bin.Restore(ctx, h.By, trash.Request{Type: cullet.TrashProject, ID: p.id, NewSlug: taken.Free})
		h.must(err)
		p.slug, p.trash = r.Slug, nil
	default:
		h.must(err)
		p.trash = nil
	}
}

func (h *history) restoreVersion(t *rapid.T) {
	p, v := h.version(t)
	_, err := h.Bin.Restore(ctx, h.By, trash.Request{Type: cullet.TrashVersion, ID: fmt.Sprint(v.number), Parent: p.id})
	var parent *cullet.ParentTrashed
	switch {
	case v.trash == nil:
		h.want(err, cullet.NotFound, "R5: restore what is not in Trash by itself")
	case p.trash != nil:
		if !errors.As(err, &parent) || parent.ID != p.id {
			t.Fatalf("R2: got %v, want the parent named", err)
		}
	case v.trash.held:
		h.want(err, cullet.Conflict, "C8: a key restores what is held")
	default:
		h.must(err)
		v.trash = nil
	}
}

func (h *history) workflow(t *rapid.T) *modelWorkflow {
	var there []*modelWorkflow
	for _, w := range h.workflows {
		if !w.gone {
			there = append(there, w)
		}
	}
	return choose(t, there, "workflow")
}

func (h *history) createWorkflow(t *rapid.T) {
	name := names.Draw(t, "name")
	if h.workflowSlug(cullet.Slugify(name)) {
		t.Skip("taken")
	}
	w := h.Workflow(t, name)
	h.workflows = append(h.workflows, &modelWorkflow{id: w.ID, slug: w.Slug})
}

func (h *history) deleteWorkflow(t *rapid.T) {
	w := h.workflow(t)
	item, err := h.Bin.DeleteWorkflow(ctx, h.By, w.id)
	if w.trash != nil {
		h.want(err, cullet.NotFound, "D8: delete again")
		return
	}
	h.must(err)
	w.trash = &modelItem{id: item.ID, due: h.Clock.Now().Add(h.Bin.Retention)}
}

func (h *history) restoreWorkflow(t *rapid.T) {
	w := h.workflow(t)
	_, err := h.Bin.Restore(ctx, h.By, trash.Request{Type: cullet.TrashWorkflow, ID: w.id})
	switch taken := h.workflowSlug(w.slug); {
	case w.trash == nil:
		h.want(err, cullet.NotFound, "R5: restore what is active")
	case taken || w.trash.held:
		h.want(err, cullet.Conflict, "R3, C8: the slug is taken, or it is held")
	default:
		h.must(err)
		w.trash = nil
	}
}

func (h *history) workflowSlug(slug string) bool {
	for _, w := range h.workflows {
		if !w.gone && w.trash == nil && w.slug == slug {
			return true
		}
	}
	return false
}

func (h *history) holdOrRelease(t *rapid.T) {
	x := choose(t, h.inTrash(), "item")
	if rapid.Bool().Draw(t, "hold") {
		all, err := h.Bin.Hold(ctx, h.Person(), []string{x.item.id}, "a history")
		h.must(err)
		if x.item.held {
			h.want(all[0].Err, cullet.Conflict, "C8: held twice")
			return
		}
		h.must(all[0].Err)
		x.item.held = true
		return
	}
	all, err := h.Bin.Release(ctx, h.Person(), []string{x.item.id})
	h.must(err)
	if !x.item.held {
		h.want(all[0].Err, cullet.Conflict, "C8: released what is not held")
		return
	}
	h.must(all[0].Err)
	x.item.held = false
	h.atLeast(x, h.Clock.Now().Add(24*time.Hour))
}

// atLeast gives an item and its parent in Trash at least the date.
func (h *history) atLeast(x target, due time.Time) {
	x.item.due = maxTime(x.item.due, due)
	if x.version != nil && x.project.trash != nil {
		x.project.trash.due = maxTime(x.project.trash.due, due)
	}
}

func (h *history) postpone(t *rapid.T) {
	x := choose(t, h.inTrash(), "item")
	due := x.item.due
	if x.typ == cullet.TrashProject {
		due = x.project.latest()
	}
	days := rapid.SampledFrom([]int{-1, 0, 1, 40}).Draw(t, "days")
	until := due.Add(time.Duration(days) * cullettest.Day)
	all, err := h.Bin.Postpone(ctx, h.Person(), []string{x.item.id}, trash.At(until))
	h.must(err)
	now := h.Clock.Now()
	if days <= 0 || !until.After(now) || until.After(now.Add(365*cullettest.Day)) {
		h.want(all[0].Err, cullet.Invalid, "C7: no earlier date")
		return
	}
	h.must(all[0].Err)
	h.atLeast(x, until)
}

// timePasses moves the clock, around the 30 days, and lets cleanup see it.
func (h *history) timePasses(t *rapid.T) {
	hours := rapid.SampledFrom([]int{1, 23, 24, 300, 719, 720, 900}).Draw(t, "hours")
	h.Pass(h.t, time.Duration(hours)*time.Hour)
	h.watch.seen = h.Clock.Now()
}

// clockJumps moves the clock, forwards and back, while nobody looks (C6).
func (h *history) clockJumps(t *rapid.T) {
	hours := rapid.SampledFrom([]int{-9000, -721, -30, -1, 1, 2, 25, 721, 9000}).Draw(t, "hours")
	h.Clock.Advance(time.Duration(hours) * time.Hour)
}

// cleanup purges what is due in the model by a clock that is trusted and not held, and
// nothing else (C1, C2, C6, C8).
func (h *history) cleanup(*rapid.T) {
	h.must(h.engine.BeginDue(ctx))
	h.must(h.engine.Round(ctx))
	h.cleaned()
	h.sound()
}

func (h *history) cleaned() {
	now := h.Clock.Now()
	h.watch.look(now)
	by := h.watch.dueBy(now)
	// Children end with their parents; a parent keeps the date of a child that went alone.
	for _, x := range h.inTrash() {
		if x.typ == cullet.TrashProject && !x.project.latest().After(by) && !x.held() {
			x.end()
		}
	}
	for _, x := range h.inTrash() {
		if x.typ != cullet.TrashProject && !x.item.due.After(by) && !x.item.held {
			x.end()
		}
	}
}

// purgeForGood orders the permanent deletion of one item, as the owner in the web app.
func (h *history) purgeForGood(t *rapid.T) {
	x := choose(t, h.inTrash(), "item")
	plan, err := h.desk.Prepare(ctx, h.Person(), h.Workspace.Slug, purge.Choice{Items: []string{x.item.id}})
	h.must(err)
	if x.held() {
		if len(plan.Items) != 0 || len(plan.Skipped) != 1 {
			t.Fatalf("C8: a held item may be deleted permanently: %+v", plan.Items)
		}
		return
	}
	o, err := h.desk.Order(ctx, h.Person(), purge.Confirmation{Token: plan.Token, Typed: plan.Typed, Password: cullettest.Password})
	h.must(err)
	// An interval, so that cleanup looks as well, also where the clock jumped back and forth.
	h.Pass(h.t, h.engine.Interval)
	h.watch.seen = h.Clock.Now()
	h.must(h.engine.Round(ctx))
	h.cleaned()
	r, err := h.desk.Report(ctx, h.Person(), o.ID)
	h.must(err)
	if !x.ended() && (r.State != store.OrderFinished || r.Deleted != 1) { // else cleanup was first

		t.Fatalf("P3: the order ended as %s with %d deleted: %+v", r.State, r.Deleted, r.Items)
	}
	x.end()
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// mortal is a blob driver that dies with the process that it is of.
type mortal struct {
	blob.Driver
	step func() error
}

func (m *mortal) next() error {
	if m.step == nil {
		return nil
	}
	return m.step()
}

func (m *mortal) Create(ctx context.Context, name string) (blob.Draft, error) {
	if err := m.next(); err != nil {
		return nil, err
	}
	d, err := m.Driver.Create(ctx, name)
	return &mortalDraft{d, m}, err
}

type mortalDraft struct {
	blob.Draft
	m *mortal
}

func (d *mortalDraft) Commit(ctx context.Context, name string, now time.Time) error {
	if err := d.m.next(); err != nil {
		return err
	}
	if err := d.Draft.Commit(ctx, name, now); err != nil {
		return err
	}
	return d.m.next() // it is there, and nobody heard of it
}

func (d *mortalDraft) Discard() error {
	if err := d.m.next(); err != nil {
		return err
	}
	return d.Draft.Discard()
}

func (m *mortal) Remove(ctx context.Context, area blob.Area, name string) error {
	if err := m.next(); err != nil {
		return err
	}
	if err := m.Driver.Remove(ctx, area, name); err != nil {
		return err
	}
	return m.next()
}

var errDead = errors.New("the process is dead")

// dying runs an act of which the process dies at the nth step, a statement or a touch of
// the bytes, and starts a new one. It says whether the act came to its end before.
func (h *history) dying(steps int, act func(context.Context) error) (done bool) {
	mortal, kill := context.WithCancel(ctx)
	defer kill()
	left := steps
	step := func() error {
		if left--; left <= 0 {
			kill()
			return errDead
		}
		return nil
	}
	h.DB.Watch(func(string, int64) { _ = step() })
	h.driver.step = step
	err := act(mortal)
	h.DB.Watch(nil)
	h.driver.step = nil
	if left > 0 {
		return err == nil
	}
	h.start()
	return false
}

// crash has the process die in the middle of an act. Afterwards the act has happened
// wholly, or not at all.
func (h *history) crash(t *rapid.T) {
	steps := rapid.IntRange(1, 40).Draw(t, "dies at step")
	switch act := rapid.SampledFrom([]string{"upload", "delete", "restore", "cleanup", "hold"}).Draw(t, "in"); act {
	case "upload":
		p := h.project(t)
		n := rapid.IntRange(0, 2).Draw(t, "picture")
		h.dying(steps, func(ctx context.Context) error { _, err := h.put(ctx, p, n); return err })
		if p.trash == nil {
			h.settleUpload(p, n)
		}
	case "delete":
		p := h.project(t)
		h.dying(steps, func(ctx context.Context) error { _, err := h.Bin.DeleteProject(ctx, h.By, p.id); return err })
		if item, there := h.itemOf(p); there && p.trash == nil {
			h.deleted(p, item)
		}
	case "restore":
		p := h.project(t)
		if p.trash == nil || p.trash.held || h.activeSlug(p.slug) {
			t.Skip("cannot")
		}
		h.dying(steps, func(ctx context.Context) error {
			_, err := h.Bin.Restore(ctx, h.By, trash.Request{Type: cullet.TrashProject, ID: p.id})
			return err
		})
		if _, there := h.itemOf(p); !there {
			p.trash = nil
		}
	case "hold":
		x := choose(t, h.inTrash(), "item")
		h.dying(steps, func(ctx context.Context) error {
			_, err := h.Bin.Hold(ctx, h.Person(), []string{x.item.id}, "a crash")
			return err
		})
		now, err := h.Bin.Item(ctx, h.By, x.item.id)
		h.must(err)
		x.item.held = !now.HeldAt.IsZero()
	case "cleanup":
		h.dying(steps, func(ctx context.Context) error { return errors.Join(h.engine.BeginDue(ctx), h.engine.Round(ctx)) })
		h.cleanup(t) // C3: it resumes by itself
	}
	h.sound()
}

// settleUpload takes over whether an upload that was cut off is there: wholly or not.
func (h *history) settleUpload(p *modelProject, n int) {
	taken, err := h.put(ctx, p, n)
	h.must(err)
	if p.images[n] && !taken.Duplicate {
		h.t.Fatalf("picture %d of %s was lost by a crash", n, p.slug)
	}
	p.images[n] = true
}

func (h *history) itemOf(p *modelProject) (item cullet.TrashItem, there bool) {
	items, err := h.Bin.List(ctx, h.By)
	h.must(err)
	for _, i := range items {
		if i.Type == cullet.TrashProject && i.Target == p.id {
			return i, true
		}
	}
	return item, false
}

// check holds the store against the model, through the doors' own operations.
func (h *history) check(t *rapid.T) {
	projects, err := h.Catalog.Projects(ctx, h.By)
	h.must(err)
	active := map[string]cullet.Project{}
	for _, p := range projects {
		active[p.ID] = p.Project
	}
	items, err := h.Bin.List(ctx, h.By)
	h.must(err)
	inTrash := map[string]cullet.TrashItem{}
	for _, i := range items {
		inTrash[i.ID] = i
	}
	for _, p := range h.projects {
		got, there := active[p.id]
		if there != (!p.gone && p.trash == nil) {
			t.Fatalf("D3: project %s: active %v; the model says gone %v, in Trash %v", p.slug, there, p.gone, p.trash != nil)
		}
		delete(active, p.id)
		if there && (got.Slug != p.slug || int64(len(p.images)) != got.Counts.Images) {
			t.Fatalf("R1: project %s has %d images, the model has %s with %d", got.Slug, got.Counts.Images, p.slug, len(p.images))
		}
		if there {
			h.checkVersions(t, p)
		}
	}
	if len(active) > 0 {
		t.Fatalf("projects are there that nobody made: %v", active)
	}
	want := h.inTrash()
	for _, x := range want {
		h.checkItem(t, x, inTrash[x.item.id])
	}
	if len(want) != len(items) {
		t.Fatalf("Trash lists %d items, the model has %d: only roots are items", len(items), len(want))
	}
}

// sound is what fsck says, and that no file is without its row.
func (h *history) sound() {
	h.t.Helper()
	if r := h.Check(h.t); r.Files != r.Blobs {
		h.t.Fatalf("C5: %d files, %d rows of files", r.Files, r.Blobs)
	}
}

func (h *history) checkItem(t *rapid.T, x target, got cullet.TrashItem) {
	due := x.item.due
	if x.typ == cullet.TrashProject {
		due = x.project.latest()
	}
	switch {
	case got.ID == "" || got.Type != x.typ:
		t.Fatalf("a %s is in Trash and not listed", x.typ)
	case got.State != cullet.Trashed:
		t.Fatalf("C1: a %s is %s that is due at %v; now %v", x.typ, got.State, due, h.Clock.Now())
	case got.Held() != x.held():
		t.Fatalf("C8: a %s is held %v, the model says %v", x.typ, got.Held(), x.held())
	case !got.EffectiveAt.Equal(due):
		t.Fatalf("C8: a %s is due at %v, the model says %v", x.typ, got.EffectiveAt, due)
	}
}

func (h *history) checkVersions(t *rapid.T, p *modelProject) {
	versions, err := h.Press.Versions(ctx, h.By, p.id)
	h.must(err)
	there := map[int64]cullet.Version{}
	for _, v := range versions {
		there[v.Number] = v.Version
	}
	for _, v := range p.versions {
		got, ok := there[v.number]
		if ok != (!v.gone && v.trash == nil) {
			t.Fatalf("D3: version %d of %s: active %v; the model says gone %v, in Trash %v", v.number, p.slug, ok, v.gone, v.trash != nil)
		}
		if !ok {
			continue
		}
		delete(there, v.number)
		if got.Images != int64(v.images) {
			t.Fatalf("R1: version %d of %s has %d images, the model has %d", v.number, p.slug, got.Images, v.images)
		}
		h.checkTrainings(t, p, v)
	}
	if len(there) > 0 {
		t.Fatalf("versions are there that nobody made: %v", there)
	}
}

func (h *history) checkTrainings(t *rapid.T, p *modelProject, v *modelVersion) {
	all, err := h.Queue.List(ctx, h.By, p.id, v.number)
	h.must(err)
	if len(all) != len(v.trainings) {
		t.Fatalf("R1: version %d of %s has %d trainings, the model has %d", v.number, p.slug, len(all), len(v.trainings))
	}
	states := map[string]cullet.TrainingState{}
	for _, tr := range all {
		states[tr.ID] = tr.State
	}
	for _, m := range v.trainings {
		if states[m.id] != m.state {
			t.Fatalf("D4: a training of %s/%d is %s, the model says %s", p.slug, v.number, states[m.id], m.state)
		}
	}
}

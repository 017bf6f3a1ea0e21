// Package version freezes a dataset: numbers are given once, the images,
// annotations and splits of that moment are copied by reference, and the copy is
// written out in the formats that training tools read.
package version

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/dataset"
	"github.com/cullet-vision/cullet/internal/failpoint"
	"github.com/cullet-vision/cullet/internal/job"
	"github.com/cullet-vision/cullet/internal/store"
)

// Press makes versions and exports.
type Press struct {
	DB    *store.DB
	Blobs *blob.Store
	Jobs  *job.Engine
	Log   *slog.Logger
	URL   string // of the server, for what exports say of their source

	batch int // images frozen in one transaction; 0: the default
}

// batchSize bounds how long one transaction of a generation holds its locks.
const batchSize = 500

// slice is how long one run of a job works before it gives way.
const slice = 50 * time.Second

// silence is how long a job may give no sign before another run takes over.
const silence = 15 * time.Second

// mostRuns is how many runs of an export may be lost.
const mostRuns = 5

// Find returns the active version that a client names, with its project, or a
// NotFound that names it (D3).
func Find(ctx context.Context, tx *store.Tx, workspace, project string, number int64) (cullet.Project, cullet.Version, error) {
	p, err := dataset.Find(ctx, tx, workspace, project)
	if err != nil {
		return p, cullet.Version{}, err
	}
	v, err := tx.GetVersion(ctx, p.ID, number)
	if errors.Is(err, store.ErrNoRow) {
		err = cullet.E(cullet.NotFound, "there is no version %d of project %s", number, p.Slug)
	}
	return p, v, err
}

// Settings is how a version is made.
type Settings struct {
	Name          string
	Preprocessing json.RawMessage // object
	Augmentation  json.RawMessage // object
}

func (s Settings) check() error {
	if err := cullet.CheckText("version name", s.Name, cullet.MaxName); err != nil {
		return err
	}
	for what, raw := range map[string]json.RawMessage{"preprocessing": s.Preprocessing, "augmentation": s.Augmentation} {
		var steps map[string]json.RawMessage
		if len(raw) > 0 && json.Unmarshal(raw, &steps) != nil {
			return cullet.E(cullet.Invalid, "%s must be a JSON object", what)
		}
		for step := range steps {
			return cullet.E(cullet.NotImplemented, "the %s step %.40q is not available on this server yet; send an empty object to freeze the images as they are", what, step)
		}
	}
	return nil
}

// Generate freezes the project as it is at this moment under its next number, and
// has the copying done in the background. An empty project is refused: clients
// wait for ever for a version without images.
func (p *Press) Generate(ctx context.Context, by cullet.Actor, project string, s Settings) (v cullet.Version, err error) {
	if err := by.Allow(cullet.VersionCreate); err != nil {
		return v, err
	}
	if err := s.check(); err != nil {
		return v, err
	}
	err = p.DB.Update(failpoint.In(ctx, "generate"), func(tx *store.Tx) error {
		found, err := dataset.Find(ctx, tx, by.Workspace, project)
		if err != nil {
			return err
		}
		// For itself: every upload and annotation before it is in, every later one is not.
		if found, err = tx.TakeProject(ctx, found.ID); err != nil {
			return hidden(err, project)
		}
		if found.Counts.Images == 0 {
			return cullet.E(cullet.Invalid, "project %s has no images; upload some before generating a version", found.Slug)
		}
		number, seq, images, err := tx.NextVersion(ctx, found.ID)
		if err != nil {
			return err
		}
		v = cullet.Version{ID: cullet.NewID(cullet.VersionID), Workspace: by.Workspace, Project: found.ID, ProjectSlug: found.Slug,
			Number: number, Name: s.Name, State: cullet.Generating, Preprocessing: "{}", Augmentation: "{}",
			FrozenSeq: seq, Expected: images, CreatedAt: tx.Now, CreatedBy: by.ID}
		if v.Name == "" {
			v.Name = tx.Now.Format("2006-01-02 3:04pm")
		}
		if err := tx.AddVersion(ctx, v); err != nil {
			return err
		}
		return p.Jobs.Enqueue(ctx, tx, job.Generate, v.ID)
	})
	return v, err
}

func hidden(err error, project string) error {
	if errors.Is(err, store.ErrNoRow) {
		return cullet.E(cullet.NotFound, "there is no project %q in this workspace", project)
	}
	return err
}

// Freeze is the job that copies a version's images, a batch in each transaction.
// It stops by itself when the version is moved to Trash (D4), and twice at once
// is harmless: each batch goes on where the one before ended.
func (p *Press) Freeze(ctx context.Context, id string) (again bool, err error) {
	until := p.DB.Clock().Now().Add(slice)
	for p.DB.Clock().Now().Before(until) {
		done, err := p.freezeBatch(ctx, id)
		if done || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (p *Press) freezeBatch(ctx context.Context, id string) (done bool, err error) {
	size := p.batch
	if size == 0 {
		size = batchSize
	}
	err = p.DB.Update(failpoint.In(ctx, "generate.batch"), func(tx *store.Tx) error {
		v, err := tx.GetVersionByID(ctx, id)
		if err == nil {
			v, err = tx.TakeVersion(ctx, v.Project, id)
		}
		if errors.Is(err, store.ErrNoRow) || err == nil && v.State != cullet.Generating {
			done = true // in Trash, or another run ended it
			return nil
		}
		if err != nil {
			return err
		}
		f, err := tx.FreezeImages(ctx, v, size)
		if err != nil {
			return err
		}
		if f.Last > 0 {
			_, err := tx.CountProject(ctx, v.Project, cullet.ProjectCounts{Bytes: f.Bytes})
			return err
		}
		done = true
		if v.Images == 0 {
			return endFreeze(ctx, tx, v, cullet.Failed, "there was no image left to freeze")
		}
		return endFreeze(ctx, tx, v, cullet.Ready, "")
	})
	return done, err
}

// endFreeze ends a generation, and has those told who asked for it.
func endFreeze(ctx context.Context, tx *store.Tx, v cullet.Version, end cullet.VersionState, problem string) error {
	topic, detail := cullet.TopicVersionGenerated, map[string]string{"project": v.Project, "images": fmt.Sprint(v.Images)}
	if end == cullet.Failed {
		topic, detail["reason"] = cullet.TopicVersionFailed, problem
	}
	tx.Notify(cullet.Notice{Topic: topic, Workspace: v.Workspace, ItemType: string(cullet.TrashVersion), ItemID: v.ID,
		ItemName: fmt.Sprintf("%s/%d", v.ProjectSlug, v.Number), Target: v.ID, Detail: detail})
	return tx.SetVersionState(ctx, v.ID, cullet.Generating, end, problem)
}

// Resume starts a generation again that was stopped by a deletion (R1).
func (p *Press) Resume(ctx context.Context, by cullet.Actor, project string, number int64) (v cullet.Version, err error) {
	if err := by.Allow(cullet.VersionCreate); err != nil {
		return v, err
	}
	err = p.DB.Update(failpoint.In(ctx, "generate.resume"), func(tx *store.Tx) error {
		found, w, err := Find(ctx, tx, by.Workspace, project, number)
		if err != nil {
			return err
		}
		if v, err = tx.TakeVersion(ctx, found.ID, w.ID); err != nil {
			return hidden(err, project)
		}
		if err := tx.SetVersionState(ctx, v.ID, cullet.Interrupted, cullet.Generating, ""); errors.Is(err, store.ErrNoRow) {
			return cullet.E(cullet.Conflict, "version %d of %s is %s; only an interrupted generation can be started again", number, found.Slug, v.State)
		} else if err != nil {
			return err
		}
		v.State = cullet.Generating
		return p.Jobs.Enqueue(ctx, tx, job.Generate, v.ID)
	})
	return v, err
}

// Detail is a version with what is told with it.
type Detail struct {
	Project cullet.Project
	Classes []cullet.Class
	cullet.Version
	Exports []string // formats that are ready
	Models  []cullet.Model
}

// Version returns one version.
func (p *Press) Version(ctx context.Context, by cullet.Actor, project string, number int64) (d Detail, err error) {
	if err := by.Allow(cullet.VersionRead); err != nil {
		return d, err
	}
	err = p.DB.View(ctx, func(tx *store.Tx) error {
		if d.Project, d.Version, err = Find(ctx, tx, by.Workspace, project, number); err != nil {
			return err
		}
		if d.Classes, err = tx.ListClasses(ctx, d.Project.ID); err != nil {
			return err
		}
		ready, err := tx.ExportsOf(ctx, d.Project.ID)
		if err != nil {
			return err
		}
		d.Exports = ready[d.ID]
		d.Models, err = tx.ModelsOf(ctx, d.ID)
		return err
	})
	return d, err
}

// Listed is a version in the list of its project.
type Listed struct {
	cullet.Version
	Exports []string
	Models  int
}

// Versions returns a project's versions, newest first.
func (p *Press) Versions(ctx context.Context, by cullet.Actor, project string) (all []Listed, err error) {
	if err := by.Allow(cullet.VersionRead); err != nil {
		return nil, err
	}
	err = p.DB.View(ctx, func(tx *store.Tx) error {
		found, err := dataset.Find(ctx, tx, by.Workspace, project)
		if err != nil {
			return err
		}
		versions, err := tx.ListVersions(ctx, found.ID)
		if err != nil {
			return err
		}
		ready, err := tx.ExportsOf(ctx, found.ID)
		if err != nil {
			return err
		}
		models, err := tx.CountModels(ctx, found.ID)
		all = nil
		for _, v := range versions {
			all = append(all, Listed{v, ready[v.ID], int(models[v.ID])})
		}
		return err
	})
	return all, err
}

// Gap is a number of a project that no active version has (D6).
type Gap struct {
	Number  int64
	InTrash bool // else it was deleted permanently
}

// Gaps returns the numbers below the last one given that no active version has.
func (p *Press) Gaps(ctx context.Context, by cullet.Actor, project string) (gaps []Gap, err error) {
	if err := by.Allow(cullet.VersionRead); err != nil {
		return nil, err
	}
	err = p.DB.View(ctx, func(tx *store.Tx) error {
		found, err := dataset.Find(ctx, tx, by.Workspace, project)
		if err != nil {
			return err
		}
		last, err := tx.LastNumber(ctx, found.ID)
		if err != nil {
			return err
		}
		versions, err := tx.ListVersions(ctx, found.ID)
		if err != nil {
			return err
		}
		trashed, err := tx.VersionsInTrash(ctx, found.ID)
		if err != nil {
			return err
		}
		there := map[int64]bool{}
		for _, v := range versions {
			there[v.Number] = true
		}
		inTrash := map[int64]bool{}
		for _, n := range trashed {
			inTrash[n] = true
		}
		gaps = nil
		for n := last; n > 0; n-- {
			if !there[n] {
				gaps = append(gaps, Gap{n, inTrash[n]})
			}
		}
		return nil
	})
	return gaps, err
}

// Revive has work done whose worker gave no sign for a while: the engine itself
// would wait for hours after a kill. What only waits for a free worker has its job
// already and gets no second one. An export whose runs were lost again and again
// has failed.
func (p *Press) Revive(ctx context.Context) error {
	return p.DB.Update(failpoint.In(ctx, "revive"), func(tx *store.Tx) error {
		since := tx.Now.Add(-silence)
		if err := tx.FailSilent(ctx, since, mostRuns, fmt.Sprintf("it was begun %d times and never came to its end", mostRuns)); err != nil {
			return err
		}
		versions, exports, err := tx.TakeSilent(ctx, since)
		if err != nil || len(versions)+len(exports) == 0 {
			return err
		}
		return errors.Join(p.Jobs.EnqueueOnce(ctx, tx, job.Generate, versions), p.Jobs.EnqueueOnce(ctx, tx, job.Export, exports))
	})
}

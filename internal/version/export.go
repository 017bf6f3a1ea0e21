package version

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/failpoint"
	"github.com/cullet-vision/cullet/internal/job"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/upload"
	"github.com/cullet-vision/cullet/internal/version/export"
)

// Export returns a version's export in a format, and has it written where there is
// none yet, or where it failed before. Errors: Invalid for a format there is not,
// NotImplemented for one that is not built, Conflict while the version is not ready,
// Unavailable, once, for one that failed and was begun again.
func (p *Press) Export(ctx context.Context, by cullet.Actor, project string, number int64, key string) (e cullet.Export, err error) {
	if err := by.Allow(cullet.VersionRead); err != nil {
		return e, err
	}
	f, err := export.For(key)
	if err != nil {
		return e, err
	}
	e, v, err := p.find(ctx, by, project, number, f.Key())
	if err != nil || e.State == cullet.ExportRunning || e.State == cullet.ExportReady {
		return e, err
	}
	if v.State != cullet.Ready {
		return e, cullet.E(cullet.Conflict, "version %d of %s is %s; it can be exported once it is ready", number, v.ProjectSlug, v.State)
	}
	var failed string
	err = p.DB.Update(failpoint.In(ctx, "export"), func(tx *store.Tx) error {
		failed = ""
		if _, err := tx.ShareVersion(ctx, v.Project, v.ID); errors.Is(err, store.ErrNoRow) {
			return cullet.E(cullet.NotFound, "there is no version %d of project %s", number, v.ProjectSlug)
		} else if err != nil {
			return err
		}
		found, err := tx.GetExport(ctx, v.ID, f.Key())
		switch {
		case errors.Is(err, store.ErrNoRow):
			e = cullet.Export{ID: cullet.NewID(cullet.ExportID), Workspace: v.Workspace, Version: v.ID, Format: f.Key(),
				State: cullet.ExportRunning, CreatedAt: tx.Now}
			if err := tx.AddExport(ctx, e); err != nil {
				return err
			}
		case err != nil:
			return err
		case found.State == cullet.ExportFailed:
			if err := tx.RestartExport(ctx, found.ID); errors.Is(err, store.ErrNoRow) {
				e, err = tx.GetExport(ctx, v.ID, f.Key()) // another did it at this moment
				return err
			} else if err != nil {
				return err
			}
			e, e.State, failed = found, cullet.ExportRunning, found.Problem
		default:
			e = found
			return nil
		}
		return p.Jobs.Enqueue(ctx, tx, job.Export, e.ID)
	})
	if err == nil && failed != "" {
		// Told once: a client that asks until it is ready would never learn of it.
		err = cullet.E(cullet.Unavailable, "the export of version %d of %s as %s failed: %s; it was begun again, so ask for it once more", number, v.ProjectSlug, f.Key(), failed)
	}
	return e, err
}

// find returns the export, its zero value where there is none yet, and the version.
func (p *Press) find(ctx context.Context, by cullet.Actor, project string, number int64, key string) (e cullet.Export, v cullet.Version, err error) {
	err = p.DB.View(ctx, func(tx *store.Tx) error {
		if _, v, err = Find(ctx, tx, by.Workspace, project, number); err != nil {
			return err
		}
		e, err = tx.GetExport(ctx, v.ID, key)
		if errors.Is(err, store.ErrNoRow) {
			return nil
		}
		return err
	})
	return e, v, err
}

// Progress is how much of an export is written, between 0 and 1.
func Progress(e cullet.Export, v cullet.Version) float64 {
	if e.State == cullet.ExportReady {
		return 1
	}
	if v.Images == 0 {
		return 0
	}
	return min(0.99, float64(e.Images)/float64(v.Images))
}

// File says where a ready export's bytes are. It is asked at every download, so
// that a link dies with its version (D3).
func (p *Press) File(ctx context.Context, id string) (e cullet.Export, err error) {
	err = p.DB.View(ctx, func(tx *store.Tx) error {
		e, err = tx.GetExportByID(ctx, id)
		return err
	})
	if errors.Is(err, store.ErrNoRow) || err == nil && e.State != cullet.ExportReady {
		err = cullet.E(cullet.NotFound, "there is no export %.60q", id)
	}
	return e, err
}

// maxExport is the largest zip there is, in bytes.
const maxExport = 1 << 42

// Write is the job that writes an export. Only one run of it has the export; one
// that was lost is followed by another, which begins anew. It stops when the
// version is moved to Trash (D4), and then leaves no file behind.
func (p *Press) Write(ctx context.Context, id string) (again bool, err error) {
	run := cullet.NewID("run")
	e, v, data, err := p.claim(ctx, id, run)
	if errors.Is(err, store.ErrNoRow) {
		return false, nil // over, in Trash, or another run has it
	} else if err != nil {
		return false, err
	}
	f, err := export.For(e.Format)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	written := &atomic.Int64{}
	data.Progress = func(n int64) { written.Store(n) }
	go p.beat(ctx, cancel, id, run, written)
	r, w := io.Pipe()
	go func() { w.CloseWithError(export.Write(ctx, w, f, data)) }()
	stored, err := p.Blobs.Put(ctx, r, maxExport)
	r.CloseWithError(errors.Join(err, io.ErrClosedPipe))
	if cause := context.Cause(ctx); errors.Is(cause, store.ErrNoRow) {
		err = cause
	}
	if err == nil {
		defer upload.Release(context.WithoutCancel(ctx), p.DB, p.Blobs, stored)
	}
	if errors.Is(err, store.ErrNoRow) {
		return false, nil
	}
	if err != nil && ctx.Err() != nil {
		return false, err // the server stops: another run begins anew
	}
	// Nothing of it happens where the export is this run's no more: a row of bytes
	// that nothing refers to would never be collected.
	return false, ignoreNoRow(p.DB.Update(failpoint.In(ctx, "export.end"), func(tx *store.Tx) error {
		if _, err := tx.ShareVersion(ctx, v.Project, v.ID); err != nil {
			return err
		}
		if err != nil {
			p.Log.Error("an export failed", "export", id, "err", err)
			e.State, e.Problem = cullet.ExportFailed, cullet.MessageOf(err)
			return tx.EndExport(ctx, e, run)
		}
		b, err := tx.AddBlob(ctx, cullet.Blob{ID: cullet.NewID(cullet.BlobID), Digest: stored.Digest, Bytes: stored.Bytes, Path: stored.Path, CreatedAt: tx.Now})
		if err != nil {
			return err
		}
		e.State, e.Blob, e.Bytes = cullet.ExportReady, b.ID, stored.Bytes
		if err := tx.EndExport(ctx, e, run); err != nil {
			return err
		}
		_, err = tx.CountProject(ctx, v.Project, cullet.ProjectCounts{Bytes: stored.Bytes})
		return err
	}))
}

func ignoreNoRow(err error) error {
	if errors.Is(err, store.ErrNoRow) {
		return nil
	}
	return err
}

// claim takes the export for this run and gathers what is written.
func (p *Press) claim(ctx context.Context, id, run string) (e cullet.Export, v cullet.Version, d export.Dataset, err error) {
	err = p.DB.Update(failpoint.In(ctx, "export.claim"), func(tx *store.Tx) error {
		if e, err = tx.GetExportByID(ctx, id); err != nil {
			return err
		}
		return tx.ClaimExport(ctx, id, run, tx.Now.Add(-silence))
	})
	if err != nil {
		return e, v, d, err
	}
	v, d, err = p.dataset(ctx, e.Version)
	return e, v, d, err
}

// dataset gathers a version for the writers.
func (p *Press) dataset(ctx context.Context, id string) (v cullet.Version, d export.Dataset, err error) {
	err = p.DB.View(ctx, func(tx *store.Tx) error {
		if v, err = tx.GetVersionByID(ctx, id); err != nil {
			return err
		}
		w, err := tx.GetWorkspaceByID(ctx, v.Workspace)
		if err != nil {
			return err
		}
		project, err := tx.GetProject(ctx, v.Project)
		if err != nil {
			return err
		}
		d = export.Dataset{Workspace: w.Slug, Project: project.Slug, ProjectName: project.Name, Group: project.Group,
			License: project.License, URL: p.URL, Version: v.Number, CreatedAt: v.CreatedAt}
		d.Classes, err = tx.VersionClasses(ctx, id)
		return err
	})
	d.Images = func(yield func(cullet.VersionImage) error) error { return p.images(ctx, id, yield) }
	d.Open = func(ctx context.Context, path string) (io.ReadSeekCloser, error) {
		f, _, err := p.Blobs.Open(ctx, path)
		return f, err
	}
	return v, d, err
}

// images reads a version's images some at a time.
func (p *Press) images(ctx context.Context, version string, yield func(cullet.VersionImage) error) error {
	for after := int64(0); ; {
		var some []cullet.VersionImage
		err := p.DB.View(ctx, func(tx *store.Tx) (err error) {
			some, err = tx.VersionImages(ctx, version, after, 200)
			return err
		})
		if err != nil || len(some) == 0 {
			return err
		}
		for _, i := range some {
			if err := yield(i); err != nil {
				return err
			}
		}
		after = some[len(some)-1].Seq
	}
}

// beat gives a sign of life while an export is written, and ends the writing when
// the export is this run's no more.
func (p *Press) beat(ctx context.Context, cancel context.CancelCauseFunc, id, run string, written *atomic.Int64) {
	tick := p.DB.Clock().NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C():
		}
		err := p.DB.Update(ctx, func(tx *store.Tx) error {
			if _, err := tx.GetExportByID(ctx, id); err != nil {
				return err
			}
			return tx.MarkExport(ctx, id, run, written.Load())
		})
		if errors.Is(err, store.ErrNoRow) {
			cancel(err)
			return
		}
	}
}

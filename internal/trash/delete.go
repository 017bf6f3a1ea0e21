// Package trash moves things to Trash and brings them back: the rules D and R of
// docs/trash.md, each in one transaction. It reads what lies there for every
// door; making an end of it is package purge's alone.
package trash

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/dataset"
	"github.com/cullet-vision/cullet/internal/failpoint"
	"github.com/cullet-vision/cullet/internal/job"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/version"
	"github.com/cullet-vision/cullet/internal/workflow"
)

// Bin is the Trash of all workspaces.
type Bin struct {
	DB        *store.DB
	Retention time.Duration // the operator's default; a workspace may set its own
	Jobs      *job.Engine   // where rescues are worked on

	// Cancelled, where set, is called after a deletion that ended trainings, so
	// that workers in this process look at once. Others find out by their heartbeat.
	Cancelled func()
}

// DeleteProject moves an active project, named by slug or id, to Trash. What is
// there already, or does not exist, is NotFound and nothing changes (D8).
func (b *Bin) DeleteProject(ctx context.Context, by cullet.Actor, ref string) (cullet.TrashItem, error) {
	if err := by.Allow(cullet.ProjectUpdate); err != nil {
		return cullet.TrashItem{}, err
	}
	return b.delete(ctx, by, func(tx *store.Tx, t *cullet.TrashItem) error {
		p, err := dataset.Find(ctx, tx, by.Workspace, ref)
		if err != nil {
			return err
		}
		if p, err = tx.TakeProject(ctx, p.ID); err != nil {
			return gone(err, "project", ref)
		}
		t.Type, t.Target, t.Name, t.Slug = cullet.TrashProject, p.ID, p.Name, p.Slug
		if err := stopBelow(ctx, tx, t, p.ID, ""); err != nil {
			return err
		}
		t.Contents.Images, t.Contents.Annotations, t.Contents.Bytes = p.Counts.Images, p.Counts.Annotations, p.Counts.Bytes
		t.Contents.Folder = p.Folder
		if f, err := tx.GetFolder(ctx, by.Workspace, p.Folder); err == nil {
			t.Contents.FolderName = f.Name
		} else if !errors.Is(err, store.ErrNoRow) {
			return err
		}
		if err := tx.AddTrashItem(ctx, *t); err != nil {
			return err
		}
		return tx.HideProject(ctx, p.ID, t.ID)
	})
}

// DeleteVersion moves an active version to Trash, like DeleteProject. Its number
// stays used (D6).
func (b *Bin) DeleteVersion(ctx context.Context, by cullet.Actor, project string, number int64) (cullet.TrashItem, error) {
	if err := by.Allow(cullet.VersionUpdate); err != nil {
		return cullet.TrashItem{}, err
	}
	return b.delete(ctx, by, func(tx *store.Tx, t *cullet.TrashItem) error {
		p, v, err := version.Find(ctx, tx, by.Workspace, project, number)
		if err != nil {
			return err
		}
		if p, err = tx.TakeProject(ctx, p.ID); err != nil {
			return gone(err, "project", project)
		}
		if v, err = tx.TakeVersion(ctx, p.ID, v.ID); err != nil {
			return gone(err, "version", fmt.Sprintf("%s/%d", p.Slug, number))
		}
		t.Type, t.Target, t.Number = cullet.TrashVersion, v.ID, v.Number
		t.Name, t.Project, t.ProjectSlug, t.ProjectName = v.Name, p.ID, p.Slug, p.Name
		if err := stopBelow(ctx, tx, t, p.ID, v.ID); err != nil {
			return err
		}
		t.Contents.Images = v.Images
		if t.Contents.Bytes, err = tx.VersionBytes(ctx, v.ID); err != nil {
			return err
		}
		if err := tx.AddTrashItem(ctx, *t); err != nil {
			return err
		}
		return tx.HideVersion(ctx, p.ID, v.ID, t.ID)
	})
}

// DeleteWorkflow moves an active workflow, named by slug or id, to Trash.
func (b *Bin) DeleteWorkflow(ctx context.Context, by cullet.Actor, ref string) (cullet.TrashItem, error) {
	if err := by.Allow(cullet.WorkflowUpdate); err != nil {
		return cullet.TrashItem{}, err
	}
	return b.delete(ctx, by, func(tx *store.Tx, t *cullet.TrashItem) error {
		w, err := workflow.Find(ctx, tx, by.Workspace, ref)
		if err != nil {
			return err
		}
		if w, err = tx.TakeWorkflow(ctx, w.ID); err != nil {
			return gone(err, "workflow", ref)
		}
		t.Type, t.Target, t.Name, t.Slug = cullet.TrashWorkflow, w.ID, w.Name, w.Slug
		t.Contents.Bytes = int64(len(w.Config))
		if err := tx.AddTrashItem(ctx, *t); err != nil {
			return err
		}
		return tx.HideWorkflow(ctx, w.ID, t.ID)
	})
}

// delete is what all deletions share: one transaction (D1) that begins a new item
// and ends with the audit entry, whose chain is locked last.
func (b *Bin) delete(ctx context.Context, by cullet.Actor, hide func(*store.Tx, *cullet.TrashItem) error) (cullet.TrashItem, error) {
	var t cullet.TrashItem
	err := b.DB.Update(failpoint.In(ctx, "delete"), func(tx *store.Tx) error {
		w, err := tx.GetWorkspaceByID(ctx, by.Workspace)
		if err != nil {
			return err
		}
		t = cullet.TrashItem{ID: cullet.NewID(cullet.TrashItemID), Workspace: by.Workspace, State: cullet.Trashed, Revision: 1,
			DeletedAt: tx.Now, DeletedBy: by.ID, DeletedByName: by.Name, DeletedMeans: by.Means}
		t.CleanupAt = cullet.CleanupAt(tx.Now, b.RetentionOf(w))
		t.EffectiveAt = t.CleanupAt
		if err := hide(tx, &t); err != nil {
			return err
		}
		if len(t.Contents.Cancelled) > 0 && b.Cancelled != nil {
			tx.OnCommit(b.Cancelled)
		}
		return tx.Audit(ctx, by, cullet.AuditEntry{Act: cullet.ActDelete, ItemType: string(t.Type), ItemID: t.ID, ItemName: t.Handle(),
			Detail: map[string]string{"target": t.Target, "cleanupAt": t.CleanupAt.Format(time.RFC3339), "cancelled": fmt.Sprint(len(t.Contents.Cancelled))}})
	})
	return t, err
}

// stopBelow ends the work in flight below a project or version (D4), counts what
// goes along, and keeps the parent at least as long as what lies in Trash below
// it already (C8).
func stopBelow(ctx context.Context, tx *store.Tx, t *cullet.TrashItem, project, version string) (err error) {
	if t.Contents, err = tx.CountBelow(ctx, project, version); err != nil {
		return err
	}
	detail := fmt.Sprintf("cancelled: its %s %s was moved to Trash", t.Type, t.Handle())
	if t.Contents.Cancelled, err = tx.CancelBelow(ctx, project, version, detail); err != nil {
		return err
	}
	for _, c := range t.Contents.Cancelled {
		ended := cullet.Training{ID: c.ID, Workspace: t.Workspace, Project: project, ModelType: c.ModelType}
		if n, told := cullet.NoticeOfTraining(ended, cullet.TrainCancelled, detail); told {
			tx.Notify(n)
		}
	}
	if t.Contents.Interrupted, err = tx.InterruptBelow(ctx, project, version); err != nil {
		return err
	}
	latest, err := tx.LatestBelow(ctx, project, version)
	if latest.After(t.EffectiveAt) {
		t.EffectiveAt = latest
	}
	return err
}

// gone turns a lock that found nothing into what the person sees: somebody else
// moved it to Trash a moment before (R6).
func gone(err error, what, ref string) error {
	if errors.Is(err, store.ErrNoRow) {
		return cullet.E(cullet.NotFound, "there is no %s %q in this workspace", what, ref)
	}
	return err
}

// RetentionOf is how long what is deleted now in a workspace stays (C7).
func (b *Bin) RetentionOf(w cullet.Workspace) time.Duration {
	if w.Retention > 0 {
		return w.Retention
	}
	return b.Retention
}

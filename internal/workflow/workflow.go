// Package workflow is inference steps saved as one thing: kept to the letter,
// a version with each save.
package workflow

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/store"
)

// Shelf is where workflows are kept.
type Shelf struct {
	DB *store.DB
}

// Find returns the active workflow that a client names by its slug or id, or a
// NotFound that names it (D3).
func Find(ctx context.Context, tx *store.Tx, workspace, ref string) (cullet.Workflow, error) {
	w, err := tx.GetWorkflow(ctx, workspace, ref)
	if errors.Is(err, store.ErrNoRow) {
		err = cullet.E(cullet.NotFound, "there is no workflow %q in this workspace", fmt.Sprintf("%.80s", strings.ToValidUTF8(ref, "\uFFFD")))
	}
	return w, err
}

// Draft is what a client says of a workflow.
type Draft struct {
	ID     string // of the one to change
	Name   string
	Slug   string // "": made from the name
	Config string // kept as it is
}

func (d Draft) check() error {
	if err := cullet.CheckText("workflow's definition", d.Config, cullet.MaxWorkflowConfig); err != nil {
		return err
	}
	return cullet.CheckName("workflow name", d.Name)
}

// Create keeps a new workflow. A slug that an active workflow has is a Conflict
// that proposes a free one; that of a workflow in Trash is free (D7).
func (s *Shelf) Create(ctx context.Context, by cullet.Actor, d Draft) (w cullet.Workflow, err error) {
	if err := by.Allow(cullet.WorkflowCreate); err != nil {
		return w, err
	}
	if err := d.check(); err != nil {
		return w, err
	}
	if d.Slug == "" {
		d.Slug = cullet.Slugify(d.Name)
	}
	if d.Slug == "" {
		d.Slug = "workflow-" + cullet.RandomText(8)
	}
	if err := cullet.CheckWorkflowSlug(d.Slug); err != nil {
		return w, err
	}
	err = s.DB.Update(ctx, func(tx *store.Tx) error {
		if err := checkFree(ctx, tx, by.Workspace, d.Slug); err != nil {
			return err
		}
		w = cullet.Workflow{ID: cullet.NewID(cullet.WorkflowID), Workspace: by.Workspace, Slug: d.Slug, Name: d.Name,
			Config: d.Config, Version: 1, CreatedAt: tx.Now, UpdatedAt: tx.Now}
		return tx.AddWorkflow(ctx, w)
	})
	return w, err
}

func checkFree(ctx context.Context, tx *store.Tx, workspace, slug string) error {
	taken, err := tx.SlugsLike(ctx, cullet.TrashWorkflow, workspace, slug)
	if err != nil || !taken[slug] {
		return err
	}
	free := cullet.FreeSlug(slug, func(s string) bool { return taken[s] })
	return cullet.E(cullet.Conflict, "there is a workflow %q already; choose another url, such as %q", slug, free)
}

// Save keeps a workflow's new name, slug and definition as its next version.
func (s *Shelf) Save(ctx context.Context, by cullet.Actor, d Draft) (w cullet.Workflow, err error) {
	if err := by.Allow(cullet.WorkflowUpdate); err != nil {
		return w, err
	}
	if err := d.check(); err != nil {
		return w, err
	}
	err = s.DB.Update(ctx, func(tx *store.Tx) error {
		found, err := Find(ctx, tx, by.Workspace, d.ID)
		if err != nil {
			return err
		}
		if w, err = tx.TakeWorkflow(ctx, found.ID); errors.Is(err, store.ErrNoRow) {
			return cullet.E(cullet.NotFound, "there is no workflow %q in this workspace", found.Slug) // moved to Trash a moment ago (R6)
		} else if err != nil {
			return err
		}
		if d.Slug != "" && d.Slug != w.Slug {
			if err := errors.Join(cullet.CheckWorkflowSlug(d.Slug), checkFree(ctx, tx, by.Workspace, d.Slug)); err != nil {
				return err
			}
			w.Slug = d.Slug
		}
		w.Name, w.Config, w.Version, w.UpdatedAt = d.Name, d.Config, w.Version+1, tx.Now
		return tx.SaveWorkflow(ctx, w)
	})
	return w, err
}

// Get returns one workflow by its slug or id.
func (s *Shelf) Get(ctx context.Context, by cullet.Actor, ref string) (w cullet.Workflow, err error) {
	if err := by.Allow(cullet.WorkflowRead); err != nil {
		return w, err
	}
	err = s.DB.View(ctx, func(tx *store.Tx) error {
		w, err = Find(ctx, tx, by.Workspace, ref)
		return err
	})
	return w, err
}

// List returns the workspace's workflows by name.
func (s *Shelf) List(ctx context.Context, by cullet.Actor) (all []cullet.Workflow, err error) {
	if err := by.Allow(cullet.WorkflowRead); err != nil {
		return nil, err
	}
	err = s.DB.View(ctx, func(tx *store.Tx) error {
		all, err = tx.ListWorkflows(ctx, by.Workspace)
		return err
	})
	return all, err
}

// Versions returns what a workflow was, newest first.
func (s *Shelf) Versions(ctx context.Context, by cullet.Actor, ref string) (all []cullet.WorkflowVersion, err error) {
	if err := by.Allow(cullet.WorkflowRead); err != nil {
		return nil, err
	}
	err = s.DB.View(ctx, func(tx *store.Tx) error {
		w, err := Find(ctx, tx, by.Workspace, ref)
		if err != nil {
			return err
		}
		all, err = tx.WorkflowVersions(ctx, w.ID)
		return err
	})
	return all, err
}

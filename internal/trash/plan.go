package trash

import (
	"context"
	"errors"
	"slices"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/store"
)

// Step is one restore of a plan for several.
type Step struct {
	Item     cullet.TrashItem
	Added    bool              // a parent that was not asked for but has to come first (R2)
	Conflict *cullet.SlugTaken // its slug is taken; restore it as Conflict.Free (R3)
	Refused  string            // why it cannot come back; it is left out
}

// Plan orders the restore of several items: parents before children, parents
// that lie in Trash themselves added (R2). Nothing is changed.
func (b *Bin) Plan(ctx context.Context, by cullet.Actor, items []string) (plan []Step, err error) {
	if err := by.Allow(cullet.ProjectRead); err != nil {
		return nil, err
	}
	err = b.DB.View(ctx, func(tx *store.Tx) error {
		plan = nil
		asked := map[string]bool{}
		for _, id := range items {
			asked[id] = true
		}
		seen := map[string]bool{}
		for queue := slices.Clone(items); len(queue) > 0; queue = queue[1:] {
			if seen[queue[0]] {
				continue
			}
			seen[queue[0]] = true
			t, err := tx.GetTrashItem(ctx, by.Workspace, queue[0])
			if errors.Is(err, store.ErrNoRow) {
				continue // it left meanwhile
			} else if err != nil {
				return err
			}
			step, err := planStep(ctx, tx, t)
			if err != nil {
				return err
			}
			step.Added = !asked[t.ID]
			plan = append(plan, step)
			if t.ParentItem != "" {
				queue = append(queue, t.ParentItem)
			}
		}
		parentsFirst(plan)
		return nil
	})
	return plan, err
}

func planStep(ctx context.Context, tx *store.Tx, t cullet.TrashItem) (Step, error) {
	s := Step{Item: t}
	if t.State == cullet.Purging {
		s.Refused = (&cullet.BeingPurged{Type: t.Type, Name: t.Handle()}).Error()
		return s, nil
	}
	owner, err := slugOwner(ctx, tx, t.Workspace, t.Type, t.Slug)
	if err != nil || owner == "" {
		return s, err
	}
	err = taken(ctx, tx, t, t.Slug, owner)
	if errors.As(err, &s.Conflict) {
		err = nil
	}
	return s, err
}

// slugOwner returns the id of the active thing that has a slug, "" for none.
func slugOwner(ctx context.Context, tx *store.Tx, workspace string, typ cullet.Trashable, slug string) (id string, err error) {
	switch typ {
	case cullet.TrashProject:
		var p cullet.Project
		p, err = tx.GetProjectBySlug(ctx, workspace, slug)
		id = p.ID
	case cullet.TrashWorkflow:
		var w cullet.Workflow
		if w, err = tx.GetWorkflow(ctx, workspace, slug); err == nil && w.Slug == slug {
			id = w.ID
		}
	}
	if errors.Is(err, store.ErrNoRow) {
		return "", nil
	}
	return id, err
}

// SlugFree says whether a slug can be taken for a thing of the type: nil, or why
// not.
func (b *Bin) SlugFree(ctx context.Context, by cullet.Actor, typ cullet.Trashable, slug string) error {
	check := cullet.CheckNewProjectSlug
	if typ == cullet.TrashWorkflow {
		check = cullet.CheckWorkflowSlug
	}
	if err := check(slug); err != nil {
		return err
	}
	return b.DB.View(ctx, func(tx *store.Tx) error {
		owner, err := slugOwner(ctx, tx, by.Workspace, typ, slug)
		if err == nil && owner != "" {
			err = cullet.E(cullet.Conflict, "%q is taken", slug)
		}
		return err
	})
}

// parentsFirst orders a plan by type, as TrashableTypes does, deleted last first
// within one.
func parentsFirst(plan []Step) {
	rank := func(s Step) int { return slices.Index(cullet.TrashableTypes(), s.Item.Type) }
	slices.SortStableFunc(plan, func(x, y Step) int {
		if d := rank(x) - rank(y); d != 0 {
			return d
		}
		return y.Item.DeletedAt.Compare(x.Item.DeletedAt)
	})
}

// Outcome is what became of one step.
type Outcome struct {
	Step     Step
	Restored Restored
	Err      error // nil: it came back
}

// RestoreAll restores several items, parents first. Each is whole or untouched,
// and one refusal does not stop the rest. Slugs says under which slug an item
// comes back, by item id.
func (b *Bin) RestoreAll(ctx context.Context, by cullet.Actor, items []string, slugs map[string]string) ([]Outcome, error) {
	plan, err := b.Plan(ctx, by, items)
	if err != nil {
		return nil, err
	}
	outcomes := make([]Outcome, 0, len(plan))
	for _, s := range plan {
		o := Outcome{Step: s}
		o.Restored, o.Err = b.RestoreItem(ctx, by, s.Item.ID, slugs[s.Item.ID])
		outcomes = append(outcomes, o)
	}
	return outcomes, nil
}

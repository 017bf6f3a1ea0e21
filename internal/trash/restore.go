package trash

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/failpoint"
	"github.com/cullet-vision/cullet/internal/store"
)

// Request names what to restore as Roboflow's clients do: a version by its number
// with its project's id as parent, all else by its own id.
type Request struct {
	Type    cullet.Trashable
	ID      string
	Parent  string // project id, of a version
	NewSlug string // restore under this slug instead of its own (R3)
}

// Restored is what came back.
type Restored struct {
	Item       cullet.TrashItem
	Slug       string // of a project or workflow: the one it has now
	WasSlug    string // the one it had, where it has another now
	AtRoot     bool   // its folder is gone, so it came back at the root (R4)
	FolderName string // of that folder
}

// scopes says what an actor needs for bringing a type back.
var scopes = map[cullet.Trashable]cullet.Scope{
	cullet.TrashProject:  cullet.ProjectUpdate,
	cullet.TrashVersion:  cullet.VersionUpdate,
	cullet.TrashTraining: cullet.TrainingUpdate,
	cullet.TrashWorkflow: cullet.WorkflowUpdate,
	cullet.TrashImages:   cullet.ProjectUpdate,
}

// Restore brings a thing back whole (R1), or refuses with the reason and the way
// out: *cullet.NotInTrash (R5), *cullet.BeingPurged (R5), *cullet.ParentTrashed
// (R2), *cullet.SlugTaken (R3). A refusal changes nothing.
func (b *Bin) Restore(ctx context.Context, by cullet.Actor, r Request) (Restored, error) {
	if !r.Type.Known() {
		return Restored{}, cullet.E(cullet.Invalid, "there is no type %q in Trash; the types are %v", r.Type, cullet.TrashableTypes())
	}
	if r.ID == "" {
		return Restored{}, cullet.E(cullet.Invalid, "the id of what to restore is missing")
	}
	if r.Type == cullet.TrashVersion && r.Parent == "" {
		return Restored{}, cullet.E(cullet.Invalid, "a version is restored by its number and its project's id: parentId is missing")
	}
	return b.restore(ctx, by, r.Type, r.NewSlug, func(tx *store.Tx) (cullet.TrashItem, error) {
		return find(ctx, tx, by.Workspace, r)
	})
}

// RestoreItem is Restore by the id of the trash item itself.
func (b *Bin) RestoreItem(ctx context.Context, by cullet.Actor, item, newSlug string) (r Restored, err error) {
	err = b.restoreItem(ctx, by, item, newSlug, func(_ *store.Tx, back Restored) error { r = back; return nil })
	return r, err
}

// restoreItem is RestoreItem, and calls also in the same transaction.
func (b *Bin) restoreItem(ctx context.Context, by cullet.Actor, item, newSlug string, also func(*store.Tx, Restored) error) error {
	t, err := b.Item(ctx, by, item)
	if err != nil {
		return err
	}
	_, err = b.restore(ctx, by, t.Type, newSlug, func(tx *store.Tx) (cullet.TrashItem, error) {
		t, err := tx.GetTrashItem(ctx, by.Workspace, item)
		if errors.Is(err, store.ErrNoRow) {
			err = &cullet.NotInTrash{Type: t.Type, ID: item}
		}
		return t, err
	}, also)
	return err
}

func find(ctx context.Context, tx *store.Tx, workspace string, r Request) (t cullet.TrashItem, err error) {
	if r.Type == cullet.TrashVersion {
		number, perr := strconv.ParseInt(r.ID, 10, 64)
		if perr != nil {
			return t, cullet.E(cullet.Invalid, "a version is restored by its number; %.40q is none", r.ID)
		}
		t, err = tx.FindVersion(ctx, workspace, r.Parent, number)
	} else {
		t, err = tx.FindTarget(ctx, workspace, r.Type, r.ID)
	}
	if errors.Is(err, store.ErrNoRow) {
		err = &cullet.NotInTrash{Type: r.Type, ID: r.ID}
	}
	return t, err
}

func (b *Bin) restore(ctx context.Context, by cullet.Actor, typ cullet.Trashable, newSlug string,
	find func(*store.Tx) (cullet.TrashItem, error), also ...func(*store.Tx, Restored) error) (Restored, error) {
	if err := by.Allow(scopes[typ]); err != nil {
		return Restored{}, err
	}
	var r Restored
	err := b.DB.Update(failpoint.In(ctx, "restore"), func(tx *store.Tx) error {
		t, err := find(tx)
		if err != nil {
			return err
		}
		// Looked for again once its root is locked: of two who restore it, the second
		// finds that it is there no more (R6).
		if err := lock(ctx, tx, t); err != nil {
			return err
		}
		if t, err = find(tx); err != nil {
			return err
		}
		if t.State == cullet.Purging {
			return &cullet.BeingPurged{Type: t.Type, Name: t.Handle()}
		}
		if err := mayEndHold(by, t); err != nil {
			return err
		}
		r = Restored{Item: t}
		if err := show(ctx, tx, &r, newSlug); err != nil {
			return err
		}
		if _, err := cullet.NextTrash(t.State, cullet.EventRestore); err != nil {
			return err
		}
		if err := tx.RemoveTrashItem(ctx, t); errors.Is(err, store.ErrNoRow) {
			return &cullet.BeingPurged{Type: t.Type, Name: t.Handle()} // begun a moment ago (R6)
		} else if err != nil {
			return err
		}
		for _, f := range also {
			if err := f(tx, r); err != nil {
				return err
			}
		}
		detail := map[string]string{"target": t.Target}
		if r.WasSlug != "" {
			detail["slug"] = r.Slug
		}
		if !t.HeldAt.IsZero() {
			detail["held"] = t.HoldReason
		}
		return tx.Audit(ctx, by, cullet.AuditEntry{Act: cullet.ActRestore, ItemType: string(t.Type), ItemID: t.ID, ItemName: t.Handle(), Detail: detail})
	})
	return r, err
}

// mayEndHold refuses to bring back what is held to whoever may not release it: restored
// and deleted again, it would be held no more (C8, P2).
func mayEndHold(by cullet.Actor, t cullet.TrashItem) error {
	if t.HeldAt.IsZero() || by.CanDo(cullet.HoldItems) {
		return nil
	}
	return cullet.E(cullet.Conflict, "%s %s is held by %s: %s. An administrator can release it, or restore it, in the web app", t.Type, t.Handle(), t.HeldBy, t.HoldReason)
}

// lock takes the item's root for itself, its parents first, and then the item.
func lock(ctx context.Context, tx *store.Tx, t cullet.TrashItem) error {
	if t.Type == cullet.TrashVersion && t.State == cullet.Trashed {
		if err := needProject(ctx, tx, t); err != nil {
			return err
		}
	}
	if t.Contents.Folder != "" { // before the project, like every move into it
		if _, err := tx.ShareFolder(ctx, t.Workspace, t.Contents.Folder); err != nil && !errors.Is(err, store.ErrNoRow) {
			return err
		}
	}
	if err := tx.LockTarget(ctx, t); err != nil && !errors.Is(err, store.ErrNoRow) {
		return err // none: its purge is further than that; the second look tells
	}
	return tx.LockItem(ctx, t.ID) // a hold that comes at this moment is seen (C8)
}

// show makes the root active again, or says why that may not be.
func show(ctx context.Context, tx *store.Tx, r *Restored, newSlug string) error {
	switch t := r.Item; t.Type {
	case cullet.TrashProject:
		return showProject(ctx, tx, r, newSlug)
	case cullet.TrashWorkflow:
		return showWorkflow(ctx, tx, r, newSlug)
	case cullet.TrashVersion:
		return contradicts(tx.ShowVersion(ctx, t), t)
	default:
		return cullet.E(cullet.NotImplemented, "a %s cannot be restored on this server yet", t.Type)
	}
}

// needProject holds the item's project active, or says that it is in Trash (R2).
func needProject(ctx context.Context, tx *store.Tx, t cullet.TrashItem) error {
	_, err := tx.ShareProject(ctx, t.Project)
	if errors.Is(err, store.ErrNoRow) {
		return &cullet.ParentTrashed{Type: cullet.TrashProject, ItemID: t.ParentItem, ID: t.Project, Name: t.ProjectSlug}
	}
	return err
}

func showProject(ctx context.Context, tx *store.Tx, r *Restored, newSlug string) error {
	t := r.Item
	if err := r.choose(newSlug, cullet.CheckNewProjectSlug); err != nil {
		return err
	}
	if other, err := tx.GetProjectBySlug(ctx, t.Workspace, r.Slug); err == nil {
		return taken(ctx, tx, t, r.Slug, other.ID)
	} else if !errors.Is(err, store.ErrNoRow) {
		return err
	}
	folder := t.Contents.Folder
	if folder != "" {
		if _, err := tx.GetFolder(ctx, t.Workspace, folder); errors.Is(err, store.ErrNoRow) {
			r.AtRoot, r.FolderName, folder = true, t.Contents.FolderName, "" // R4
		} else if err != nil {
			return err
		}
	}
	return contradicts(tx.ShowProject(ctx, t, r.Slug, folder), t)
}

func showWorkflow(ctx context.Context, tx *store.Tx, r *Restored, newSlug string) error {
	t := r.Item
	if err := r.choose(newSlug, cullet.CheckWorkflowSlug); err != nil {
		return err
	}
	if other, err := tx.GetWorkflow(ctx, t.Workspace, r.Slug); err == nil && other.Slug == r.Slug {
		return taken(ctx, tx, t, r.Slug, other.ID)
	} else if err != nil && !errors.Is(err, store.ErrNoRow) {
		return err
	}
	return contradicts(tx.ShowWorkflow(ctx, t, r.Slug), t)
}

// choose settles the slug that the thing comes back under.
func (r *Restored) choose(newSlug string, check func(string) error) error {
	r.Slug = r.Item.Slug
	if newSlug == "" || newSlug == r.Item.Slug {
		return nil
	}
	r.Slug, r.WasSlug = newSlug, r.Item.Slug
	return check(newSlug)
}

// taken refuses a slug that was taken meanwhile, with a free one to offer (R3).
func taken(ctx context.Context, tx *store.Tx, t cullet.TrashItem, slug, owner string) error {
	others, err := tx.SlugsLike(ctx, t.Type, t.Workspace, t.Slug)
	if err != nil {
		return err
	}
	return &cullet.SlugTaken{Type: t.Type, Slug: slug, Owner: owner,
		Free: cullet.FreeSlug(t.Slug, func(s string) bool { return others[s] })}
}

// contradicts names an item whose root does not point back at it: the store
// disagrees with itself, and nothing is changed until somebody looked.
func contradicts(err error, t cullet.TrashItem) error {
	if errors.Is(err, store.ErrNoRow) {
		return fmt.Errorf("trash item %s and its %s %s do not point at each other: %w", t.ID, t.Type, t.Target, err)
	}
	return err
}

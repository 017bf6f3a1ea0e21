package trash

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/store"
)

// List returns everything in the workspace's Trash in the order that clients go
// by (R7): of each type what has an active parent first, then deleted last first.
func (b *Bin) List(ctx context.Context, by cullet.Actor) (items []cullet.TrashItem, err error) {
	if err := by.Allow(cullet.ProjectRead); err != nil {
		return nil, err
	}
	err = b.DB.View(ctx, func(tx *store.Tx) error {
		items, err = tx.ListTrash(ctx, by.Workspace)
		return err
	})
	slices.SortStableFunc(items, func(x, y cullet.TrashItem) int {
		return cmp.Compare(btoi(x.ParentItem != ""), btoi(y.ParentItem != ""))
	})
	return items, err
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Item returns one item. What is not there any more is *cullet.NotInTrash, or,
// where the audit tells who brought it back or ended it, a Conflict that says so.
func (b *Bin) Item(ctx context.Context, by cullet.Actor, id string) (t cullet.TrashItem, err error) {
	if err := by.Allow(cullet.ProjectRead); err != nil {
		return t, err
	}
	err = b.DB.View(ctx, func(tx *store.Tx) error {
		t, err = tx.GetTrashItem(ctx, by.Workspace, id)
		if !errors.Is(err, store.ErrNoRow) {
			return err
		}
		history, err := tx.AuditOf(ctx, by.Workspace, id)
		if err != nil {
			return err
		}
		return whatBecame(id, history)
	})
	return t, err
}

func whatBecame(id string, history []cullet.AuditEntry) error {
	for _, e := range slices.Backward(history) {
		switch e.Act {
		case cullet.ActRestore:
			return cullet.E(cullet.Conflict, "%s %s was already restored by %s", e.ItemType, e.ItemName, e.ActorName)
		case cullet.ActPurged:
			return cullet.E(cullet.Conflict, "%s %s was deleted permanently; it cannot be restored any more", e.ItemType, e.ItemName)
		}
	}
	return &cullet.NotInTrash{Type: "item", ID: id}
}

// History returns the audit entries of an item, oldest first.
func (b *Bin) History(ctx context.Context, by cullet.Actor, item string) (all []cullet.AuditEntry, err error) {
	if err := by.Allow(cullet.ProjectRead); err != nil {
		return nil, err
	}
	err = b.DB.View(ctx, func(tx *store.Tx) error {
		all, err = tx.AuditOf(ctx, by.Workspace, item)
		return err
	})
	return all, err
}

// Page is one page of a section of the Trash.
type Page struct {
	Items []cullet.TrashItem
	More  bool
	Count int64 // that the filter chooses, exact up to MostCounted
}

// MostCounted is how far a page counts what its filter chooses.
const MostCounted = 1000

// Find returns one page of what the filter chooses.
func (b *Bin) Find(ctx context.Context, by cullet.Actor, f store.TrashFilter) (p Page, err error) {
	if err := by.Allow(cullet.ProjectRead); err != nil {
		return p, err
	}
	limit := f.Limit
	f.Limit++
	err = b.DB.View(ctx, func(tx *store.Tx) error {
		if p.Items, err = tx.FindTrash(ctx, by.Workspace, f); err != nil {
			return err
		}
		p.Count, err = tx.CountTrash(ctx, by.Workspace, f, MostCounted+1)
		return err
	})
	if len(p.Items) > limit {
		p.Items, p.More = p.Items[:limit], true
	}
	return p, err
}

// Summary is what the workspace's Trash holds, from kept counters.
type Summary struct {
	Items   int64
	Bytes   int64 // logical: still count as storage (D9)
	ByType  map[cullet.Trashable]store.TrashTotal
	Next    time.Time // next cleanup, zero: nothing is in Trash that is not held
	DueSoon int64     // cleaned up within 7 days, counted up to MostCounted
}

// Summary returns what the workspace's Trash holds.
func (b *Bin) Summary(ctx context.Context, by cullet.Actor) (s Summary, err error) {
	if err := by.Allow(cullet.ProjectRead); err != nil {
		return s, err
	}
	err = b.DB.View(ctx, func(tx *store.Tx) error {
		if s.ByType, err = tx.TrashTotals(ctx, by.Workspace); err != nil {
			return err
		}
		if s.Next, err = tx.NextCleanup(ctx, by.Workspace); err != nil {
			return err
		}
		s.DueSoon, err = tx.CountTrash(ctx, by.Workspace, store.TrashFilter{DueBy: tx.Now.Add(7 * 24 * time.Hour), Free: true}, MostCounted)
		return err
	})
	for _, t := range s.ByType {
		s.Items += t.Items
		s.Bytes += t.Bytes
	}
	return s, err
}

// Trashed returns the item deleted last that had the slug, so that a page can say
// that the thing is in Trash; false where there is none.
func (b *Bin) Trashed(ctx context.Context, by cullet.Actor, typ cullet.Trashable, slug string) (t cullet.TrashItem, ok bool, err error) {
	if err := by.Allow(cullet.ProjectRead); err != nil {
		return t, false, err
	}
	err = b.DB.View(ctx, func(tx *store.Tx) error {
		t, err = tx.FindTrashedSlug(ctx, by.Workspace, typ, slug)
		return err
	})
	if errors.Is(err, store.ErrNoRow) {
		return t, false, nil
	}
	return t, err == nil, err
}

// TrashedVersion is Trashed for a version of an active project, named by its number.
func (b *Bin) TrashedVersion(ctx context.Context, by cullet.Actor, project string, number int64) (t cullet.TrashItem, ok bool, err error) {
	if err := by.Allow(cullet.ProjectRead); err != nil {
		return t, false, err
	}
	err = b.DB.View(ctx, func(tx *store.Tx) error {
		p, err := tx.GetProjectBySlug(ctx, by.Workspace, project)
		if err != nil {
			return err
		}
		t, err = tx.FindVersion(ctx, by.Workspace, p.ID, number)
		return err
	})
	if errors.Is(err, store.ErrNoRow) {
		return t, false, nil
	}
	return t, err == nil, err
}

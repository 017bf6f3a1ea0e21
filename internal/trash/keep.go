package trash

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/store"
)

// Bounds of a hold's reason, in characters.
const (
	leastReason = 3
	mostReason  = 500
)

// Kept is what became of one item that was to stay longer.
type Kept struct {
	ID   string
	Item cullet.TrashItem // as it is now
	Err  error            // nil: it was done
}

// Hold holds items, with a reason, until they are released: nobody purges them
// meanwhile, nor their parents (C8). Each is held or refused by itself.
func (b *Bin) Hold(ctx context.Context, by cullet.Actor, items []string, reason string) ([]Kept, error) {
	if err := b.mayKeep(ctx, by, len(items)); err != nil {
		return nil, err
	}
	reason = strings.TrimSpace(reason)
	if n := utf8.RuneCountInString(reason); n < leastReason || n > mostReason {
		return nil, cullet.E(cullet.Invalid, "a hold needs a reason of %d to %d characters; this one has %d", leastReason, mostReason, n)
	}
	if err := cullet.CheckText("reason", reason, 4*mostReason); err != nil {
		return nil, err
	}
	return b.keep(ctx, by, items, func(tx *store.Tx, t cullet.TrashItem) (*cullet.AuditEntry, error) {
		if err := tx.HoldItem(ctx, t.ID, by.Name, reason); errors.Is(err, store.ErrNoRow) {
			return nil, cullet.E(cullet.Conflict, "%s %s is held already, by %s: %s", t.Type, t.Handle(), t.HeldBy, t.HoldReason)
		} else if err != nil {
			return nil, err
		}
		return &cullet.AuditEntry{Act: cullet.ActHold, Detail: map[string]string{"reason": reason}}, nil
	})
}

// Release ends holds. An item is then due at its old date, but never within the next
// day (C8).
func (b *Bin) Release(ctx context.Context, by cullet.Actor, items []string) ([]Kept, error) {
	return b.keep(ctx, by, items, func(tx *store.Tx, t cullet.TrashItem) (*cullet.AuditEntry, error) {
		if err := tx.ReleaseItem(ctx, t.ID); errors.Is(err, store.ErrNoRow) {
			return nil, cullet.E(cullet.Conflict, "%s %s is not held", t.Type, t.Handle())
		} else if err != nil {
			return nil, err
		}
		if err := tx.PostponeItem(ctx, t, tx.Now.Add(cullet.ReleaseFloor)); err != nil {
			return nil, err
		}
		return &cullet.AuditEntry{Act: cullet.ActRelease, Detail: map[string]string{"reason": t.HoldReason}}, nil
	})
}

// Until is a later date for an item.
type Until func(t cullet.TrashItem) time.Time

// At is the same date for all.
func At(at time.Time) Until { return func(cullet.TrashItem) time.Time { return at } }

// Later is each item's own date and some time more.
func Later(d time.Duration) Until {
	return func(t cullet.TrashItem) time.Time { return t.EffectiveAt.Add(d) }
}

// Postpone moves the cleanup of items to a later date, a year ahead at most (C8). An
// earlier date is refused (C7).
func (b *Bin) Postpone(ctx context.Context, by cullet.Actor, items []string, until Until) ([]Kept, error) {
	return b.keep(ctx, by, items, func(tx *store.Tx, t cullet.TrashItem) (*cullet.AuditEntry, error) {
		at := until(t).UTC().Truncate(time.Microsecond)
		if err := CheckLater(t, at, tx.Now); err != nil {
			return nil, err
		}
		if err := tx.PostponeItem(ctx, t, at); err != nil {
			return nil, err
		}
		return &cullet.AuditEntry{Act: cullet.ActPostpone, Detail: map[string]string{
			"from": t.EffectiveAt.Format(time.RFC3339), "to": at.Format(time.RFC3339)}}, nil
	})
}

// CheckLater says why an item's cleanup cannot be moved to a date: it must be later
// than the present one (C7), lie ahead, and not further than a year.
func CheckLater(t cullet.TrashItem, at, now time.Time) error {
	const minute = "2 Jan 2006 15:04 UTC"
	switch {
	case !at.After(t.EffectiveAt):
		return cullet.E(cullet.Invalid, "%s %s is kept until %s already; a new date must be later", t.Type, t.Handle(), t.EffectiveAt.UTC().Format(minute))
	case !at.After(now):
		return cullet.E(cullet.Invalid, "%s has passed already; a new date must lie ahead", at.UTC().Format(minute))
	case at.After(now.Add(cullet.MostPostponed)):
		return cullet.E(cullet.Invalid, "%s is more than %d days ahead, which is the most in one act", at.UTC().Format(minute), cullet.MostPostponed/(24*time.Hour))
	}
	return nil
}

// mayKeep refuses who may not have items stay longer, whatever else is wrong.
func (b *Bin) mayKeep(ctx context.Context, by cullet.Actor, items int) error {
	if by.CanDo(cullet.HoldItems) {
		return nil
	}
	return b.RefuseWrite(ctx, by, fmt.Sprintf("%d items", items), "only an administrator who is signed in to the web app can hold, release or postpone what is in Trash")
}

// keep does one act on each of the items, each in a transaction of its own.
func (b *Bin) keep(ctx context.Context, by cullet.Actor, items []string, act func(*store.Tx, cullet.TrashItem) (*cullet.AuditEntry, error)) ([]Kept, error) {
	if err := b.mayKeep(ctx, by, len(items)); err != nil {
		return nil, err
	}
	all := make([]Kept, 0, len(items))
	for _, id := range items {
		k := Kept{ID: id}
		k.Item, k.Err = b.keepOne(ctx, by, id, act)
		if k.Err != nil && cullet.CodeOf(k.Err) == cullet.Internal {
			return all, k.Err
		}
		all = append(all, k)
	}
	return all, nil
}

func (b *Bin) keepOne(ctx context.Context, by cullet.Actor, id string, act func(*store.Tx, cullet.TrashItem) (*cullet.AuditEntry, error)) (t cullet.TrashItem, err error) {
	if t, err = b.Item(ctx, by, id); err != nil {
		return t, err
	}
	err = b.DB.Update(ctx, func(tx *store.Tx) error {
		now, err := tx.TakeTrashed(ctx, by.Workspace, id)
		if errors.Is(err, store.ErrNoRow) {
			return cullet.E(cullet.Conflict, "%s %s left Trash, or is being deleted, at this moment", t.Type, t.Handle())
		} else if err != nil {
			return err
		}
		e, err := act(tx, now)
		if err != nil {
			return err
		}
		if t, err = tx.GetTrashItem(ctx, by.Workspace, id); err != nil {
			return err
		}
		e.ItemType, e.ItemID, e.ItemName = string(t.Type), t.ID, t.Handle()
		e.Detail["target"] = t.Target
		return tx.Audit(ctx, by, *e)
	})
	return t, err
}

// Policy is how a workspace's Trash keeps things.
type Policy struct {
	Retention time.Duration // 0: the operator's default
	Default   time.Duration // of the operator
	Warnings  cullet.Warnings
}

// Policy returns how the workspace's Trash keeps things.
func (b *Bin) Policy(ctx context.Context, by cullet.Actor) (p Policy, err error) {
	if err := by.Allow(cullet.ProjectRead); err != nil {
		return p, err
	}
	err = b.DB.View(ctx, func(tx *store.Tx) error {
		w, err := tx.GetWorkspaceByID(ctx, by.Workspace)
		if err != nil {
			return err
		}
		p = Policy{Retention: w.Retention, Default: b.Retention}
		p.Warnings, err = tx.GetWarnings(ctx, w.ID)
		return err
	})
	return p, err
}

// Bounds of a workspace's retention.
const (
	LeastRetention = 24 * time.Hour
	MostRetention  = 3650 * 24 * time.Hour
)

// SetRetention sets how long what is deleted from now on stays; what is in Trash keeps
// its date (C7). 0 is the operator's default.
func (b *Bin) SetRetention(ctx context.Context, by cullet.Actor, d time.Duration) error {
	if !by.CanDo(cullet.SetPolicy) {
		return b.RefuseWrite(ctx, by, "retention", ownersPolicy)
	}
	if d != 0 && (d < LeastRetention || d > MostRetention) {
		return cullet.E(cullet.Invalid, "things can be kept from 1 to %d days", MostRetention/(24*time.Hour))
	}
	return b.DB.Update(ctx, func(tx *store.Tx) error {
		w, err := tx.TakeWorkspace(ctx, by.Workspace)
		if err != nil || w.Retention == d {
			return err
		}
		if err := tx.SetRetention(ctx, w.ID, d); err != nil {
			return err
		}
		now := w
		now.Retention = d
		return tx.Audit(ctx, by, cullet.AuditEntry{Act: cullet.ActRetention, ItemType: "trash", ItemID: w.ID, ItemName: w.Slug,
			Detail: map[string]string{"from": b.RetentionOf(w).String(), "to": b.RetentionOf(now).String()}})
	})
}

const ownersPolicy = "only the workspace's owner, signed in to the web app, can change how long its Trash keeps things"

// SetWarnings sets how people are warned before cleanup from now on (C10). What was
// told of at a step is not told of again.
func (b *Bin) SetWarnings(ctx context.Context, by cullet.Actor, w cullet.Warnings) error {
	if !by.CanDo(cullet.SetPolicy) {
		return b.RefuseWrite(ctx, by, "warnings", ownersPolicy)
	}
	if err := w.Check(); err != nil {
		return err
	}
	return b.DB.Update(ctx, func(tx *store.Tx) error {
		ws, err := tx.TakeWorkspace(ctx, by.Workspace)
		if err != nil {
			return err
		}
		before, err := tx.GetWarnings(ctx, ws.ID)
		if err != nil || before.Email == w.Email && slices.Equal(before.Days, w.Days) {
			return err
		}
		if err := tx.SetWarnings(ctx, ws.ID, w); err != nil {
			return err
		}
		return tx.Audit(ctx, by, cullet.AuditEntry{Act: cullet.ActWarnings, ItemType: "trash", ItemID: ws.ID, ItemName: ws.Slug,
			Detail: map[string]string{"from": before.Words(), "to": w.Words()}})
	})
}

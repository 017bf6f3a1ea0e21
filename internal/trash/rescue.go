package trash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/job"
	"github.com/cullet-vision/cullet/internal/store"
)

// A rescue brings back everything that somebody, a key or a stray script, deleted in a
// time: parents first, in one operation that survives a restart and ends in a report.

// RescueFilter chooses what a rescue brings back. At least one field has to be set.
type RescueFilter struct {
	By    string       // id or exact name of the person or key
	Means cullet.Means // web or key
	From  time.Time    // deleted at this time or later
	To    time.Time    // deleted before this time
	Types []cullet.Trashable
}

func (f RescueFilter) check() error {
	if f.By == "" && f.Means == "" && f.From.IsZero() && f.To.IsZero() {
		return cullet.E(cullet.Invalid, "say whose deletions, or from when to when, are to be restored")
	}
	if !f.From.IsZero() && !f.To.IsZero() && !f.From.Before(f.To) {
		return cullet.E(cullet.Invalid, "the time span ends before it begins")
	}
	for _, t := range f.Types {
		if !t.Known() {
			return cullet.E(cullet.Invalid, "there is no type %q in Trash; the types are %v", t, cullet.TrashableTypes())
		}
	}
	return nil
}

// MostRescued bounds how many items one rescue takes.
const MostRescued = 100_000

// RescuePlan says what a rescue would bring back, parents first, and what stands in
// its way. Nothing is changed.
func (b *Bin) RescuePlan(ctx context.Context, by cullet.Actor, f RescueFilter) ([]Step, error) {
	if err := by.Allow(cullet.ProjectRead); err != nil {
		return nil, err
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	var ids []string
	err := b.DB.View(ctx, func(tx *store.Tx) error {
		items, err := tx.FindTrash(ctx, by.Workspace, store.TrashFilter{Types: f.Types, Actor: f.By, Means: f.Means, From: f.From, To: f.To, Limit: MostRescued + 1})
		ids = nil
		for _, t := range items {
			ids = append(ids, t.ID)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(ids) > MostRescued {
		return nil, cullet.E(cullet.Invalid, "more than %d items fit; choose a shorter time", MostRescued)
	}
	return b.Plan(ctx, by, ids)
}

// Rescue begins a rescue of what the filter chooses at this moment, and returns it; its
// items are restored by a job. With rename set, what lost its slug meanwhile comes back
// under a free one; else it is left out, and the report names the free slug.
func (b *Bin) Rescue(ctx context.Context, by cullet.Actor, f RescueFilter, rename bool) (store.Rescue, error) {
	plan, err := b.RescuePlan(ctx, by, f)
	if err != nil {
		return store.Rescue{}, err
	}
	r := store.Rescue{ID: cullet.NewID(cullet.RescueID), Workspace: by.Workspace, Actor: by, Filter: mustJSON(f), Rename: rename,
		State: store.RescueRunning, Items: int64(len(plan))}
	return r, b.DB.Update(ctx, func(tx *store.Tx) error {
		r.BeganAt, r.State = tx.Now, store.RescueRunning
		if len(plan) == 0 {
			r.State, r.EndedAt = store.RescueFinished, tx.Now
		}
		items := make([]store.RescueItem, len(plan))
		for n, s := range plan {
			items[n] = store.RescueItem{Position: int64(n + 1), Item: s.Item.ID, Type: s.Item.Type, Name: s.Item.Handle(), Added: s.Added}
		}
		if err := tx.AddRescue(ctx, r, items); err != nil {
			return err
		}
		if len(plan) > 0 {
			if err := b.Jobs.Enqueue(ctx, tx, job.Rescue, r.ID); err != nil {
				return err
			}
		}
		return tx.Audit(ctx, by, cullet.AuditEntry{Act: cullet.ActRescue, ItemType: "rescue", ItemID: r.ID,
			Detail: map[string]string{"items": fmt.Sprint(len(plan)), "filter": r.Filter}})
	})
}

func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // of text and times
	}
	return string(b)
}

// rescueSlice is how long one run of the job works before it makes room for others.
const rescueSlice = 30 * time.Second

// WorkRescue restores the next items of a rescue, and says whether more are left. It may
// run twice at the same time: each item is restored, or left out, once.
func (b *Bin) WorkRescue(ctx context.Context, id string) (again bool, err error) {
	end := b.DB.Clock().Now().Add(rescueSlice)
	for {
		var r store.Rescue
		var next store.RescueItem
		err := b.DB.View(ctx, func(tx *store.Tx) error {
			if r, err = tx.GetRescue(ctx, "", id); err != nil {
				return err
			}
			if r.Actor, err = present(ctx, tx, r.Actor); err != nil {
				return err
			}
			next, err = tx.NextRescueItem(ctx, id)
			return err
		})
		if errors.Is(err, store.ErrNoRow) {
			return false, b.endRescue(ctx, id)
		} else if err != nil {
			return false, err
		}
		if err := b.rescueItem(ctx, r, next); err != nil {
			return false, err
		}
		if !b.DB.Clock().Now().Before(end) {
			return true, nil
		}
	}
}

// present is who asked for a rescue, with what is left now of the rights that they had
// then: of a key that was revoked meanwhile, or a person who left, nothing.
func present(ctx context.Context, tx *store.Tx, by cullet.Actor) (cullet.Actor, error) {
	person := by.ID
	if by.Means == cullet.ByKey {
		k, err := tx.GetKey(ctx, by.Workspace, by.ID)
		if err != nil || k.Disabled {
			by.Role = ""
			return by, ignoreNoRow(err)
		}
		person = k.MadeBy
		if !k.Full {
			by.Scopes = slices.DeleteFunc(slices.Clone(k.Scopes), func(s cullet.Scope) bool { return !by.Can(s) })
			by.Scoped = true
		}
	}
	var err error
	by.Role, err = tx.GetRole(ctx, by.Workspace, person)
	return by, ignoreNoRow(err)
}

// rescueItem restores one item and keeps that it did in the same transaction, or keeps
// why not.
func (b *Bin) rescueItem(ctx context.Context, r store.Rescue, i store.RescueItem) error {
	restore := func(slug string) error {
		return b.restoreItem(ctx, r.Actor, i.Item, slug, func(tx *store.Tx, back Restored) error {
			given := ""
			if back.WasSlug != "" {
				given = back.Slug
			}
			return tx.SetRescueItem(ctx, r.ID, i.Position, store.RescueRestored, "", given)
		})
	}
	err := restore("")
	var taken *cullet.SlugTaken
	if r.Rename && errors.As(err, &taken) {
		err = restore(taken.Free)
	}
	if errors.Is(err, store.ErrNoRow) {
		return nil // another run did it at this moment
	}
	if err == nil || cullet.CodeOf(err) == cullet.Internal || cullet.CodeOf(err) == cullet.Unavailable {
		return err
	}
	free := ""
	if errors.As(err, &taken) {
		free = taken.Free
	}
	return ignoreNoRow(b.DB.Update(ctx, func(tx *store.Tx) error {
		return tx.SetRescueItem(ctx, r.ID, i.Position, store.RescueLeft, cullet.MessageOf(err), free)
	}))
}

func ignoreNoRow(err error) error {
	if errors.Is(err, store.ErrNoRow) {
		return nil
	}
	return err
}

func (b *Bin) endRescue(ctx context.Context, id string) error {
	return b.DB.Update(ctx, func(tx *store.Tx) error {
		return ignoreNoRow(tx.EndRescue(ctx, id))
	})
}

// RescueReport is a rescue and what became of its items.
type RescueReport struct {
	store.Rescue
	Restored int64
	Left     int64
	Listed   []store.RescueItem // up to MostListed
}

// MostListed bounds how many items a report of a rescue lists; all are counted.
const MostListed = 1000

// RescueReport returns a rescue of the workspace with its progress; what was left out is
// listed first.
func (b *Bin) RescueReport(ctx context.Context, by cullet.Actor, id string) (r RescueReport, err error) {
	if err := by.Allow(cullet.ProjectRead); err != nil {
		return r, err
	}
	err = b.DB.View(ctx, func(tx *store.Tx) error {
		r = RescueReport{}
		if r.Rescue, err = tx.GetRescue(ctx, by.Workspace, id); errors.Is(err, store.ErrNoRow) {
			return cullet.E(cullet.NotFound, "there is no rescue %.60q in this workspace", id)
		} else if err != nil {
			return err
		}
		if r.Restored, r.Left, err = tx.RescueSums(ctx, id); err != nil {
			return err
		}
		r.Listed, err = tx.ListRescueItems(ctx, id, MostListed)
		return err
	})
	return r, err
}

// RunningRescues returns the workspace's rescues under way with their progress; their
// items are not listed.
func (b *Bin) RunningRescues(ctx context.Context, by cullet.Actor) ([]RescueReport, error) {
	return b.rescues(ctx, by, func(tx *store.Tx) ([]store.Rescue, error) { return tx.RunningRescues(ctx, by.Workspace) })
}

// LastRescues returns up to limit rescues of the workspace, newest first; their items
// are not listed.
func (b *Bin) LastRescues(ctx context.Context, by cullet.Actor, limit int) ([]RescueReport, error) {
	return b.rescues(ctx, by, func(tx *store.Tx) ([]store.Rescue, error) { return tx.ListRescues(ctx, by.Workspace, limit) })
}

func (b *Bin) rescues(ctx context.Context, by cullet.Actor, list func(*store.Tx) ([]store.Rescue, error)) (all []RescueReport, err error) {
	if err := by.Allow(cullet.ProjectRead); err != nil {
		return nil, err
	}
	err = b.DB.View(ctx, func(tx *store.Tx) error {
		all = nil
		some, err := list(tx)
		for _, r := range some {
			report := RescueReport{Rescue: r}
			if report.Restored, report.Left, err = tx.RescueSums(ctx, r.ID); err != nil {
				return err
			}
			all = append(all, report)
		}
		return err
	})
	return all, err
}

// ReviveRescues has rescues worked on whose worker gave no sign for a while.
func (b *Bin) ReviveRescues(ctx context.Context) error {
	const silence = 15 * time.Second
	return b.DB.Update(ctx, func(tx *store.Tx) error {
		silent, err := tx.TakeSilentRescues(ctx, tx.Now.Add(-silence))
		if err != nil || len(silent) == 0 {
			return err
		}
		return b.Jobs.EnqueueOnce(ctx, tx, job.Rescue, silent)
	})
}

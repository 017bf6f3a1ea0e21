package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/store"
)

// Warner finds the items whose cleanup comes within a step of the workspace's, and
// has people told once for each (C10). Any number of servers share the work.
type Warner struct {
	DB   *store.DB
	Log  *slog.Logger
	Mail bool // the operator set mail up
}

const (
	warnEvery = time.Minute // between two looks
	warnSome  = 100         // items in one transaction
)

// Run looks until the context ends.
func (w *Warner) Run(ctx context.Context) {
	tick := w.DB.Clock().NewTicker(warnEvery)
	defer tick.Stop()
	for {
		if err := w.Look(ctx); err != nil && ctx.Err() == nil {
			w.Log.Error("what is cleaned up soon could not be looked for; it is looked for again", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C():
		}
	}
}

// Look warns of what comes near now. Trouble with one workspace stops no other.
func (w *Warner) Look(ctx context.Context) error {
	var all []cullet.Workspace
	err := w.DB.View(ctx, func(tx *store.Tx) (err error) {
		all, err = tx.ListWorkspaces(ctx)
		return err
	})
	for _, ws := range all {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if wrong := w.workspace(ctx, ws.ID); wrong != nil {
			err = errors.Join(err, fmt.Errorf("workspace %s: %w", ws.Slug, wrong))
		}
	}
	return err
}

// workspace warns of a workspace's items, some at a time, and then puts one mail for
// all of them on its way.
func (w *Warner) workspace(ctx context.Context, id string) error {
	for {
		told, err := w.tell(ctx, id)
		if err != nil {
			return err
		}
		if told == 0 {
			return w.mail(ctx, id)
		}
	}
}

// tell warns of some items, and says of how many.
func (w *Warner) tell(ctx context.Context, id string) (told int, err error) {
	var found []cullet.TrashItem
	find := func(tx *store.Tx) (wanted cullet.Warnings, err error) {
		if wanted, err = tx.GetWarnings(ctx, id); err != nil {
			return wanted, err
		}
		found, err = tx.FindUnwarned(ctx, id, wanted, warnSome)
		return wanted, err
	}
	// Looked for without a lock: most looks find nothing, and need no writer.
	err = w.DB.View(ctx, func(tx *store.Tx) error {
		_, err := find(tx)
		return err
	})
	if err != nil || len(found) == 0 {
		return 0, err
	}
	err = w.DB.Update(ctx, func(tx *store.Tx) error {
		told = 0
		wanted, err := find(tx)
		if err != nil {
			return err
		}
		by := map[int64][]cullet.TrashItem{}
		for _, t := range found {
			step := wanted.Step(t.EffectiveAt.Sub(tx.Now))
			by[step] = append(by[step], t)
		}
		for step, some := range by {
			if step > 0 { // one in each transaction, which locks its items in their order
				told, err = w.tellStep(ctx, tx, id, wanted, some, step)
				return err
			}
		}
		return nil
	})
	return told, err
}

// tellStep warns of items at a step: of those of which nobody else did.
func (w *Warner) tellStep(ctx context.Context, tx *store.Tx, workspace string, wanted cullet.Warnings, items []cullet.TrashItem, step int64) (int, error) {
	told, err := tx.MarkWarned(ctx, items, step)
	if err != nil || len(told) == 0 {
		return 0, err
	}
	for _, t := range told {
		tx.Notify(cullet.Notice{Topic: cullet.TopicDueSoon, Workspace: workspace, ItemType: string(t.Type), ItemID: t.ID, ItemName: t.Handle(), Target: t.Target,
			Detail: map[string]string{"cleanupAt": t.EffectiveAt.Format(time.RFC3339), "days": fmt.Sprint(step)}})
	}
	if w.Mail && wanted.Email {
		err = tx.AddToDigest(ctx, workspace, told)
	}
	return len(told), err
}

// mail puts what looks gathered on its way to the administrators and owners, once
// nothing more is to be gathered: one mail for each person, however many items.
func (w *Warner) mail(ctx context.Context, id string) error {
	gathered := false
	err := w.DB.View(ctx, func(tx *store.Tx) (err error) {
		gathered, err = tx.HasDigest(ctx, id)
		return err
	})
	if err != nil || !gathered {
		return err
	}
	return w.DB.Update(ctx, func(tx *store.Tx) error {
		wanted, err := tx.GetWarnings(ctx, id)
		if err != nil {
			return err
		}
		more, err := tx.FindUnwarned(ctx, id, wanted, 1)
		if err != nil || len(more) > 0 {
			return err // another server gathers at this moment, and ends it
		}
		d, err := tx.TakeDigest(ctx, id)
		if errors.Is(err, store.ErrNoRow) || err == nil && !wanted.Email {
			return nil
		} else if err != nil {
			return err
		}
		people, err := tx.Warned(ctx, id)
		if err != nil {
			return err
		}
		for _, address := range people {
			if err := tx.AddMail(ctx, id, address, d); err != nil {
				return err
			}
		}
		return nil
	})
}

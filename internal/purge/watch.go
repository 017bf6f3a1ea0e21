package purge

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/failpoint"
	"github.com/cullet-vision/cullet/internal/store"
)

// DefaultGrace is how long cleanup waits when the clock cannot be trusted, unless the
// operator says otherwise (C6).
const DefaultGrace = 24 * time.Hour

// lookAtClock keeps what cleanup sees of the clock, and whether it has to wait (C6). All
// servers share one watch, so a jump is seen by whichever looks first.
func (e *Engine) lookAtClock(ctx context.Context) (w cullet.ClockWatch, err error) {
	sight := cullet.Sight{Running: e.looked}
	if e.ServerTime != nil {
		if sight.Database, err = e.ServerTime(ctx); err != nil {
			return w, err
		}
	}
	var before cullet.ClockWatch
	err = e.DB.Update(failpoint.In(ctx, "purge.watch"), func(tx *store.Tx) error {
		if before, err = tx.TakeClockWatch(ctx); err != nil {
			return err
		}
		sight.Now = e.DB.Clock().Now().UTC().Truncate(time.Microsecond) // after the lock: another may have looked while this one waited
		w = before.Look(sight, e.Interval, e.Grace, cullet.NewID(cullet.WaitID))
		if err := tx.SetClockWatch(ctx, w); err != nil || w.Wait == "" || w.Wait == before.Wait {
			return err
		}
		return auditWait(ctx, tx, w)
	})
	if err != nil {
		return w, err
	}
	e.looked = true
	switch {
	case w.Wait != "" && w.Wait != before.Wait:
		e.Log.Warn("cleanup waits: "+w.Words(), "until", w.Until, "due_until_then_may_go", w.TrustedAt)
	case w.Wait == "" && before.Wait != "":
		e.Log.Info("cleanup goes on: its wait is over", "began", before.Began)
	}
	return w, nil
}

// auditWait keeps in every workspace's audit that cleanup waits.
func auditWait(ctx context.Context, tx *store.Tx, w cullet.ClockWatch) error {
	all, err := tx.ListWorkspaces(ctx)
	if err != nil {
		return err
	}
	for _, ws := range all {
		err := tx.Audit(ctx, cleaner(ws.ID), cullet.AuditEntry{Act: cullet.ActClockWait, ItemType: "trash", ItemID: w.Wait, ItemName: w.Words(),
			Detail: map[string]string{"until": w.Until.Format(time.RFC3339)}})
		if err != nil {
			return err
		}
	}
	return nil
}

// Waiting is what cleanup does not touch in a workspace before its wait is over.
type Waiting struct {
	cullet.ClockWatch
	Items int64              // whose date has come meanwhile
	Some  []cullet.TrashItem // of them, soonest due first
}

// Waiting says whether cleanup waits in the workspace, and for what; false: it does not.
func (d *Desk) Waiting(ctx context.Context, by cullet.Actor) (wait Waiting, waits bool, err error) {
	if err := by.Allow(cullet.ProjectRead); err != nil {
		return wait, false, err
	}
	err = d.DB.View(ctx, func(tx *store.Tx) error {
		w, err := tx.GetWorkspaceByID(ctx, by.Workspace)
		if err != nil {
			return err
		}
		if wait.ClockWatch, err = tx.ClockWatch(ctx); err != nil {
			return err
		}
		if waits = wait.Waits(w.LiftedWait); !waits {
			return nil
		}
		wait.Items, wait.Some, err = tx.WaitingItems(ctx, by.Workspace, wait.ClockWatch, 12)
		return err
	})
	return wait, waits, err
}

// LiftText is what a person types to lift the wait.
const LiftText = "resume cleanup"

// Lift ends cleanup's wait for the workspace: a person has looked and trusts the clock
// (C6). It takes the text and the password; wait names what the person was shown.
func (d *Desk) Lift(ctx context.Context, by cullet.Actor, wait, typed, password string) error {
	if !by.CanDo(cullet.LiftWait) {
		return d.Bin.RefusePurge(ctx, by, "lifting the clock wait", "only an administrator who is signed in to the web app can lift cleanup's wait")
	}
	if err := d.lift(ctx, by, wait, typed, password); err != nil {
		return d.refused(ctx, by, "lifting the clock wait", err)
	}
	return nil
}

func (d *Desk) lift(ctx context.Context, by cullet.Actor, wait, typed, password string) error {
	if strings.TrimSpace(typed) != LiftText {
		return cullet.E(cullet.Invalid, "the text does not fit: type %s, exactly", LiftText)
	}
	if err := d.Access.Confirm(ctx, by.ID, password, by.Address); err != nil {
		return err
	}
	return d.DB.Update(ctx, func(tx *store.Tx) error {
		w, err := tx.TakeClockWatch(ctx)
		if err != nil {
			return err
		}
		if w.Wait == "" || w.Wait != wait {
			return cullet.E(cullet.Conflict, "cleanup does not wait for this any more; look at the page again")
		}
		if err := tx.LiftWait(ctx, by.Workspace, w.Wait); err != nil {
			return err
		}
		if d.Ordered != nil {
			tx.OnCommit(d.Ordered)
		}
		return tx.Audit(ctx, by, cullet.AuditEntry{Act: cullet.ActClockLift, ItemType: "trash", ItemID: w.Wait, ItemName: w.Words()})
	})
}

// trusted is the time that can be relied on in the workspace (C6).
func trusted(ctx context.Context, tx *store.Tx, w cullet.Workspace) (time.Time, error) {
	watch, err := tx.ClockWatch(ctx)
	return watch.Trusted(tx.Now, w.LiftedWait), err
}

// forbidden says why a person may not delete an item permanently now, "" where they
// may: it is held (C8), or purge protection is on and its date has not come (C9).
func forbidden(ctx context.Context, tx *store.Tx, t cullet.TrashItem) (string, error) {
	why, err := forbidding(ctx, tx, t.Workspace)
	if err != nil {
		return "", err
	}
	return why(t), nil
}

// forbidding is forbidden for many items of a workspace, at this instant.
func forbidding(ctx context.Context, tx *store.Tx, workspace string) (why func(cullet.TrashItem) string, err error) {
	w, err := tx.GetWorkspaceByID(ctx, workspace)
	if err != nil {
		return nil, err
	}
	now, err := trusted(ctx, tx, w)
	if err != nil {
		return nil, err
	}
	return func(t cullet.TrashItem) string {
		switch {
		case t.Held():
			return t.HeldWords()
		case w.Protection(now) && t.EffectiveAt.After(now):
			return "purge protection is on: nothing is deleted permanently before its date"
		}
		return ""
	}, nil
}

// Protect switches purge protection on, at once (C9).
func (d *Desk) Protect(ctx context.Context, by cullet.Actor) error {
	return d.policy(ctx, by, cullet.ActProtect, func(tx *store.Tx, w cullet.Workspace) error {
		if !w.ProtectedAt.IsZero() && w.UnprotectAt.IsZero() {
			return errUnchanged
		}
		return tx.SetProtection(ctx, w.ID, tx.Now, time.Time{}, "")
	})
}

// Unprotect asks for purge protection to be lifted, with the password. It takes effect
// after the workspace's waiting period, whose end it returns (C9).
func (d *Desk) Unprotect(ctx context.Context, by cullet.Actor, password string) (ends time.Time, err error) {
	if !by.CanDo(cullet.SetPolicy) {
		return ends, d.Bin.RefusePurge(ctx, by, "lifting purge protection", ownersPolicy)
	}
	if err := d.Access.Confirm(ctx, by.ID, password, by.Address); err != nil {
		return ends, d.refused(ctx, by, "lifting purge protection", err)
	}
	return ends, d.policy(ctx, by, cullet.ActUnprotect, func(tx *store.Tx, w cullet.Workspace) error {
		if w.ProtectedAt.IsZero() || !w.UnprotectAt.IsZero() {
			return errUnchanged
		}
		wait := w.ProtectionWait
		if wait == 0 {
			wait = cullet.DefaultProtectionWait
		}
		ends = tx.Now.Add(wait)
		return tx.SetProtection(ctx, w.ID, w.ProtectedAt, ends, by.Name)
	})
}

// KeepProtection calls the lifting of purge protection off; any administrator may.
func (d *Desk) KeepProtection(ctx context.Context, by cullet.Actor) error {
	if !by.CanDo(cullet.PurgeItems) {
		return d.Bin.RefusePurge(ctx, by, "purge protection", "only an administrator who is signed in to the web app can keep purge protection on")
	}
	return d.change(ctx, by, cullet.ActKeepProtection, func(tx *store.Tx, w cullet.Workspace) error {
		now, err := trusted(ctx, tx, w)
		if err != nil {
			return err
		}
		if !w.Protection(now) || w.UnprotectAt.IsZero() {
			return errUnchanged
		}
		return tx.SetProtection(ctx, w.ID, w.ProtectedAt, time.Time{}, "")
	})
}

// Protection is whether permanent deletion before the date is forbidden (C9).
type Protection struct {
	On   bool
	Ends time.Time // when its lifting takes effect; zero: nobody asked for it
	By   string    // who asked
	Wait time.Duration
}

// Protection returns the workspace's purge protection.
func (d *Desk) Protection(ctx context.Context, by cullet.Actor) (p Protection, err error) {
	err = d.DB.View(ctx, func(tx *store.Tx) error {
		w, err := tx.GetWorkspaceByID(ctx, by.Workspace)
		if err != nil {
			return err
		}
		now, err := trusted(ctx, tx, w)
		p = Protection{On: w.Protection(now), Ends: w.UnprotectAt, By: w.UnprotectBy, Wait: w.ProtectionWait}
		if p.Wait == 0 {
			p.Wait = cullet.DefaultProtectionWait
		}
		return err
	})
	return p, err
}

const ownersPolicy = "only the workspace's owner, signed in to the web app, can change how long its Trash keeps things"

// errUnchanged says that there is nothing to change.
var errUnchanged = errors.New("nothing to change")

func (d *Desk) policy(ctx context.Context, by cullet.Actor, act cullet.Act, set func(*store.Tx, cullet.Workspace) error) error {
	if !by.CanDo(cullet.SetPolicy) {
		return d.Bin.RefusePurge(ctx, by, string(act), ownersPolicy)
	}
	return d.change(ctx, by, act, set)
}

// change changes the workspace's protection and audits it; what is so already is not
// changed again.
func (d *Desk) change(ctx context.Context, by cullet.Actor, act cullet.Act, set func(*store.Tx, cullet.Workspace) error) error {
	err := d.DB.Update(ctx, func(tx *store.Tx) error {
		w, err := tx.TakeWorkspace(ctx, by.Workspace)
		if err != nil {
			return err
		}
		if err := set(tx, w); err != nil {
			return err
		}
		return tx.Audit(ctx, by, cullet.AuditEntry{Act: act, ItemType: "trash", ItemID: w.ID, ItemName: w.Slug})
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
}

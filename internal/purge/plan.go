// Package purge makes an end of what is in Trash: it is the only one that can.
// The web app orders it, cmd/cullet starts its loop, and nothing else may import
// it (P2); a test over the import graph says so.
//
// Invariants:
//
//   - C1: nothing is begun before its date, except by a person's order.
//   - C3: trashed -> purging -> gone, in bounded batches. Each batch is one
//     transaction that begins by renewing a lease on the item, so one worker at a
//     time works on it, and a killed one is followed by another.
//   - C4: a file is unlinked after its row is gone, and its row goes only while
//     nothing refers to it.
//   - C11: what contradicts itself, or fails, is kept and tried again later.
package purge

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/access"
	"github.com/cullet-vision/cullet/internal/failpoint"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/trash"
)

// Desk is where a person orders permanent deletions.
type Desk struct {
	DB     *store.DB
	Bin    *trash.Bin
	Access *access.Desk

	// Ordered, where set, is called after an order was given.
	Ordered func()
}

const (
	confirmFor = 10 * time.Minute // how long a dialog's token is good (P4)
	countdown  = 10 * time.Second // how long an order can be called off (P4)

	// From these sizes on the password is asked for again.
	manyItems = 20
	manyBytes = 100 << 30
)

// Choice is what a person wants to delete permanently.
type Choice struct {
	Items []string // trash item ids
	All   bool     // the whole Trash
}

// Plan is what a permanent deletion would take, as the dialog shows it.
type Plan struct {
	Token      string             // of the confirmation; one use
	Items      []cullet.TrashItem // what goes
	Children   []cullet.TrashItem // in Trash by themselves below one of them; they go along
	Skipped    []Skipped          // what stays, and why
	Sums       cullet.Contents    // of all of it, counted at deletion
	Everything bool               // it comes to all of the Trash
	Typed      string             // what has to be typed
	Password   bool               // whether the password is asked for
	FirstDue   time.Time          // when the first of them would go by itself
	LastDue    time.Time
	Expires    time.Time // of the token
}

// Skipped is an item that was chosen and stays.
type Skipped struct {
	Item   cullet.TrashItem
	ID     string
	Reason string
}

// Prepare shows what the choice comes to and issues the token that confirms just
// that: these items, as they are, for this person in this session (P4).
func (d *Desk) Prepare(ctx context.Context, by cullet.Actor, workspace string, c Choice) (p Plan, err error) {
	if !by.CanDo(cullet.PurgeItems) {
		return p, d.Bin.RefusePurge(ctx, by, "the confirmation", "only an administrator who is signed in to the web app can delete permanently")
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails: crypto/rand ends the program instead
	// The Trash is listed without holding up whoever writes: what changes before the
	// confirmation is kept has another revision than it says, and is skipped (P4).
	err = d.DB.View(ctx, func(tx *store.Tx) error {
		p = Plan{Token: base64.RawURLEncoding.EncodeToString(secret), Expires: tx.Now.Add(confirmFor)}
		return p.choose(ctx, tx, by, c)
	})
	if err != nil {
		return p, err
	}
	p.demand(workspace, c.All)
	if len(p.Items) > 0 {
		err = d.DB.Update(ctx, func(tx *store.Tx) error {
			return tx.AddConfirmation(ctx, store.Confirmation{TokenHash: access.Digest(p.Token), Workspace: by.Workspace,
				Person: by.ID, Session: by.Session, Typed: p.Typed, Password: p.Password, Everything: p.Everything,
				Items: p.confirmed(), ExpiresAt: p.Expires})
		})
	}
	if err == nil && p.Everything && !by.CanDo(cullet.EmptyTrash) {
		return Plan{}, d.Bin.RefusePurge(ctx, by, "all of the Trash", "only the workspace's owner can empty its Trash, also item by item at once")
	}
	return p, err
}

// choose fills in what goes and what stays.
func (p *Plan) choose(ctx context.Context, tx *store.Tx, by cullet.Actor, c Choice) error {
	all, err := tx.ListTrash(ctx, by.Workspace)
	if err != nil {
		return err
	}
	chosen := map[string]bool{}
	for _, id := range c.Items {
		chosen[id] = true
	}
	why, err := forbidding(ctx, tx, by.Workspace)
	if err != nil {
		return err
	}
	goes := map[string]bool{}
	left := 0
	for _, t := range all {
		reason := "it is being deleted already"
		if t.State == cullet.Trashed {
			reason = why(t)
		}
		switch {
		case !c.All && !chosen[t.ID]:
			if reason == "" {
				left++
			}
			continue
		case reason != "":
			p.Skipped = append(p.Skipped, Skipped{t, t.ID, reason})
		default:
			p.Items = append(p.Items, t)
			goes[t.ID] = true
		}
		delete(chosen, t.ID)
	}
	for id := range chosen {
		p.Skipped = append(p.Skipped, Skipped{cullet.TrashItem{ID: id}, id, "it is not in Trash any more"})
	}
	below := map[string]bool{} // the targets of what goes: of a Trash of any size each item is looked at once
	for _, t := range p.Items {
		below[t.Target] = true
	}
	for _, t := range all {
		if !goes[t.ID] && t.State == cullet.Trashed && (below[t.Project] || below[t.Version]) {
			p.Children = append(p.Children, t)
			left--
		}
	}
	p.Everything = c.All || left == 0 && len(p.Items)+len(p.Children) > 1
	p.sum()
	return nil
}

func (p *Plan) sum() {
	for _, t := range append(slices.Clone(p.Items), p.Children...) {
		p.Sums.Add(t.Contents)
		if p.FirstDue.IsZero() || t.EffectiveAt.Before(p.FirstDue) {
			p.FirstDue = t.EffectiveAt
		}
		if t.EffectiveAt.After(p.LastDue) {
			p.LastDue = t.EffectiveAt
		}
	}
}

// demand says what the person has to give.
func (p *Plan) demand(workspace string, all bool) {
	switch {
	case all:
		p.Typed = "empty " + workspace
	case len(p.Items) == 1:
		p.Typed = p.Items[0].Handle()
	default:
		p.Typed = fmt.Sprintf("delete %d items", len(p.Items))
	}
	p.Password = p.Everything || len(p.Items) > manyItems || p.Sums.Bytes > manyBytes
}

// confirmed lists the items children first, so that each gets its own line in the
// report before its parent takes what is left.
func (p *Plan) confirmed() []store.ConfirmedItem {
	items := slices.Clone(p.Items)
	slices.SortStableFunc(items, func(x, y cullet.TrashItem) int {
		rank := func(t cullet.TrashItem) int { return slices.Index(cullet.TrashableTypes(), t.Type) }
		return rank(y) - rank(x)
	})
	list := make([]store.ConfirmedItem, len(items))
	for n, t := range items {
		list[n] = store.ConfirmedItem{ID: t.ID, Revision: t.Revision, Type: t.Type, Name: t.Handle()}
	}
	return list
}

// Confirmation is what the person gave back.
type Confirmation struct {
	Token    string
	Typed    string
	Password string
}

// Stale refuses a confirmation that is missing, used, too old, or another's. The
// dialog is shown anew.
type Stale struct{ Why string }

func (e *Stale) Error() string          { return e.ErrorMessage() }
func (e *Stale) ErrorCode() cullet.Code { return cullet.Conflict }

// ErrorMessage says that nothing was deleted.
func (e *Stale) ErrorMessage() string {
	return e.Why + "; nothing was deleted. Look again and confirm anew"
}

// Order orders what was confirmed. It begins after the countdown. Every refusal is
// audited and changes nothing (P2): *Stale for the token, Invalid for the text,
// Forbidden for the password or the right.
func (d *Desk) Order(ctx context.Context, by cullet.Actor, c Confirmation) (o store.Order, err error) {
	if !by.CanDo(cullet.PurgeItems) {
		return o, d.Bin.RefusePurge(ctx, by, "an order", "only an administrator who is signed in to the web app can delete permanently")
	}
	shown, err := d.shown(ctx, by, c.Token)
	if err == nil {
		err = d.given(ctx, by, shown, c)
	}
	if err != nil {
		return o, d.refused(ctx, by, cmp.Or(shown.Typed, "an order"), err)
	}
	err = d.DB.Update(failpoint.In(ctx, "order"), func(tx *store.Tx) error {
		if err := tx.UseConfirmation(ctx, shown.TokenHash); errors.Is(err, store.ErrNoRow) {
			return &Stale{"this confirmation was used before"}
		} else if err != nil {
			return err
		}
		o = store.Order{ID: cullet.NewID(cullet.PurgeID), Workspace: by.Workspace, Person: by.ID, PersonName: by.Name, Address: by.Address,
			State: store.OrderScheduled, OrderedAt: tx.Now, StartsAt: tx.Now.Add(countdown)}
		if err := tx.AddOrder(ctx, o, shown.Items); err != nil {
			return err
		}
		if d.Ordered != nil {
			tx.OnCommit(d.Ordered)
		}
		return tx.Audit(ctx, by, cullet.AuditEntry{Act: cullet.ActPurgeOrdered, ItemType: "purge", ItemID: o.ID,
			ItemName: shown.Typed, Detail: map[string]string{"items": fmt.Sprint(len(shown.Items))}})
	})
	var stale *Stale
	if errors.As(err, &stale) {
		return o, d.refused(ctx, by, cmp.Or(shown.Typed, "an order"), err)
	}
	return o, err
}

// shown returns what the token confirms, if it is this person's, now.
func (d *Desk) shown(ctx context.Context, by cullet.Actor, token string) (c store.Confirmation, err error) {
	if token == "" {
		return c, &Stale{"the confirmation is missing"}
	}
	err = d.DB.View(ctx, func(tx *store.Tx) error {
		if c, err = tx.GetConfirmation(ctx, access.Digest(token)); errors.Is(err, store.ErrNoRow) {
			return &Stale{"this confirmation is not known"}
		} else if err != nil {
			return err
		}
		switch {
		case c.Workspace != by.Workspace || c.Person != by.ID || c.Session != by.Session:
			return &Stale{"this confirmation belongs to another session"}
		case !c.UsedAt.IsZero():
			return &Stale{"this confirmation was used before"}
		case !tx.Now.Before(c.ExpiresAt):
			return &Stale{"this confirmation is too old"}
		}
		return nil
	})
	return c, err
}

// given checks what the person typed.
func (d *Desk) given(ctx context.Context, by cullet.Actor, shown store.Confirmation, c Confirmation) error {
	if strings.TrimSpace(c.Typed) != shown.Typed {
		return cullet.E(cullet.Invalid, "the text does not fit: type %s, exactly", shown.Typed)
	}
	if shown.Everything && !by.CanDo(cullet.EmptyTrash) {
		return cullet.E(cullet.Forbidden, "only the workspace's owner can empty its Trash")
	}
	if shown.Password {
		return d.Access.Confirm(ctx, by.ID, c.Password, by.Address)
	}
	return nil
}

// refused audits the refusal and returns it (P2). What failed by itself is no refusal.
func (d *Desk) refused(ctx context.Context, by cullet.Actor, what string, why error) error {
	if cullet.CodeOf(why) == cullet.Internal {
		return why
	}
	if err := d.Bin.RefusePurge(ctx, by, what, cullet.MessageOf(why)); cullet.CodeOf(err) == cullet.Internal {
		return err
	}
	return why
}

// Report is an order and what became of its items.
type Report struct {
	store.Order
	Items   []store.OrderItem
	Deleted int
	Kept    int
	Waiting int
	Sums    store.PurgeSums
	Rows    int64 // that there are to remove, as far as they were counted
}

// Report returns an order of the workspace with its progress.
func (d *Desk) Report(ctx context.Context, by cullet.Actor, id string) (r Report, err error) {
	if err := by.Allow(cullet.ProjectRead); err != nil {
		return r, err
	}
	err = d.DB.View(ctx, func(tx *store.Tx) error {
		if r.Order, err = tx.GetOrder(ctx, by.Workspace, id); errors.Is(err, store.ErrNoRow) {
			return cullet.E(cullet.NotFound, "there is no permanent deletion %.60q in this workspace", id)
		} else if err != nil {
			return err
		}
		r.Items, err = tx.ListOrderItems(ctx, id)
		return err
	})
	for _, i := range r.Items {
		switch i.Result {
		case store.ResultDeleted:
			r.Deleted++
		case store.ResultKept:
			r.Kept++
		default:
			r.Waiting++
		}
		r.Sums.Rows += i.Done.Rows
		r.Sums.Files += i.Done.Files
		r.Sums.BytesFreed += i.Done.BytesFreed
		r.Sums.BytesKept += i.Done.BytesKept
		r.Rows += i.Rows
	}
	return r, err
}

// Running returns the workspace's orders that have not ended.
func (d *Desk) Running(ctx context.Context, by cullet.Actor) (all []store.Order, err error) {
	if err := by.Allow(cullet.ProjectRead); err != nil {
		return nil, err
	}
	err = d.DB.View(ctx, func(tx *store.Tx) error {
		all, err = tx.RunningOrders(ctx, by.Workspace)
		return err
	})
	return all, err
}

// Stop calls an order off: what has not begun stays in Trash. During the countdown
// that is everything.
func (d *Desk) Stop(ctx context.Context, by cullet.Actor, id string) error {
	if !by.CanDo(cullet.PurgeItems) {
		return cullet.E(cullet.Forbidden, "only an administrator who is signed in can stop a permanent deletion")
	}
	return d.DB.Update(ctx, func(tx *store.Tx) error {
		o, err := tx.TakeOrder(ctx, by.Workspace, id)
		if errors.Is(err, store.ErrNoRow) {
			return cullet.E(cullet.NotFound, "there is no permanent deletion %.60q in this workspace", id)
		} else if err != nil {
			return err
		}
		if o.State != store.OrderScheduled && o.State != store.OrderRunning {
			return cullet.E(cullet.Conflict, "this permanent deletion has ended already")
		}
		if o.State == store.OrderScheduled {
			if err := tx.MoveOrder(ctx, id, store.OrderScheduled, store.OrderStopped, by.Name); errors.Is(err, store.ErrNoRow) {
				return cullet.E(cullet.Conflict, "it has begun at this moment; stop it again to keep what has not begun")
			} else if err != nil {
				return err
			}
		}
		kept, err := tx.StopOrder(ctx, id, by.Name)
		if err != nil {
			return err
		}
		return tx.Audit(ctx, by, cullet.AuditEntry{Act: cullet.ActPurgeStopped, ItemType: "purge", ItemID: id,
			Detail: map[string]string{"kept": fmt.Sprint(kept)}})
	})
}

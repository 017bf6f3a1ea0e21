package purge

import (
	"context"
	"errors"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/failpoint"
	"github.com/cullet-vision/cullet/internal/store"
)

// orders takes each order whose countdown is over one step on: it begins the next
// item when the one before is gone, or ends the order.
func (e *Engine) orders(ctx context.Context) error {
	var open []store.Order
	err := e.DB.View(ctx, func(tx *store.Tx) (err error) {
		open, err = tx.OpenOrders(ctx)
		return err
	})
	if err != nil {
		return err
	}
	for _, o := range open {
		if err := e.order(ctx, o); err != nil && ctx.Err() != nil {
			return ctx.Err()
		} else if err != nil { // C11: it stops none of the others
			e.Log.Error("an order could not go on; it is tried again", "order", o.ID, "err", err)
		}
	}
	return nil
}

func (e *Engine) order(ctx context.Context, o store.Order) error {
	for {
		more, err := e.next(ctx, o)
		if err != nil || !more {
			return err
		}
		o.State = store.OrderRunning
	}
}

// next begins the first item of the order that waits, unless one is under way, and
// says whether to look again at once because it was kept.
func (e *Engine) next(ctx context.Context, o store.Order) (again bool, err error) {
	var items []store.OrderItem
	err = e.DB.View(ctx, func(tx *store.Tx) error {
		items, err = tx.ListOrderItems(ctx, o.ID)
		return err
	})
	if err != nil {
		return false, err
	}
	for _, i := range items {
		switch {
		case i.Result == store.ResultRunning && i.Problem == "":
			return false, nil
		case i.Result == store.ResultWaiting:
			return e.beginOrdered(ctx, o, i)
		}
	}
	return false, e.endOrder(ctx, o, items)
}

// beginOrdered moves one ordered item to purging, if it is as it was confirmed
// (P4); else it is kept, and the report says why.
func (e *Engine) beginOrdered(ctx context.Context, o store.Order, i store.OrderItem) (kept bool, err error) {
	rows := int64(0)
	err = e.DB.View(ctx, func(tx *store.Tx) error {
		t, err := tx.GetTrashItem(ctx, o.Workspace, i.Item)
		if errors.Is(err, store.ErrNoRow) {
			return nil
		} else if err != nil {
			return err
		}
		rows, err = tx.RowsBelow(ctx, t)
		return err
	})
	if err != nil {
		return false, err
	}
	err = e.DB.Update(failpoint.In(ctx, "order.item"), func(tx *store.Tx) error {
		kept = false
		now, err := tx.TakeOrder(ctx, o.Workspace, o.ID)
		if err != nil {
			return err
		}
		switch now.State {
		case store.OrderScheduled:
			if err := tx.MoveOrder(ctx, o.ID, store.OrderScheduled, store.OrderRunning, ""); err != nil {
				return err
			}
		case store.OrderRunning:
		default:
			return nil // called off at this moment
		}
		t, err := tx.GetTrashItem(ctx, o.Workspace, i.Item)
		reason := ""
		switch {
		case errors.Is(err, store.ErrNoRow):
			reason = "it left Trash meanwhile"
		case err != nil:
			return err
		case t.State == cullet.Trashed && t.Held(): // said before that it changed, which a hold is too
			reason = t.HeldWords()
		case t.Revision != i.Revision || t.State != cullet.Trashed:
			reason = "it changed after it was confirmed"
		default:
			if reason, err = beginAllowed(ctx, tx, t, o.ID); err != nil {
				return err
			}
		}
		if reason != "" {
			kept = true
			return ignoreNoRow(tx.ClaimOrderItem(ctx, o.ID, i.Item, store.ResultKept, reason))
		}
		if err := tx.ClaimOrderItem(ctx, o.ID, i.Item, store.ResultRunning, ""); err != nil {
			return err // stopped, or begun by another: nothing of this happens
		}
		if err := tx.SetOrderRows(ctx, o.ID, i.Item, rows); err != nil {
			return err
		}
		along, err := tx.GoingAlong(ctx, t.ID)
		if err != nil {
			return err
		}
		return audit(ctx, tx, orderer(o), cullet.ActPurgeBegan, t, along)
	})
	return kept, ignoreNoRow(err)
}

// beginAllowed begins the purge of an ordered item, or says why not.
func beginAllowed(ctx context.Context, tx *store.Tx, t cullet.TrashItem, order string) (reason string, err error) {
	if reason, err = forbidden(ctx, tx, t); err != nil || reason != "" {
		return reason, err
	}
	if err = tx.BeginOrdered(ctx, t, order); errors.Is(err, store.ErrNoRow) {
		return "it changed at this moment", nil
	}
	return "", err
}

func ignoreNoRow(err error) error {
	if errors.Is(err, store.ErrNoRow) {
		return nil
	}
	return err
}

// endOrder ends an order of which nothing waits any more.
func (e *Engine) endOrder(ctx context.Context, o store.Order, items []store.OrderItem) error {
	return e.DB.Update(failpoint.In(ctx, "order.end"), func(tx *store.Tx) error {
		now, err := tx.TakeOrder(ctx, o.Workspace, o.ID)
		if err != nil {
			return err
		}
		end := store.OrderFinished
		for _, i := range items {
			switch {
			case i.Problem != "": // it is tried again after the order has ended, and the report then tells
				end = store.OrderProblems
				if err := tx.SetOrderItem(ctx, o.ID, i.Item, store.ResultRunning, "it could not be deleted yet and is tried again: "+i.Problem, i.Done); err != nil {
					return err
				}
			case i.Reason != "" && now.StoppedBy == "":
				end = store.OrderProblems
			}
		}
		if now.StoppedBy != "" {
			end = store.OrderStopped
		}
		return ignoreNoRow(tx.MoveOrder(ctx, o.ID, now.State, end, ""))
	})
}

// orderer is the person who gave the order, as the audit names them.
func orderer(o store.Order) cullet.Actor {
	return cullet.Actor{Workspace: o.Workspace, ID: o.Person, Name: o.PersonName, Means: cullet.ByWeb, Address: o.Address}
}

// Package notify is warnings to people: webhooks, mail, and what the web app says
// before something is cleaned up (C10).
//
// Invariants:
//
//   - A notice is written down by the transaction that causes it (store.Notify), or
//     not at all. What happens afterwards, here, delays and undoes nothing of that.
//   - An item is warned of once for each step before its date, by whichever server
//     looks first: the mark on the item and the notice commit together.
//   - A webhook gets what it asked for at least once, the notices of one thing in
//     their order. A delivery's id and body stay the same over all tries.
//   - Nothing is sent into a private network unless the operator allows it
//     (package outward). Secrets, and addresses that may hold some, are in no log.
package notify

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/outward"
	"github.com/cullet-vision/cullet/internal/store"
)

// Desk is where people say what they want to be told, and see what was.
type Desk struct {
	DB    *store.DB
	Guard outward.Guard
}

// Hook is a webhook and how much is on its way to it.
type Hook struct {
	cullet.Webhook
	Waiting int64 // counted up to MostCounted
}

// Host is the part of the address that is safe to show: what follows may be secret.
func (h Hook) Host() string { return hostOf(h.URL) }

const (
	mostWebhooks = 20 // of a workspace
	// MostCounted is how far pages count.
	MostCounted = 1000
)

// allow lets administrators in who are signed in: no API key can say where notices go.
func allow(by cullet.Actor) error {
	if by.CanDo(cullet.ManageWebhooks) {
		return nil
	}
	return cullet.E(cullet.Forbidden, "webhooks are set up by the administrators and owners of the workspace, signed in to the web app")
}

// Webhooks lists the workspace's webhooks, oldest first.
func (d *Desk) Webhooks(ctx context.Context, by cullet.Actor) (all []Hook, err error) {
	if err := allow(by); err != nil {
		return nil, err
	}
	err = d.DB.View(ctx, func(tx *store.Tx) error {
		all = nil
		hooks, err := tx.ListWebhooks(ctx, by.Workspace)
		if err != nil {
			return err
		}
		for _, h := range hooks {
			n, err := tx.CountWaiting(ctx, h.ID, MostCounted)
			if err != nil {
				return err
			}
			all = append(all, Hook{h, n})
		}
		return nil
	})
	return all, err
}

// Wish is what a person asks for in a webhook.
type Wish struct {
	URL      string
	Choices  []string
	Disabled bool
}

func (d *Desk) check(w *Wish) (err error) {
	if w.URL, err = d.Guard.CheckURL(w.URL); err != nil {
		return err
	}
	if len(w.Choices) == 0 {
		return cullet.E(cullet.Invalid, "choose at least one event that the webhook is told of")
	}
	for _, c := range w.Choices {
		if !slices.Contains(cullet.Choices(), c) {
			return cullet.E(cullet.Invalid, "there is no event %.60q; the events are %v", c, cullet.Choices())
		}
	}
	return nil
}

// Create makes a webhook. Its secret is in the answer.
func (d *Desk) Create(ctx context.Context, by cullet.Actor, w Wish) (h cullet.Webhook, err error) {
	if err := allow(by); err != nil {
		return h, err
	}
	if err := d.check(&w); err != nil {
		return h, err
	}
	err = d.DB.Update(ctx, func(tx *store.Tx) error {
		there, err := tx.ListWebhooks(ctx, by.Workspace)
		if err != nil {
			return err
		}
		if len(there) >= mostWebhooks {
			return cullet.E(cullet.Conflict, "a workspace has %d webhooks at most; remove one first", mostWebhooks)
		}
		h = cullet.Webhook{ID: cullet.NewID(cullet.WebhookID), Workspace: by.Workspace, URL: w.URL, Secret: cullet.NewSecret("whsec"),
			Choices: w.Choices, CreatedBy: by.ID, CreatedByName: by.Name, CreatedAt: tx.Now}
		if err := tx.AddWebhook(ctx, h); err != nil {
			return err
		}
		return audit(ctx, tx, by, cullet.ActWebhookCreated, h, nil)
	})
	return h, err
}

// Change gives a webhook another address or other events, or switches it off or on.
// What waits for one that is off goes on its way when it is on again.
func (d *Desk) Change(ctx context.Context, by cullet.Actor, id string, w Wish) error {
	if err := d.check(&w); err != nil {
		return err
	}
	return d.with(ctx, by, id, func(tx *store.Tx, h cullet.Webhook) error {
		was := hostOf(h.URL)
		h.URL, h.Choices = w.URL, w.Choices
		switch {
		case !w.Disabled:
			h.DisabledAt = time.Time{}
		case h.DisabledAt.IsZero():
			h.DisabledAt = tx.Now
		}
		if err := audit(ctx, tx, by, cullet.ActWebhookChanged, h, map[string]string{"was": was}); err != nil {
			return err
		}
		return tx.UpdateWebhook(ctx, h) // last: who tells webhooks of something locks them after the audit
	})
}

// Remove ends a webhook. What waits for it is never sent.
func (d *Desk) Remove(ctx context.Context, by cullet.Actor, id string) error {
	return d.with(ctx, by, id, func(tx *store.Tx, h cullet.Webhook) error {
		if err := audit(ctx, tx, by, cullet.ActWebhookRemoved, h, nil); err != nil {
			return err
		}
		return tx.RemoveWebhook(ctx, by.Workspace, id)
	})
}

// Test has a webhook sent a ping, and returns the delivery's id.
func (d *Desk) Test(ctx context.Context, by cullet.Actor, id string) (delivery string, err error) {
	err = d.with(ctx, by, id, func(tx *store.Tx, h cullet.Webhook) error {
		if !h.DisabledAt.IsZero() {
			return cullet.E(cullet.Conflict, "this webhook is switched off; switch it on to test it")
		}
		ping := cullet.Notice{Topic: cullet.TopicPing, Workspace: by.Workspace, At: tx.Now, ItemType: "webhook", ItemID: h.ID, ItemName: hostOf(h.URL),
			By: by.Name, Means: by.Means, Detail: map[string]string{}}
		if err := audit(ctx, tx, by, cullet.ActWebhookTested, h, nil); err != nil {
			return err
		}
		delivery, err = tx.AddDeliveries(ctx, h, []cullet.Notice{ping})
		return err
	})
	return delivery, err
}

// with runs fn on a webhook of the workspace.
func (d *Desk) with(ctx context.Context, by cullet.Actor, id string, fn func(*store.Tx, cullet.Webhook) error) error {
	if err := allow(by); err != nil {
		return err
	}
	return d.DB.Update(ctx, func(tx *store.Tx) error {
		h, err := tx.GetWebhook(ctx, by.Workspace, id)
		if err == nil {
			err = fn(tx, h)
		}
		if errors.Is(err, store.ErrNoRow) {
			err = cullet.E(cullet.NotFound, "there is no webhook %.60q in this workspace", id)
		}
		return err
	})
}

func audit(ctx context.Context, tx *store.Tx, by cullet.Actor, act cullet.Act, h cullet.Webhook, detail map[string]string) error {
	if detail == nil {
		detail = map[string]string{}
	}
	if act == cullet.ActWebhookCreated || act == cullet.ActWebhookChanged {
		detail["events"] = fmt.Sprint(h.Choices)
		detail["works"] = fmt.Sprint(h.DisabledAt.IsZero())
	}
	return tx.Audit(ctx, by, cullet.AuditEntry{Act: act, ItemType: "webhook", ItemID: h.ID, ItemName: hostOf(h.URL), Detail: detail})
}

// hostOf is the part of an address that the audit and the log may hold.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// Sent is a delivery as pages show it.
type Sent struct {
	cullet.Delivery
	Host string
	Body string
}

// Deliveries returns one page of what was sent from the workspace, newest first, and
// whether there is more. It begins after the delivery with the given time and id.
func (d *Desk) Deliveries(ctx context.Context, by cullet.Actor, after time.Time, id string, limit int) (all []Sent, more bool, err error) {
	if err := allow(by); err != nil {
		return nil, false, err
	}
	err = d.DB.View(ctx, func(tx *store.Tx) error {
		all = nil
		ws, err := tx.GetWorkspaceByID(ctx, by.Workspace)
		if err != nil {
			return err
		}
		hooks, err := tx.ListWebhooks(ctx, by.Workspace)
		if err != nil {
			return err
		}
		hosts := map[string]string{}
		for _, h := range hooks {
			hosts[h.ID] = hostOf(h.URL)
		}
		found, err := tx.ListDeliveries(ctx, by.Workspace, after, id, limit+1)
		for _, f := range found {
			all = append(all, Sent{f, hosts[f.Webhook], string(body(f, ws.Slug))})
		}
		return err
	})
	if len(all) > limit {
		all, more = all[:limit], true
	}
	return all, more, err
}

// Retry has a delivery sent again, with the same id and body, for another 24 hours.
func (d *Desk) Retry(ctx context.Context, by cullet.Actor, id string) error {
	if err := allow(by); err != nil {
		return err
	}
	return d.DB.Update(ctx, func(tx *store.Tx) error {
		f, err := tx.GetDelivery(ctx, by.Workspace, id)
		if errors.Is(err, store.ErrNoRow) {
			return cullet.E(cullet.NotFound, "there is no delivery %.60q in this workspace; they are kept %d days", id, int(keep/day))
		} else if err != nil {
			return err
		}
		h, err := tx.GetWebhook(ctx, by.Workspace, f.Webhook)
		if err != nil {
			return err
		}
		if err := tx.BeginDelivery(ctx, id); errors.Is(err, store.ErrNoRow) {
			return cullet.E(cullet.Conflict, "this delivery is being sent at this moment")
		} else if err != nil {
			return err
		}
		return audit(ctx, tx, by, cullet.ActWebhookRetried, h, map[string]string{"delivery": id})
	})
}

const day = 24 * time.Hour

// soon is how far ahead the web app's banner looks.
const soon = 7 * day

// Banner is what is said on every page before something is cleaned up.
type Banner struct {
	Items int64 // counted up to MostCounted
	First cullet.TrashItem
}

// Banner returns what the person is to be told of what is cleaned up within 7 days;
// no items: nothing, or nothing new since it was put away.
func (d *Desk) Banner(ctx context.Context, by cullet.Actor) (b Banner, err error) {
	if err := by.Allow(cullet.ProjectRead); err != nil {
		return b, err
	}
	err = d.DB.View(ctx, func(tx *store.Tx) error {
		b = Banner{}
		before := tx.Now.Add(soon)
		due, err := tx.FindSoonDue(ctx, by.Workspace, before, MostCounted)
		if err != nil || due.Items == 0 {
			return err
		}
		fresh, err := tx.NewSince(ctx, by.Workspace, by.ID, before)
		if fresh {
			b = Banner{due.Items, due.First}
		}
		return err
	})
	return b, err
}

// PutAway has the banner gone for a person until something new is due.
func (d *Desk) PutAway(ctx context.Context, by cullet.Actor) error {
	if err := by.Allow(cullet.ProjectRead); err != nil {
		return err
	}
	return d.DB.Update(ctx, func(tx *store.Tx) error {
		due, err := tx.FindSoonDue(ctx, by.Workspace, tx.Now.Add(soon), MostCounted)
		if err != nil || due.Items == 0 {
			return err
		}
		return tx.PutAway(ctx, by.Workspace, by.ID, due.Last)
	})
}

package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cullet-vision/cullet"
)

// This file is the outbox: notices, written down by the transaction that causes
// them, once for each webhook that asked for them, and their way there (C10).

// Notify has a notice written down with what this transaction does. It is written
// last, when the transaction is about to commit: webhooks are locked after
// everything else. Where a workspace has no webhook that costs one read.
func (tx *Tx) Notify(n cullet.Notice) {
	n.At = tx.Now
	tx.notices = append(tx.notices, n)
}

// writeNotices writes down what Notify was called with, workspaces and webhooks in
// the order of their ids, so that no two transactions wait for each other.
func (tx *Tx) writeNotices(ctx context.Context) error {
	by := map[string][]cullet.Notice{}
	for _, n := range tx.notices {
		by[n.Workspace] = append(by[n.Workspace], n)
	}
	workspaces := make([]string, 0, len(by))
	for w := range by {
		workspaces = append(workspaces, w)
	}
	slices.Sort(workspaces)
	for _, w := range workspaces {
		hooks, err := queryAll(ctx, tx, scanWebhook, `SELECT `+webhookColumns+` FROM webhooks
			WHERE workspace_id = $1 AND disabled_at = 0 AND removed_at = 0 ORDER BY id`, w)
		if err != nil {
			return err
		}
		for _, h := range hooks {
			if err := tx.deliver(ctx, h, by[w]); err != nil {
				return err
			}
		}
	}
	return nil
}

// deliver puts the notices that a webhook asked for on their way.
func (tx *Tx) deliver(ctx context.Context, h cullet.Webhook, notices []cullet.Notice) error {
	wanted := slices.DeleteFunc(slices.Clone(notices), func(n cullet.Notice) bool { return !n.Topic.Wanted(h.Choices) })
	if len(wanted) == 0 {
		return nil
	}
	_, err := tx.AddDeliveries(ctx, h, wanted)
	if errors.Is(err, ErrNoRow) {
		return nil // removed at this moment
	}
	return err
}

// AddDeliveries puts notices on their way to a webhook, in this order, and returns
// the id of the last; ErrNoRow: the webhook was removed.
func (tx *Tx) AddDeliveries(ctx context.Context, h cullet.Webhook, notices []cullet.Notice) (last string, err error) {
	seq, err := queryOne(ctx, tx, scanInt, `UPDATE webhooks SET seq = seq + $2 WHERE id = $1 AND removed_at = 0 RETURNING seq`, h.ID, len(notices))
	if err != nil {
		return "", err
	}
	seq -= int64(len(notices))
	for some := range slices.Chunk(notices, 50) {
		q := newQuery(`INSERT INTO deliveries (id, webhook_id, workspace_id, seq, about, notice, created_at, state) VALUES `)
		for n, notice := range some {
			if n > 0 {
				q.add(", ")
			}
			seq++
			last = cullet.NewID(cullet.DeliveryID)
			about := notice.Target
			if about == "" {
				about = notice.ItemID
			}
			q.add("(?, ?, ?, ?, ?, ?, ?, ?)", last, h.ID, h.Workspace, seq, about, toJSON(notice), micros(tx.Now), cullet.DeliveryWaiting)
		}
		if _, err := tx.exec(ctx, q.text(), q.args...); err != nil {
			return "", err
		}
	}
	return last, nil
}

const webhookColumns = `id, workspace_id, url, secret, choices, created_by, created_by_name, created_at, disabled_at`

func scanWebhook(r row) (h cullet.Webhook, err error) {
	var choices string
	err = r.Scan(&h.ID, &h.Workspace, &h.URL, &h.Secret, &choices, &h.CreatedBy, &h.CreatedByName, instant{&h.CreatedAt}, instant{&h.DisabledAt})
	if err == nil {
		err = fromJSON(choices, &h.Choices)
	}
	return h, err
}

// AddWebhook keeps a new webhook.
func (tx *Tx) AddWebhook(ctx context.Context, h cullet.Webhook) error {
	_, err := tx.exec(ctx, `INSERT INTO webhooks (`+webhookColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		h.ID, h.Workspace, h.URL, h.Secret, toJSON(h.Choices), h.CreatedBy, h.CreatedByName, micros(h.CreatedAt), micros(h.DisabledAt))
	return err
}

// GetWebhook returns a webhook of the workspace, or ErrNoRow.
func (tx *Tx) GetWebhook(ctx context.Context, workspace, id string) (cullet.Webhook, error) {
	return queryOne(ctx, tx, scanWebhook, `SELECT `+webhookColumns+` FROM webhooks WHERE workspace_id = $1 AND id = $2 AND removed_at = 0`, workspace, id)
}

// ListWebhooks lists the webhooks of the workspace, oldest first.
func (tx *Tx) ListWebhooks(ctx context.Context, workspace string) ([]cullet.Webhook, error) {
	return queryAll(ctx, tx, scanWebhook, `SELECT `+webhookColumns+` FROM webhooks WHERE workspace_id = $1 AND removed_at = 0 ORDER BY created_at, id`, workspace)
}

// UpdateWebhook keeps a webhook's address, choices and whether it works.
func (tx *Tx) UpdateWebhook(ctx context.Context, h cullet.Webhook) error {
	return tx.execOne(ctx, `UPDATE webhooks SET url = $3, choices = $4, disabled_at = $5 WHERE workspace_id = $1 AND id = $2 AND removed_at = 0`,
		h.Workspace, h.ID, h.URL, toJSON(h.Choices), micros(h.DisabledAt))
}

// RemoveWebhook ends a webhook. Its rows go later, some at a time, by ForgetOld.
func (tx *Tx) RemoveWebhook(ctx context.Context, workspace, id string) error {
	return tx.execOne(ctx, `UPDATE webhooks SET removed_at = $3 WHERE workspace_id = $1 AND id = $2 AND removed_at = 0`, workspace, id, micros(tx.Now))
}

const deliveryColumns = `d.id, d.webhook_id, d.seq, d.notice, d.state, d.tries, d.first_at, d.next_at, d.done_at, d.status, d.took_us, d.answer, d.problem`

func scanDelivery(r row) (d cullet.Delivery, err error) {
	var notice string
	var took int64
	err = r.Scan(&d.ID, &d.Webhook, &d.Seq, &notice, &d.State, &d.Tries, instant{&d.FirstAt}, instant{&d.NextAt}, instant{&d.DoneAt},
		&d.Status, &took, &d.Answer, &d.Problem)
	d.Took = time.Duration(took) * time.Microsecond
	if err == nil {
		err = fromJSON(notice, &d.Notice)
	}
	return d, err
}

// GetDelivery returns a delivery of the workspace, or ErrNoRow.
func (tx *Tx) GetDelivery(ctx context.Context, workspace, id string) (cullet.Delivery, error) {
	return queryOne(ctx, tx, scanDelivery, `SELECT `+deliveryColumns+` FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id
		WHERE d.workspace_id = $1 AND d.id = $2 AND w.removed_at = 0`, workspace, id)
}

// ListDeliveries returns up to limit deliveries of the workspace, newest first,
// from the one before the given notice's time and id on; a zero time begins.
func (tx *Tx) ListDeliveries(ctx context.Context, workspace string, before time.Time, id string, limit int) ([]cullet.Delivery, error) {
	q := newQuery(`SELECT `+deliveryColumns+` FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id WHERE d.workspace_id = $1 AND w.removed_at = 0`, workspace)
	if !before.IsZero() {
		q.and(`(d.created_at < ? OR d.created_at = ? AND d.id < ?)`, micros(before), micros(before), id)
	}
	q.add(` ORDER BY d.created_at DESC, d.id DESC LIMIT ?`, limit)
	return queryAll(ctx, tx, scanDelivery, q.text(), q.args...)
}

// CountWaiting counts what is on its way to a webhook, up to most.
func (tx *Tx) CountWaiting(ctx context.Context, webhook string, most int) (int64, error) {
	return queryOne(ctx, tx, scanInt, `SELECT COUNT(*) FROM (SELECT 1 AS one FROM deliveries WHERE webhook_id = $1 AND state = $2 LIMIT $3) AS few`,
		webhook, cullet.DeliveryWaiting, most)
}

// DueWebhooks returns the webhooks, over all workspaces, to which something is to
// be sent now.
func (tx *Tx) DueWebhooks(ctx context.Context) ([]cullet.Webhook, error) {
	return queryAll(ctx, tx, scanWebhook, `SELECT `+webhookColumns+` FROM webhooks w WHERE disabled_at = 0 AND removed_at = 0
		AND EXISTS (SELECT 1 FROM deliveries d WHERE d.webhook_id = w.id AND d.state = $1 AND d.next_at <= $2) ORDER BY id`,
		cullet.DeliveryWaiting, micros(tx.Now))
}

// ClaimDeliveries takes up to limit deliveries to a webhook for a worker, for the
// time of the lease: those whose time has come and that are the first of their
// thing, so that a later notice of a thing waits for the earlier one, and other
// things go on. A lease that ends later than one taken now was left by a clock that
// went back.
func (tx *Tx) ClaimDeliveries(ctx context.Context, webhook, worker string, lease time.Duration, limit int) ([]cullet.Delivery, error) {
	now, until := micros(tx.Now), micros(tx.Now.Add(lease))
	due, err := queryAll(ctx, tx, scanDelivery, `SELECT `+deliveryColumns+` FROM deliveries d WHERE d.webhook_id = $1 AND d.state = $2 AND d.next_at <= $3
		AND (d.lease_until <= $3 OR d.lease_until > $4)
		AND NOT EXISTS (SELECT 1 FROM deliveries e WHERE e.webhook_id = d.webhook_id AND e.about = d.about AND e.state = $2 AND e.seq < d.seq)
		ORDER BY d.next_at, d.seq LIMIT $5`, webhook, cullet.DeliveryWaiting, now, until, limit)
	if err != nil {
		return nil, err
	}
	var mine []cullet.Delivery
	for _, d := range due {
		n, err := tx.exec(ctx, `UPDATE deliveries SET lease_owner = $2, lease_until = $3 WHERE id = $1 AND state = $4 AND next_at <= $5
			AND (lease_until <= $5 OR lease_until > $3)`, d.ID, worker, until, cullet.DeliveryWaiting, now)
		if err != nil {
			return nil, err
		}
		if n == 1 { // else another worker was faster
			mine = append(mine, d)
		}
	}
	return mine, nil
}

// RecordDelivery keeps how a try ended, of a delivery that the worker still holds;
// else nothing changes.
func (tx *Tx) RecordDelivery(ctx context.Context, d cullet.Delivery, worker string) error {
	_, err := tx.exec(ctx, `UPDATE deliveries SET state = $3, tries = $4, first_at = $5, next_at = $6, done_at = $7, status = $8, took_us = $9,
		answer = $10, problem = $11, lease_owner = '', lease_until = 0 WHERE id = $1 AND lease_owner = $2`,
		d.ID, worker, d.State, d.Tries, micros(d.FirstAt), micros(d.NextAt), micros(d.DoneAt), d.Status, d.Took.Microseconds(), clean(d.Answer), clean(d.Problem))
	return err
}

// BeginDelivery has a delivery that nobody holds tried anew; ErrNoRow: it is being
// sent at this moment, or was removed.
func (tx *Tx) BeginDelivery(ctx context.Context, id string) error {
	return tx.execOne(ctx, `UPDATE deliveries SET state = $2, next_at = 0, first_at = 0 WHERE id = $1 AND (lease_until <= $3 OR state <> $2)`,
		id, cullet.DeliveryWaiting, micros(tx.Now))
}

// ForgetOld removes up to limit deliveries and mails from before the given time, and
// of webhooks that were removed, and says how many rows it removed.
func (tx *Tx) ForgetOld(ctx context.Context, before time.Time, limit int) (int64, error) {
	total := int64(0)
	for _, s := range []struct {
		statement string
		args      []any
	}{
		{`DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE created_at < $1 LIMIT $2)`, []any{micros(before), limit}},
		{`DELETE FROM deliveries WHERE id IN (SELECT d.id FROM webhooks w JOIN deliveries d ON d.webhook_id = w.id WHERE w.removed_at > 0 LIMIT $1)`, []any{limit}},
		{`DELETE FROM webhooks WHERE removed_at > 0 AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.webhook_id = webhooks.id)`, nil},
		{`DELETE FROM mails WHERE id IN (SELECT id FROM mails WHERE created_at < $1 LIMIT $2)`, []any{micros(before), limit}},
	} {
		n, err := tx.exec(ctx, s.statement, s.args...)
		if err != nil {
			return total, err
		}
		total += n
	}
	return total, nil
}

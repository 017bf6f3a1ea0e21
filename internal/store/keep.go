package store

import (
	"context"
	"time"

	"github.com/cullet-vision/cullet"
)

// This file keeps things in Trash longer: holds and later dates (C8), and the watch
// over the clock (C6).

// TakeTrashed locks a trashed item with its parents' items against every other act on
// them, its roots first, and returns it; ErrNoRow: it is not in Trash any more, or
// being purged.
func (tx *Tx) TakeTrashed(ctx context.Context, workspace, id string) (cullet.TrashItem, error) {
	t, err := tx.GetTrashItem(ctx, workspace, id)
	if err != nil {
		return t, err
	}
	// The project is shared first, so that no deletion of it counts the dates below it
	// at this moment and misses this one.
	if t.Project != "" {
		if _, err := queryAll(ctx, tx, scanText, `SELECT id FROM projects WHERE id = $1`+forShare(tx), t.Project); err != nil {
			return t, err
		}
	}
	if err := tx.lockTrash(ctx, `id = $1 OR target_id IN ($2, $3)`, t.ID, t.Project, t.Version); err != nil {
		return t, err
	}
	if t, err = tx.GetTrashItem(ctx, workspace, id); err == nil && t.State != cullet.Trashed {
		return t, ErrNoRow
	}
	return t, err
}

// HoldItem holds an item until it is released; ErrNoRow: it is held already.
func (tx *Tx) HoldItem(ctx context.Context, id, by, reason string) error {
	return tx.execOne(ctx, `UPDATE trash_items SET held_at = $2, held_by = $3, hold_reason = $4, revision = revision + 1 WHERE id = $1 AND held_at = 0`,
		id, micros(tx.Now), by, reason)
}

// ReleaseItem ends a hold; ErrNoRow: it is not held.
func (tx *Tx) ReleaseItem(ctx context.Context, id string) error {
	return tx.execOne(ctx, `UPDATE trash_items SET held_at = 0, held_by = '', hold_reason = '', revision = revision + 1 WHERE id = $1 AND held_at > 0`, id)
}

// PostponeItem moves an item's cleanup to a later date, and those of the parents in
// Trash with it; a date that is not later changes nothing (C7, C8).
func (tx *Tx) PostponeItem(ctx context.Context, t cullet.TrashItem, until time.Time) error {
	if _, err := tx.exec(ctx, `UPDATE trash_items SET cleanup_at = $2, revision = revision + 1 WHERE id = $1 AND cleanup_at < $2`, t.ID, micros(until)); err != nil {
		return err
	}
	_, err := tx.exec(ctx, `UPDATE trash_items SET effective_at = $2 WHERE effective_at < $2 AND (id = $1
		OR type = 'project' AND target_id = $3 OR type = 'version' AND target_id = $4)`, t.ID, micros(until), t.Project, t.Version)
	return err
}

const watchColumns = `seen_at, wait_id, wait_why, wait_began, wait_until, trusted_at`

func scanWatch(r row) (w cullet.ClockWatch, err error) {
	return w, r.Scan(instant{&w.SeenAt}, &w.Wait, &w.Why, instant{&w.Began}, instant{&w.Until}, instant{&w.TrustedAt})
}

// ClockWatch returns what cleanup knows of the clock.
func (tx *Tx) ClockWatch(ctx context.Context) (cullet.ClockWatch, error) {
	return queryOne(ctx, tx, scanWatch, `SELECT `+watchColumns+` FROM clock_watch`)
}

// TakeClockWatch is ClockWatch, and keeps other servers from looking meanwhile.
func (tx *Tx) TakeClockWatch(ctx context.Context) (cullet.ClockWatch, error) {
	return queryOne(ctx, tx, scanWatch, `SELECT `+watchColumns+` FROM clock_watch`+forUpdate(tx))
}

// SetClockWatch keeps it.
func (tx *Tx) SetClockWatch(ctx context.Context, w cullet.ClockWatch) error {
	return tx.execOne(ctx, `UPDATE clock_watch SET seen_at = $1, wait_id = $2, wait_why = $3, wait_began = $4, wait_until = $5, trusted_at = $6`,
		micros(w.SeenAt), w.Wait, w.Why, micros(w.Began), micros(w.Until), micros(w.TrustedAt))
}

// LiftWait keeps that a workspace's people lifted the wait with the id.
func (tx *Tx) LiftWait(ctx context.Context, workspace, wait string) error {
	return tx.execOne(ctx, `UPDATE workspaces SET lifted_wait = $2 WHERE id = $1`, workspace, wait)
}

// ServerTime is the database's own clock, zero where it runs in this process and has none.
func (db *DB) ServerTime(ctx context.Context) (t time.Time, err error) {
	if db.conn.Dialect.Name() != "postgres" {
		return t, nil
	}
	err = db.View(ctx, func(tx *Tx) error {
		t, err = queryOne(ctx, tx, func(r row) (t time.Time, err error) { return t, r.Scan(instant{&t}) },
			`SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)`)
		return err
	})
	return t, err
}

// WaitingItems counts a workspace's items whose date has come but which cleanup does
// not touch before its wait is over, up to 1,001, and returns the first most of them.
func (tx *Tx) WaitingItems(ctx context.Context, workspace string, w cullet.ClockWatch, most int) (n int64, some []cullet.TrashItem, err error) {
	const waiting = `WHERE t.workspace_id = $1 AND t.state = 'trashed' AND t.effective_at > $2 AND t.effective_at <= $3 AND ` + notHeld
	if n, err = queryOne(ctx, tx, scanInt, `SELECT COUNT(*) FROM (SELECT 1 AS one FROM trash_items t `+waiting+` LIMIT 1001) AS counted`, workspace, micros(w.TrustedAt), micros(tx.Now)); err != nil {
		return 0, nil, err
	}
	some, err = queryAll(ctx, tx, scanTrash, `SELECT `+trashColumns+fromTrash+waiting+` ORDER BY t.effective_at, t.id LIMIT $4`,
		workspace, micros(w.TrustedAt), micros(tx.Now), most)
	return n, some, err
}

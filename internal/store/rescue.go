package store

import (
	"context"
	"time"

	"github.com/cullet-vision/cullet"
)

// The states of a rescue, and the results of its items.
const (
	RescueRunning  = "running"
	RescueFinished = "finished"

	RescueWaiting  = ""
	RescueRestored = "restored"
	RescueLeft     = "left"
)

// Rescue is one operation that brings back what a filter chose.
type Rescue struct {
	ID        string
	Workspace string
	Actor     cullet.Actor // who asked, with the rights of that moment
	Filter    string       // JSON
	Rename    bool         // what lost its slug comes back under a free one
	State     string
	Items     int64
	BeganAt   time.Time
	EndedAt   time.Time
}

// RescueItem is one item of a rescue, in the order in which they are restored.
type RescueItem struct {
	Position int64
	Item     string
	Type     cullet.Trashable
	Name     string
	Added    bool   // a parent that was not asked for but has to come first (R2)
	Result   string // RescueWaiting, …
	Reason   string // why it was left
	Slug     string // that it was given, or that it could be given
}

const rescueColumns = `id, workspace_id, actor, filter, rename, state, items, began_at, ended_at`

func scanRescue(r row) (x Rescue, err error) {
	var actor string
	err = r.Scan(&x.ID, &x.Workspace, &actor, &x.Filter, &x.Rename, &x.State, &x.Items, instant{&x.BeganAt}, instant{&x.EndedAt})
	if err == nil {
		err = fromJSON(actor, &x.Actor)
	}
	return x, err
}

// AddRescue keeps a new rescue with its items.
func (tx *Tx) AddRescue(ctx context.Context, r Rescue, items []RescueItem) error {
	_, err := tx.exec(ctx, `INSERT INTO rescues (`+rescueColumns+`, actor_name, beat_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $8)`,
		r.ID, r.Workspace, toJSON(r.Actor), r.Filter, r.Rename, r.State, r.Items, micros(r.BeganAt), micros(r.EndedAt), r.Actor.Name)
	for _, i := range items {
		if err != nil {
			return err
		}
		_, err = tx.exec(ctx, `INSERT INTO rescue_items (rescue_id, position, item_id, type, name, added) VALUES ($1, $2, $3, $4, $5, $6)`,
			r.ID, i.Position, i.Item, i.Type, i.Name, i.Added)
	}
	return err
}

// GetRescue returns a rescue of the workspace, or of any where it is "", or ErrNoRow.
func (tx *Tx) GetRescue(ctx context.Context, workspace, id string) (Rescue, error) {
	return queryOne(ctx, tx, scanRescue, `SELECT `+rescueColumns+` FROM rescues WHERE id = $1 AND (workspace_id = $2 OR $2 = '')`, id, workspace)
}

// ListRescues returns a workspace's rescues, newest first.
func (tx *Tx) ListRescues(ctx context.Context, workspace string, limit int) ([]Rescue, error) {
	return queryAll(ctx, tx, scanRescue, `SELECT `+rescueColumns+` FROM rescues WHERE workspace_id = $1 ORDER BY began_at DESC, id LIMIT $2`, workspace, limit)
}

// RunningRescues returns a workspace's rescues that are under way, oldest first.
func (tx *Tx) RunningRescues(ctx context.Context, workspace string) ([]Rescue, error) {
	return queryAll(ctx, tx, scanRescue, `SELECT `+rescueColumns+` FROM rescues WHERE workspace_id = $1 AND ended_at = 0 ORDER BY began_at, id`, workspace)
}

const rescueItemColumns = `position, item_id, type, name, added, result, reason, slug`

func scanRescueItem(r row) (i RescueItem, err error) {
	return i, r.Scan(&i.Position, &i.Item, &i.Type, &i.Name, &i.Added, &i.Result, &i.Reason, &i.Slug)
}

// NextRescueItem returns the next item that waits, or ErrNoRow.
func (tx *Tx) NextRescueItem(ctx context.Context, rescue string) (RescueItem, error) {
	return queryOne(ctx, tx, scanRescueItem, `SELECT `+rescueItemColumns+` FROM rescue_items WHERE rescue_id = $1 AND result = '' ORDER BY position LIMIT 1`, rescue)
}

// ListRescueItems returns items of a rescue, those left out first.
func (tx *Tx) ListRescueItems(ctx context.Context, rescue string, limit int) ([]RescueItem, error) {
	return queryAll(ctx, tx, scanRescueItem, `SELECT `+rescueItemColumns+` FROM rescue_items WHERE rescue_id = $1
		ORDER BY CASE result WHEN 'left' THEN 0 ELSE 1 END, position LIMIT $2`, rescue, limit)
}

// RescueSums counts the items of a rescue that are back, and those left out.
func (tx *Tx) RescueSums(ctx context.Context, rescue string) (restored, left int64, err error) {
	type sums struct{ restored, left int64 }
	s, err := queryOne(ctx, tx, func(r row) (s sums, err error) { return s, r.Scan(&s.restored, &s.left) },
		`SELECT CAST(COALESCE(SUM(CASE WHEN result = 'restored' THEN 1 ELSE 0 END), 0) AS BIGINT),
			CAST(COALESCE(SUM(CASE WHEN result = 'left' THEN 1 ELSE 0 END), 0) AS BIGINT) FROM rescue_items WHERE rescue_id = $1`, rescue)
	return s.restored, s.left, err
}

// SetRescueItem keeps what became of an item that waits, and that the rescue is alive;
// ErrNoRow: another run was first.
func (tx *Tx) SetRescueItem(ctx context.Context, rescue string, position int64, result, reason, slug string) error {
	if err := tx.execOne(ctx, `UPDATE rescue_items SET result = $3, reason = $4, slug = $5 WHERE rescue_id = $1 AND position = $2 AND result = ''`,
		rescue, position, result, reason, slug); err != nil {
		return err
	}
	_, err := tx.exec(ctx, `UPDATE rescues SET beat_at = $2 WHERE id = $1`, rescue, micros(tx.Now))
	return err
}

// EndRescue ends a rescue of which nothing waits any more; ErrNoRow: it has ended.
func (tx *Tx) EndRescue(ctx context.Context, id string) error {
	return tx.execOne(ctx, `UPDATE rescues SET state = 'finished', ended_at = $2 WHERE id = $1 AND ended_at = 0`, id, micros(tx.Now))
}

// TakeSilentRescues returns rescues that gave no sign since the time, and marks them as
// seen to.
func (tx *Tx) TakeSilentRescues(ctx context.Context, since time.Time) ([]string, error) {
	return queryAll(ctx, tx, scanText, `UPDATE rescues SET beat_at = $2 WHERE ended_at = 0 AND beat_at < $1 RETURNING id`, micros(since), micros(tx.Now))
}

package store

import (
	"context"
	"time"

	"github.com/cullet-vision/cullet"
)

// This file sees below what is active: it says how the Trash stands, in numbers, and
// changes nothing. Both the metrics and the status that a person asks for come from it.

// Standing is how an item of Trash stands. Each item has exactly one.
type Standing string

// The standings.
const (
	StandsTrashed Standing = "trashed" // it lies there, or waits for cleanup's next look
	StandsHeld    Standing = "held"    // itself, or by what lies below it (C8)
	StandsPurging Standing = "purging" // its purge has begun
	StandsProblem Standing = "problem" // its purge met a problem, and is tried again (C11)
)

// Standings lists them.
func Standings() []Standing {
	return []Standing{StandsTrashed, StandsHeld, StandsPurging, StandsProblem}
}

// TrashStatus is how the Trash of a workspace stands, at one instant.
type TrashStatus struct {
	Workspace string // id
	Total     map[cullet.Trashable]TrashTotal
	Items     map[cullet.Trashable]map[Standing]int64 // they add up to the total
	Cleanup   PurgeStatus                             // what cleanup has begun with
	Ordered   PurgeStatus                             // what people ordered
	DueSince  time.Time                               // date of the item that is due longest and may go, or goes by cleanup; zero: none
	Waits     bool                                    // whether cleanup waits here (C6)
	Waiting   int64                                   // items whose date has come and which it does not touch before
}

// PurgeStatus is how far the purges that have begun are, together.
type PurgeStatus struct {
	Items    int64 // roots: what goes along with one is no item of its own here
	Rows     int64 // removed so far
	Expected int64 // rows that there were, of ordered ones alone: cleanup does not count before it begins
	Bytes    int64 // of files removed so far
}

// TrashStatus says how the Trash stands in the workspace, or in each where it is "". What
// lies there is not counted but kept (trash_counts); what is counted is what is held, due,
// or being purged, each by its index.
func (tx *Tx) TrashStatus(ctx context.Context, workspace string) ([]TrashStatus, error) {
	watch, err := tx.ClockWatch(ctx)
	if err != nil {
		return nil, err
	}
	all, err := tx.beginStatus(ctx, workspace, watch)
	if err != nil {
		return nil, err
	}
	by := map[string]*TrashStatus{}
	for n := range all {
		by[all[n].Workspace] = &all[n]
	}
	for _, count := range []func(context.Context, string, cullet.ClockWatch, map[string]*TrashStatus) error{
		tx.statusTotals, tx.statusHeld, tx.statusPurging, tx.statusExpected, tx.statusDue,
	} {
		if err := count(ctx, workspace, watch, by); err != nil {
			return nil, err
		}
	}
	for n := range all {
		all[n].rest()
	}
	return all, nil
}

// beginStatus lists the workspaces, with nothing counted.
func (tx *Tx) beginStatus(ctx context.Context, workspace string, watch cullet.ClockWatch) (all []TrashStatus, err error) {
	of := []cullet.Workspace{{}}
	if workspace == "" {
		of, err = tx.ListWorkspaces(ctx)
	} else {
		of[0], err = tx.GetWorkspaceByID(ctx, workspace)
	}
	if err != nil {
		return nil, err
	}
	for _, w := range of {
		s := TrashStatus{Workspace: w.ID, Waits: watch.Waits(w.LiftedWait), Total: map[cullet.Trashable]TrashTotal{}, Items: map[cullet.Trashable]map[Standing]int64{}}
		for _, t := range cullet.TrashableTypes() {
			s.Items[t] = map[Standing]int64{}
		}
		all = append(all, s)
	}
	return all, nil
}

// rest: what has no other standing lies in Trash.
func (s *TrashStatus) rest() {
	for t, items := range s.Items {
		items[StandsTrashed] = max(0, s.Total[t].Items-items[StandsHeld]-items[StandsPurging]-items[StandsProblem])
	}
}

// due takes the date of what may go into account.
func (s *TrashStatus) due(since time.Time) {
	if !since.IsZero() && (s.DueSince.IsZero() || since.Before(s.DueSince)) {
		s.DueSince = since
	}
}

// counted is a group of items.
type counted struct {
	workspace   string
	typ         cullet.Trashable
	mark        bool // what the statement asks
	problem     bool
	items       int64
	roots       int64
	rows, bytes int64
	first       time.Time // soonest date
}

func scanCounted(r row) (c counted, err error) {
	var mark, problem int64
	err = r.Scan(&c.workspace, &c.typ, &mark, &problem, &c.items, &c.roots, &c.rows, &c.bytes, instant{&c.first})
	c.mark, c.problem = mark > 0, problem > 0
	return c, err
}

func (tx *Tx) statusTotals(ctx context.Context, workspace string, _ cullet.ClockWatch, by map[string]*TrashStatus) error {
	all, err := queryAll(ctx, tx, func(r row) (c counted, err error) {
		return c, r.Scan(&c.workspace, &c.typ, &c.items, &c.bytes)
	}, `SELECT workspace_id, type, items, bytes FROM trash_counts WHERE `+inWorkspace("workspace_id", workspace), workspace)
	for _, c := range all {
		by[c.workspace].Total[c.typ] = TrashTotal{Items: c.items, Bytes: c.bytes}
	}
	return err
}

// inWorkspace is the condition that a row is of the workspace $1, or of any where it is "".
func inWorkspace(column, workspace string) string {
	if workspace == "" {
		return `$1 = ''`
	}
	return column + ` = $1`
}

// heldOnce is heldItems, each once: joined with, it is looked up by its ids.
const heldOnce = `(SELECT DISTINCT id FROM (` + heldItems + `) AS every)`

func (tx *Tx) statusHeld(ctx context.Context, workspace string, _ cullet.ClockWatch, by map[string]*TrashStatus) error {
	all, err := queryAll(ctx, tx, func(r row) (c counted, err error) {
		return c, r.Scan(&c.workspace, &c.typ, &c.items)
	}, `SELECT t.workspace_id, t.type, SUM(CASE WHEN t.state = $2 THEN 1 ELSE 0 END) FROM `+heldOnce+` AS h JOIN trash_items t ON t.id = h.id
		WHERE `+inWorkspace("t.workspace_id", workspace)+` GROUP BY t.workspace_id, t.type`, workspace, cullet.Trashed)
	for _, c := range all {
		by[c.workspace].Items[c.typ][StandsHeld] += c.items
	}
	return err
}

// statusPurging counts what is being purged; its mark is that a person ordered it.
func (tx *Tx) statusPurging(ctx context.Context, workspace string, _ cullet.ClockWatch, by map[string]*TrashStatus) error {
	all, err := queryAll(ctx, tx, scanCounted, `SELECT t.workspace_id, t.type, CASE WHEN t.purge_order <> '' THEN 1 ELSE 0 END AS mark,
			CASE WHEN t.problem <> '' THEN 1 ELSE 0 END AS stuck, COUNT(*), SUM(CASE WHEN t.purged_with = '' THEN 1 ELSE 0 END),
			CAST(SUM(t.done_rows) AS BIGINT), CAST(SUM(t.done_bytes) AS BIGINT), MIN(t.effective_at)
		FROM trash_items t WHERE t.state = $2 AND `+inWorkspace("t.workspace_id", workspace)+` GROUP BY 1, 2, 3, 4`, workspace, cullet.Purging)
	for _, c := range all {
		s := by[c.workspace]
		if c.problem {
			s.Items[c.typ][StandsProblem] += c.items
		} else {
			s.Items[c.typ][StandsPurging] += c.items
		}
		p := &s.Ordered
		if !c.mark {
			p = &s.Cleanup
			s.due(c.first)
		}
		p.Items, p.Rows, p.Bytes = p.Items+c.roots, p.Rows+c.rows, p.Bytes+c.bytes
	}
	return err
}

// statusExpected adds up how many rows there were of what was ordered and is being purged.
func (tx *Tx) statusExpected(ctx context.Context, workspace string, _ cullet.ClockWatch, by map[string]*TrashStatus) error {
	all, err := queryAll(ctx, tx, func(r row) (c counted, err error) { return c, r.Scan(&c.workspace, &c.rows) },
		`SELECT t.workspace_id, CAST(SUM(o.rows_total) AS BIGINT) FROM trash_items t JOIN purge_order_items o ON o.item_id = t.id AND o.order_id = t.purge_order
		WHERE t.state = $2 AND t.purge_order <> '' AND `+inWorkspace("t.workspace_id", workspace)+` GROUP BY t.workspace_id`, workspace, cullet.Purging)
	for _, c := range all {
		by[c.workspace].Ordered.Expected = c.rows
	}
	return err
}

// statusDue counts what is due and not begun with, nor held; its mark is that the date
// came while cleanup waits (C6).
func (tx *Tx) statusDue(ctx context.Context, workspace string, watch cullet.ClockWatch, by map[string]*TrashStatus) error {
	trusted := watch.Trusted(tx.Now, "")
	jumped := watch.Wait == "" && trusted.Before(tx.Now) // since the last look: the next one begins a wait
	all, err := queryAll(ctx, tx, scanCounted, `SELECT t.workspace_id, t.type, CASE WHEN t.effective_at > $3 THEN 1 ELSE 0 END AS mark,
			CASE WHEN t.problem <> '' THEN 1 ELSE 0 END AS stuck, COUNT(*), COUNT(*), 0, 0, MIN(t.effective_at)
		FROM trash_items t LEFT JOIN `+heldOnce+` AS h ON h.id = t.id
		WHERE t.state = $2 AND t.effective_at <= $4 AND `+inWorkspace("t.workspace_id", workspace)+` AND h.id IS NULL GROUP BY 1, 2, 3, 4`,
		workspace, cullet.Trashed, micros(trusted), micros(tx.Now))
	for _, c := range all {
		s := by[c.workspace]
		if c.problem {
			s.Items[c.typ][StandsProblem] += c.items
		}
		if c.mark && (s.Waits || jumped) {
			s.Waiting += c.items
		} else {
			s.due(c.first)
		}
	}
	return err
}

// UnlinkStatus is what of files is left to do after their rows are gone.
type UnlinkStatus struct {
	Files, Bytes int64 // to be removed
	Problems     int64 // of them, files that could not be removed and are tried again
}

const unlinkSums = `CAST(COALESCE(SUM(files), 0) AS BIGINT), CAST(COALESCE(SUM(bytes), 0) AS BIGINT), CAST(COALESCE(SUM(stuck), 0) AS BIGINT)
	FROM (SELECT item_id, COUNT(*) AS files, SUM(bytes) AS bytes, SUM(CASE WHEN problem <> '' THEN 1 ELSE 0 END) AS stuck FROM blob_unlinks GROUP BY item_id) AS u`

// UnlinkStatus counts the files that are to be removed, of the workspace, or of all where
// it is "". Whose a file is of which the item is gone too, the audit knows.
func (tx *Tx) UnlinkStatus(ctx context.Context, workspace string) (UnlinkStatus, error) {
	scan := func(r row) (u UnlinkStatus, err error) { return u, r.Scan(&u.Files, &u.Bytes, &u.Problems) }
	if workspace == "" {
		return queryOne(ctx, tx, scan, `SELECT `+unlinkSums)
	}
	return queryOne(ctx, tx, scan, `SELECT `+unlinkSums+` WHERE EXISTS (SELECT 1 FROM audit a WHERE a.workspace_id = $1 AND a.item_id = u.item_id)`, workspace)
}

// LeavingItem is an item whose purge has begun, with what is left of it.
type LeavingItem struct {
	cullet.TrashItem
	BeganAt   time.Time // zero: the audit does not tell
	RetryAt   time.Time // when it is looked at again, where it waits; else past or zero
	Along     int64     // items that lie in Trash by themselves and go with it
	RowsLeft  int64
	Files     int64 // whose rows are gone, still to be removed
	FileBytes int64
}

// LeavingItems returns items of the workspace whose purge has begun: those with a problem
// first, then by their date. It counts what is left of each.
func (tx *Tx) LeavingItems(ctx context.Context, workspace string, limit int) ([]LeavingItem, error) {
	items, err := queryAll(ctx, tx, scanTrash, `SELECT `+trashColumns+fromTrash+`WHERE t.state = $2 AND t.workspace_id = $1 AND t.purged_with = ''
		ORDER BY CASE WHEN t.problem <> '' THEN 0 ELSE 1 END, t.effective_at, t.id LIMIT $3`, workspace, cullet.Purging, limit)
	if err != nil {
		return nil, err
	}
	all := make([]LeavingItem, 0, len(items))
	for _, t := range items {
		i, err := tx.leaving(ctx, t)
		if err != nil {
			return nil, err
		}
		all = append(all, i)
	}
	return all, nil
}

func (tx *Tx) leaving(ctx context.Context, t cullet.TrashItem) (LeavingItem, error) {
	i, err := queryOne(ctx, tx, func(r row) (i LeavingItem, err error) {
		return i, r.Scan(instant{&i.RetryAt}, instant{&i.BeganAt}, &i.Along, &i.Files, &i.FileBytes)
	}, `SELECT t.retry_at, COALESCE((SELECT MAX(a.at) FROM audit a WHERE a.workspace_id = t.workspace_id AND a.item_id = t.id AND a.act = $2), 0),
			(SELECT COUNT(*) FROM trash_items b WHERE b.purged_with = t.id), (SELECT COUNT(*) FROM blob_unlinks u WHERE u.item_id = t.id),
			(SELECT CAST(COALESCE(SUM(u.bytes), 0) AS BIGINT) FROM blob_unlinks u WHERE u.item_id = t.id)
		FROM trash_items t WHERE t.id = $1`, t.ID, cullet.ActPurgeBegan)
	if err != nil {
		return i, err
	}
	i.TrashItem = t
	i.RowsLeft, err = tx.RowsBelow(ctx, t)
	return i, err
}

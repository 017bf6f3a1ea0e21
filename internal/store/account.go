package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/cullet-vision/cullet"
)

// This file sees below what is active: it counts bytes, who holds them, and what a
// purge would free.

// Weight is what permanent deletion of some items would do, in bytes of files: each
// file counts once, however many rows refer to it.
type Weight struct {
	Items       int64
	FreedFiles  int64 // that nothing else refers to
	FreedBytes  int64
	SharedFiles int64 // that something else, active or in Trash, refers to: they stay (C4)
	SharedBytes int64
}

// Scope chooses trashed items that are weighed together: those with the ids, or where
// there are none, all whose cleanup comes by the date and which nobody holds.
type Scope struct {
	IDs   []string
	DueBy time.Time
}

func (s Scope) apply(q *query, workspace string) {
	q.add(`SELECT t.type, t.target_id, t.project_id FROM trash_items t WHERE t.workspace_id = ? AND t.state = 'trashed'`, workspace)
	if len(s.IDs) == 0 {
		q.add(` AND t.effective_at <= ? AND `+notHeld, micros(s.DueBy))
		return
	}
	q.add(` AND t.id IN (`)
	for n, id := range s.IDs {
		if n > 0 {
			q.add(`, `)
		}
		q.add(`?`, id)
	}
	q.add(`)`)
}

// roots are the targets of each type among what is weighed: what lies below a project
// that goes as well is counted with the project.
var roots = map[cullet.Trashable]string{
	cullet.TrashProject:  `IN (SELECT target_id FROM chosen WHERE type = 'project')`,
	cullet.TrashVersion:  `IN (SELECT target_id FROM chosen c WHERE type = 'version' AND NOT EXISTS (SELECT 1 FROM chosen p WHERE p.type = 'project' AND p.target_id = c.project_id))`,
	cullet.TrashWorkflow: `IN (SELECT target_id FROM chosen WHERE type = 'workflow')`,
}

// weigh begins a statement with the tables chosen, counted (each file that rows of the
// chosen refer to, and how many do) and judged (whether all that refer to it are among them).
func weigh(workspace string, s Scope) *query {
	q := newQuery(`WITH chosen AS (`)
	s.apply(q, workspace)
	q.add(`), inside AS (`)
	first := true
	for _, typ := range cullet.TrashableTypes() {
		for _, step := range sweeps[typ] {
			for _, column := range step.blobs {
				if !first {
					q.add(` UNION ALL `)
				}
				first = false
				q.add(fmt.Sprintf(`SELECT %s AS blob_id FROM %s WHERE %s`, column, step.table, strings.ReplaceAll(step.where, "= $1", roots[typ])))
			}
		}
	}
	q.add(`), counted AS (SELECT blob_id, COUNT(*) AS refs FROM inside WHERE blob_id IS NOT NULL GROUP BY blob_id),
		judged AS (SELECT c.blob_id, blobs.bytes, CASE WHEN c.refs >= ` + references + ` THEN 1 ELSE 0 END AS free FROM counted c JOIN blobs ON blobs.id = c.blob_id) `)
	return q
}

// references counts the rows that refer to a blob.
var references = func() string {
	var counts []string
	for _, r := range blobReferences {
		counts = append(counts, fmt.Sprintf(`(SELECT COUNT(*) FROM %s r WHERE r.%s = blobs.id)`, r.table, r.column))
	}
	return "(" + strings.Join(counts, " + ") + ")"
}()

// Weigh counts what permanent deletion of the items would free, and what stays because
// something else refers to it. It reads all rows of the items: for background and for
// people who ask.
func (tx *Tx) Weigh(ctx context.Context, workspace string, s Scope) (Weight, error) {
	q := weigh(workspace, s)
	q.add(`SELECT (SELECT COUNT(*) FROM chosen), CAST(COALESCE(SUM(free), 0) AS BIGINT), CAST(COALESCE(SUM(free * bytes), 0) AS BIGINT),
		CAST(COALESCE(SUM(1 - free), 0) AS BIGINT), CAST(COALESCE(SUM((1 - free) * bytes), 0) AS BIGINT) FROM judged`)
	return queryOne(ctx, tx, func(r row) (w Weight, err error) {
		return w, r.Scan(&w.Items, &w.FreedFiles, &w.FreedBytes, &w.SharedFiles, &w.SharedBytes)
	}, q.text(), q.args...)
}

// Sharer is a project that holds files which would otherwise be freed.
type Sharer struct {
	Project string
	Slug    string
	Trashed bool // it is in Trash itself
	Foreign bool // of another workspace: nothing else may be told of it
}

// Sharers returns up to limit projects outside the chosen items that refer to files of theirs.
func (tx *Tx) Sharers(ctx context.Context, workspace string, s Scope, limit int) ([]Sharer, error) {
	q := weigh(workspace, s)
	q.add(`, holders AS (SELECT i.project_id FROM judged j JOIN images i ON i.blob_id = j.blob_id WHERE j.free = 0
		UNION SELECT i.project_id FROM judged j JOIN images i ON i.thumb_id = j.blob_id WHERE j.free = 0
		UNION SELECT v.project_id FROM judged j JOIN version_images vi ON vi.blob_id = j.blob_id JOIN versions v ON v.id = vi.version_id WHERE j.free = 0)
		SELECT p.id, p.slug, p.trash_item_id IS NOT NULL, p.workspace_id <> ? FROM projects p WHERE p.id IN (SELECT project_id FROM holders)
		AND p.id NOT IN (SELECT target_id FROM chosen WHERE type = 'project')
		ORDER BY p.workspace_id <> ?, p.slug, p.id LIMIT ?`, workspace, workspace, limit)
	return queryAll(ctx, tx, func(r row) (s Sharer, err error) {
		return s, r.Scan(&s.Project, &s.Slug, &s.Trashed, &s.Foreign)
	}, q.text(), q.args...)
}

// Uncounted returns an item whose freeable bytes were never counted, or not since a
// purge kept bytes for it; ErrNoRow: all are up to date.
func (tx *Tx) Uncounted(ctx context.Context) (item cullet.TrashItem, epoch int64, err error) {
	if epoch, err = queryOne(ctx, tx, scanInt, `SELECT epoch FROM account_epoch`); err != nil {
		return item, 0, err
	}
	item, err = queryOne(ctx, tx, scanTrash, `SELECT `+trashColumns+fromTrash+`WHERE t.counted_at = 0 AND t.state = 'trashed' ORDER BY t.deleted_at LIMIT 1`)
	if err != ErrNoRow {
		return item, epoch, err
	}
	item, err = queryOne(ctx, tx, scanTrash, `SELECT `+trashColumns+fromTrash+`WHERE t.shared_bytes > 0 AND t.counted_epoch < $1 AND t.state = 'trashed'
		ORDER BY t.counted_epoch LIMIT 1`, epoch)
	return item, epoch, err
}

// SetWeight keeps what was counted for an item, and when. One that left meanwhile is left alone.
func (tx *Tx) SetWeight(ctx context.Context, item string, w Weight, epoch int64) error {
	_, err := tx.exec(ctx, `UPDATE trash_items SET freeable_bytes = $2, shared_bytes = $3, counted_at = $4, counted_epoch = $5 WHERE id = $1`,
		item, w.FreedBytes, w.SharedBytes, micros(tx.Now), epoch)
	return err
}

// Storage is the files of a workspace by who holds them; the four parts share none, and
// together are all of it. Bytes of files, each once.
type Storage struct {
	CountedAt time.Time
	Active    int64 // what is active holds alone
	Trash     int64 // only what is in Trash holds: what emptying it would free
	Shared    int64 // both hold
	Derived   int64 // thumbnails and exports of what is active: they can be made again
	Files     int64
	Projects  []ProjectStorage // largest first
}

// Total is all of it.
func (s Storage) Total() int64 { return s.Active + s.Trash + s.Shared + s.Derived }

// ProjectStorage is the files of one project.
type ProjectStorage struct {
	Project string
	Slug    string
	Trashed bool
	Own     int64 // that no other project refers to
	Shared  int64 // that another one refers to as well
	Logical int64 // of its rows, shared or not; exact at every commit
}

// holders lists every row of a workspace that refers to a file: whose it is, whether it
// is an original or can be made again, and whether it is active.
const holders = `WITH refs AS (
	SELECT i.project_id, i.blob_id, 1 AS original, CASE WHEN p.trash_item_id IS NULL AND i.trash_item_id IS NULL THEN 1 ELSE 0 END AS live
		FROM images i JOIN projects p ON p.id = i.project_id WHERE p.workspace_id = $1
	UNION ALL SELECT i.project_id, i.thumb_id, 0, CASE WHEN p.trash_item_id IS NULL AND i.trash_item_id IS NULL THEN 1 ELSE 0 END
		FROM images i JOIN projects p ON p.id = i.project_id WHERE p.workspace_id = $1
	UNION ALL SELECT v.project_id, vi.blob_id, 1, CASE WHEN p.trash_item_id IS NULL AND v.trash_item_id IS NULL THEN 1 ELSE 0 END
		FROM version_images vi JOIN versions v ON v.id = vi.version_id JOIN projects p ON p.id = v.project_id WHERE p.workspace_id = $1
	UNION ALL SELECT v.project_id, e.blob_id, 0, CASE WHEN p.trash_item_id IS NULL AND v.trash_item_id IS NULL THEN 1 ELSE 0 END
		FROM exports e JOIN versions v ON v.id = e.version_id JOIN projects p ON p.id = v.project_id WHERE p.workspace_id = $1 AND e.blob_id IS NOT NULL
	UNION ALL SELECT m.project_id, f.blob_id, 1, CASE WHEN p.trash_item_id IS NULL AND v.trash_item_id IS NULL AND t.trash_item_id IS NULL THEN 1 ELSE 0 END
		FROM model_files f JOIN models m ON m.id = f.model_id JOIN trainings t ON t.id = m.training_id JOIN versions v ON v.id = m.version_id
		JOIN projects p ON p.id = m.project_id WHERE p.workspace_id = $1) `

// CountStorage counts the files of a workspace. It reads all rows that refer to them:
// for the background.
func (tx *Tx) CountStorage(ctx context.Context, workspace string, projects int) (s Storage, err error) {
	s, err = queryOne(ctx, tx, func(r row) (s Storage, err error) {
		return s, r.Scan(&s.Active, &s.Trash, &s.Shared, &s.Derived, &s.Files)
	}, holders+`, files AS (SELECT blob_id, MAX(live) AS live, MIN(live) AS all_live, MAX(original * live) AS original FROM refs GROUP BY blob_id)
		SELECT CAST(COALESCE(SUM(CASE WHEN f.all_live = 1 AND f.original = 1 THEN b.bytes ELSE 0 END), 0) AS BIGINT),
			CAST(COALESCE(SUM(CASE WHEN f.live = 0 THEN b.bytes ELSE 0 END), 0) AS BIGINT),
			CAST(COALESCE(SUM(CASE WHEN f.live = 1 AND f.all_live = 0 THEN b.bytes ELSE 0 END), 0) AS BIGINT),
			CAST(COALESCE(SUM(CASE WHEN f.all_live = 1 AND f.original = 0 THEN b.bytes ELSE 0 END), 0) AS BIGINT), COUNT(*)
		FROM files f JOIN blobs b ON b.id = f.blob_id`, workspace)
	if err != nil {
		return s, err
	}
	s.CountedAt = tx.Now
	s.Projects, err = queryAll(ctx, tx, func(r row) (p ProjectStorage, err error) {
		return p, r.Scan(&p.Project, &p.Slug, &p.Trashed, &p.Own, &p.Shared, &p.Logical)
	}, holders+`, held AS (SELECT DISTINCT project_id, blob_id FROM refs),
		many AS (SELECT blob_id, COUNT(*) AS projects FROM held GROUP BY blob_id),
		sums AS (SELECT h.project_id, SUM(CASE WHEN m.projects = 1 THEN b.bytes ELSE 0 END) AS own, SUM(CASE WHEN m.projects > 1 THEN b.bytes ELSE 0 END) AS shared
			FROM held h JOIN many m ON m.blob_id = h.blob_id JOIN blobs b ON b.id = h.blob_id GROUP BY h.project_id)
		SELECT p.id, p.slug, p.trash_item_id IS NOT NULL, CAST(COALESCE(s.own, 0) AS BIGINT), CAST(COALESCE(s.shared, 0) AS BIGINT), c.bytes
		FROM projects p JOIN project_counts c ON c.project_id = p.id LEFT JOIN sums s ON s.project_id = p.id
		WHERE p.workspace_id = $1 ORDER BY COALESCE(s.own, 0) + COALESCE(s.shared, 0) DESC, p.id LIMIT $2`, workspace, projects)
	return s, err
}

// KeepStorage keeps what was counted.
func (tx *Tx) KeepStorage(ctx context.Context, workspace string, s Storage) error {
	_, err := tx.exec(ctx, `INSERT INTO storage_counts (workspace_id, counted_at, body) VALUES ($1, $2, $3)
		ON CONFLICT (workspace_id) DO UPDATE SET counted_at = excluded.counted_at, body = excluded.body`, workspace, micros(s.CountedAt), toJSON(s))
	return err
}

// LastStorage returns what was counted last, or ErrNoRow.
func (tx *Tx) LastStorage(ctx context.Context, workspace string) (s Storage, err error) {
	body, err := queryOne(ctx, tx, scanText, `SELECT body FROM storage_counts WHERE workspace_id = $1`, workspace)
	if err == nil {
		err = fromJSON(body, &s)
	}
	return s, err
}

// LogicalBytes is what a workspace's active projects refer to, shared or not; exact at
// every commit, like the bytes of its Trash in TrashTotals.
func (tx *Tx) LogicalBytes(ctx context.Context, workspace string) (int64, error) {
	return queryOne(ctx, tx, scanInt, `SELECT CAST(COALESCE(SUM(c.bytes), 0) AS BIGINT) FROM project_counts c JOIN projects p ON p.id = c.project_id
		WHERE p.workspace_id = $1 AND p.trash_item_id IS NULL`, workspace)
}

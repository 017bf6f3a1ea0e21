package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/cullet-vision/cullet"
)

// This file sees below what is active: it is where things go to Trash and come back.

const trashColumns = `t.id, t.workspace_id, t.type, t.target_id, t.number, t.name, t.slug, t.project_id, t.version_id,
	COALESCE(p.slug, ''), COALESCE(p.name, ''), COALESCE(v.number, 0), COALESCE(v.trash_item_id, ''), COALESCE(p.trash_item_id, ''),
	t.deleted_at, t.deleted_by, t.deleted_by_name, t.deleted_means, t.cleanup_at, t.effective_at, t.state, t.revision,
	t.contents, t.bytes, t.purge_order, t.problem, t.done_rows, t.done_bytes, t.held_at, t.held_by, t.hold_reason,
	t.freeable_bytes, t.shared_bytes, t.counted_at, COALESCE((SELECT MIN(CASE h.type WHEN 'version' THEN 'version ' || CAST(h.number AS TEXT) ELSE h.type || ' ' || h.target_id END)
		FROM (SELECT b.* FROM trash_items b WHERE b.held_at > 0 AND b.project_id = t.target_id
			UNION ALL SELECT b.* FROM trash_items b WHERE b.held_at > 0 AND b.version_id > '' AND b.version_id = t.target_id) AS h), '')`

// heldBelow is the condition that something held lies in Trash below t (C8); in two
// halves, so that each has its index, and the second one's cannot be taken for the first.
const heldBelow = `(EXISTS (SELECT 1 FROM trash_items h WHERE h.held_at > 0 AND h.project_id = t.target_id)
	OR EXISTS (SELECT 1 FROM trash_items h WHERE h.held_at > 0 AND h.version_id > '' AND h.version_id = t.target_id))`

// heldItems are the ids of what is held, itself or by what lies below it. It begins at
// what is held, so that a list of it costs what it holds.
const heldItems = `SELECT b.id FROM trash_items b WHERE b.held_at > 0 AND b.project_id > ''
	UNION ALL SELECT b.id FROM trash_items b WHERE b.held_at > 0 AND b.project_id = ''
	UNION ALL SELECT a.id FROM trash_items b JOIN trash_items a ON a.target_id = b.project_id WHERE b.held_at > 0 AND b.project_id > ''
	UNION ALL SELECT a.id FROM trash_items b JOIN trash_items a ON a.target_id = b.version_id WHERE b.held_at > 0 AND b.version_id > ''`

// free is notHeld for lists and counts: what is held is looked up once, not for each row.
const free = `t.held_at = 0 AND t.id NOT IN (` + heldItems + `)`

const fromTrash = ` FROM trash_items t LEFT JOIN projects p ON p.id = t.project_id LEFT JOIN versions v ON v.id = t.version_id `

func scanTrash(r row) (t cullet.TrashItem, err error) {
	var contents, versionItem, projectItem string
	err = r.Scan(&t.ID, &t.Workspace, &t.Type, &t.Target, &t.Number, &t.Name, &t.Slug, &t.Project, &t.Version,
		&t.ProjectSlug, &t.ProjectName, &t.VersionNumber, &versionItem, &projectItem,
		instant{&t.DeletedAt}, &t.DeletedBy, &t.DeletedByName, &t.DeletedMeans, instant{&t.CleanupAt}, instant{&t.EffectiveAt}, &t.State, &t.Revision,
		&contents, &t.Contents.Bytes, &t.PurgeOrder, &t.Problem, &t.DoneRows, &t.DoneBytes, instant{&t.HeldAt}, &t.HeldBy, &t.HoldReason,
		&t.FreeableBytes, &t.SharedBytes, instant{&t.CountedAt}, &t.HeldBelow)
	if err != nil {
		return t, err
	}
	bytes := t.Contents.Bytes
	err = json.Unmarshal([]byte(contents), &t.Contents)
	t.Contents.Bytes = bytes
	switch {
	case versionItem != "":
		t.ParentItem, t.ParentType = versionItem, cullet.TrashVersion
		t.ParentName = fmt.Sprintf("%s/%d", t.ProjectSlug, t.VersionNumber)
	case projectItem != "":
		t.ParentItem, t.ParentType, t.ParentName = projectItem, cullet.TrashProject, t.ProjectSlug
	}
	return t, err
}

// AddTrashItem keeps a new item and counts it.
func (tx *Tx) AddTrashItem(ctx context.Context, t cullet.TrashItem) error {
	_, err := tx.exec(ctx, `INSERT INTO trash_items (id, workspace_id, type, target_id, number, name, slug, project_id, version_id,
		deleted_at, deleted_by, deleted_by_name, deleted_means, cleanup_at, effective_at, state, contents, bytes)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`,
		t.ID, t.Workspace, t.Type, t.Target, t.Number, t.Name, t.Slug, t.Project, t.Version,
		micros(t.DeletedAt), t.DeletedBy, t.DeletedByName, t.DeletedMeans, micros(t.CleanupAt), micros(t.EffectiveAt), t.State,
		toJSON(t.Contents), t.Contents.Bytes)
	if err != nil {
		return err
	}
	return tx.countTrash(ctx, t, 1)
}

func (tx *Tx) countTrash(ctx context.Context, t cullet.TrashItem, n int64) error {
	return tx.execOne(ctx, `UPDATE trash_counts SET items = items + $3, bytes = bytes + $4 WHERE workspace_id = $1 AND type = $2`,
		t.Workspace, t.Type, n, n*t.Contents.Bytes)
}

// HideProject points an active project at its trash item: from the commit on it
// is hidden with all that lies below it, at the cost of one row (D2, D3).
func (tx *Tx) HideProject(ctx context.Context, id, item string) error {
	return tx.execOne(ctx, `UPDATE projects SET trash_item_id = $2 WHERE id = $1 AND trash_item_id IS NULL`, id, item)
}

// HideVersion does the same for a version.
func (tx *Tx) HideVersion(ctx context.Context, project, id, item string) error {
	if err := tx.execOne(ctx, `UPDATE versions SET trash_item_id = $2 WHERE id = $1 AND trash_item_id IS NULL`, id, item); err != nil {
		return err
	}
	return tx.execOne(ctx, `UPDATE project_counts SET versions = versions - 1 WHERE project_id = $1`, project)
}

// HideWorkflow does the same for a workflow.
func (tx *Tx) HideWorkflow(ctx context.Context, id, item string) error {
	return tx.execOne(ctx, `UPDATE workflows SET trash_item_id = $2 WHERE id = $1 AND trash_item_id IS NULL`, id, item)
}

// below chooses the rows of a project, or of one version of it.
func below(project, version string) (where string, id string) {
	if version != "" {
		return "version_id = $1", version
	}
	return "project_id = $1", project
}

// CancelBelow ends every training in flight below a project, or one version of
// it, and closes its meter at this instant; a worker lost before is charged to
// its last heartbeat (D4). Two statements, whatever the number of images.
func (tx *Tx) CancelBelow(ctx context.Context, project, version, detail string) ([]cullet.CancelledTraining, error) {
	where, id := below(project, version)
	cancelled, err := queryAll(ctx, tx, func(r row) (c cullet.CancelledTraining, err error) {
		return c, r.Scan(&c.ID, &c.ModelType, &c.MicroCredits)
	}, `UPDATE trainings SET state = $2, detail = $3, ended_at = $4, lease_until = 0 WHERE `+where+` AND state IN `+inFlight+`
		RETURNING id, model_type, micro_credits`, id, cullet.TrainCancelled, detail, micros(tx.Now))
	if err != nil {
		return nil, err
	}
	open, err := queryAll(ctx, tx, scanInterval, `SELECT `+intervalColumns+` FROM ledger WHERE closed_at = 0
		AND training_id IN (SELECT id FROM trainings WHERE `+where+`)`, id)
	if err != nil {
		return nil, err
	}
	for _, i := range open {
		charge, err := tx.CloseInterval(ctx, i, ChargeUntil(i, tx.Now))
		if err != nil {
			return nil, err
		}
		for n := range cancelled {
			if cancelled[n].ID == i.Training {
				cancelled[n].MicroCredits += charge
			}
		}
	}
	return cancelled, nil
}

// ChargeUntil is the instant to which an interval that ends now is charged: now,
// or the last heartbeat where its worker was lost since.
func ChargeUntil(i cullet.Interval, now time.Time) time.Time {
	if now.Sub(i.RenewedAt) > cullet.LeaseTime {
		return i.RenewedAt
	}
	return now
}

// InterruptBelow stops the generations and exports below a project, or one
// version of it, and says how many there were (D4).
func (tx *Tx) InterruptBelow(ctx context.Context, project, version string) (int64, error) {
	where, id := "project_id = $1", project
	if version != "" {
		where, id = "id = $1", version
	}
	generations, err := tx.exec(ctx, `UPDATE versions SET state = $2, problem = 'stopped by a deletion' WHERE `+where+` AND state = $3`,
		id, cullet.Interrupted, cullet.Generating)
	if err != nil {
		return 0, err
	}
	exports, err := tx.exec(ctx, `UPDATE exports SET state = $2, problem = 'stopped by a deletion' WHERE state = $3
		AND version_id IN (SELECT id FROM versions WHERE `+where+`)`, id, cullet.ExportFailed, cullet.ExportRunning)
	return generations + exports, err
}

// VersionBytes is what a version holds in logical bytes: its images, its exports
// and the weights of its trainings.
func (tx *Tx) VersionBytes(ctx context.Context, id string) (int64, error) {
	return queryOne(ctx, tx, scanInt, `SELECT CAST((SELECT COALESCE(SUM(bytes), 0) FROM versions WHERE id = $1)
		+ (SELECT COALESCE(SUM(bytes), 0) FROM exports WHERE version_id = $1)
		+ (SELECT COALESCE(SUM(f.bytes), 0) FROM model_files f JOIN models m ON m.id = f.model_id WHERE m.version_id = $1) AS BIGINT)`, id)
}

// CountBelow counts what a deletion takes along beside the images, which have
// counters. It reads rows of versions, exports, trainings and models only.
func (tx *Tx) CountBelow(ctx context.Context, project, version string) (cullet.Contents, error) {
	where, id := below(project, version)
	return queryOne(ctx, tx, func(r row) (c cullet.Contents, err error) {
		return c, r.Scan(&c.Versions, &c.Exports, &c.Trainings, &c.Models)
	}, `SELECT (SELECT COUNT(*) FROM versions WHERE project_id = $2 AND trash_item_id IS NULL AND ($3 = '' OR id = $3)),
		(SELECT COUNT(*) FROM exports e JOIN versions v ON v.id = e.version_id WHERE v.project_id = $2 AND v.trash_item_id IS NULL AND ($3 = '' OR v.id = $3) AND e.state = 'ready'),
		(SELECT COUNT(*) FROM trainings WHERE `+where+` AND trash_item_id IS NULL),
		(SELECT COUNT(*) FROM models WHERE `+where+`)`, id, project, version)
}

// LatestBelow is the latest date of what lies in Trash by itself below a project,
// or one version of it: the parent stays at least as long (C8). Zero: nothing does.
func (tx *Tx) LatestBelow(ctx context.Context, project, version string) (time.Time, error) {
	where, id := below(project, version)
	return queryOne(ctx, tx, func(r row) (t time.Time, err error) { return t, r.Scan(instant{&t}) },
		`SELECT COALESCE(MAX(effective_at), 0) FROM trash_items WHERE `+where, id)
}

// GetTrashItem returns an item of the workspace by its own id, or ErrNoRow.
func (tx *Tx) GetTrashItem(ctx context.Context, workspace, id string) (cullet.TrashItem, error) {
	return queryOne(ctx, tx, scanTrash, `SELECT `+trashColumns+fromTrash+`WHERE t.workspace_id = $1 AND t.id = $2`, workspace, id)
}

// FindTarget returns the workspace's item of a thing by the thing's own id, or ErrNoRow.
func (tx *Tx) FindTarget(ctx context.Context, workspace string, typ cullet.Trashable, target string) (cullet.TrashItem, error) {
	return queryOne(ctx, tx, scanTrash, `SELECT `+trashColumns+fromTrash+`WHERE t.workspace_id = $1 AND t.type = $2 AND t.target_id = $3`, workspace, typ, target)
}

// FindVersion returns the item of a project's version by its number, or ErrNoRow.
func (tx *Tx) FindVersion(ctx context.Context, workspace, project string, number int64) (cullet.TrashItem, error) {
	return queryOne(ctx, tx, scanTrash, `SELECT `+trashColumns+fromTrash+`WHERE t.workspace_id = $1 AND t.type = 'version' AND t.project_id = $2 AND t.number = $3`,
		workspace, project, number)
}

// FindTrashedSlug returns the item deleted last that had the slug, or ErrNoRow:
// pages say of a thing in Trash that it is there.
func (tx *Tx) FindTrashedSlug(ctx context.Context, workspace string, typ cullet.Trashable, slug string) (cullet.TrashItem, error) {
	return queryOne(ctx, tx, scanTrash, `SELECT `+trashColumns+fromTrash+`WHERE t.workspace_id = $1 AND t.type = $2 AND t.slug = $3
		ORDER BY t.deleted_at DESC, t.id DESC LIMIT 1`, workspace, typ, slug)
}

// LockTarget locks the root of an item against every other act on it. It is what
// restore does first: roots are locked before their items.
func (tx *Tx) LockTarget(ctx context.Context, t cullet.TrashItem) error {
	_, err := queryOne(ctx, tx, scanText, `SELECT id FROM `+tables[t.Type]+` WHERE id = $1`+forUpdate(tx), t.Target)
	return err
}

// LockItem keeps holds, later dates and purges off an item until the transaction ends.
// Its root is locked before it.
func (tx *Tx) LockItem(ctx context.Context, id string) error {
	return tx.lockTrash(ctx, `id = $1`, id)
}

// tables names the table in which the root of an item lies.
var tables = map[cullet.Trashable]string{
	cullet.TrashProject:  "projects",
	cullet.TrashVersion:  "versions",
	cullet.TrashTraining: "trainings",
	cullet.TrashWorkflow: "workflows",
}

// RemoveTrashItem takes a trashed item out of Trash, or is ErrNoRow where it is
// not there any more or its purge has begun (R5).
func (tx *Tx) RemoveTrashItem(ctx context.Context, t cullet.TrashItem) error {
	if err := tx.execOne(ctx, `DELETE FROM trash_items WHERE id = $1 AND state = $2`, t.ID, cullet.Trashed); err != nil {
		return err
	}
	return tx.countTrash(ctx, t, -1)
}

// ShowProject makes a project active again, under a slug that must be free and in
// a folder that must be there.
func (tx *Tx) ShowProject(ctx context.Context, t cullet.TrashItem, slug, folder string) error {
	return tx.execOne(ctx, `UPDATE projects SET trash_item_id = NULL, slug = $3, folder_id = $4 WHERE id = $1 AND trash_item_id = $2`,
		t.Target, t.ID, slug, folder)
}

// ShowVersion makes a version active again.
func (tx *Tx) ShowVersion(ctx context.Context, t cullet.TrashItem) error {
	if err := tx.execOne(ctx, `UPDATE versions SET trash_item_id = NULL WHERE id = $1 AND trash_item_id = $2`, t.Target, t.ID); err != nil {
		return err
	}
	return tx.execOne(ctx, `UPDATE project_counts SET versions = versions + 1 WHERE project_id = $1`, t.Project)
}

// ShowWorkflow makes a workflow active again, under a slug that must be free.
func (tx *Tx) ShowWorkflow(ctx context.Context, t cullet.TrashItem, slug string) error {
	return tx.execOne(ctx, `UPDATE workflows SET trash_item_id = NULL, slug = $3 WHERE id = $1 AND trash_item_id = $2`, t.Target, t.ID, slug)
}

// VersionsInTrash returns the numbers of a project's versions that lie in Trash
// by themselves.
func (tx *Tx) VersionsInTrash(ctx context.Context, project string) ([]int64, error) {
	return queryAll(ctx, tx, scanInt, `SELECT number FROM trash_items WHERE project_id = $1 AND type = 'version' ORDER BY number`, project)
}

// ItemsBelow returns what lies in Trash by itself below a project, or one version of it.
func (tx *Tx) ItemsBelow(ctx context.Context, project, version string) ([]cullet.TrashItem, error) {
	q := newQuery(`SELECT `+trashColumns+fromTrash+`WHERE t.project_id = $1`, project)
	if version != "" {
		q.and(`t.version_id = ?`, version)
	}
	q.add(` ORDER BY t.deleted_at DESC, t.id DESC`)
	return queryAll(ctx, tx, scanTrash, q.text(), q.args...)
}

// TrashFilter chooses items for a page of the Trash.
type TrashFilter struct {
	Type    cullet.Trashable
	Types   []cullet.Trashable // any of these; empty: all
	Text    string             // a part of the name, slug or parent's name
	By      string             // a part of who deleted it
	Actor   string             // id or exact name of who deleted it
	Means   cullet.Means
	From    time.Time
	To      time.Time
	DueBy   time.Time // cleanup not later than this
	Sort    string    // deleted, due, size, name, type
	Asc     bool
	After   *cullet.TrashItem // last item of the page before; nil begins
	Limit   int
	Purging bool // only what is being deleted
	Held    bool // only what is held, itself or by what lies below it
	Free    bool // only what is not
}

func (f TrashFilter) apply(q *query) {
	if f.Type != "" {
		q.and(`t.type = ?`, f.Type)
	}
	if len(f.Types) > 0 {
		q.add(` AND t.type IN (`)
		for n, typ := range f.Types {
			if n > 0 {
				q.add(`, `)
			}
			q.add(`?`, typ)
		}
		q.add(`)`)
	}
	if f.Text != "" {
		s := contains(f.Text)
		q.and(`(LOWER(t.name) LIKE ? ESCAPE '\' OR t.slug LIKE ? ESCAPE '\' OR LOWER(COALESCE(p.name, '')) LIKE ? ESCAPE '\' OR COALESCE(p.slug, '') LIKE ? ESCAPE '\')`, s, s, s, s)
	}
	if f.By != "" {
		q.and(`LOWER(t.deleted_by_name) LIKE ? ESCAPE '\'`, contains(f.By))
	}
	if f.Actor != "" {
		q.and(`(t.deleted_by = ? OR t.deleted_by_name = ?)`, f.Actor, f.Actor)
	}
	if f.Means != "" {
		q.and(`t.deleted_means = ?`, f.Means)
	}
	if !f.From.IsZero() {
		q.and(`t.deleted_at >= ?`, micros(f.From))
	}
	if !f.To.IsZero() {
		q.and(`t.deleted_at < ?`, micros(f.To))
	}
	if !f.DueBy.IsZero() {
		q.and(`t.effective_at <= ?`, micros(f.DueBy))
	}
	if f.Purging {
		q.and(`t.state = ?`, cullet.Purging)
	}
	if f.Held {
		q.and(`t.id IN (` + heldItems + `)`)
	}
	if f.Free {
		q.and(free)
	}
}

var trashSorts = map[string]struct {
	column string
	key    func(*cullet.TrashItem) any
}{
	"deleted": {"t.deleted_at", func(t *cullet.TrashItem) any { return micros(t.DeletedAt) }},
	"due":     {"t.effective_at", func(t *cullet.TrashItem) any { return micros(t.EffectiveAt) }},
	"size":    {"t.bytes", func(t *cullet.TrashItem) any { return t.Contents.Bytes }},
	"name":    {"t.name", func(t *cullet.TrashItem) any { return t.Name }},
	"type":    {"t.type", func(t *cullet.TrashItem) any { return string(t.Type) }},
}

// FindTrash returns one page of a workspace's Trash, deleted last first unless
// the filter sorts otherwise.
func (tx *Tx) FindTrash(ctx context.Context, workspace string, f TrashFilter) ([]cullet.TrashItem, error) {
	sort, ok := trashSorts[f.Sort]
	if !ok {
		sort = trashSorts["deleted"]
	}
	q := newQuery(`SELECT `+trashColumns+fromTrash+`WHERE t.workspace_id = $1`, workspace)
	f.apply(q)
	var lastKey any
	var lastID string
	if f.After != nil {
		lastKey, lastID = sort.key(f.After), f.After.ID
	}
	q.page(sort.column, "t.id", !f.Asc, f.After != nil, lastKey, lastID, f.Limit)
	return queryAll(ctx, tx, scanTrash, q.text(), q.args...)
}

// whole says whether the filter chooses all of the Trash, or all of one type, and of which.
func (f TrashFilter) whole() (of cullet.Trashable, yes bool) {
	return f.Type, reflect.DeepEqual(f, TrashFilter{Type: f.Type, Sort: f.Sort, Asc: f.Asc, After: f.After, Limit: f.Limit})
}

// CountTrash counts the items that the filter chooses, up to most. Of all, and of all of
// one type, the number is kept.
func (tx *Tx) CountTrash(ctx context.Context, workspace string, f TrashFilter, most int) (int64, error) {
	if of, whole := f.whole(); whole {
		all, err := queryOne(ctx, tx, scanInt, `SELECT CAST(COALESCE(SUM(items), 0) AS BIGINT) FROM trash_counts WHERE workspace_id = $1 AND ($2 = '' OR type = $2)`, workspace, of)
		return min(all, int64(most)), err
	}
	q := newQuery(`SELECT COUNT(*) FROM (SELECT 1 AS one`+fromTrash+`WHERE t.workspace_id = $1`, workspace)
	f.apply(q)
	q.add(` LIMIT ?) AS few`, most)
	return queryOne(ctx, tx, scanInt, q.text(), q.args...)
}

// ListTrash returns all items of a workspace, deleted last first.
func (tx *Tx) ListTrash(ctx context.Context, workspace string) ([]cullet.TrashItem, error) {
	return queryAll(ctx, tx, scanTrash, `SELECT `+trashColumns+fromTrash+`WHERE t.workspace_id = $1 ORDER BY t.deleted_at DESC, t.id DESC`, workspace)
}

// TrashTotal is what a workspace's Trash holds of one type.
type TrashTotal struct {
	Items int64
	Bytes int64
}

// TrashTotals returns what a workspace's Trash holds, by type, without counting.
func (tx *Tx) TrashTotals(ctx context.Context, workspace string) (map[cullet.Trashable]TrashTotal, error) {
	type total struct {
		t cullet.Trashable
		TrashTotal
	}
	all, err := queryAll(ctx, tx, func(r row) (t total, err error) { return t, r.Scan(&t.t, &t.Items, &t.Bytes) },
		`SELECT type, items, bytes FROM trash_counts WHERE workspace_id = $1`, workspace)
	by := map[cullet.Trashable]TrashTotal{}
	for _, t := range all {
		by[t.t] = t.TrashTotal
	}
	return by, err
}

// NextCleanup is when the next item of a workspace is due, zero where none is: cleanup
// passes by what is held (C8).
func (tx *Tx) NextCleanup(ctx context.Context, workspace string) (time.Time, error) {
	at, err := queryOne(ctx, tx, func(r row) (t time.Time, err error) { return t, r.Scan(instant{&t}) },
		`SELECT t.effective_at FROM trash_items t WHERE t.workspace_id = $1 AND `+free+` ORDER BY t.effective_at LIMIT 1`, workspace)
	if errors.Is(err, ErrNoRow) {
		return time.Time{}, nil
	}
	return at, err
}

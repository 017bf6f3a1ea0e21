package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cullet-vision/cullet"
)

// This file sees below what is active: it is where things end. Only package
// purge calls it; the import test holds every other package off.

// BeginDue moves a trashed item to purging for good where its date is not later than
// the given one (C1), and with it what lies in Trash by itself below it. ErrNoRow:
// somebody else was first, it is not due, or it is held.
func (tx *Tx) BeginDue(ctx context.Context, t cullet.TrashItem, by time.Time) error {
	return tx.beginPurge(ctx, t, "", ` AND t.effective_at <= $5`, micros(by))
}

// BeginOrdered is BeginDue by a person's order, whatever its date.
func (tx *Tx) BeginOrdered(ctx context.Context, t cullet.TrashItem, order string) error {
	return tx.beginPurge(ctx, t, order, "")
}

func (tx *Tx) beginPurge(ctx context.Context, t cullet.TrashItem, order, when string, args ...any) error {
	// All of them are locked before they are looked at: who holds or postpones one of
	// them waits, or is seen.
	if err := tx.lockTrash(ctx, `id = $1 OR project_id = $2 OR version_id = $2`, t.ID, t.Target); err != nil {
		return err
	}
	err := tx.execOne(ctx, `UPDATE trash_items AS t SET state = $2, purge_order = $3, revision = revision + 1 WHERE t.id = $1 AND t.state = $4 AND `+notHeld+when,
		append([]any{t.ID, cullet.Purging, order, cullet.Trashed}, args...)...)
	if err != nil || t.Type != cullet.TrashProject && t.Type != cullet.TrashVersion {
		return err
	}
	_, err = tx.exec(ctx, `UPDATE trash_items SET state = $2, purged_with = $3, purge_order = $4, revision = revision + 1
		WHERE (project_id = $1 OR version_id = $1) AND state = $5`, t.Target, cullet.Purging, t.ID, order, cullet.Trashed)
	return err
}

// notHeld is the condition that nobody holds t, nor anything that lies in Trash below
// it: C8, no purge begins without it.
const notHeld = `t.held_at = 0 AND NOT ` + heldBelow

// lockTrash locks the items that the condition chooses, in the order of their ids.
func (tx *Tx) lockTrash(ctx context.Context, where string, args ...any) error {
	lock := forUpdate(tx)
	if lock == "" {
		return nil
	}
	_, err := queryAll(ctx, tx, scanText, `SELECT id FROM trash_items WHERE `+where+` ORDER BY id`+lock, args...)
	return err
}

// GoingAlong returns what lies in Trash by itself and is purged with an item.
func (tx *Tx) GoingAlong(ctx context.Context, item string) ([]cullet.TrashItem, error) {
	return queryAll(ctx, tx, scanTrash, `SELECT `+trashColumns+fromTrash+`WHERE t.purged_with = $1`, item)
}

// DueItems returns items that cleanup may purge now, longest due first: their date
// has come by the clock that the watch trusts (C6), and nobody holds them (C8).
func (tx *Tx) DueItems(ctx context.Context, w cullet.ClockWatch, limit int) ([]cullet.TrashItem, error) {
	return queryAll(ctx, tx, scanTrash, `SELECT `+trashColumns+fromTrash+`WHERE t.state = $1 AND t.retry_at <= $2
		AND (t.effective_at <= $3 OR t.effective_at <= $4 AND EXISTS (SELECT 1 FROM workspaces w WHERE w.id = t.workspace_id AND w.lifted_wait = $5))
		AND `+notHeld+` ORDER BY t.effective_at, t.id LIMIT $6`,
		cullet.Trashed, micros(tx.Now), micros(w.DueBy("")), micros(w.SeenAt), w.Wait, limit)
}

// PurgingItems returns items whose purge has begun and that no other worker holds.
// A lease that ends later than one taken now was left by a clock that went back.
func (tx *Tx) PurgingItems(ctx context.Context, worker string, lease time.Duration, limit int) ([]cullet.TrashItem, error) {
	return queryAll(ctx, tx, scanTrash, `SELECT `+trashColumns+fromTrash+`WHERE t.state = $1 AND t.purged_with = '' AND t.retry_at <= $2
		AND (t.lease_until < $2 OR t.lease_until > $5 OR t.lease_owner = $3) ORDER BY t.effective_at, t.id LIMIT $4`,
		cullet.Purging, micros(tx.Now), worker, limit, micros(tx.Now.Add(lease)))
}

// LeaseItem takes or renews a worker's lease on a purging item. Each batch begins
// with it in its own transaction, so two workers never share an item even where
// a lease ran out in the middle. ErrNoRow: another worker has it.
func (tx *Tx) LeaseItem(ctx context.Context, id, worker string, lease time.Duration) error {
	return tx.execOne(ctx, `UPDATE trash_items SET lease_owner = $2, lease_until = $3 WHERE id = $1 AND state = $5
		AND (lease_owner = $2 OR lease_until < $4 OR lease_until > $3)`, id, worker, micros(tx.Now.Add(lease)), micros(tx.Now), cullet.Purging)
}

// ReleaseLeases ends all leases on purging items.
func (tx *Tx) ReleaseLeases(ctx context.Context) error {
	_, err := tx.exec(ctx, `UPDATE trash_items SET lease_owner = '', lease_until = 0 WHERE state = $1`, cullet.Purging)
	return err
}

// DelayItem keeps why a purge cannot go on and when to try again (C11).
func (tx *Tx) DelayItem(ctx context.Context, id, problem string, retry time.Time) error {
	return tx.execOne(ctx, `UPDATE trash_items SET problem = $2, retry_at = $3, lease_owner = '', lease_until = 0 WHERE id = $1`, id, problem, micros(retry))
}

// sweep removes rows of one table that belong to an item. Blobs names the
// columns by which they refer to bytes.
type sweep struct {
	table string
	key   string
	where string
	blobs []string
}

// sweeps lists, for each trashable type, what to remove, referring rows first.
// $1 is the item's target.
var sweeps = map[cullet.Trashable][]sweep{
	cullet.TrashProject: {
		{"exports", "id", "version_id IN (SELECT id FROM versions WHERE project_id = $1)", []string{"blob_id"}},
		{"model_files", "model_id, name", "model_id IN (SELECT id FROM models WHERE project_id = $1)", []string{"blob_id"}},
		{"models", "id", "project_id = $1", nil},
		{"training_metrics", "training_id, seq", "training_id IN (SELECT id FROM trainings WHERE project_id = $1)", nil},
		{"trainings", "id", "project_id = $1", nil},
		{"version_images", "version_id, seq", "version_id IN (SELECT id FROM versions WHERE project_id = $1)", []string{"blob_id"}},
		{"versions", "id", "project_id = $1", nil},
		{"images", "id", "project_id = $1", []string{"blob_id", "thumb_id"}},
		{"annotations", "id", "project_id = $1", nil},
		{"batches", "id", "project_id = $1", nil},
		{"classes", "project_id, name", "project_id = $1", nil},
		{"project_counts", "project_id", "project_id = $1", nil},
		{"projects", "id", "id = $1", nil},
	},
	cullet.TrashVersion: {
		{"exports", "id", "version_id = $1", []string{"blob_id"}},
		{"model_files", "model_id, name", "model_id IN (SELECT id FROM models WHERE version_id = $1)", []string{"blob_id"}},
		{"models", "id", "version_id = $1", nil},
		{"training_metrics", "training_id, seq", "training_id IN (SELECT id FROM trainings WHERE version_id = $1)", nil},
		{"trainings", "id", "version_id = $1", nil},
		{"version_images", "version_id, seq", "version_id = $1", []string{"blob_id"}},
		{"versions", "id", "id = $1", nil},
	},
	cullet.TrashWorkflow: {
		{"workflow_versions", "workflow_id, number", "workflow_id = $1", nil},
		{"workflows", "id", "id = $1", nil},
	},
}

// RootItem returns the id of the trash item that a purging item's root points at,
// "" where the root is active, ErrNoRow where the root is gone already.
func (tx *Tx) RootItem(ctx context.Context, t cullet.TrashItem) (string, error) {
	return queryOne(ctx, tx, scanText, `SELECT COALESCE(trash_item_id, '') FROM `+tables[t.Type]+` WHERE id = $1`, t.Target)
}

// SweepRows removes up to limit rows of an item, keeping the bytes they referred
// to as candidates for the collector, and says how many it removed; 0: none is left.
func (tx *Tx) SweepRows(ctx context.Context, t cullet.TrashItem, limit int) (int64, error) {
	steps, ok := sweeps[t.Type]
	if !ok {
		return 0, fmt.Errorf("nothing says how a %s is removed", t.Type)
	}
	removed := int64(0)
	for _, s := range steps {
		for removed < int64(limit) {
			n, err := tx.sweepRows(ctx, t, s, limit-int(removed))
			if err != nil {
				return removed, fmt.Errorf("removing %s of %s: %w", s.table, t.ID, err)
			}
			if n == 0 {
				break
			}
			removed += n
		}
	}
	if removed == 0 {
		return 0, nil
	}
	return removed, tx.execOne(ctx, `UPDATE trash_items SET done_rows = done_rows + $2 WHERE id = $1`, t.ID, removed)
}

func (tx *Tx) sweepRows(ctx context.Context, t cullet.TrashItem, s sweep, limit int) (int64, error) {
	statement := fmt.Sprintf(`DELETE FROM %s WHERE (%s) IN (SELECT %s FROM %s WHERE %s LIMIT $2)`, s.table, s.key, s.key, s.table, s.where)
	if len(s.blobs) == 0 {
		return tx.exec(ctx, statement, t.Target, limit)
	}
	freed, err := queryAll(ctx, tx, func(r row) ([]string, error) {
		ids := make([]string, len(s.blobs))
		dest := make([]any, len(s.blobs))
		for n := range ids {
			dest[n] = maybe{&ids[n]}
		}
		return ids, r.Scan(dest...)
	}, statement+` RETURNING `+strings.Join(s.blobs, ", "), t.Target, limit)
	if err != nil || len(freed) == 0 {
		return 0, err
	}
	var ids []string
	for _, r := range freed {
		ids = append(ids, r...)
	}
	return int64(len(freed)), tx.letGo(ctx, t.ID, ids)
}

// letGo looks at blobs that rows of an item referred to: those that nothing refers to
// any more go at once, and the others are candidates for the collector, since more of
// the item's rows may refer to them.
func (tx *Tx) letGo(ctx context.Context, item string, ids []string) error {
	slices.Sort(ids)
	ids = slices.DeleteFunc(slices.Compact(ids), func(id string) bool { return id == "" })
	var freed []cullet.Blob
	for some := range slices.Chunk(ids, several) {
		gone, err := queryAll(ctx, tx, scanBlob, `DELETE FROM blobs WHERE id IN `+listOf(1)+` AND `+unreferenced+` RETURNING `+blobColumns, padded(some)...)
		if err != nil {
			return err
		}
		freed = append(freed, gone...)
	}
	if err := tx.addUnlinks(ctx, item, freed); err != nil || len(freed) == len(ids) {
		return err
	}
	gone := make(map[string]bool, len(freed))
	for _, b := range freed {
		gone[b.ID] = true
	}
	return tx.addCandidates(ctx, item, slices.DeleteFunc(ids, func(id string) bool { return gone[id] }))
}

// several is how many rows a statement names at most.
const several = 200

// listOf is a list of several placeholders, from the given number on. It has always the
// same length, so that statements with it are few and stay prepared.
func listOf(from int) string {
	var b strings.Builder
	for n := range several {
		b.WriteString(map[bool]string{true: "($", false: ", $"}[n == 0])
		b.WriteString(strconv.Itoa(from + n))
	}
	return b.String() + ")"
}

// padded fills such a list: the last value again is the same list.
func padded(some []string) []any {
	args := make([]any, several)
	for n := range args {
		args[n] = some[min(n, len(some)-1)]
	}
	return args
}

// addUnlinks notes the files of blobs whose rows are gone.
func (tx *Tx) addUnlinks(ctx context.Context, item string, freed []cullet.Blob) error {
	for some := range slices.Chunk(freed, several) {
		q := newQuery(`INSERT INTO blob_unlinks (path, bytes, item_id) VALUES `)
		for n, b := range some {
			if n > 0 {
				q.add(", ")
			}
			q.add("(?, ?, ?)", b.Path, b.Bytes, item)
		}
		if _, err := tx.exec(ctx, q.text(), q.args...); err != nil {
			return err
		}
	}
	return nil
}

// addCandidates keeps blobs for the collector to look at, some at a time.
func (tx *Tx) addCandidates(ctx context.Context, item string, ids []string) error {
	for some := range slices.Chunk(ids, several) {
		q := newQuery(`INSERT INTO blob_candidates (item_id, blob_id) VALUES `)
		for n, id := range some {
			if n > 0 {
				q.add(", ")
			}
			q.add("(?, ?)", item, id)
		}
		q.add(" ON CONFLICT DO NOTHING")
		if _, err := tx.exec(ctx, q.text(), q.args...); err != nil {
			return err
		}
	}
	return nil
}

// blobReferences lists every column by which a row refers to bytes. A test holds
// it against the schema's foreign keys.
var blobReferences = []struct{ table, column string }{
	{"images", "blob_id"}, {"images", "thumb_id"}, {"version_images", "blob_id"},
	{"exports", "blob_id"}, {"model_files", "blob_id"},
}

// unreferenced is the condition that no row, active or in Trash, refers to a blob (C4).
var unreferenced = func() string {
	var conds []string
	for _, r := range blobReferences {
		conds = append(conds, fmt.Sprintf(`NOT EXISTS (SELECT 1 FROM %s r WHERE r.%s = blobs.id)`, r.table, r.column))
	}
	return strings.Join(conds, " AND ")
}()

// Collected is what the collector did with a batch of candidates.
type Collected struct {
	Candidates int64
	Freed      int64 // blobs whose row is gone and whose file is to be unlinked
	KeptBytes  int64 // of blobs that others still refer to
}

// CollectBlobs looks at up to limit candidates of an item: rows of blobs that
// nothing refers to go, and their files are noted for unlinking after the commit
// (C4). Foreign keys are the guard: where an upload refers to a blob at this
// moment, the removal fails and Update looks again.
func (tx *Tx) CollectBlobs(ctx context.Context, item string, limit int) (Collected, error) {
	const batch = `(SELECT blob_id FROM blob_candidates WHERE item_id = $1 ORDER BY blob_id LIMIT $2)`
	freed, err := queryAll(ctx, tx, scanBlob, `DELETE FROM blobs WHERE id IN `+batch+` AND `+unreferenced+` RETURNING `+blobColumns, item, limit)
	if err != nil {
		return Collected{}, err
	}
	if err := tx.addUnlinks(ctx, item, freed); err != nil {
		return Collected{}, err
	}
	c := Collected{Freed: int64(len(freed))}
	c.KeptBytes, err = queryOne(ctx, tx, scanInt, `SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM blobs WHERE id IN `+batch, item, limit)
	if err != nil {
		return Collected{}, err
	}
	c.Candidates, err = tx.exec(ctx, `DELETE FROM blob_candidates WHERE item_id = $1 AND blob_id IN `+batch, item, limit)
	if err != nil || c.KeptBytes == 0 {
		return c, err
	}
	return c, tx.execOne(ctx, `UPDATE trash_items SET kept_bytes = kept_bytes + $2 WHERE id = $1`, item, c.KeptBytes)
}

// Unlink is a file whose row is gone and which is to be unlinked.
type Unlink struct {
	Path    string
	Bytes   int64
	Item    string
	Problem string
}

func scanUnlink(r row) (u Unlink, err error) {
	return u, r.Scan(&u.Path, &u.Bytes, &u.Item, &u.Problem)
}

// ListUnlinks returns files of an item that are to be unlinked and were not tried
// in vain lately; with no item those whose item is gone.
func (tx *Tx) ListUnlinks(ctx context.Context, item string, limit int) ([]Unlink, error) {
	if item == "" {
		return queryAll(ctx, tx, scanUnlink, `SELECT u.path, u.bytes, u.item_id, u.problem FROM blob_unlinks u
			WHERE u.retry_at <= $1 AND NOT EXISTS (SELECT 1 FROM trash_items t WHERE t.id = u.item_id) LIMIT $2`, micros(tx.Now), limit)
	}
	return queryAll(ctx, tx, scanUnlink, `SELECT path, bytes, item_id, problem FROM blob_unlinks WHERE item_id = $1 AND retry_at <= $2 LIMIT $3`,
		item, micros(tx.Now), limit)
}

// DoneUnlinks forgets files that are unlinked, and counts for the item those that
// nobody counted before: two workers may have removed the same ones.
func (tx *Tx) DoneUnlinks(ctx context.Context, item string, done []Unlink) error {
	paths := make([]string, len(done))
	for n, u := range done {
		paths[n] = u.Path
	}
	bytes, files := int64(0), 0
	for some := range slices.Chunk(paths, several) {
		gone, err := queryAll(ctx, tx, scanInt, `DELETE FROM blob_unlinks WHERE path IN `+listOf(1)+` RETURNING bytes`, padded(some)...)
		if err != nil {
			return err
		}
		for _, b := range gone {
			bytes, files = bytes+b, files+1
		}
	}
	_, err := tx.exec(ctx, `UPDATE trash_items SET done_bytes = done_bytes + $2, done_files = done_files + $3 WHERE id = $1`, item, bytes, files)
	return err
}

// DelayUnlink keeps why a file could not be unlinked and when to try again.
func (tx *Tx) DelayUnlink(ctx context.Context, path, problem string, retry time.Time) error {
	_, err := tx.exec(ctx, `UPDATE blob_unlinks SET problem = $2, retry_at = $3 WHERE path = $1`, path, problem, micros(retry))
	return err
}

// StuckUnlinks returns files of an item that could not be unlinked, with why.
func (tx *Tx) StuckUnlinks(ctx context.Context, item string) ([]Unlink, error) {
	return queryAll(ctx, tx, scanUnlink, `SELECT path, bytes, item_id, problem FROM blob_unlinks WHERE item_id = $1 ORDER BY path LIMIT 20`, item)
}

// PurgeSums is what the purge of an item did.
type PurgeSums struct {
	Rows, Files, BytesFreed, BytesKept int64
}

// PurgeProgress returns what the purge of an item did so far, or ErrNoRow.
func (tx *Tx) PurgeProgress(ctx context.Context, item string) (PurgeSums, error) {
	return queryOne(ctx, tx, func(r row) (s PurgeSums, err error) {
		return s, r.Scan(&s.Rows, &s.Files, &s.BytesFreed, &s.BytesKept)
	}, `SELECT done_rows, done_files, done_bytes, kept_bytes FROM trash_items WHERE id = $1`, item)
}

// FinishPurge removes a purged item itself and those that went with it, which it
// returns: it is gone. ErrNoRow: it was gone before.
func (tx *Tx) FinishPurge(ctx context.Context, t cullet.TrashItem) (along []cullet.TrashItem, err error) {
	if along, err = tx.GoingAlong(ctx, t.ID); err != nil {
		return nil, err
	}
	// Who shares bytes that were kept may hold them alone from now on.
	_, err = tx.exec(ctx, `UPDATE account_epoch SET epoch = epoch + 1 WHERE EXISTS (SELECT 1 FROM trash_items WHERE id = $1 AND kept_bytes > 0)`, t.ID)
	if err != nil {
		return nil, err
	}
	for _, item := range append(along[:len(along):len(along)], t) {
		if err := tx.execOne(ctx, `DELETE FROM trash_items WHERE id = $1 AND state = $2`, item.ID, cullet.Purging); err != nil {
			return nil, err
		}
		if err := tx.countTrash(ctx, item, -1); err != nil {
			return nil, err
		}
		if item.Type != cullet.TrashVersion {
			continue
		}
		// Where its project lives on, it holds less now; where it went too, there is no such row.
		_, err := tx.exec(ctx, `UPDATE project_counts SET bytes = bytes - $2 WHERE project_id = $1`, item.Project, item.Contents.Bytes)
		if err != nil {
			return nil, err
		}
	}
	return along, nil
}

// RowsBelow counts the rows that a purge of an item will remove, for its progress.
func (tx *Tx) RowsBelow(ctx context.Context, t cullet.TrashItem) (int64, error) {
	total := int64(0)
	for _, s := range sweeps[t.Type] {
		n, err := queryOne(ctx, tx, scanInt, fmt.Sprintf(`SELECT COUNT(*) FROM %s WHERE %s`, s.table, s.where), t.Target)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// Confirmations and orders of permanent deletions.

// Confirmation is what a person was shown before deleting permanently (P4).
type Confirmation struct {
	TokenHash  string
	Workspace  string
	Person     string
	Session    string // digest
	Typed      string // what has to be typed
	Password   bool   // whether the password has to be given
	Everything bool   // whether it was all of the Trash
	Items      []ConfirmedItem
	ExpiresAt  time.Time
	UsedAt     time.Time
}

// ConfirmedItem is an item as it was when it was shown.
type ConfirmedItem struct {
	ID       string
	Revision int64
	Type     cullet.Trashable
	Name     string
}

// AddConfirmation keeps what a dialog shows.
func (tx *Tx) AddConfirmation(ctx context.Context, c Confirmation) error {
	_, err := tx.exec(ctx, `INSERT INTO purge_confirmations (token_hash, workspace_id, person_id, session_hash, typed, password, everything, items, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		c.TokenHash, c.Workspace, c.Person, c.Session, c.Typed, c.Password, c.Everything, toJSON(c.Items), micros(c.ExpiresAt))
	return err
}

// GetConfirmation returns what a dialog showed, or ErrNoRow.
func (tx *Tx) GetConfirmation(ctx context.Context, tokenHash string) (Confirmation, error) {
	return queryOne(ctx, tx, func(r row) (c Confirmation, err error) {
		var items string
		err = r.Scan(&c.TokenHash, &c.Workspace, &c.Person, &c.Session, &c.Typed, &c.Password, &c.Everything, &items, instant{&c.ExpiresAt}, instant{&c.UsedAt})
		if err == nil {
			err = fromJSON(items, &c.Items)
		}
		return c, err
	}, `SELECT token_hash, workspace_id, person_id, session_hash, typed, password, everything, items, expires_at, used_at
		FROM purge_confirmations WHERE token_hash = $1`, tokenHash)
}

// UseConfirmation marks it used; ErrNoRow: it was used before.
func (tx *Tx) UseConfirmation(ctx context.Context, tokenHash string) error {
	return tx.execOne(ctx, `UPDATE purge_confirmations SET used_at = $2 WHERE token_hash = $1 AND used_at = 0`, tokenHash, micros(tx.Now))
}

// The states of an order.
const (
	OrderScheduled = "scheduled"
	OrderRunning   = "running"
	OrderFinished  = "finished"
	OrderProblems  = "finished-with-problems"
	OrderStopped   = "stopped"
)

// Order is a person's order to delete items permanently.
type Order struct {
	ID         string
	Workspace  string
	Person     string
	PersonName string
	Address    string
	State      string
	OrderedAt  time.Time
	StartsAt   time.Time
	BeganAt    time.Time
	EndedAt    time.Time
	StoppedBy  string
}

// The results of an order for one item.
const (
	ResultWaiting = ""
	ResultRunning = "running"
	ResultDeleted = "deleted"
	ResultKept    = "kept"
)

// OrderItem is one item of an order, and what became of it.
type OrderItem struct {
	Position int64
	Item     string
	Revision int64
	Type     cullet.Trashable
	Name     string
	Result   string
	Reason   string
	Problem  string // why it cannot go on, while it is running (C11)
	Done     PurgeSums
	Rows     int64 // that there are to remove, 0: not counted yet
}

const orderColumns = `id, workspace_id, person_id, person_name, address, state, ordered_at, starts_at, began_at, ended_at, stopped_by`

func scanOrder(r row) (o Order, err error) {
	return o, r.Scan(&o.ID, &o.Workspace, &o.Person, &o.PersonName, &o.Address, &o.State,
		instant{&o.OrderedAt}, instant{&o.StartsAt}, instant{&o.BeganAt}, instant{&o.EndedAt}, &o.StoppedBy)
}

// AddOrder keeps a person's order with its items.
func (tx *Tx) AddOrder(ctx context.Context, o Order, items []ConfirmedItem) error {
	_, err := tx.exec(ctx, `INSERT INTO purge_orders (`+orderColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, '')`,
		o.ID, o.Workspace, o.Person, o.PersonName, o.Address, o.State, micros(o.OrderedAt), micros(o.StartsAt))
	if err != nil {
		return err
	}
	for n, i := range items {
		if _, err := tx.exec(ctx, `INSERT INTO purge_order_items (order_id, position, item_id, revision, type, name) VALUES ($1, $2, $3, $4, $5, $6)`,
			o.ID, n+1, i.ID, i.Revision, i.Type, i.Name); err != nil {
			return err
		}
	}
	return nil
}

// GetOrder returns an order of the workspace, or ErrNoRow.
func (tx *Tx) GetOrder(ctx context.Context, workspace, id string) (Order, error) {
	return queryOne(ctx, tx, scanOrder, `SELECT `+orderColumns+` FROM purge_orders WHERE workspace_id = $1 AND id = $2`, workspace, id)
}

// OpenOrders returns orders that have not ended and whose time has come, over
// all workspaces.
func (tx *Tx) OpenOrders(ctx context.Context) ([]Order, error) {
	return queryAll(ctx, tx, scanOrder, `SELECT `+orderColumns+` FROM purge_orders WHERE state IN ('scheduled', 'running') AND starts_at <= $1 ORDER BY starts_at, id`, micros(tx.Now))
}

// RunningOrders returns a workspace's orders that have not ended.
func (tx *Tx) RunningOrders(ctx context.Context, workspace string) ([]Order, error) {
	return queryAll(ctx, tx, scanOrder, `SELECT `+orderColumns+` FROM purge_orders WHERE workspace_id = $1 AND state IN ('scheduled', 'running') ORDER BY ordered_at`, workspace)
}

// MoveOrder moves an order from one state to the next, or is ErrNoRow.
func (tx *Tx) MoveOrder(ctx context.Context, id, from, to, by string) error {
	began, ended := int64(0), int64(0)
	switch to {
	case OrderRunning:
		began = micros(tx.Now)
	case OrderFinished, OrderProblems, OrderStopped:
		ended = micros(tx.Now)
	}
	return tx.execOne(ctx, `UPDATE purge_orders SET state = $3, began_at = CASE WHEN CAST($4 AS BIGINT) > 0 THEN CAST($4 AS BIGINT) ELSE began_at END,
		ended_at = CASE WHEN CAST($5 AS BIGINT) > 0 THEN CAST($5 AS BIGINT) ELSE ended_at END, stopped_by = CASE WHEN $6 <> '' THEN $6 ELSE stopped_by END
		WHERE id = $1 AND state = $2`, id, from, to, began, ended, by)
}

// ListOrderItems returns the items of an order with what became of them so far.
func (tx *Tx) ListOrderItems(ctx context.Context, order string) ([]OrderItem, error) {
	return queryAll(ctx, tx, func(r row) (i OrderItem, err error) {
		return i, r.Scan(&i.Position, &i.Item, &i.Revision, &i.Type, &i.Name, &i.Result, &i.Reason,
			&i.Done.Rows, &i.Done.Files, &i.Done.BytesFreed, &i.Done.BytesKept, &i.Rows, &i.Problem)
	}, `SELECT o.position, o.item_id, o.revision, o.type, o.name, o.result, o.reason,
			COALESCE(t.done_rows, o.rows_done), COALESCE(t.done_files, o.files_done), COALESCE(t.done_bytes, o.bytes_freed),
			COALESCE(t.kept_bytes, o.bytes_kept), o.rows_total, COALESCE(t.problem, '')
		FROM purge_order_items o LEFT JOIN trash_items t ON t.id = o.item_id AND o.result = 'running'
		WHERE o.order_id = $1 ORDER BY o.position`, order)
}

// ClaimOrderItem begins an item of an order, or keeps it, if it waits; ErrNoRow: it
// was begun, kept or stopped before.
func (tx *Tx) ClaimOrderItem(ctx context.Context, order, item, result, reason string) error {
	return tx.execOne(ctx, `UPDATE purge_order_items SET result = $3, reason = $4 WHERE order_id = $1 AND item_id = $2 AND result = ''`,
		order, item, result, reason)
}

// SetOrderItem keeps what became of an item of an order.
func (tx *Tx) SetOrderItem(ctx context.Context, order, item, result, reason string, done PurgeSums) error {
	_, err := tx.exec(ctx, `UPDATE purge_order_items SET result = $3, reason = $4, rows_done = $5, files_done = $6, bytes_freed = $7, bytes_kept = $8
		WHERE order_id = $1 AND item_id = $2`, order, item, result, reason, done.Rows, done.Files, done.BytesFreed, done.BytesKept)
	return err
}

// SetOrderRows keeps how many rows an item of an order has.
func (tx *Tx) SetOrderRows(ctx context.Context, order, item string, rows int64) error {
	_, err := tx.exec(ctx, `UPDATE purge_order_items SET rows_total = $3 WHERE order_id = $1 AND item_id = $2`, order, item, rows)
	return err
}

// StopOrder takes what has not begun out of an order: it stays in Trash.
func (tx *Tx) StopOrder(ctx context.Context, order, by string) (int64, error) {
	if _, err := tx.exec(ctx, `UPDATE purge_orders SET stopped_by = $2 WHERE id = $1`, order, by); err != nil {
		return 0, err
	}
	return tx.exec(ctx, `UPDATE purge_order_items SET result = $2, reason = $3 WHERE order_id = $1 AND result = ''`, order, ResultKept, "stopped by "+by)
}

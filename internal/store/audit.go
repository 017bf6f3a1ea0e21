package store

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/cullet-vision/cullet"
)

const auditColumns = `workspace_id, seq, at, actor_id, actor_name, means, address, request, act, item_type, item_id, item_name, result, detail, prev, hash`

func scanAudit(r row) (e cullet.AuditEntry, err error) {
	var detail string
	err = r.Scan(&e.Workspace, &e.Seq, instant{&e.At}, &e.ActorID, &e.ActorName, &e.Means, &e.Address, &e.Request,
		&e.Act, &e.ItemType, &e.ItemID, &e.ItemName, &e.Result, &detail, &e.Prev, &e.Hash)
	if err == nil {
		err = json.Unmarshal([]byte(detail), &e.Detail)
	}
	return e, err
}

// Audit appends an entry to the actor's workspace's chain (A1), and has those told
// who asked for it (C10). It locks the chain's head, so it is the last thing that a
// transaction does.
func (tx *Tx) Audit(ctx context.Context, by cullet.Actor, e cullet.AuditEntry) error {
	e.Workspace, e.At = by.Workspace, tx.Now
	e.ActorID, e.ActorName, e.Means, e.Address, e.Request = by.ID, clean(by.Name), by.Means, clean(by.Address), clean(by.Request)
	e.ItemID, e.ItemName, e.Result = clean(e.ItemID), clean(e.ItemName), clean(e.Result)
	if e.Result == "" {
		e.Result = "ok"
	}
	if e.Detail == nil {
		e.Detail = map[string]string{}
	}
	type head struct {
		seq  int64
		hash string
	}
	h, err := queryOne(ctx, tx, func(r row) (h head, err error) { return h, r.Scan(&h.seq, &h.hash) },
		`SELECT seq, hash FROM audit_heads WHERE workspace_id = $1`+forUpdate(tx), by.Workspace)
	if err != nil {
		return err
	}
	e.Seq, e.Prev = h.seq+1, h.hash
	e.Hash = e.ChainHash()
	if _, err := tx.exec(ctx, `INSERT INTO audit (`+auditColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
		e.Workspace, e.Seq, micros(e.At), e.ActorID, e.ActorName, e.Means, e.Address, e.Request,
		e.Act, e.ItemType, e.ItemID, e.ItemName, e.Result, toJSON(e.Detail), e.Prev, e.Hash); err != nil {
		return err
	}
	if n, told := cullet.NoticeOf(e); told {
		tx.Notify(n)
	}
	return tx.execOne(ctx, `UPDATE audit_heads SET seq = $2, hash = $3 WHERE workspace_id = $1`, by.Workspace, e.Seq, e.Hash)
}

// clean makes text that both databases keep as it is, so that the hash holds.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// ListAudit returns up to limit entries of a workspace after the given number, in order.
func (tx *Tx) ListAudit(ctx context.Context, workspace string, after int64, limit int) ([]cullet.AuditEntry, error) {
	return queryAll(ctx, tx, scanAudit, `SELECT `+auditColumns+` FROM audit WHERE workspace_id = $1 AND seq > $2 ORDER BY seq LIMIT $3`,
		workspace, after, limit)
}

// AuditOf returns the entries about one thing, oldest first.
func (tx *Tx) AuditOf(ctx context.Context, workspace, item string) ([]cullet.AuditEntry, error) {
	return queryAll(ctx, tx, scanAudit, `SELECT `+auditColumns+` FROM audit WHERE workspace_id = $1 AND item_id = $2 ORDER BY seq`, workspace, item)
}

// AuditHead returns the number and hash of a workspace's last entry.
func (tx *Tx) AuditHead(ctx context.Context, workspace string) (seq int64, hash string, err error) {
	e, err := queryOne(ctx, tx, func(r row) (e cullet.AuditEntry, err error) { return e, r.Scan(&e.Seq, &e.Hash) },
		`SELECT seq, hash FROM audit_heads WHERE workspace_id = $1`, workspace)
	return e.Seq, e.Hash, err
}

// AuditFilter chooses entries of a workspace's audit.
type AuditFilter struct {
	Who    string // a part of the name of who acted
	Acts   []cullet.Act
	Item   string // id of the item, or a part of its name
	Failed bool   // only what was refused or had problems
	From   time.Time
	To     time.Time
	Before int64 // only entries with a smaller number; 0: from the newest on
	Limit  int
}

// FindAudit returns a page of the entries that the filter chooses, newest first.
func (tx *Tx) FindAudit(ctx context.Context, workspace string, f AuditFilter) ([]cullet.AuditEntry, error) {
	q := newQuery(`SELECT `+auditColumns+` FROM audit WHERE workspace_id = $1`, workspace)
	if f.Who != "" {
		q.and(`LOWER(actor_name) LIKE ? ESCAPE '\'`, contains(f.Who))
	}
	if len(f.Acts) > 0 {
		q.add(` AND act IN (`)
		for n, a := range f.Acts {
			if n > 0 {
				q.add(`, `)
			}
			q.add(`?`, a)
		}
		q.add(`)`)
	}
	if f.Item != "" {
		q.and(`(item_id = ? OR LOWER(item_name) LIKE ? ESCAPE '\')`, f.Item, contains(f.Item))
	}
	if f.Failed {
		q.and(`result <> 'ok'`)
	}
	if !f.From.IsZero() {
		q.and(`at >= ?`, micros(f.From))
	}
	if !f.To.IsZero() {
		q.and(`at < ?`, micros(f.To))
	}
	if f.Before > 0 {
		q.and(`seq < ?`, f.Before)
	}
	q.add(` ORDER BY seq DESC LIMIT ?`, f.Limit)
	return queryAll(ctx, tx, scanAudit, q.text(), q.args...)
}

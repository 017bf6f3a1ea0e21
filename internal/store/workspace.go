package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/cullet-vision/cullet"
)

const workspaceColumns = `id, slug, name, retention_us, created_at, protected_at, unprotect_at, unprotect_by, protection_wait_us, lifted_wait`

func scanWorkspace(r row) (w cullet.Workspace, err error) {
	var retention, wait int64
	err = r.Scan(&w.ID, &w.Slug, &w.Name, &retention, instant{&w.CreatedAt}, instant{&w.ProtectedAt}, instant{&w.UnprotectAt}, &w.UnprotectBy, &wait, &w.LiftedWait)
	w.Retention = time.Duration(retention) * time.Microsecond
	w.ProtectionWait = time.Duration(wait) * time.Microsecond
	return w, err
}

// AddWorkspace keeps a new workspace, with an empty audit chain.
func (tx *Tx) AddWorkspace(ctx context.Context, w cullet.Workspace) error {
	_, err := tx.exec(ctx, `INSERT INTO workspaces (id, slug, name, retention_us, created_at) VALUES ($1, $2, $3, $4, $5)`,
		w.ID, w.Slug, w.Name, w.Retention.Microseconds(), micros(w.CreatedAt))
	if err != nil {
		return err
	}
	if _, err := tx.exec(ctx, `INSERT INTO audit_heads (workspace_id, seq, hash) VALUES ($1, 0, '')`, w.ID); err != nil {
		return err
	}
	for _, t := range cullet.TrashableTypes() {
		if _, err := tx.exec(ctx, `INSERT INTO trash_counts (workspace_id, type, items, bytes) VALUES ($1, $2, 0, 0)`, w.ID, t); err != nil {
			return err
		}
	}
	return nil
}

// GetWorkspace returns the workspace with the slug, or ErrNoRow.
func (tx *Tx) GetWorkspace(ctx context.Context, slug string) (cullet.Workspace, error) {
	return queryOne(ctx, tx, scanWorkspace, `SELECT `+workspaceColumns+` FROM workspaces WHERE slug = $1`, slug)
}

// GetWorkspaceByID returns the workspace with the id, or ErrNoRow.
func (tx *Tx) GetWorkspaceByID(ctx context.Context, id string) (cullet.Workspace, error) {
	return queryOne(ctx, tx, scanWorkspace, `SELECT `+workspaceColumns+` FROM workspaces WHERE id = $1`, id)
}

// ListWorkspaces returns all workspaces, oldest first.
func (tx *Tx) ListWorkspaces(ctx context.Context) ([]cullet.Workspace, error) {
	return queryAll(ctx, tx, scanWorkspace, `SELECT `+workspaceColumns+` FROM workspaces ORDER BY created_at, id`)
}

// SetRetention sets how long the workspace's deletions stay restorable from now
// on; items in Trash keep their dates (C7).
func (tx *Tx) SetRetention(ctx context.Context, workspace string, d time.Duration) error {
	return tx.execOne(ctx, `UPDATE workspaces SET retention_us = $2 WHERE id = $1`, workspace, d.Microseconds())
}

// SetProtection sets since when purge protection is on, and when its lifting takes
// effect and who asked for it; zero times: off, and not asked for (C9).
func (tx *Tx) SetProtection(ctx context.Context, workspace string, on, off time.Time, by string) error {
	return tx.execOne(ctx, `UPDATE workspaces SET protected_at = $2, unprotect_at = $3, unprotect_by = $4 WHERE id = $1`, workspace, micros(on), micros(off), by)
}

// TakeWorkspace keeps other changes of the workspace's own settings out.
func (tx *Tx) TakeWorkspace(ctx context.Context, id string) (cullet.Workspace, error) {
	return queryOne(ctx, tx, scanWorkspace, `SELECT `+workspaceColumns+` FROM workspaces WHERE id = $1`+forUpdate(tx), id)
}

const personColumns = `id, email, name, password_hash, created_at`

func scanPerson(r row) (p cullet.Person, err error) {
	return p, r.Scan(&p.ID, &p.Email, &p.Name, &p.PasswordHash, instant{&p.CreatedAt})
}

// AddPerson keeps a new person.
func (tx *Tx) AddPerson(ctx context.Context, p cullet.Person) error {
	_, err := tx.exec(ctx, `INSERT INTO people (`+personColumns+`) VALUES ($1, $2, $3, $4, $5)`,
		p.ID, p.Email, p.Name, p.PasswordHash, micros(p.CreatedAt))
	return err
}

// GetPerson returns the person with the id, or ErrNoRow.
func (tx *Tx) GetPerson(ctx context.Context, id string) (cullet.Person, error) {
	return queryOne(ctx, tx, scanPerson, `SELECT `+personColumns+` FROM people WHERE id = $1`, id)
}

// GetPersonByEmail returns the person with the address, or ErrNoRow. Addresses
// are kept in lower case.
func (tx *Tx) GetPersonByEmail(ctx context.Context, email string) (cullet.Person, error) {
	return queryOne(ctx, tx, scanPerson, `SELECT `+personColumns+` FROM people WHERE email = $1`, email)
}

// AddMember gives a person a place in a workspace.
func (tx *Tx) AddMember(ctx context.Context, m cullet.Member) error {
	_, err := tx.exec(ctx, `INSERT INTO members (workspace_id, person_id, role, joined_at) VALUES ($1, $2, $3, $4)`,
		m.Workspace, m.Person, m.Role, micros(m.JoinedAt))
	return err
}

// SetRole changes a member's role.
func (tx *Tx) SetRole(ctx context.Context, workspace, person string, r cullet.Role) error {
	return tx.execOne(ctx, `UPDATE members SET role = $3 WHERE workspace_id = $1 AND person_id = $2`, workspace, person, r)
}

// GetRole returns the person's present role in the workspace, or ErrNoRow.
func (tx *Tx) GetRole(ctx context.Context, workspace, person string) (cullet.Role, error) {
	s, err := queryOne(ctx, tx, scanText, `SELECT role FROM members WHERE workspace_id = $1 AND person_id = $2`, workspace, person)
	return cullet.Role(s), err
}

// CountMembers counts the people of a workspace.
func (tx *Tx) CountMembers(ctx context.Context, workspace string) (int64, error) {
	return queryOne(ctx, tx, scanInt, `SELECT COUNT(*) FROM members WHERE workspace_id = $1`, workspace)
}

// WorkspacesOf lists the workspaces that the person is a member of.
func (tx *Tx) WorkspacesOf(ctx context.Context, person string) ([]cullet.Workspace, error) {
	return queryAll(ctx, tx, scanWorkspace, `SELECT `+workspaceColumns+`
		FROM workspaces WHERE id IN (SELECT workspace_id FROM members WHERE person_id = $1) ORDER BY name, id`, person)
}

const keyColumns = `id, workspace_id, name, prefix, hash, full_access, scopes, made_by, is_default, protected, disabled, metadata, created_at, last_used_at`

func scanKey(r row) (k cullet.Key, err error) {
	var scopes string
	err = r.Scan(&k.ID, &k.Workspace, &k.Name, &k.Prefix, &k.Hash, &k.Full, &scopes, &k.MadeBy,
		&k.Default, &k.Protected, &k.Disabled, &k.Metadata, instant{&k.CreatedAt}, instant{&k.LastUsedAt})
	if err == nil {
		err = json.Unmarshal([]byte(scopes), &k.Scopes)
	}
	return k, err
}

func toJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own structs of text and numbers always encode
	}
	return string(b)
}

func fromJSON(text string, v any) error { return json.Unmarshal([]byte(text), v) }

// AddKey keeps a new API key.
func (tx *Tx) AddKey(ctx context.Context, k cullet.Key) error {
	_, err := tx.exec(ctx, `INSERT INTO api_keys (`+keyColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
		k.ID, k.Workspace, k.Name, k.Prefix, k.Hash, k.Full, toJSON(k.Scopes), k.MadeBy,
		k.Default, k.Protected, k.Disabled, k.Metadata, micros(k.CreatedAt), micros(k.LastUsedAt))
	return err
}

// GetKeyByHash returns the key whose secret has the hash, or ErrNoRow.
func (tx *Tx) GetKeyByHash(ctx context.Context, hash string) (cullet.Key, error) {
	return queryOne(ctx, tx, scanKey, `SELECT `+keyColumns+` FROM api_keys WHERE hash = $1`, hash)
}

// GetKey returns a key of the workspace, or ErrNoRow.
func (tx *Tx) GetKey(ctx context.Context, workspace, id string) (cullet.Key, error) {
	return queryOne(ctx, tx, scanKey, `SELECT `+keyColumns+` FROM api_keys WHERE workspace_id = $1 AND id = $2`, workspace, id)
}

// TakeKey is GetKey for who changes the key: nobody else does until the
// transaction ends.
func (tx *Tx) TakeKey(ctx context.Context, workspace, id string) (cullet.Key, error) {
	return queryOne(ctx, tx, scanKey, `SELECT `+keyColumns+` FROM api_keys WHERE workspace_id = $1 AND id = $2`+forUpdate(tx), workspace, id)
}

// ListKeys lists the keys of the workspace, oldest first.
func (tx *Tx) ListKeys(ctx context.Context, workspace string) ([]cullet.Key, error) {
	return queryAll(ctx, tx, scanKey, `SELECT `+keyColumns+` FROM api_keys WHERE workspace_id = $1 ORDER BY created_at, id`, workspace)
}

// UpdateKey keeps a key's name, scopes, metadata and marks.
func (tx *Tx) UpdateKey(ctx context.Context, k cullet.Key) error {
	return tx.execOne(ctx, `UPDATE api_keys SET name = $3, full_access = $4, scopes = $5, protected = $6, disabled = $7, metadata = $8
		WHERE workspace_id = $1 AND id = $2`,
		k.Workspace, k.ID, k.Name, k.Full, toJSON(k.Scopes), k.Protected, k.Disabled, k.Metadata)
}

// MarkKeyUsed keeps when a key was last used.
func (tx *Tx) MarkKeyUsed(ctx context.Context, id string, at time.Time) error {
	_, err := tx.exec(ctx, `UPDATE api_keys SET last_used_at = $2 WHERE id = $1`, id, micros(at))
	return err
}

// RemoveKey removes a key for good.
func (tx *Tx) RemoveKey(ctx context.Context, workspace, id string) error {
	return tx.execOne(ctx, `DELETE FROM api_keys WHERE workspace_id = $1 AND id = $2`, workspace, id)
}

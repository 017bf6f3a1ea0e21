package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/store"
)

// Digest is how secrets are kept: SHA-256, hexadecimal. Secrets have 160 random
// bits, so nothing slower is needed.
func Digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

func newKey(workspace, name, maker string, now time.Time) (cullet.Key, string) {
	secret := cullet.NewSecret("ck")
	return cullet.Key{ID: cullet.NewID(cullet.KeyID), Workspace: workspace, Name: name, Prefix: secret[:7],
		Hash: Digest(secret), MadeBy: maker, Metadata: "{}", CreatedAt: now}, secret
}

var errKey = cullet.E(cullet.Unauthorized, "this API key is not known to the server; check it, or make a new one in the web app under Settings, API keys")

// Key returns the actor that a key's secret stands for, and its workspace. An
// unknown, revoked or disabled key is Unauthorized, all with the same text.
func (d *Desk) Key(ctx context.Context, secret string) (cullet.Actor, cullet.Workspace, error) {
	if secret == "" {
		return cullet.Actor{}, cullet.Workspace{}, cullet.E(cullet.Unauthorized, "not authenticated: the API key is missing (api_key in the query, or Authorization: Bearer)")
	}
	var k cullet.Key
	var w cullet.Workspace
	var role cullet.Role
	hash := Digest(secret)
	err := d.DB.View(ctx, func(tx *store.Tx) (err error) {
		if k, err = tx.GetKeyByHash(ctx, hash); err != nil {
			return err
		}
		if w, err = tx.GetWorkspaceByID(ctx, k.Workspace); err != nil {
			return err
		}
		role, err = tx.GetRole(ctx, k.Workspace, k.MadeBy)
		return err
	})
	if errors.Is(err, store.ErrNoRow) || err == nil && (k.Disabled || subtle.ConstantTimeCompare([]byte(k.Hash), []byte(hash)) != 1) {
		return cullet.Actor{}, cullet.Workspace{}, errKey
	}
	if err != nil {
		return cullet.Actor{}, cullet.Workspace{}, err
	}
	d.markUsed(ctx, k)
	return cullet.Actor{Workspace: w.ID, ID: k.ID, Name: "key " + k.Name, Means: cullet.ByKey, Role: role,
		Scopes: k.Scopes, Scoped: !k.Full}, w, nil
}

// markUsed keeps when a key was last used, to the minute. It is no reason to
// refuse a request when it does not work.
func (d *Desk) markUsed(ctx context.Context, k cullet.Key) {
	now := d.DB.Clock().Now()
	if now.Sub(k.LastUsedAt).Abs() < time.Minute {
		return
	}
	_ = d.DB.Update(ctx, func(tx *store.Tx) error { return tx.MarkKeyUsed(ctx, k.ID, tx.Now) })
}

// KeyChange is what a client asks for in a new or changed key; nil leaves it.
type KeyChange struct {
	Name      *string
	Scopes    *[]cullet.Scope // nil inside Full: none
	Full      *bool           // all that the maker may do
	Metadata  *string         // JSON object
	Protected *bool
	Disabled  *bool
}

// apply checks the change against what its actor may do itself: nobody hands on
// more than they have (P2).
func (c KeyChange) apply(k cullet.Key, by cullet.Actor) (cullet.Key, error) {
	if c.Name != nil {
		if err := cullet.CheckName("name of the key", *c.Name); err != nil {
			return k, err
		}
		k.Name = *c.Name
	}
	if c.Full != nil && *c.Full {
		if by.Scoped {
			return k, cullet.E(cullet.Forbidden, "%s has not full access itself, so it cannot give it to a key", by.Name)
		}
		k.Full, k.Scopes = true, nil
	}
	if c.Scopes != nil {
		if err := cullet.CheckScopes(*c.Scopes); err != nil {
			return k, err
		}
		for _, s := range *c.Scopes {
			if !by.Can(s) {
				return k, cullet.E(cullet.Forbidden, "%s may not do %s itself, so it cannot give that scope to a key", by.Name, s)
			}
		}
		k.Full, k.Scopes = false, *c.Scopes
	}
	if c.Metadata != nil {
		if err := checkObject(*c.Metadata); err != nil {
			return k, err
		}
		k.Metadata = *c.Metadata
	}
	if c.Protected != nil {
		if k.Protected && !*c.Protected {
			return k, cullet.E(cullet.Forbidden, "a protected key stays protected")
		}
		k.Protected = *c.Protected
	}
	if c.Disabled != nil {
		if k.Protected && *c.Disabled {
			return k, cullet.E(cullet.Conflict, "the key %s is protected and cannot be disabled", k.Name)
		}
		k.Disabled = *c.Disabled
	}
	return k, nil
}

func checkObject(text string) error {
	var m map[string]any
	if len(text) > 16<<10 || json.Unmarshal([]byte(text), &m) != nil {
		return cullet.E(cullet.Invalid, "the key's metadata must be a JSON object of at most 16 kB")
	}
	return nil
}

// MakeKey makes a key and returns its secret, which is shown this once. Without
// scopes in the change it gets its maker's own.
func (d *Desk) MakeKey(ctx context.Context, by cullet.Actor, c KeyChange) (cullet.Key, string, error) {
	if err := by.Allow(cullet.KeyCreate); err != nil {
		return cullet.Key{}, "", err
	}
	var k cullet.Key
	var secret string
	err := d.DB.Update(ctx, func(tx *store.Tx) error {
		maker, err := d.maker(ctx, tx, by)
		if err != nil {
			return err
		}
		k, secret = newKey(by.Workspace, "API key", maker, tx.Now)
		k.Full, k.Scopes = !by.Scoped, by.Scopes
		if k, err = c.apply(k, by); err != nil {
			return err
		}
		if err := tx.AddKey(ctx, k); err != nil {
			return err
		}
		return tx.Audit(ctx, by, cullet.AuditEntry{Act: cullet.ActKeyCreated, ItemType: "key", ItemID: k.ID, ItemName: k.Name})
	})
	return k, secret, err
}

// maker is the person that a new key belongs to: the one acting, or the one who
// made the key that acts.
func (d *Desk) maker(ctx context.Context, tx *store.Tx, by cullet.Actor) (string, error) {
	if by.Means != cullet.ByKey {
		return by.ID, nil
	}
	k, err := tx.GetKey(ctx, by.Workspace, by.ID)
	return k.MadeBy, err
}

// Keys lists the workspace's keys.
func (d *Desk) Keys(ctx context.Context, by cullet.Actor) (keys []cullet.Key, err error) {
	if err := by.Allow(cullet.KeyRead); err != nil {
		return nil, err
	}
	err = d.DB.View(ctx, func(tx *store.Tx) error {
		keys, err = tx.ListKeys(ctx, by.Workspace)
		return err
	})
	return keys, err
}

// GetKey returns one key of the workspace.
func (d *Desk) GetKey(ctx context.Context, by cullet.Actor, id string) (k cullet.Key, err error) {
	if err := by.Allow(cullet.KeyRead); err != nil {
		return k, err
	}
	err = d.DB.View(ctx, func(tx *store.Tx) error {
		k, err = tx.GetKey(ctx, by.Workspace, id)
		return noKey(err, id)
	})
	return k, err
}

// takeKey reads a key that is changed: a change that did not see another one would
// undo it, and bring a disabled key back.
func takeKey(ctx context.Context, tx *store.Tx, by cullet.Actor, id string) (cullet.Key, error) {
	k, err := tx.TakeKey(ctx, by.Workspace, id)
	return k, noKey(err, id)
}

func noKey(err error, id string) error {
	if errors.Is(err, store.ErrNoRow) {
		err = cullet.E(cullet.NotFound, "there is no API key %q in this workspace", id)
	}
	return err
}

// ChangeKey changes a key. Nobody can change a key that can do more than they
// can themselves.
func (d *Desk) ChangeKey(ctx context.Context, by cullet.Actor, id string, c KeyChange) (cullet.Key, error) {
	if err := by.Allow(cullet.KeyUpdate); err != nil {
		return cullet.Key{}, err
	}
	var k cullet.Key
	err := d.DB.Update(ctx, func(tx *store.Tx) (err error) {
		if k, err = takeKey(ctx, tx, by, id); err != nil {
			return err
		}
		if err := mayHandle(by, k); err != nil {
			return err
		}
		if k, err = c.apply(k, by); err != nil {
			return err
		}
		if err := tx.UpdateKey(ctx, k); err != nil {
			return err
		}
		return tx.Audit(ctx, by, cullet.AuditEntry{Act: cullet.ActKeyUpdated, ItemType: "key", ItemID: k.ID, ItemName: k.Name})
	})
	return k, err
}

func mayHandle(by cullet.Actor, k cullet.Key) error {
	refused := k.Full && by.Scoped
	for _, s := range k.Scopes {
		refused = refused || !by.Can(s)
	}
	if refused {
		return cullet.E(cullet.Forbidden, "the key %s can do more than %s, which may not change it", k.Name, by.Name)
	}
	return nil
}

// RevokeKey removes a key for good.
func (d *Desk) RevokeKey(ctx context.Context, by cullet.Actor, id string) error {
	if err := by.Allow(cullet.KeyUpdate); err != nil {
		return err
	}
	return d.DB.Update(ctx, func(tx *store.Tx) error {
		k, err := takeKey(ctx, tx, by, id)
		if err != nil {
			return err
		}
		if err := mayHandle(by, k); err != nil {
			return err
		}
		if k.Protected {
			return cullet.E(cullet.Conflict, "the key %s is protected and cannot be revoked", k.Name)
		}
		if err := tx.RemoveKey(ctx, by.Workspace, id); err != nil {
			return err
		}
		return tx.Audit(ctx, by, cullet.AuditEntry{Act: cullet.ActKeyRevoked, ItemType: "key", ItemID: k.ID, ItemName: k.Name})
	})
}

// Replace makes a new default key for a workspace and revokes those of the same
// name before it. The demo does so each time it starts, since it cannot show an
// old secret again.
func (d *Desk) Replace(ctx context.Context, workspace, owner, name string) (cullet.Key, string, error) {
	by := cullet.SystemActor(workspace, "the operator", cullet.ByServer)
	var k cullet.Key
	var secret string
	err := d.DB.Update(ctx, func(tx *store.Tx) error {
		old, err := tx.ListKeys(ctx, workspace)
		if err != nil {
			return err
		}
		k, secret = newKey(workspace, name, owner, tx.Now)
		k.Full, k.Default = true, true
		if err := tx.AddKey(ctx, k); err != nil {
			return err
		}
		for _, o := range old {
			if o.Name != name {
				continue
			}
			if err := tx.RemoveKey(ctx, workspace, o.ID); err != nil {
				return err
			}
			if err := tx.Audit(ctx, by, cullet.AuditEntry{Act: cullet.ActKeyRevoked, ItemType: "key", ItemID: o.ID, ItemName: o.Name}); err != nil {
				return err
			}
		}
		return tx.Audit(ctx, by, cullet.AuditEntry{Act: cullet.ActKeyCreated, ItemType: "key", ItemID: k.ID, ItemName: k.Name})
	})
	return k, secret, err
}

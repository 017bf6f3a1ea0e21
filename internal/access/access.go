// Package access is who may come in: workspaces, people with their passwords,
// and API keys.
//
// Invariants: a password is kept as argon2id, a key as SHA-256 of its secret;
// neither is ever logged; a key can never do more than the person who made it
// may do at this moment, and a key made by a key at most what that one could.
package access

import (
	"context"
	"errors"
	"net/mail"
	"strings"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/failpoint"
	"github.com/cullet-vision/cullet/internal/store"
)

// Desk is where people and keys are checked.
type Desk struct {
	DB *store.DB
}

// NewWorkspace is what a new workspace is made of.
type NewWorkspace struct {
	Name     string
	Slug     string // "": made from the name
	Email    string // of its owner
	Person   string // name of its owner; "": the part of the address before the @
	Password string // of its owner; not looked at where the address is known already
}

// Opened is a new workspace with its first key, whose secret is shown this once.
type Opened struct {
	Workspace cullet.Workspace
	Owner     cullet.Person
	Key       cullet.Key
	Secret    string
}

// MinPassword is the shortest password, in bytes.
const MinPassword = 12

// Open makes a workspace with its owner and a first key with full access.
// Errors: Invalid for what cannot be a name, address or password, Conflict where
// the slug is taken.
func (d *Desk) Open(ctx context.Context, n NewWorkspace) (Opened, error) {
	if err := cullet.CheckName("workspace name", n.Name); err != nil {
		return Opened{}, err
	}
	if n.Slug == "" {
		n.Slug = cullet.Slugify(n.Name)
	}
	if err := cullet.CheckWorkspaceSlug(n.Slug); err != nil {
		return Opened{}, err
	}
	email, err := CheckEmail(n.Email)
	if err != nil {
		return Opened{}, err
	}
	if n.Person == "" {
		n.Person, _, _ = strings.Cut(email, "@")
	}
	hash, err := HashPassword(ctx, n.Password)
	if err != nil {
		return Opened{}, err
	}
	var o Opened
	err = d.DB.Update(failpoint.In(ctx, "workspace"), func(tx *store.Tx) error {
		if _, err := tx.GetWorkspace(ctx, n.Slug); err == nil {
			return cullet.E(cullet.Conflict, "there is a workspace %q already; choose another name", n.Slug)
		} else if !errors.Is(err, store.ErrNoRow) {
			return err
		}
		o.Workspace = cullet.Workspace{ID: cullet.NewID(cullet.WorkspaceID), Slug: n.Slug, Name: n.Name, CreatedAt: tx.Now}
		if err := tx.AddWorkspace(ctx, o.Workspace); err != nil {
			return err
		}
		if o.Owner, err = tx.GetPersonByEmail(ctx, email); errors.Is(err, store.ErrNoRow) {
			o.Owner = cullet.Person{ID: cullet.NewID(cullet.PersonID), Email: email, Name: n.Person, PasswordHash: hash, CreatedAt: tx.Now}
			err = tx.AddPerson(ctx, o.Owner)
		}
		if err != nil {
			return err
		}
		if err := tx.AddMember(ctx, cullet.Member{Workspace: o.Workspace.ID, Person: o.Owner.ID, Role: cullet.Owner, JoinedAt: tx.Now}); err != nil {
			return err
		}
		o.Key, o.Secret = newKey(o.Workspace.ID, "default", o.Owner.ID, tx.Now)
		o.Key.Default, o.Key.Full = true, true
		if err := tx.AddKey(ctx, o.Key); err != nil {
			return err
		}
		by := cullet.SystemActor(o.Workspace.ID, "the operator", cullet.ByServer)
		return tx.Audit(ctx, by, cullet.AuditEntry{Act: cullet.ActWorkspaceOpened, ItemType: "workspace", ItemID: o.Workspace.ID, ItemName: n.Slug})
	})
	return o, err
}

// CheckEmail refuses what is no address, and returns it as it is kept.
func CheckEmail(s string) (string, error) {
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != strings.TrimSpace(s) || len(s) > 254 {
		return "", cullet.E(cullet.Invalid, "%q is no e-mail address; it looks like ann@example.com", s)
	}
	return strings.ToLower(a.Address), nil
}

// AddPerson makes a person with a role in a workspace. An address that is known
// already is a Conflict.
func (d *Desk) AddPerson(ctx context.Context, workspace, email, name, password string, role cullet.Role) (cullet.Person, error) {
	email, err := CheckEmail(email)
	if err != nil {
		return cullet.Person{}, err
	}
	if !role.Known() {
		return cullet.Person{}, cullet.E(cullet.Invalid, "there is no role %q", role)
	}
	hash, err := HashPassword(ctx, password)
	if err != nil {
		return cullet.Person{}, err
	}
	p := cullet.Person{ID: cullet.NewID(cullet.PersonID), Email: email, Name: name, PasswordHash: hash}
	err = d.DB.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.GetPersonByEmail(ctx, email); err == nil {
			return cullet.E(cullet.Conflict, "there is a person with the address %s already", email)
		} else if !errors.Is(err, store.ErrNoRow) {
			return err
		}
		p.CreatedAt = tx.Now
		if err := tx.AddPerson(ctx, p); err != nil {
			return err
		}
		if err := tx.AddMember(ctx, cullet.Member{Workspace: workspace, Person: p.ID, Role: role, JoinedAt: tx.Now}); err != nil {
			return err
		}
		by := cullet.SystemActor(workspace, "the operator", cullet.ByServer)
		return tx.Audit(ctx, by, cullet.AuditEntry{Act: cullet.ActMember, ItemType: "person", ItemID: p.ID, ItemName: email,
			Detail: map[string]string{"role": string(role)}})
	})
	return p, err
}

// Members counts the people of the actor's workspace.
func (d *Desk) Members(ctx context.Context, by cullet.Actor) (n int64, err error) {
	err = d.DB.View(ctx, func(tx *store.Tx) error {
		n, err = tx.CountMembers(ctx, by.Workspace)
		return err
	})
	return n, err
}

// failures and window bound how often a sign-in may fail.
const (
	failures = 5
	window   = 15 * time.Minute
)

var errSignIn = cullet.E(cullet.Unauthorized, "this address and password do not fit together")

// SignIn checks a person's password. Five failures within 15 minutes, of one
// address or from one machine, are TooMany with the wait in words. An unknown
// address takes as long as a wrong password and says the same.
func (d *Desk) SignIn(ctx context.Context, email, password, machine string) (cullet.Person, error) {
	email = strings.ToLower(strings.TrimSpace(email))
	who := []string{"address " + email, "machine " + machine}
	var p cullet.Person
	// Noted as failed before the password is looked at: of many tried at once, all
	// count.
	err := d.DB.Update(ctx, func(tx *store.Tx) error {
		p = cullet.Person{}
		for _, w := range who {
			if err := tx.LockSignIns(ctx, w); err != nil {
				return err
			}
			n, oldest, err := tx.CountSignInFailures(ctx, w, tx.Now.Add(-window))
			if err != nil {
				return err
			}
			if n >= failures {
				wait := oldest.Add(window).Sub(tx.Now).Round(time.Minute)
				return cullet.E(cullet.TooMany, "too many sign-ins failed; try again in %s", waitWords(wait))
			}
			if err := tx.AddSignInFailure(ctx, w); err != nil {
				return err
			}
		}
		var err error
		p, err = tx.GetPersonByEmail(ctx, email)
		if errors.Is(err, store.ErrNoRow) {
			return nil
		}
		return err
	})
	if err != nil {
		return cullet.Person{}, err
	}
	ok, err := CheckPassword(ctx, p.PasswordHash, password)
	if err != nil {
		return cullet.Person{}, err
	}
	if !ok {
		return p, errSignIn
	}
	return p, d.DB.Update(ctx, func(tx *store.Tx) error {
		for _, w := range who {
			if err := tx.RemoveSignInFailures(ctx, w); err != nil {
				return err
			}
		}
		return nil
	})
}

func waitWords(d time.Duration) string {
	if m := int(d / time.Minute); m > 1 {
		return strings.TrimSuffix(d.Truncate(time.Minute).String(), "m0s") + " minutes"
	}
	return "a minute"
}

// Confirm checks the password of a person who is signed in already (P1), under
// the same limits as a sign-in.
func (d *Desk) Confirm(ctx context.Context, person, password, machine string) error {
	var email string
	err := d.DB.View(ctx, func(tx *store.Tx) error {
		p, err := tx.GetPerson(ctx, person)
		email = p.Email
		return err
	})
	if err != nil {
		return err
	}
	_, err = d.SignIn(ctx, email, password, machine)
	if errors.Is(err, errSignIn) {
		return cullet.E(cullet.Forbidden, "the password is wrong")
	}
	return err
}

// Workspaces returns the workspaces that a person is a member of, by name.
func (d *Desk) Workspaces(ctx context.Context, person string) (all []cullet.Workspace, err error) {
	err = d.DB.View(ctx, func(tx *store.Tx) error {
		all, err = tx.WorkspacesOf(ctx, person)
		return err
	})
	return all, err
}

// Person returns the actor that a signed-in person is in a workspace: NotFound
// where the workspace is not there or the person is no member.
func (d *Desk) Person(ctx context.Context, person, workspace string) (cullet.Actor, cullet.Workspace, error) {
	var a cullet.Actor
	var w cullet.Workspace
	err := d.DB.View(ctx, func(tx *store.Tx) error {
		p, err := tx.GetPerson(ctx, person)
		if err != nil {
			return err
		}
		if w, err = tx.GetWorkspace(ctx, workspace); err != nil {
			return err
		}
		role, err := tx.GetRole(ctx, w.ID, person)
		a = cullet.Actor{Workspace: w.ID, ID: p.ID, Name: p.Name, Means: cullet.ByWeb, Role: role}
		return err
	})
	if errors.Is(err, store.ErrNoRow) {
		err = cullet.E(cullet.NotFound, "there is no workspace %q, or you are not a member of it", workspace)
	}
	return a, w, err
}

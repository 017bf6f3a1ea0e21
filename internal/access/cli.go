package access

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/store"
)

// cliTokenFor is how long a token for a command line is good.
const cliTokenFor = 10 * time.Minute

// cliToken is what a token for a command line stands for.
type cliToken struct {
	Person    string
	Workspace string // slug
}

// cliDigest is how such a token is kept, beside the sessions and never as one.
func cliDigest(token string) string { return Digest("cli\x00" + token) }

// MakeCLIToken makes a token that a person copies into their command line, which
// gets an API key of the workspace for it: once, within ten minutes. It needs the
// right to make keys.
func (d *Desk) MakeCLIToken(ctx context.Context, by cullet.Actor, workspace string) (token string, expires time.Time, err error) {
	if by.Means != cullet.ByWeb {
		return "", expires, cullet.E(cullet.Forbidden, "only a person who is signed in to the web app can sign a command line in")
	}
	if err := by.Allow(cullet.KeyCreate); err != nil {
		return "", expires, err
	}
	data, err := json.Marshal(cliToken{by.ID, workspace})
	if err != nil {
		return "", expires, err
	}
	token = cullet.NewSecret("cli")
	err = d.DB.Update(ctx, func(tx *store.Tx) error {
		expires = tx.Now.Add(cliTokenFor)
		return tx.PutSession(ctx, cliDigest(token), string(data), expires)
	})
	return token, expires, err
}

// TakeCLIToken gives a new API key for a token, which is used up by it. What the
// person may do is looked at again. A token that is not known, used or too old is
// Unauthorized.
func (d *Desk) TakeCLIToken(ctx context.Context, token, address, request string) (w cullet.Workspace, secret string, err error) {
	var t cliToken
	err = d.DB.Update(ctx, func(tx *store.Tx) error {
		data, err := tx.TakeSession(ctx, cliDigest(token))
		if err != nil {
			return err
		}
		return json.Unmarshal([]byte(data), &t)
	})
	if errors.Is(err, store.ErrNoRow) {
		return w, "", cullet.E(cullet.Unauthorized, "this token is not known, was used already, or is older than ten minutes; get a new one")
	} else if err != nil {
		return w, "", err
	}
	by, w, err := d.Person(ctx, t.Person, t.Workspace)
	if err != nil {
		return w, "", err
	}
	by.Address, by.Request = address, request
	name := "command line of " + by.Name
	_, secret, err = d.MakeKey(ctx, by, KeyChange{Name: &name})
	return w, secret, err
}

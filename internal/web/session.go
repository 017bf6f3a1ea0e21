package web

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/access"
	"github.com/cullet-vision/cullet/internal/store"
)

// How long a session lives. Both go by our clock: the store ends one that was
// idle, signedIn one that is too old.
const (
	idle     = 12 * time.Hour
	longest  = 30 * 24 * time.Hour
	touching = 5 * time.Minute // how exactly the idle time is kept, so that not each page writes
)

// What a session holds.
const (
	sessionPerson  = "person"
	sessionSince   = "since"
	sessionTouched = "touched"
	sessionFlash   = "flash"
	sessionWebhook = "webhook" // whose secret the next page shows, once
)

func (a *app) newSessions() *scs.SessionManager {
	m := scs.New()
	m.Lifetime = longest
	m.Store = sessionStore{a.DB}
	m.Cookie.Name, m.Cookie.Secure = a.cookieName("session"), a.secure
	m.ErrorFunc = func(w http.ResponseWriter, r *http.Request, err error) {
		v := a.visit(w, r)
		a.fail(w, v, err)
	}
	return m
}

// cookieName names a cookie that is ours alone, which browsers enforce on https.
func (a *app) cookieName(name string) string {
	if a.secure {
		return "__Host-cullet_" + name
	}
	return "cullet_" + name
}

// sessionStore keeps sessions in our database, under the digest of their token:
// who reads the table cannot be anybody.
type sessionStore struct{ db *store.DB }

// FindCtx returns a session's data, unless it has expired.
func (s sessionStore) FindCtx(ctx context.Context, token string) (b []byte, found bool, err error) {
	var data string
	err = s.db.View(ctx, func(tx *store.Tx) error {
		data, err = tx.GetSession(ctx, access.Digest(token))
		return err
	})
	if errors.Is(err, store.ErrNoRow) {
		return nil, false, nil
	} else if err != nil {
		return nil, false, err
	}
	b, err = base64.StdEncoding.DecodeString(data)
	return b, err == nil, err
}

// CommitCtx keeps a session until it was idle for too long.
func (s sessionStore) CommitCtx(ctx context.Context, token string, b []byte, _ time.Time) error {
	return s.db.Update(ctx, func(tx *store.Tx) error {
		return tx.PutSession(ctx, access.Digest(token), base64.StdEncoding.EncodeToString(b), tx.Now.Add(idle))
	})
}

// DeleteCtx ends a session.
func (s sessionStore) DeleteCtx(ctx context.Context, token string) error {
	return s.db.Update(ctx, func(tx *store.Tx) error { return tx.RemoveSession(ctx, access.Digest(token)) })
}

// Find is FindCtx; the session manager asks for it and does not call it.
func (s sessionStore) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// Commit is CommitCtx; the session manager asks for it and does not call it.
func (s sessionStore) Commit(token string, b []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, b, expiry)
}

// Delete is DeleteCtx; the session manager asks for it and does not call it.
func (s sessionStore) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }

// signedIn returns the id of the person whose session it is, or "".
func (a *app) signedIn(v *visit) string {
	ctx := v.Context()
	id := a.sessions.GetString(ctx, sessionPerson)
	if id == "" {
		return ""
	}
	if since := time.Unix(a.sessions.GetInt64(ctx, sessionSince), 0); v.now.Sub(since) >= longest {
		if err := a.sessions.Destroy(ctx); err != nil {
			a.Log.Error("an old session could not be ended", "request", v.id, "err", err)
		}
		return ""
	}
	if touched := time.Unix(a.sessions.GetInt64(ctx, sessionTouched), 0); v.now.Sub(touched).Abs() >= touching && v.byHand() {
		a.sessions.Put(ctx, sessionTouched, v.now.Unix())
	}
	return id
}

// byHand says whether a person asked: not a picture of a page, nor a page that
// looks again by itself, of which many come at once and none is a sign of life.
func (v *visit) byHand() bool {
	return v.Method != http.MethodGet || !v.hx && strings.Contains(v.Header.Get("Accept"), "text/html")
}

// begin makes the visitor's session that of a person, under a new id.
func (a *app) begin(v *visit, p cullet.Person) error {
	ctx := v.Context()
	if err := errors.Join(a.sessions.Clear(ctx), a.sessions.RenewToken(ctx)); err != nil {
		return err
	}
	a.sessions.Put(ctx, sessionPerson, p.ID)
	a.sessions.Put(ctx, sessionSince, v.now.Unix())
	a.sessions.Put(ctx, sessionTouched, v.now.Unix())
	return nil
}

// stranger returns what the sign-in form is bound to: a cookie that only this
// browser has. Nothing is kept on the server for who is not signed in.
func (a *app) stranger(w http.ResponseWriter, v *visit) string {
	name := a.cookieName("door")
	if c, err := v.Cookie(name); err == nil && len(c.Value) == 43 {
		return c.Value
	}
	if v.Method != http.MethodGet {
		return ""
	}
	nonce := make([]byte, 32)
	_, _ = rand.Read(nonce) // never fails: crypto/rand ends the program instead
	secret := base64.RawURLEncoding.EncodeToString(nonce)
	http.SetCookie(w, &http.Cookie{Name: name, Value: secret, Path: "/", HttpOnly: true, Secure: a.secure, SameSite: http.SameSiteLaxMode})
	return secret
}

// csrf is the field that binds a form to the session. It is masked anew each time,
// so that compression tells nobody anything about it.
func csrf(secret string) string {
	bound := sha256.Sum256([]byte("csrf " + secret))
	field := make([]byte, 2*len(bound))
	_, _ = rand.Read(field[:len(bound)]) // never fails: crypto/rand ends the program instead
	subtle.XORBytes(field[len(bound):], field[:len(bound)], bound[:])
	return base64.RawURLEncoding.EncodeToString(field)
}

// fits says whether a form's csrf field was made for the secret.
func fits(secret, field string) bool {
	bound := sha256.Sum256([]byte("csrf " + secret))
	b, err := base64.RawURLEncoding.DecodeString(field)
	if secret == "" || err != nil || len(b) != 2*len(bound) {
		return false
	}
	subtle.XORBytes(b[len(bound):], b[:len(bound)], b[len(bound):])
	return subtle.ConstantTimeCompare(b[len(bound):], bound[:]) == 1
}

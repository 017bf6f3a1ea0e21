package web

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/access"
	"github.com/cullet-vision/cullet/internal/reqid"
	"github.com/cullet-vision/cullet/internal/store"
)

// handler answers one request: decode, call one use case, render or say where to
// go. An error becomes the error page.
type handler func(w http.ResponseWriter, v *visit) error

// visit is one request and who makes it.
type visit struct {
	*http.Request
	id     string           // of the request, in the log and on error pages
	now    time.Time        //
	hx     bool             // asked for by script, which wants a fragment
	person string           // id of who is signed in, "" for nobody
	by     cullet.Actor     // that person in the workspace, zero outside one
	ws     cullet.Workspace // zero outside one
	secret string           // what the form's csrf field is bound to
	to     string           // where a form leads, "" where a page was rendered
	advice string           // what to do after a refusal, "" for what its code says
}

// maxForm is the largest form, in bytes.
const maxForm = 1 << 20

// headers are those of every answer; images and static files set their own
// Cache-Control.
var headers = map[string]string{
	"Content-Security-Policy": "default-src 'self'; img-src 'self' data:; script-src 'self'; style-src 'self'; " +
		"object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
	"Referrer-Policy":        "same-origin",
	"X-Content-Type-Options": "nosniff",
	"Cache-Control":          "no-store",
}

// serve is the adapter: it finds out who comes, checks what the door demands, has
// the form act once, and turns errors into pages.
func (a *app) serve(t route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		reqid.SetRoute(r.Context(), t.pattern)
		for name, value := range headers {
			w.Header().Set(name, value)
		}
		v := a.visit(w, r)
		if err := a.answer(w, v, t); err != nil {
			a.fail(w, v, err)
		}
	}
}

func (a *app) visit(w http.ResponseWriter, r *http.Request) *visit {
	return &visit{Request: r, now: a.DB.Clock().Now().UTC(), hx: r.Header.Get("HX-Request") == "true", id: reqid.Of(w, r)}
}

func (a *app) answer(w http.ResponseWriter, v *visit, t route) error {
	v.Body = http.MaxBytesReader(w, v.Body, maxForm)
	a.who(w, v)
	if t.door >= keeperDoor {
		if key := keyOf(v.Request); key != "" {
			return a.refuseKey(v, t.door, key)
		}
	}
	if err := a.enter(v, t.door); err != nil {
		return err
	}
	if v.Method != http.MethodPost {
		if err := t.handle(w, v); err != nil {
			return err
		}
		return a.leave(w, v)
	}
	if err := a.genuine(v); err != nil {
		v.advice = "Open the page anew and send the form from there."
		return a.refuseForged(v, t.door, err)
	}
	return a.act(w, v, t.handle)
}

// who finds out whose session it is, and what the page's forms are bound to.
func (a *app) who(w http.ResponseWriter, v *visit) {
	if v.person = a.signedIn(v); v.person != "" {
		v.secret = a.sessions.Token(v.Context())
	} else {
		v.secret = a.stranger(w, v)
	}
}

var errNobody = errors.New("nobody is signed in")

// enter lets those in for whom the door is.
func (a *app) enter(v *visit, d door) error {
	if d == anybody {
		return nil
	}
	if v.person == "" {
		return errNobody
	}
	if d == person {
		return nil
	}
	return a.intoWorkspace(v, chi.URLParam(v.Request, "ws"))
}

func (a *app) intoWorkspace(v *visit, slug string) (err error) {
	v.by, v.ws, err = a.Access.Person(v.Context(), v.person, slug)
	if err != nil {
		v.by, v.ws = cullet.Actor{}, cullet.Workspace{}
		return err
	}
	v.by.Session, v.by.Address, v.by.Request = access.Digest(v.secret), machine(v.Request), v.id
	return nil
}

// machine is the address a request came from, without the port.
func machine(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return host
	}
	return r.RemoteAddr
}

// genuine says why a write cannot be shown to be meant by the person whose session
// it carries: two independent checks, of the browser's headers and of the form.
func (a *app) genuine(v *visit) error {
	if err := a.foreign.Check(v.Request); err != nil {
		return cullet.E(cullet.Forbidden, "this request came from another site; nothing was changed")
	}
	if err := v.ParseForm(); err != nil {
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			return cullet.E(cullet.TooLarge, "this form is larger than %d bytes; nothing was changed", maxForm)
		}
		return cullet.E(cullet.Invalid, "this form cannot be read; nothing was changed")
	}
	if !fits(v.secret, v.PostFormValue("csrf")) {
		return cullet.E(cullet.Forbidden, "this form is not one of your present session; nothing was changed")
	}
	return nil
}

// refuseForged audits a write at Trash that is not genuine (P2).
func (a *app) refuseForged(v *visit, d door, why error) error {
	what := v.Method + " " + v.URL.Path
	switch {
	case d < trashDoor || cullet.CodeOf(why) != cullet.Forbidden:
		a.Log.Warn("a write was refused", "what", what, "person", v.person, "request", v.id, "err", why)
		return why
	case d == purgeDoor:
		return a.Bin.RefusePurge(v.Context(), v.by, what, cullet.MessageOf(why))
	}
	return a.Bin.RefuseWrite(v.Context(), v.by, what, cullet.MessageOf(why))
}

// keyOf returns the API key that a request carries in any form, or "". What a
// proxy in front asks for by Basic authentication is none, unless it is a key.
func keyOf(r *http.Request) string {
	if user, password, ok := r.BasicAuth(); ok {
		for _, s := range []string{user, password} {
			if strings.HasPrefix(s, "ck_") {
				return s
			}
		}
	} else if auth := r.Header.Get("Authorization"); auth != "" {
		_, secret, _ := strings.Cut(auth, " ")
		return cmp.Or(strings.TrimSpace(secret), auth)
	}
	for _, name := range []string{"X-Api-Key", "Api-Key"} {
		if key := r.Header.Get(name); key != "" {
			return key
		}
	}
	if err := r.ParseForm(); err != nil {
		return "" // refused as a form, before anything comes of it
	}
	for name, values := range r.Form {
		if strings.EqualFold(strings.ReplaceAll(name, "-", "_"), "api_key") {
			return cmp.Or(values[0], "-")
		}
	}
	return ""
}

// refuseKey refuses a key at a route that is a person's alone, and keeps who tried in
// the audit: the key where it is known, and the person whose session came with it (P2).
func (a *app) refuseKey(v *visit, d door, key string) error {
	why, refuse := "no API key can change how long Trash keeps things; a person does, signed in to the web app", a.Bin.RefuseWrite
	if d == purgeDoor {
		why, refuse = "no API key can delete permanently; a person does, signed in to the web app", a.Bin.RefusePurge
	}
	v.advice = "Sign in to the web app and send the request without the key."
	what := v.Method + " " + v.URL.Path
	known, _, err := a.Access.Key(v.Context(), key)
	if cullet.CodeOf(err) == cullet.Internal {
		return err
	}
	if err == nil {
		known.Address, known.Request = machine(v.Request), v.id
		if err := refuse(v.Context(), known, what, why); cullet.CodeOf(err) != cullet.Forbidden {
			return err
		}
	}
	if a.enter(v, member) == nil && v.by.Workspace != known.Workspace {
		return refuse(v.Context(), v.by, what, why)
	}
	a.Log.Warn("a request with an API key at a route that is a person's alone was refused", "what", what, "key", known.ID, "person", v.person, "request", v.id)
	return cullet.E(cullet.Forbidden, "%s", why)
}

// act has a form act once: the same form posted again, by a double click or a
// reload, leads where the first one led.
func (a *app) act(w http.ResponseWriter, v *visit, h handler) error {
	session, key := access.Digest(v.secret), formKey(v)
	if key == "" || v.person == "" {
		if err := h(w, v); err != nil {
			return err
		}
		return a.leave(w, v)
	}
	defer a.once.lock(session + key)()
	err := a.DB.View(v.Context(), func(tx *store.Tx) (err error) {
		v.to, err = tx.GetFormPost(v.Context(), session, key)
		return err
	})
	if errors.Is(err, store.ErrNoRow) {
		err = h(w, v)
		if err == nil && v.to != "" {
			a.keep(v, session, key)
		}
	}
	if err != nil {
		return err
	}
	return a.leave(w, v)
}

// keep notes where a form led. It is no reason to fail what was done.
func (a *app) keep(v *visit, session, key string) {
	ctx := context.WithoutCancel(v.Context())
	err := a.DB.Update(ctx, func(tx *store.Tx) error { return tx.AddFormPost(ctx, session, key, v.to) })
	if err != nil {
		a.Log.Warn("where a form led could not be kept", "path", v.URL.Path, "request", v.id, "err", err)
	}
}

// formKey names a form as it was filled in: its idempotency key, where it was
// posted to, and what it said. "" for a form without a key.
func formKey(v *visit) string {
	key := v.PostFormValue("idempotency")
	if key == "" {
		return ""
	}
	said := url.Values{}
	for name, values := range v.PostForm {
		if name != "csrf" {
			said[name] = values
		}
	}
	sum := sha256.Sum256([]byte(v.URL.Path + "\n" + said.Encode()))
	return hex.EncodeToString(sum[:])
}

// onceEach keeps two requests apart that say the same.
type onceEach struct {
	mu   sync.Mutex
	busy map[string]*turn
}

type turn struct {
	mu      sync.Mutex
	waiting int
}

// lock waits for the name's turn and returns what ends it.
func (o *onceEach) lock(name string) (unlock func()) {
	o.mu.Lock()
	if o.busy == nil {
		o.busy = map[string]*turn{}
	}
	t := o.busy[name]
	if t == nil {
		t = &turn{}
		o.busy[name] = t
	}
	t.waiting++
	o.mu.Unlock()
	t.mu.Lock()
	return func() {
		t.mu.Unlock()
		o.mu.Lock()
		defer o.mu.Unlock()
		if t.waiting--; t.waiting == 0 {
			delete(o.busy, name)
		}
	}
}

// leave sends the browser where the handler said, if it did.
func (a *app) leave(w http.ResponseWriter, v *visit) error {
	if v.to == "" {
		return nil
	}
	if v.hx {
		w.Header().Set("HX-Redirect", v.to)
		w.WriteHeader(http.StatusOK)
		return nil
	}
	http.Redirect(w, v.Request, v.to, http.StatusSeeOther)
	return nil
}

// home leads to the person's workspace, or lists them.
func (a *app) home(w http.ResponseWriter, v *visit) error {
	all, err := a.Access.Workspaces(v.Context(), v.person)
	if err != nil {
		return err
	}
	if len(all) == 1 {
		v.to = "/app/" + all[0].Slug
		return nil
	}
	return a.render(w, v, http.StatusOK, "workspaces", workspacesPage{a.bare(v, "Workspaces"), all})
}

type workspacesPage struct {
	*frame
	Workspaces []cullet.Workspace
}

func (a *app) nowhere(_ http.ResponseWriter, v *visit) error {
	// Inside a workspace the frame of the page helps to go on.
	parts := strings.Split(strings.TrimPrefix(v.URL.Path, "/app/"), "/")
	if v.person != "" && parts[0] != "" {
		_ = a.intoWorkspace(v, parts[0])
	}
	return cullet.E(cullet.NotFound, "there is no page at this address")
}

var errMethod = errors.New("the method does not fit the address")

func (a *app) notSo(http.ResponseWriter, *visit) error { return errMethod }

// recovered turns a panic, which is a bug of ours, into a logged 500.
func (a *app) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(p)
			}
			id := w.Header().Get(reqid.Header)
			a.Log.Error("a page panicked", "request", id, "path", r.URL.Path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			http.Error(w, "Something went wrong on the server; its log says what, under the id "+id+".", http.StatusInternalServerError)
		}()
		next.ServeHTTP(w, r)
	})
}

// within says whether a path is inside the app, so that nobody is sent elsewhere.
func within(next string) bool {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || strings.ContainsAny(next, "\\\r\n\t") {
		return false
	}
	if slices.Contains(strings.Split(u.Path, "/"), "..") {
		return false
	}
	return u.Path == "/app" || strings.HasPrefix(u.Path, "/app/")
}

package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cullet-vision/cullet/internal/access"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/web"
)

func TestSignIn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.browser()
	p := b.get(h.base + "/settings/trash?type=version")
	if p.url.Path != "/app/sign-in" {
		t.Fatalf("a stranger is at %s, want the sign-in", p.url)
	}
	p = p.send("sign-in-submit", "email", "Ann@Example.com ", "password", "wrong").want(http.StatusUnauthorized, "sign-in-error")
	if got := p.one(t, "sign-in-email").attr["value"]; got != "Ann@Example.com " {
		t.Errorf("the address is %q after a failure, want it kept", got)
	}
	if _, kept := p.one(t, "sign-in-password").attr["value"]; kept {
		t.Error("the password is in the page")
	}
	if e := p.one(t, "sign-in-error"); !hasAttr(e, "autofocus") || e.attr["tabindex"] != "-1" {
		t.Error("the focus is not on the error")
	}
	unknown := b.get("/app/sign-in").send("sign-in-submit", "email", "nobody@example.com", "password", "wrong").want(http.StatusUnauthorized)
	if unknown.one(t, "sign-in-error").words() != p.one(t, "sign-in-error").words() {
		t.Error("an unknown address is told apart from a wrong password")
	}
	p = p.send("sign-in-submit", "password", cullettest.Password).want(http.StatusOK, "trash-summary")
	if p.url.Path != h.base+"/settings/trash" || p.url.RawQuery != "type=version" {
		t.Errorf("after signing in at %s, want where the person wanted to go", p.url)
	}
	if b.get("/app/sign-in?next="+h.base+"/new").url.Path != h.base+"/new" {
		t.Error("who is signed in is asked to sign in")
	}
}

func hasAttr(n *node, name string) bool {
	_, ok := n.attr[name]
	return ok
}

// TestNext: nobody is sent out of the app.
func TestNext(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, next := range []string{"https://other", "//other", "/", "/acme", "/application", "/app/../acme", `/app\..\..`, "/app//other/..//x/../..", "javascript:alert(1)", "/app\n/x", "http:/app"} {
		p := h.browser().get("/app/sign-in?next="+url.QueryEscape(next)).send("sign-in-submit", "email", "ann@example.com", "password", cullettest.Password)
		if p.url.Path != h.base {
			t.Errorf("next=%q leads to %s, want the workspace", next, p.url)
		}
	}
}

// TestSession: a new id at sign-in, ended on the server at sign-out, by idling and
// by age; its token is kept nowhere.
func TestSession(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.as("ann")
	token := b.cookie("cullet_session")
	if len(token) < 32 {
		t.Fatalf("the session's token is %q", token)
	}
	kept := func(key string) error {
		return h.DB.View(t.Context(), func(tx *store.Tx) error {
			_, err := tx.GetSession(t.Context(), key)
			return err
		})
	}
	if kept(token) == nil || kept(access.Digest(token)) != nil {
		t.Error("sessions are not kept by the digest of their token alone")
	}
	// A token that somebody else put into the browser is not taken over.
	u, _ := url.Parse(h.server.URL)
	fixed := h.browser()
	fixed.client.Jar.SetCookies(u, []*http.Cookie{{Name: "cullet_session", Value: "chosen-by-another", Path: "/"}})
	fixed.get("/app/sign-in").send("sign-in-submit", "email", "ann@example.com", "password", cullettest.Password).want(http.StatusOK)
	if again := fixed.cookie("cullet_session"); again == "chosen-by-another" || again == token || again == "" {
		t.Errorf("the id after signing in is %q, want a new one", again)
	}
	b.get(h.base).send("sign-out").want(http.StatusOK, "sign-in-submit")
	b.client.Jar.SetCookies(u, []*http.Cookie{{Name: "cullet_session", Value: token, Path: "/"}})
	b.get(h.base).want(http.StatusOK, "sign-in-submit")

	idle := h.as("ann")
	h.Clock.Advance(11 * time.Hour)
	idle.get(h.base).want(http.StatusOK, "nav-trash")
	h.Clock.Advance(11 * time.Hour)
	idle.get(h.base).want(http.StatusOK, "nav-trash")
	h.Clock.Advance(12*time.Hour + time.Second)
	idle.get(h.base).want(http.StatusOK, "sign-in-submit")

	old := h.as("ann")
	for range 65 {
		h.Clock.Advance(11 * time.Hour)
		old.get(h.base).want(http.StatusOK, "nav-trash")
	}
	h.Clock.Advance(6 * time.Hour) // 721 hours
	old.get(h.base).want(http.StatusOK, "sign-in-submit")
}

func TestSignInLimit(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.browser()
	for range 5 {
		b.get("/app/sign-in").send("sign-in-submit", "email", "ann@example.com", "password", "wrong").want(http.StatusUnauthorized)
	}
	b.get("/app/sign-in").send("sign-in-submit", "email", "ann@example.com", "password", cullettest.Password).
		want(http.StatusTooManyRequests, "sign-in-error").says("sign-in-error", "minutes")
	h.Clock.Advance(16 * time.Minute)
	h.as("ann")
}

// TestCookies: marked as they should be, and on https for https alone.
func TestCookies(t *testing.T) {
	t.Parallel()
	for _, https := range []bool{false, true} {
		h := newHouse(t, func(s *web.Server) {
			if https {
				s.PublicURL = "https://cullet.example.com"
			}
		})
		b := h.browser()
		b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		p := b.get("/app/sign-in")
		name, door := "cullet_session", "cullet_door"
		if https {
			name, door = "__Host-"+name, "__Host-"+door
		}
		var nonce *http.Cookie
		for _, c := range cookies(p) {
			if c.Name == door {
				nonce = c
			}
		}
		if nonce == nil {
			t.Fatalf("no cookie %s in %v", door, p.header["Set-Cookie"])
		}
		action, form := p.filled(p.one(t, "sign-in-submit"), "email", "ann@example.com", "password", cullettest.Password)
		r := b.request("POST", action, form)
		r.Header.Set("Cookie", nonce.Name+"="+nonce.Value)
		p = b.do(r)
		p.want(http.StatusSeeOther)
		found := false
		for _, c := range append(cookies(p), nonce) {
			if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Secure != https {
				t.Errorf("cookie %s: %+v", c.Name, c)
			}
			found = found || c.Name == name
		}
		if !found {
			t.Errorf("no cookie %s in %v", name, p.header["Set-Cookie"])
		}
	}
}

func cookies(p *page) []*http.Cookie { return (&http.Response{Header: p.header}).Cookies() }

// TestSignInForgery: nobody is signed in by another site.
func TestSignInForgery(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	good := url.Values{"email": {"ann@example.com"}, "password": {cullettest.Password}}
	b := h.browser()
	b.post("/app/sign-in", good).want(http.StatusForbidden, "error-page")
	other := h.browser().get("/app/sign-in")
	_, form := other.filled(other.one(t, "sign-in-submit"), "email", "ann@example.com", "password", cullettest.Password)
	b.get("/app/sign-in")
	b.post("/app/sign-in", form).want(http.StatusForbidden, "error-page")
	if b.cookie("cullet_session") != "" {
		t.Error("a forged sign-in made a session")
	}
}

func TestTaste(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.as("ann")
	p := b.get(h.base + "/workflows")
	root := func(p *page) *node { return p.where(func(n *node) bool { return n.tag == "html" })[0] }
	if theme := root(p).attr["data-theme"]; theme != "" {
		t.Errorf("the theme is %q before a choice, want the system's", theme)
	}
	p = p.press(p.one(t, "theme-select"), "theme", "dark")
	if p.url.Path != h.base+"/workflows" || root(p).attr["data-theme"] != "dark" {
		t.Errorf("after the choice: %s, theme %q", p.url, root(p).attr["data-theme"])
	}
	p = p.press(p.one(t, "shortcuts-toggle"), "shortcuts", "")
	if root(p).attr["data-shortcuts"] != "off" {
		t.Error("the shortcuts are not off")
	}
	p = p.press(p.one(t, "theme-select"), "theme", "")
	if root(p).attr["data-theme"] != "" {
		t.Error("the system's theme does not come back")
	}
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.person("ed", "editor")
	p := h.as("ann").get("/app/auth-cli/?workspace=" + h.Workspace.Slug).want(http.StatusOK).send("auth-cli-submit")
	token := p.one(t, "auth-cli-token").words()
	program := h.browser()
	program.header = http.Header{}
	p = program.get("/app/query/cliAuthToken/" + token)
	if p.status != http.StatusOK || !strings.Contains(p.body, `"url":"acme"`) || !strings.Contains(p.body, `"apiKey":"ck_`) {
		t.Errorf("the token gives %d %s", p.status, p.body)
	}
	if p = program.get("/app/query/cliAuthToken/" + token); p.status != http.StatusUnauthorized {
		t.Errorf("a used token gives %d %s", p.status, p.body)
	}
	late := h.as("ann").get("/app/auth-cli").send("auth-cli-submit").one(t, "auth-cli-token").words()
	h.Clock.Advance(11 * time.Minute)
	if p = program.get("/app/query/cliAuthToken/" + late); p.status != http.StatusUnauthorized {
		t.Errorf("an old token gives %d %s", p.status, p.body)
	}
	h.as("ed").get("/app/auth-cli").send("auth-cli-submit").want(http.StatusForbidden, "error-page")
}

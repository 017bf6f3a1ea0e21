package web

import (
	"net/http"
	"net/url"

	"github.com/cullet-vision/cullet"
)

// signInPage is the door of the app.
type signInPage struct {
	*frame
	Next  string
	Email string
	Error string
}

func (a *app) signInPage(w http.ResponseWriter, v *visit) error {
	next := nextOf(v.FormValue("next"))
	if v.person != "" {
		v.to = next
		return nil
	}
	return a.render(w, v, http.StatusOK, "sign-in", signInPage{frame: a.bare(v, "Sign in"), Next: next})
}

// nextOf is where to go after signing in: where the person wanted to, if that is
// inside the app.
func nextOf(next string) string {
	if within(next) {
		return next
	}
	return "/app"
}

func (a *app) signIn(w http.ResponseWriter, v *visit) error {
	page := signInPage{frame: a.bare(v, "Sign in"), Next: nextOf(v.PostFormValue("next")), Email: v.PostFormValue("email")}
	p, err := a.Access.SignIn(v.Context(), page.Email, v.PostFormValue("password"), machine(v.Request))
	switch cullet.CodeOf(err) {
	case "":
	case cullet.Unauthorized, cullet.TooMany:
		a.Log.Warn("a sign-in was refused", "machine", machine(v.Request), "request", v.id, "err", err)
		page.Error = cullet.MessageOf(err)
		return a.render(w, v, statusOf(err), "sign-in", page)
	default:
		return err
	}
	if err := a.begin(v, p); err != nil {
		return err
	}
	v.to = page.Next
	return nil
}

func (a *app) signOut(w http.ResponseWriter, v *visit) error {
	if err := a.sessions.Destroy(v.Context()); err != nil {
		return err
	}
	v.to = "/app/sign-in"
	return nil
}

// What a browser keeps of a person's taste, so that the first byte is right.
const (
	themeCookie     = "cullet_theme"
	shortcutsCookie = "cullet_shortcuts"
)

func (a *app) setTheme(w http.ResponseWriter, v *visit) error {
	theme := v.PostFormValue("theme")
	if theme != "light" && theme != "dark" {
		theme = ""
	}
	a.setTaste(w, themeCookie, theme)
	v.to = nextOf(v.PostFormValue("next"))
	return nil
}

func (a *app) setShortcuts(w http.ResponseWriter, v *visit) error {
	taste := "off"
	if v.PostFormValue("shortcuts") == "on" {
		taste = ""
	}
	a.setTaste(w, shortcutsCookie, taste)
	v.to = nextOf(v.PostFormValue("next"))
	return nil
}

// setTaste keeps a choice for a year; "" forgets it.
func (a *app) setTaste(w http.ResponseWriter, name, value string) {
	c := &http.Cookie{Name: name, Value: value, Path: "/app", MaxAge: 365 * 24 * 3600, HttpOnly: true, Secure: a.secure, SameSite: http.SameSiteLaxMode}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

func taste(r *http.Request, name string) string {
	if c, err := r.Cookie(name); err == nil {
		return c.Value
	}
	return ""
}

// help says where things are, and which keys there are.
func (a *app) help(w http.ResponseWriter, v *visit) error {
	return a.render(w, v, http.StatusOK, "help", a.bare(v, "Help"))
}

// settings tells about the workspace.
type settingsPage struct {
	*frame
	Kept string
}

func (a *app) settings(w http.ResponseWriter, v *visit) error {
	f, err := a.inside(v, "settings", "General", "Settings")
	if err != nil {
		return err
	}
	return a.render(w, v, http.StatusOK, "settings", settingsPage{f, kept(a.Bin.RetentionOf(v.ws))})
}

// signInURL is where who is not signed in goes first.
func signInURL(v *visit) string {
	next := v.URL.RequestURI()
	if v.hx {
		// The page that asked is what the person wants to come back to, not its fragment.
		if u, err := url.Parse(v.Header.Get("HX-Current-URL")); err == nil {
			next = u.RequestURI()
		}
	}
	if !within(next) || next == "/app" {
		return "/app/sign-in"
	}
	return "/app/sign-in?next=" + url.QueryEscape(next)
}

package web

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/cullet-vision/cullet"
)

// errorPage says what happened and what to do.
type errorPage struct {
	*frame
	Heading   string
	What      string
	Next      string
	NextURL   string
	NextLabel string
	OpenTrash string // address of the Trash, where the thing lies there
	ID        string
	Modal     bool
}

// statuses gives each code its HTTP status and its words.
var statuses = map[cullet.Code]struct {
	status int
	title  string
	next   string
}{
	cullet.Invalid:        {http.StatusBadRequest, "That cannot be done this way", "Go back and correct it."},
	cullet.Unauthorized:   {http.StatusUnauthorized, "You are not signed in", "Sign in and try again."},
	cullet.Forbidden:      {http.StatusForbidden, "You may not do this", "An owner of the workspace can change your role."},
	cullet.NotFound:       {http.StatusNotFound, "Not found", "Check the address, or go on from the project list."},
	cullet.Conflict:       {http.StatusConflict, "It changed in the meantime", "Look at it again before you go on."},
	cullet.TooLarge:       {http.StatusRequestEntityTooLarge, "Too large", "Send less at once."},
	cullet.TooMany:        {http.StatusTooManyRequests, "Too many tries", "Wait, then try again."},
	cullet.Quota:          {http.StatusForbidden, "The workspace is full", "Make room, then try again."},
	cullet.NotImplemented: {http.StatusNotImplemented, "Not available on this server yet", "Go on from the project list."},
	cullet.Unavailable:    {http.StatusServiceUnavailable, "Not available at the moment", "Try again in a moment."},
	cullet.Internal:       {http.StatusInternalServerError, "Something went wrong on the server", "Try again; if it happens again, give the id below to who runs the server."},
}

func statusOf(err error) int { return statuses[cullet.CodeOf(err)].status }

// fail turns an error into a page, or into a dialog where script asked for one.
func (a *app) fail(w http.ResponseWriter, v *visit, err error) {
	if errors.Is(err, errNobody) && a.toSignIn(w, v) {
		return
	}
	page := a.explain(v, err)
	if page.Status >= 500 {
		a.Log.Error("a page failed", "path", v.URL.Path, "request", v.id, "status", page.Status, "err", err)
	}
	if err := a.render(w, v, page.Status, "error", page.errorPage); err != nil {
		a.Log.Error("an error page failed", "path", v.URL.Path, "request", v.id, "err", err)
		http.Error(w, "Something went wrong on the server; its log says what, under the id "+v.id+".", http.StatusInternalServerError)
	}
}

// toSignIn sends who is not signed in to the door. A write is answered with a page
// instead: nothing of it is kept.
func (a *app) toSignIn(w http.ResponseWriter, v *visit) bool {
	if v.hx || v.Method == http.MethodGet || v.Method == http.MethodHead {
		v.to = signInURL(v)
		return a.leave(w, v) == nil
	}
	a.Log.Warn("a write without a session was refused", "path", v.URL.Path, "machine", machine(v.Request), "request", v.id)
	return false
}

type explained struct {
	errorPage
	Status int
}

// explain chooses the words.
func (a *app) explain(v *visit, err error) explained {
	code := cullet.CodeOf(err)
	s := statuses[code]
	e := explained{errorPage{What: sentence(cullet.MessageOf(err)), Next: s.next, NextURL: "/app", NextLabel: "Go to your projects", ID: v.id, Modal: v.hx}, s.status}
	title := s.title
	switch {
	case v.advice != "":
		title, e.Next = "This request was refused", v.advice
	case errors.Is(err, errNobody):
		e.Status, title, e.What = http.StatusForbidden, "You are not signed in", "Your session has ended, or this form was sent without it. Nothing was changed."
		e.Next, e.NextURL, e.NextLabel = "Sign in, then do it again.", "/app/sign-in", "Sign in"
	case errors.Is(err, errMethod):
		e.Status, title, e.What = http.StatusMethodNotAllowed, "That cannot be done this way", "This address does not take "+v.Method+" requests."
	case code == cullet.NotFound && v.ws.ID != "":
		if name, typ := a.inTrash(v); name != "" {
			title = "This " + typ + " is in Trash"
			e.What = "The " + typ + " " + name + " was moved to Trash, so nothing shows or serves it."
			e.Next, e.OpenTrash = "Restore it there to use it again.", "/app/"+v.ws.Slug+"/settings/trash?q="+strings.TrimSuffix(name, "/"+chi.URLParam(v.Request, "n"))
		}
	}
	if e.frame, err = a.inside(v, "", title); err != nil {
		a.Log.Error("the frame of an error page failed", "request", v.id, "err", err)
		e.frame = a.bare(v, title)
	}
	e.Heading = title
	if v.ws.ID != "" {
		e.NextURL = "/app/" + v.ws.Slug
	}
	return e
}

// inTrash says whether the thing that the address names lies in Trash, to somebody
// who may see the Trash.
func (a *app) inTrash(v *visit) (name, typ string) {
	if slug := chi.URLParam(v.Request, "workflow"); slug != "" {
		if t, ok, err := a.Bin.Trashed(v.Context(), v.by, cullet.TrashWorkflow, slug); ok && err == nil {
			return t.Slug, "workflow"
		}
	}
	project := chi.URLParam(v.Request, "project")
	if project == "" {
		return "", ""
	}
	if t, ok, err := a.Bin.Trashed(v.Context(), v.by, cullet.TrashProject, project); ok && err == nil {
		if _, err := a.Catalog.Project(v.Context(), v.by, project); cullet.CodeOf(err) == cullet.NotFound {
			return t.Slug, "project"
		}
	}
	if n, err := strconv.ParseInt(chi.URLParam(v.Request, "n"), 10, 64); err == nil {
		if t, ok, err := a.Bin.TrashedVersion(v.Context(), v.by, project, n); ok && err == nil {
			return t.Handle(), "version"
		}
	}
	return "", ""
}

package web

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/cullet-vision/cullet"
)

// authCLIPage lets a person sign their command line in.
type authCLIPage struct {
	*frame
	Workspaces []option
	Of         string // name of the workspace that the token is for
	Token      string // shown this once, "" before it is made
	Expires    time.Time
}

func (a *app) authCLIAsk(w http.ResponseWriter, v *visit) error {
	all, err := a.Access.Workspaces(v.Context(), v.person)
	if err != nil {
		return err
	}
	page := authCLIPage{frame: a.bare(v, "Command line")}
	for _, ws := range all {
		page.Workspaces = append(page.Workspaces, option{Value: ws.Slug, Text: ws.Name, On: ws.Slug == v.FormValue("workspace")})
	}
	return a.render(w, v, http.StatusOK, "auth-cli", page)
}

func (a *app) authCLI(w http.ResponseWriter, v *visit) error {
	if err := a.intoWorkspace(v, v.PostFormValue("workspace")); err != nil {
		return err
	}
	token, expires, err := a.Access.MakeCLIToken(v.Context(), v.by, v.ws.Slug)
	if err != nil {
		return err
	}
	return a.render(w, v, http.StatusOK, "auth-cli", authCLIPage{frame: a.bare(v, "Command line"), Of: v.ws.Name, Token: token, Expires: expires})
}

// cliWorkspace is a workspace as the SDK's login() reads it (roboflow/__init__.py)
// and keeps it in its configuration.
type cliWorkspace struct {
	URL    string `json:"url"`
	Name   string `json:"name"`
	APIKey string `json:"apiKey"`
}

// cliToken hands a command line its key. It is called by a program without a
// session: the token is what it has.
func (a *app) cliToken(w http.ResponseWriter, v *visit) error {
	ws, secret, err := a.Access.TakeCLIToken(v.Context(), chi.URLParam(v.Request, "token"), machine(v.Request), v.id)
	answer := any(map[string]cliWorkspace{ws.ID: {URL: ws.Slug, Name: ws.Name, APIKey: secret}})
	status := http.StatusOK
	if err != nil {
		if cullet.CodeOf(err) == cullet.Internal {
			a.Log.Error("a command line could not be signed in", "request", v.id, "err", err)
		}
		status, answer = statusOf(err), map[string]string{"error": cullet.MessageOf(err)}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		a.Log.Debug("an answer was not taken to its end", "request", v.id, "err", err)
	}
	return nil
}

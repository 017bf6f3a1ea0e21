package web

import (
	"bytes"
	"cmp"
	"encoding/json"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/trash"
)

// frame is what is around every page. Each page's struct embeds one.
type frame struct {
	Title     string // of the browser's window
	Theme     string // light, dark, "" for the system's
	Shortcuts bool
	Section   string // of the main navigation
	URL       string // of this page, for forms that come back to it
	Person    string // id, "" for nobody
	Who       string // name
	Role      cullet.Role
	WS        cullet.Workspace
	Several   bool // the person may have more workspaces
	Trash     trash.Summary
	Jobs      []job
	Flash     *flash
	Now       time.Time
	Live      bool // something runs: without script the page loads itself again
	Fragment  bool // asked for by script
	MayEdit   bool
	MayPurge  bool
	MayEmpty  bool
	DueSoon   *dueSoon // what is cleaned up soon, nil: nothing, or it was put away

	MayWebhooks bool
	MayKeep     bool // hold, release, postpone
	MayPolicy   bool
	MayAudit    bool
	Banners     banners

	secret string
}

// CSRF is the hidden field of a form of this page.
func (f *frame) CSRF() string { return csrf(f.secret) }

// Key is what tells this form from every other one, so that it acts once.
func (f *frame) Key() string { return cullet.RandomText(20) }

// Base is the address of the workspace.
func (f *frame) Base() string { return "/app/" + f.WS.Slug }

// flash is what the next page says of what was just done.
type flash struct {
	Text   string   `json:"t"`
	Bad    bool     `json:"b,omitempty"` // it was refused
	Undo   []string `json:"u,omitempty"` // trash items that a restore brings back
	Back   string   `json:"r,omitempty"` // where the undo leads back to
	Open   string   `json:"o,omitempty"` // address of what came back
	Item   string   `json:"i,omitempty"` // trash item whose row shows it
	Report []line   `json:"l,omitempty"` // of several items, one line each
	Did    string   `json:"d,omitempty"` // what was done to them, "" for restored
}

// line is what became of one of several items.
type line struct {
	Type cullet.Trashable `json:"y"`
	Name string           `json:"n"`
	OK   bool             `json:"k,omitempty"`
	Why  string           `json:"w,omitempty"`
	URL  string           `json:"o,omitempty"`
}

// say has the next page show a flash.
func (a *app) say(v *visit, f flash) {
	b, err := json.Marshal(f)
	if err != nil {
		panic(err) // our own struct of text always encodes
	}
	a.sessions.Put(v.Context(), sessionFlash, string(b))
}

// heard takes the flash, once. A fragment leaves it for the next page.
func (a *app) heard(v *visit) *flash {
	if v.hx || v.person == "" || v.Method != http.MethodGet || !a.sessions.Exists(v.Context(), sessionFlash) {
		return nil
	}
	var f flash
	if err := json.Unmarshal([]byte(a.sessions.PopString(v.Context(), sessionFlash)), &f); err != nil {
		a.Log.Warn("what the last page did could not be read", "request", v.id, "err", err)
		return nil
	}
	return &f
}

// bare is the frame of a page outside any workspace.
func (a *app) bare(v *visit, titles ...string) *frame {
	return &frame{Title: strings.Join(append(titles, "Cullet"), " · "), Theme: themeOf(v), Shortcuts: taste(v.Request, shortcutsCookie) == "",
		URL: v.URL.RequestURI(), Person: v.person, Now: v.now, Flash: a.heard(v), Fragment: v.hx, secret: v.secret}
}

func themeOf(v *visit) string {
	if theme := taste(v.Request, themeCookie); theme == "light" || theme == "dark" {
		return theme
	}
	return ""
}

// inside is the frame of a page of the workspace, or a bare one where the visitor
// is in none. Fragments go without what only the frame shows.
func (a *app) inside(v *visit, section string, titles ...string) (*frame, error) {
	f := a.bare(v, titles...)
	if v.ws.ID == "" {
		return f, nil
	}
	f.Section, f.WS, f.Who, f.Role = section, v.ws, v.by.Name, v.by.Role
	f.MayEdit = v.by.Can(cullet.ProjectUpdate)
	f.MayPurge, f.MayEmpty = v.by.CanDo(cullet.PurgeItems), v.by.CanDo(cullet.EmptyTrash)
	f.MayWebhooks = v.by.CanDo(cullet.ManageWebhooks)
	f.MayKeep, f.MayPolicy = v.by.CanDo(cullet.HoldItems), v.by.CanDo(cullet.SetPolicy)
	f.MayAudit = v.by.Can(cullet.AuditRead)
	if v.hx && v.Header.Get("HX-Target") == "dialog" {
		return f, nil
	}
	var err error
	if f.Trash, err = a.Bin.Summary(v.Context(), v.by); err != nil {
		return nil, err
	}
	if f.Banners, err = a.banners(v); err != nil {
		return nil, err
	}
	if err := a.warn(v, f); err != nil {
		return nil, err
	}
	f.Jobs, err = a.running(v)
	return f, err
}

// filtered keeps the browser's address at what a list shows after its filter was
// changed, so that it can be linked, loaded again and left with Back.
func filtered(w http.ResponseWriter, v *visit, address string) {
	if v.hx && v.Header.Get("HX-Trigger") == "filters" {
		w.Header().Set("HX-Push-Url", address)
	}
}

// render writes a page. A template that fails leaves nothing half written.
func (a *app) render(w http.ResponseWriter, v *visit, status int, name string, page any) error {
	entry := "page"
	if v.hx && v.Header.Get("HX-Target") == "dialog" && a.pages[name].Lookup("dialog") != nil {
		entry = "dialog"
	}
	return a.write(w, status, name, entry, page)
}

func (a *app) write(w http.ResponseWriter, status int, name, entry string, page any) error {
	var b bytes.Buffer
	if err := a.pages[name].ExecuteTemplate(&b, entry, page); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(cmp.Or(status, http.StatusOK))
	_, err := b.WriteTo(w)
	if err != nil {
		a.Log.Debug("a page was not taken to its end", "page", name, "err", err)
	}
	return nil
}

// parsePages makes a template of each page: the page's own, with the base and the
// parts that all share.
func parsePages() map[string]*template.Template {
	shared := template.Must(template.New("").Funcs(funcs).ParseFS(files, "templates/base.html", "templates/parts.html", "templates/rows.html", "templates/banners.html"))
	entries, err := files.ReadDir("templates")
	if err != nil {
		panic(err) // embedded: a bug of the build
	}
	pages := map[string]*template.Template{}
	for _, e := range entries {
		name := strings.TrimSuffix(e.Name(), ".html")
		if slices.Contains([]string{"base", "parts", "rows", "banners"}, name) {
			continue
		}
		pages[name] = template.Must(template.Must(shared.Clone()).ParseFS(files, "templates/"+e.Name()))
	}
	return pages
}

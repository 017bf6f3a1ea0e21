package web_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/access"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/notify"
	"github.com/cullet-vision/cullet/internal/outward"
	"github.com/cullet-vision/cullet/internal/purge"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/trail"
	"github.com/cullet-vision/cullet/internal/web"
)

// house is a workspace with the web app in front of it.
type house struct {
	*cullettest.World
	t      testing.TB
	engine *purge.Engine
	server *httptest.Server
	base   string // /app/acme
}

func newHouse(t testing.TB, change ...func(*web.Server)) *house {
	t.Helper()
	return houseOn(t, "sqlite", change...)
}

// houseOn is newHouse on the database of the name.
func houseOn(t testing.TB, database string, change ...func(*web.Server)) *house {
	t.Helper()
	w := cullettest.NewWorld(t, database)
	h := &house{World: w, t: t, base: "/app/" + w.Workspace.Slug}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	h.engine = purge.NewEngine(w.DB, w.Blobs, time.Minute, log)
	s := web.Server{DB: w.DB, Access: w.Access, Catalog: w.Catalog, Press: w.Press, Queue: w.Queue, Shelf: w.Shelf, Bin: w.Bin,
		Book: w.Book, Trail: &trail.Trail{DB: w.DB},
		Notify: &notify.Desk{DB: w.DB, Guard: outward.Guard{}}, Purge: desk(h), Blobs: w.Blobs, Log: log}
	for _, c := range change {
		c(&s)
	}
	h.server = httptest.NewServer(web.New(s))
	t.Cleanup(h.server.Close)
	return h
}

// desk is where permanent deletions are ordered and protected against.
func desk(h *house) *purge.Desk { return &purge.Desk{DB: h.DB, Bin: h.Bin, Access: h.Access} }

// person makes a member with a role, who signs in with cullettest.Password.
func (h *house) person(name string, role cullet.Role) {
	h.t.Helper()
	if _, err := h.Access.AddPerson(h.t.Context(), h.Workspace.ID, name+"@example.com", name, cullettest.Password, role); err != nil {
		h.t.Fatal(err)
	}
}

// round has what is ordered and due done, once its time has come.
func (h *house) round(later time.Duration) {
	h.t.Helper()
	h.Clock.Advance(later)
	if err := h.engine.Round(context.Background()); err != nil {
		h.t.Fatal(err)
	}
}

// audit returns the workspace's audit, oldest first.
func (h *house) audit() []cullet.AuditEntry { return h.auditAfter(0) }

// auditAfter returns what came into the audit after an entry's number.
func (h *house) auditAfter(seq int64) (all []cullet.AuditEntry) {
	h.t.Helper()
	err := h.DB.View(h.t.Context(), func(tx *store.Tx) (err error) {
		all, err = tx.ListAudit(h.t.Context(), h.Workspace.ID, seq, 10_000)
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return all
}

// audited is the number of the audit's last entry.
func (h *house) audited() (seq int64) {
	h.t.Helper()
	err := h.DB.View(h.t.Context(), func(tx *store.Tx) (err error) {
		seq, _, err = tx.AuditHead(h.t.Context(), h.Workspace.ID)
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return seq
}

// acts counts the audit's entries of an act.
func (h *house) acts(act cullet.Act) (n int) {
	for _, e := range h.audit() {
		if e.Act == act {
			n++
		}
	}
	return n
}

// trashed returns what lies in Trash.
func (h *house) trashed() []cullet.TrashItem {
	h.t.Helper()
	items, err := h.Bin.List(h.t.Context(), h.Person())
	if err != nil {
		h.t.Fatal(err)
	}
	return items
}

// deleteProject moves a project to Trash by an API key.
func (h *house) deleteProject(slug string) cullet.TrashItem {
	h.t.Helper()
	t, err := h.Bin.DeleteProject(h.t.Context(), h.By, slug)
	if err != nil {
		h.t.Fatal(err)
	}
	return t
}

func (h *house) deleteVersion(slug string, n int64) cullet.TrashItem {
	h.t.Helper()
	t, err := h.Bin.DeleteVersion(h.t.Context(), h.By, slug, n)
	if err != nil {
		h.t.Fatal(err)
	}
	return t
}

// browser is a browser without script.
type browser struct {
	h      *house
	client *http.Client
	header http.Header // sent with every request
}

// page is what a browser shows.
type page struct {
	*node
	b      *browser
	status int
	header http.Header
	url    *url.URL
	body   string
}

func (h *house) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return &browser{h: h, header: http.Header{"Accept": {"text/html"}, "Sec-Fetch-Site": {"same-origin"}},
		client: &http.Client{Jar: jar, Transport: h.server.Client().Transport}}
}

// as is a browser in which somebody is signed in.
func (h *house) as(name string) *browser {
	h.t.Helper()
	b := h.browser()
	p := b.get("/app/sign-in").send("sign-in-submit", "email", name+"@example.com", "password", cullettest.Password)
	if p.has("sign-in-error") || p.status != http.StatusOK {
		h.t.Fatalf("%s could not sign in: %d %s", name, p.status, p.words())
	}
	return b
}

func (b *browser) do(r *http.Request) *page {
	b.h.t.Helper()
	for name, values := range b.header {
		if _, set := r.Header[name]; !set {
			r.Header[name] = values
		}
	}
	res, err := b.client.Do(r)
	if err != nil {
		b.h.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.h.t.Fatal(err)
	}
	p := &page{b: b, status: res.StatusCode, header: res.Header, url: res.Request.URL, body: string(body), node: &node{}}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
		p.node = parse(b.h.t, p.body)
	}
	return p
}

func (b *browser) request(method, path string, form url.Values) *http.Request {
	b.h.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequest(method, b.h.server.URL+path, body)
	if err != nil {
		b.h.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r
}

// get opens a page, following redirects.
func (b *browser) get(path string) *page {
	b.h.t.Helper()
	return b.do(b.request("GET", path, nil))
}

// post sends a form as it is, following redirects.
func (b *browser) post(path string, form url.Values) *page {
	b.h.t.Helper()
	return b.do(b.request("POST", path, form))
}

// fragment asks as script does.
func (b *browser) fragment(method, path, target string, form url.Values) *page {
	b.h.t.Helper()
	r := b.request(method, path, form)
	r.Header.Set("HX-Request", "true")
	r.Header.Set("HX-Target", target)
	r.Header.Set("Accept", "*/*")
	return b.do(r)
}

// cookie returns the value of a cookie that the browser has.
func (b *browser) cookie(name string) string {
	u, _ := url.Parse(b.h.server.URL + "/app")
	for _, c := range b.client.Jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// filled returns where the form of a button leads and what it says, with fields
// filled in: name, value, name, value …
func (p *page) filled(button *node, fields ...string) (string, url.Values) {
	p.b.h.t.Helper()
	form := button.form(p.b.h.t)
	v := form.fields()
	if name := button.attr["name"]; name != "" && button.tag == "button" {
		v.Set(name, button.attr["value"])
	}
	for n := 0; n < len(fields); n += 2 {
		v.Set(fields[n], fields[n+1])
	}
	action := form.attr["action"]
	if a := button.attr["formaction"]; a != "" {
		action = a
	}
	return action, v
}

// send presses the button with the testid.
func (p *page) send(testid string, fields ...string) *page {
	p.b.h.t.Helper()
	return p.press(p.one(p.b.h.t, testid), fields...)
}

// press presses a button.
func (p *page) press(button *node, fields ...string) *page {
	p.b.h.t.Helper()
	action, v := p.filled(button, fields...)
	return p.b.post(action, v)
}

// follow opens the link with the testid.
func (p *page) follow(testid string) *page {
	p.b.h.t.Helper()
	return p.b.get(p.one(p.b.h.t, testid).attr["href"])
}

// want fails the test unless the page has the status and the elements.
func (p *page) want(status int, testids ...string) *page {
	p.b.h.t.Helper()
	if p.status != status {
		p.b.h.t.Fatalf("%s: status %d, want %d: %.600s", p.url, p.status, status, cmp.Or(p.words(), p.body))
	}
	for _, id := range testids {
		if !p.has(id) {
			p.b.h.t.Fatalf("%s has no %q: %.1500s", p.url, id, p.words())
		}
	}
	return p
}

// lacks fails the test where the page has one of the elements.
func (p *page) lacks(testids ...string) *page {
	p.b.h.t.Helper()
	for _, id := range testids {
		if p.has(id) {
			p.b.h.t.Fatalf("%s has %q, and should not: %.1500s", p.url, id, p.words())
		}
	}
	return p
}

// says fails the test unless the element says the words.
func (p *page) says(testid, words string) *page {
	p.b.h.t.Helper()
	if got := p.one(p.b.h.t, testid).words(); !strings.Contains(got, words) {
		p.b.h.t.Fatalf("%s: %q says %q, want %q", p.url, testid, got, words)
	}
	return p
}

func ids(rows []*node) string {
	all := make([]string, len(rows))
	for n, r := range rows {
		all[n] = r.attr["data-item-id"]
	}
	return fmt.Sprint(all)
}

func setRole(workspace, person string, r cullet.Role) func(*store.Tx) error {
	return func(tx *store.Tx) error { return tx.SetRole(context.Background(), workspace, person, r) }
}

func newWorkspace(name, email string) access.NewWorkspace {
	return access.NewWorkspace{Name: name, Email: email, Password: cullettest.Password}
}

// marked fills the form of a button in with marked rows.
func (p *page) marked(testid string, items ...string) (string, url.Values) {
	p.b.h.t.Helper()
	action, form := p.filled(p.one(p.b.h.t, testid))
	form["item"] = items
	return action, form
}

// begin has the orders whose time has come begun, and nothing more.
func (h *house) begin() {
	h.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	h.DB.Watch(func(statement string, rows int64) {
		if rows > 0 && strings.Contains(statement, "SET lease_owner") {
			stop() // the first batch begins with the lease; this one is rolled back
		}
	})
	defer h.DB.Watch(nil)
	_ = h.engine.Round(ctx) // ended by the above
}

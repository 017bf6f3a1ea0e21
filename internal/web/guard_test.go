package web_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/version"
)

// TestForgery: a write that is not shown to be meant changes nothing, and what
// aimed at Trash is in the audit.
func TestForgery(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.Project(t, "cars")
	h.Image(t, p.Slug, 1)
	h.Version(t, p.Slug)
	gone := h.deleteProject(h.Project(t, "old").Slug)
	b := h.as("ann")
	other := h.as("ann") // another session of the same person
	trashURL := h.base + "/settings/trash"
	foreign := func(name, value string) func(*http.Request, url.Values) {
		return func(r *http.Request, _ url.Values) { r.Header.Set(name, value) }
	}
	ways := map[string]func(*http.Request, url.Values){
		"no csrf":    func(_ *http.Request, v url.Values) { v.Del("csrf") },
		"wrong csrf": func(_ *http.Request, v url.Values) { v.Set("csrf", strings.Repeat("A", 86)) },
		"cross-site": foreign("Sec-Fetch-Site", "cross-site"),
		"same-site":  foreign("Sec-Fetch-Site", "same-site"),
		"another session's": func(_ *http.Request, v url.Values) {
			v.Set("csrf", other.get(h.base).where(named("csrf"))[0].attr["value"])
		},
		"foreign origin": func(r *http.Request, _ url.Values) {
			r.Header["Sec-Fetch-Site"] = nil
			r.Header.Set("Origin", "https://evil.example")
		},
	}
	writes := []struct {
		path    string
		form    url.Values
		audited cullet.Act
	}{
		{h.base + "/new", url.Values{"name": {"forged"}, "type": {"object-detection"}}, ""},
		{"/app/-/sign-out", url.Values{}, ""},
		{h.base + "/cars/1/resume", url.Values{}, ""},
		{h.base + "/cars/delete", url.Values{}, cullet.ActTrashRefused},
		{h.base + "/cars/1/delete", url.Values{}, cullet.ActTrashRefused},
		{h.base + "/workflows/w/delete", url.Values{}, cullet.ActTrashRefused},
		{trashURL + "/restore", url.Values{"item": {gone.ID}}, cullet.ActTrashRefused},
		{trashURL + "/purge", url.Values{"item": {gone.ID}, "typed": {"old"}, "token": {"x"}}, cullet.ActPurgeRefused},
		{trashURL + "/purge/choose", url.Values{"item": {gone.ID}}, cullet.ActPurgeRefused},
		{trashURL + "/purges/x/stop", url.Values{}, cullet.ActPurgeRefused},
	}
	for _, w := range writes {
		for name, forge := range ways {
			form := url.Values{"csrf": {b.get(h.base).where(named("csrf"))[0].attr["value"]}}
			for k, v := range w.form {
				form[k] = v
			}
			r := b.request("POST", w.path, url.Values{})
			forge(r, form)
			forged := b.request("POST", w.path, form)
			forged.Header = r.Header
			before := h.audited()
			b.do(forged).want(http.StatusForbidden, "error-page", "error-title", "error-what", "error-next", "error-id")
			after := h.auditAfter(before)
			switch {
			case w.audited == "" && len(after) != 0:
				t.Errorf("%s with %s is audited as %s", w.path, name, after[0].Act)
			case w.audited != "" && (len(after) != 1 || after[0].Act != w.audited || after[0].ActorName != "Ann" || !strings.Contains(after[0].ItemName, w.path)):
				t.Errorf("%s with %s leaves %+v in the audit, want one %s by Ann", w.path, name, after, w.audited)
			}
		}
	}
	// Without a session: nobody known, nothing in the audit.
	before := len(h.audit())
	stranger := h.browser()
	for _, w := range writes {
		stranger.post(w.path, w.form).want(http.StatusForbidden, "error-page")
	}
	if after := len(h.audit()); after != before {
		t.Error("a stranger writes into the audit")
	}
	if got := h.trashed(); len(got) != 1 || got[0].ID != gone.ID {
		t.Errorf("forged requests changed the Trash: %+v", got)
	}
	if all, _ := h.Catalog.Projects(t.Context(), h.By); len(all) != 1 {
		t.Errorf("there are %d projects, want the one", len(all))
	}
	b.get(h.base).want(http.StatusOK, "nav-trash")
}

func named(name string) func(*node) bool {
	return func(n *node) bool { return n.attr["name"] == name }
}

// TestOnce: the same form posted again acts once and leads to the same place.
func TestOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.as("ann")
	p := b.get(h.base + "/new")
	action, form := p.filled(p.one(t, "project-new-submit"), "name", "My Detector")
	var wg sync.WaitGroup
	ends := make([]string, 8)
	for n := range ends {
		wg.Go(func() { ends[n] = b.post(action, form).url.Path })
	}
	wg.Wait()
	for _, end := range ends {
		if end != h.base+"/my-detector" {
			t.Errorf("one of eight equal posts leads to %s", end)
		}
	}
	if all, _ := h.Catalog.Projects(t.Context(), h.By); len(all) != 1 {
		t.Errorf("eight equal posts made %d projects", len(all))
	}
	// The same form filled in otherwise is another one.
	form.Set("name", "Second")
	b.post(action, form).want(http.StatusOK, "project-title")
	if all, _ := h.Catalog.Projects(t.Context(), h.By); len(all) != 2 {
		t.Errorf("there are %d projects, want 2", len(all))
	}
}

// TestRoles: each person sees the controls of what they may do, and is refused the
// rest on the server too.
func TestRoles(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, r := range []cullet.Role{cullet.Viewer, cullet.Editor, cullet.Admin} {
		h.person(string(r), r)
	}
	p := h.Project(t, "cars")
	h.Image(t, p.Slug, 1)
	h.Version(t, p.Slug)
	h.Workflow(t, "Count")
	item := h.deleteProject(h.Project(t, "old").Slug)
	h.deleteProject(h.Project(t, "older").Slug)
	trashURL := h.base + "/settings/trash"
	people := []string{"viewer", "editor", "admin", "ann"}
	browsers := map[string]*browser{}
	for _, who := range people {
		browsers[who] = h.as(who)
	}
	for _, c := range []struct {
		path, testid string
		from         int // index of the first of the people who has it
	}{
		{h.base, "project-new", 1}, {h.base, "project-menu", 1}, {h.base, "project-delete", 1},
		{h.base + "/cars", "project-delete", 1}, {h.base + "/cars", "image-tile", 0},
		{h.base + "/cars/versions", "version-delete", 1}, {h.base + "/cars/versions", "version-row", 0},
		{h.base + "/workflows", "workflow-delete", 1}, {h.base + "/workflows", "workflow-row", 0},
		{trashURL, "trash-row", 0}, {trashURL, "item-history", 0}, {trashURL, "item-restore", 1}, {trashURL, "trash-select", 1},
		{trashURL, "bulk-restore", 1}, {trashURL, "restore-all", 1}, {trashURL, "rescue-open", 1}, {trashURL, "item-purge", 2}, {trashURL, "bulk-purge", 2}, {trashURL, "empty-trash", 3},
	} {
		for n, who := range people {
			b := browsers[who]
			if got, want := b.get(c.path).has(c.testid), n >= c.from; got != want {
				t.Errorf("%s on %s for %s: %v, want %v", c.testid, c.path, who, got, want)
			}
		}
	}
	csrfOf := func(b *browser) string { return b.get(h.base).where(named("csrf"))[0].attr["value"] }
	for _, c := range []struct {
		method, path string
		form         url.Values
		from         int
	}{
		{"GET", h.base + "/new", nil, 1},
		{"POST", h.base + "/new", url.Values{"name": {"x"}, "type": {"object-detection"}}, 1},
		{"GET", h.base + "/cars/delete", nil, 1}, {"GET", h.base + "/cars/1/delete", nil, 1}, {"GET", h.base + "/workflows/count/delete", nil, 1},
		{"POST", h.base + "/cars/delete", url.Values{}, 1}, {"POST", h.base + "/cars/1/delete", url.Values{}, 1},
		{"POST", h.base + "/workflows/count/delete", url.Values{}, 1}, {"POST", h.base + "/cars/1/resume", url.Values{}, 1},
		{"POST", trashURL + "/restore", url.Values{"item": {item.ID}}, 1},
		{"GET", trashURL + "/purge?item=" + item.ID, nil, 2}, {"POST", trashURL + "/purge", url.Values{"item": {item.ID}}, 2},
		{"GET", trashURL + "/purge?all=1", nil, 3}, {"POST", trashURL + "/purges/x/stop", url.Values{}, 2},
	} {
		for n, who := range people[:c.from] {
			b := browsers[who]
			if c.form != nil {
				c.form.Set("csrf", csrfOf(b))
			}
			if got := b.do(b.request(c.method, c.path, c.form)); got.status != http.StatusForbidden {
				t.Errorf("%s %s as %s: %d, want 403", c.method, c.path, people[n], got.status)
			}
		}
	}
	if len(h.trashed()) != 2 {
		t.Errorf("Trash holds %d items after refusals, want 2", len(h.trashed()))
	}
}

// TestDemotion: the next request is judged by the new role.
func TestDemotion(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.deleteProject(h.Project(t, "old").Slug)
	b := h.as("ann")
	b.get(h.base+"/settings/trash").want(http.StatusOK, "item-restore")
	h.setRole(h.Owner.ID, cullet.Viewer)
	b.get(h.base+"/settings/trash").want(http.StatusOK).lacks("item-restore", "item-purge", "empty-trash")
}

// TestForeign: what is another workspace's looks like what is not there.
func TestForeign(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.Project(t, "cars")
	img := h.Image(t, "cars", 1)
	h.stranger()
	b := h.as("stranger")
	for _, path := range []string{"", "/cars", "/cars/versions", "/cars/delete", "/cars/images/" + img, "/cars/images/" + img + "/thumb", "/settings", "/settings/trash", "/settings/trash/purge?all=1", "/workflows"} {
		got, none := b.get(h.base+path), b.get("/app/nobody-has-this"+path)
		if got.status != http.StatusNotFound || none.status != http.StatusNotFound || got.one(t, "error-title").words() != none.one(t, "error-title").words() {
			t.Errorf("%s: %d for a foreign workspace, %d for one that is not there", path, got.status, none.status)
		}
	}
	b.get("/app/stranger/cars/images/"+img+"/original").want(http.StatusNotFound, "error-page")
}

var inlineRE = regexp.MustCompile(`(?i)<script(?:>|\s[^>]*>)[^<]|\sstyle\s*=|<style|\son[a-z]+\s*=|javascript:|hx-on`)

// TestPages looks at every page for what all have in common.
func TestPages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.Project(t, "cars")
	img := h.Image(t, p.Slug, 1)
	h.Annotate(t, p.Slug, img, "car")
	h.Version(t, p.Slug)
	h.Workflow(t, "Count")
	item := h.deleteProject(h.Project(t, "old").Slug)
	held := h.deleteProject(h.Project(t, "older").Slug)
	if _, err := h.Bin.Hold(t.Context(), h.Person(), []string{held.ID}, "needed"); err != nil {
		t.Fatal(err)
	}
	h.round(0)
	h.Clock.Advance(40 * cullettest.Day) // another
	h.round(0)
	b := h.as("ann")
	if _, err := h.Press.Generate(t.Context(), h.By, p.Slug, version.Settings{}); err != nil { // the tray shows it on every page
		t.Fatal(err)
	}
	order := b.get(h.base+"/settings/trash/purge?item="+item.ID).send("purge-confirm", "typed", "old")
	order.want(http.StatusOK, "purge-countdown")
	if err := desk(h).Protect(t.Context(), h.Person()); err != nil { // a banner on every page
		t.Fatal(err)
	}
	b.get(h.base).want(http.StatusOK, "banner-clock", "banner-protection")
	paths := map[string]int{"/app/-/help": 200, "/app/auth-cli": 200, h.base: 200, h.base + "/": 200, h.base + "/new": 200, h.base + "/workflows": 200, h.base + "/settings": 200,
		h.base + "/settings/jobs": 200, h.base + "/settings/trash": 200, h.base + "/settings/trash/history?item=" + item.ID: 200,
		h.base + "/settings/trash/restore?item=" + item.ID: 200, h.base + "/settings/trash/purge?all=1": 200, order.url.Path: 200,
		h.base + "/settings/trash/hold?item=" + item.ID: 200, h.base + "/settings/trash/release?item=" + held.ID: 200, h.base + "/settings/trash/postpone?item=" + item.ID: 200,
		h.base + "/settings/trash/clock": 200, h.base + "/settings/trash/preview": 200, h.base + "/settings/audit": 200, h.base + "/settings/audit?refused=1&who=nobody": 200, h.base + "/settings/storage": 200, h.base + "/settings/trash/rescue": 200, h.base + "/settings/trash/rescue?who=key+default": 200, h.base + "/settings/trash/rescues/none": 404, h.base + "/settings/trash/preview?days=40": 200, h.base + "/settings/trash-policy": 200, h.base + "/settings/trash-policy/unprotect": 200,
		h.base + "/cars": 200, h.base + "/cars/images": 200, h.base + "/cars/images/" + img: 200, h.base + "/cars/versions": 200, h.base + "/cars/1": 200, h.base + "/cars/models": 200,
		h.base + "/cars/delete": 200, h.base + "/cars/1/delete": 200, h.base + "/workflows/count/delete": 200, h.base + "/workflows/count": 200,
		h.base + "/nothing": 404, h.base + "/cars/images/none": 404, h.base + "/cars/7": 404, h.base + "/a/b/c/d": 404, "/app/-/nothing": 404, h.base + "/settings/trash/history": 404}
	for path, status := range paths {
		p := b.get(path)
		if p.status != status {
			t.Errorf("%s: %d, want %d: %.300s", path, p.status, status, p.words())
			continue
		}
		checkPage(t, path, p)
	}
	stranger := h.browser().get("/app/sign-in")
	checkPage(t, "sign-in", stranger)
}

func checkPage(t *testing.T, path string, p *page) {
	t.Helper()
	const csp = "default-src 'self'; img-src 'self' data:; script-src 'self'; style-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
	for name, want := range map[string]string{"Content-Security-Policy": csp, "Referrer-Policy": "same-origin", "X-Content-Type-Options": "nosniff"} {
		if got := p.header.Get(name); got != want {
			t.Errorf("%s: %s is %q, want %q", path, name, got, want)
		}
	}
	if got := strings.Join(p.header["Cache-Control"], ", "); !strings.HasPrefix(got, "no-store") {
		t.Errorf("%s: Cache-Control is %q", path, got)
	}
	if p.header.Get("X-Request-Id") == "" {
		t.Errorf("%s has no request id", path)
	}
	if bad := inlineRE.FindString(p.body); bad != "" {
		t.Errorf("%s has inline script or style, which the policy forbids: %q", path, bad)
	}
	if strings.Contains(p.body, "no icon") || strings.Contains(p.body, "ZgotmplZ") || strings.Contains(p.body, "%!") {
		t.Errorf("%s has a fault of the template", path)
	}
	if n := len(p.where(func(n *node) bool { return n.tag == "h1" })); n != 1 {
		t.Errorf("%s has %d h1", path, n)
	}
	for _, tag := range []string{"header", "main", "footer"} {
		if n := len(p.where(func(n *node) bool { return n.tag == tag })); n != 1 {
			t.Errorf("%s has %d %s", path, n, tag)
		}
	}
	title := p.where(func(n *node) bool { return n.tag == "title" })[0].words()
	if !strings.HasSuffix(title, " · Cullet") {
		t.Errorf("%s has the title %q", path, title)
	}
	if first := p.where(func(n *node) bool { return n.tag == "a" || n.tag == "button" || n.tag == "input" })[0]; first.attr["data-testid"] != "skip-link" {
		t.Errorf("%s begins the tab order with %v", path, first.attr)
	}
	checkControls(t, path, p)
}

// checkControls: every control has a name, every id is there once, every form is
// protected, and what a label or a description names is there.
func checkControls(t *testing.T, path string, p *page) {
	t.Helper()
	seen := map[string]bool{}
	p.each(func(n *node) {
		if id := n.attr["id"]; id != "" {
			if seen[id] {
				t.Errorf("%s has the id %q twice", path, id)
			}
			seen[id] = true
		}
	})
	labelled := map[string]bool{}
	p.each(func(n *node) {
		if n.tag == "label" {
			labelled[n.attr["for"]] = true
		}
	})
	p.each(func(n *node) {
		for _, a := range []string{"aria-labelledby", "aria-describedby"} {
			for _, id := range strings.Fields(n.attr[a]) {
				if !seen[id] {
					t.Errorf("%s: %s of %s names %q, which is not there", path, a, n.tag, id)
				}
			}
		}
		if n.tag == "img" && !hasAttr(n, "alt") {
			t.Errorf("%s has a picture without alt", path)
		}
		inLabel := slices.ContainsFunc(ancestors(n), func(a *node) bool { return a.tag == "label" })
		switch {
		case n.tag == "form" && n.attr["method"] == "post":
			if f := n.fields(); f.Get("csrf") == "" || f.Get("idempotency") == "" {
				t.Errorf("%s: the form to %s is not protected", path, n.attr["action"])
			}
		case n.tag == "a" || n.tag == "button" || n.tag == "summary":
			if n.words() == "" && n.attr["aria-label"] == "" && !hasAttr(n, "hidden") {
				t.Errorf("%s: a %s without a name: %v", path, n.tag, n.attr)
			}
		case (n.tag == "input" && n.attr["type"] != "hidden" || n.tag == "select") && !inLabel:
			if !labelled[n.attr["id"]] && n.attr["aria-label"] == "" {
				t.Errorf("%s: a field without a label: %v", path, n.attr)
			}
		}
	})
}

func ancestors(n *node) (all []*node) {
	for at := n.parent; at != nil; at = at.parent {
		all = append(all, at)
	}
	return all
}

// TestErrors: what happened, what to do, and where a thing is that lies in Trash.
func TestErrors(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.Project(t, "cars")
	h.Image(t, p.Slug, 1)
	h.Version(t, p.Slug)
	h.deleteVersion("cars", 1)
	h.deleteProject(h.Project(t, "old").Slug)
	if _, err := h.Bin.DeleteWorkflow(t.Context(), h.By, h.Workflow(t, "Count").ID); err != nil {
		t.Fatal(err)
	}
	h.stranger()
	b := h.as("ann")
	for path, title := range map[string]string{"/old": "This project is in Trash", "/old/versions": "This project is in Trash", "/old/1": "This project is in Trash",
		"/cars/1": "This version is in Trash", "/cars/1/delete": "This version is in Trash", "/workflows/count": "This workflow is in Trash"} {
		p := b.get(h.base+path).want(http.StatusNotFound, "error-open-trash").says("error-title", title)
		if rows := p.follow("error-open-trash").all("trash-row"); len(rows) != 1 {
			t.Errorf("%s: the link to the Trash shows %d rows, want the thing", path, len(rows))
		}
		h.as("stranger").get(h.base + path).want(http.StatusNotFound).lacks("error-open-trash")
	}
	b.get(h.base+"/cars/2").want(http.StatusNotFound).says("error-title", "Not found").lacks("error-open-trash")
	b.do(b.request("DELETE", h.base, nil)).want(http.StatusMethodNotAllowed, "error-page")
	big := b.get(h.base + "/new")
	action, form := big.filled(big.one(t, "project-new-submit"), "name", strings.Repeat("x", 2<<20))
	b.post(action, form).want(http.StatusRequestEntityTooLarge, "error-page")
}

// TestFragments: script gets dialogs alone, and is told where to go.
func TestFragments(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.Project(t, "cars")
	b := h.as("ann")
	p := b.fragment("GET", h.base+"/cars/delete", "dialog", nil)
	p.want(http.StatusOK, "delete-dialog").lacks("skip-link")
	if p.one(t, "delete-dialog").attr["id"] != "dialog" {
		t.Error("the fragment is not the dialog")
	}
	action, form := p.filled(p.one(t, "delete-confirm"))
	p = b.fragment("POST", action, "dialog", form)
	if p.status != http.StatusOK || p.header.Get("HX-Redirect") != h.base {
		t.Errorf("after the post: %d, HX-Redirect %q", p.status, p.header.Get("HX-Redirect"))
	}
	b.fragment("GET", h.base+"/settings/jobs", "job-tray", nil).want(http.StatusOK)
	b.get(h.base).want(http.StatusOK, "toast") // fragments before left it
	b.get(h.base).lacks("toast")
	b.fragment("GET", h.base+"/none/delete", "dialog", nil).want(http.StatusNotFound, "error-page").lacks("skip-link")
	// A changed filter is in the address, without what is usual; a look again is not.
	for path, want := range map[string]string{h.base + "?q=a&type=&folder=&sort=updated": h.base + "?q=a", h.base + "/settings/trash?type=version&q=&due=&by=&from=&to=&sort=deleted": h.base + "/settings/trash?type=version"} {
		r := b.request("GET", path, nil)
		r.Header.Set("HX-Request", "true")
		r.Header.Set("HX-Target", "list")
		if got := b.do(r).header.Get("HX-Push-Url"); got != "" {
			t.Errorf("a look again pushes %q", got)
		}
		r.Header.Set("HX-Trigger", "filters")
		if got := b.do(r).header.Get("HX-Push-Url"); got != want {
			t.Errorf("the filter's address is %q, want %q", got, want)
		}
	}
	stranger := h.browser()
	if p = stranger.fragment("GET", h.base+"/cars/delete", "dialog", nil); !strings.HasPrefix(p.header.Get("HX-Redirect"), "/app/sign-in") {
		t.Errorf("a fragment for a stranger leads to %q", p.header.Get("HX-Redirect"))
	}
}

// TestStatic: cached for good by their hash, and never sniffed.
func TestStatic(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.browser().get("/app/sign-in")
	for _, n := range p.where(func(n *node) bool { return n.tag == "script" || n.tag == "link" }) {
		at := n.attr["src"] + n.attr["href"]
		f := h.browser().get(at)
		if f.status != http.StatusOK || !strings.Contains(f.header.Get("Cache-Control"), "immutable") || f.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", at, f.status, f.header)
		}
	}
	h.browser().get("/app/-/static/none.js").want(http.StatusNotFound)
	h.browser().get("/app/-/static/..%2fweb.go").want(http.StatusNotFound)
}

func (h *house) setRole(person string, r cullet.Role) {
	h.t.Helper()
	if err := h.DB.Update(h.t.Context(), setRole(h.Workspace.ID, person, r)); err != nil {
		h.t.Fatal(err)
	}
}

// stranger is the owner of another workspace.
func (h *house) stranger() {
	h.t.Helper()
	if _, err := h.Access.Open(h.t.Context(), newWorkspace("Stranger", "stranger@example.com")); err != nil {
		h.t.Fatal(err)
	}
}

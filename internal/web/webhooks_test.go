package web_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/notify"
	"github.com/cullet-vision/cullet/internal/outward"
	"github.com/cullet-vision/cullet/internal/web"
)

// open lets a house's webhooks reach the machine itself.
func open(s *web.Server) {
	s.Notify = &notify.Desk{DB: s.DB, Guard: outward.Guard{AllowPrivate: true}}
}

// sendNotices sends what is on its way.
func (h *house) sendNotices() {
	h.t.Helper()
	s := notify.NewSender(h.DB, outward.Guard{AllowPrivate: true}, slog.New(slog.DiscardHandler))
	if err := s.Round(context.Background()); err != nil {
		h.t.Fatal(err)
	}
}

// TestWebhooks: made, its secret shown once, tested, its deliveries seen and sent
// again, changed, removed; each write is in the audit.
func TestWebhooks(t *testing.T) {
	t.Parallel()
	status := http.StatusTeapot
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "<b>noted</b>")
	}))
	defer receiver.Close()
	h := newHouse(t, open)
	b := h.as("ann")
	p := b.get(h.base+"/settings/webhooks").want(http.StatusOK, "empty-webhooks", "empty-deliveries", "webhook-new")
	if p.one(t, "settings-nav-webhooks").attr["aria-current"] != "page" {
		t.Error("the nav does not say where we are")
	}
	bad := p.send("webhook-create", "url", "ftp://example.com").want(http.StatusUnprocessableEntity, "form-errors")
	if f := bad.one(t, "webhook-url"); f.attr["value"] != "ftp://example.com" || f.attr["aria-invalid"] != "true" {
		t.Error("the address was not kept, or not marked")
	}
	action, form := p.filled(p.one(t, "webhook-create"), "url", receiver.URL+"/hook")
	form["event"] = []string{"trash.moved", "training.*"}
	made := b.post(action, form).want(http.StatusOK, "webhook-secret-once")
	secret := made.one(t, "webhook-secret").words()
	if !strings.HasPrefix(secret, "whsec_") {
		t.Errorf("the secret is %q", secret)
	}
	p = b.get(h.base + "/settings/webhooks")
	if p.has("webhook-secret-once") || strings.Contains(p.body, secret) {
		t.Error("the secret is shown twice")
	}
	if w := p.one(t, "webhook-row").words(); !strings.Contains(w, receiver.URL+"/hook") || !strings.Contains(w, "trash.moved training.*") {
		t.Errorf("the row says %q", w)
	}

	// A ping that is refused, seen, and sent again.
	p = p.send("webhook-test").want(http.StatusOK, "toast", "delivery-row")
	if d := p.one(t, "delivery-row"); d.attr["data-state"] != "waiting" || p.one(t, "delivery-event").words() != "ping" {
		t.Errorf("the delivery is %s", d.words())
	}
	h.sendNotices()
	p = b.get(h.base + "/settings/webhooks")
	if v := p.one(t, "delivery-status").value(); v != "418" || p.one(t, "delivery-answer").words() != "<b>noted</b>" || !p.has("delivery-problem") {
		t.Errorf("the delivery shows the status %s, %s", v, p.one(t, "delivery-row").words())
	}
	if !strings.Contains(p.one(t, "delivery-body").words(), `"event":"ping"`) {
		t.Errorf("it was sent %q", p.one(t, "delivery-body").words())
	}
	status = http.StatusOK
	p.send("delivery-retry").want(http.StatusOK, "toast")
	h.sendNotices()
	p = b.get(h.base + "/settings/webhooks")
	if d := p.one(t, "delivery-row"); d.attr["data-state"] != "delivered" {
		t.Errorf("sent again, the delivery is %s", d.words())
	}

	// Many deliveries are pages.
	for n := range 30 {
		h.Project(t, "cars")
		h.Clock.Advance(time.Second)
		h.deleteProject("cars")
		_ = n
	}
	p = b.get(h.base + "/settings/webhooks")
	next := b.get(p.one(t, "page-next").attr["href"]).want(http.StatusOK, "page-prev")
	if a, z := len(p.all("delivery-row")), len(next.all("delivery-row")); a != 25 || z != 6 || next.has("page-next") {
		t.Errorf("the pages show %d and %d deliveries", a, z)
	}

	// Switched off, then removed.
	p = b.get(p.one(t, "webhook-edit").attr["href"]).want(http.StatusOK, "webhook-form", "webhook-works")
	bad = p.send("webhook-save", "url", "nonsense").want(http.StatusUnprocessableEntity, "form-errors")
	action, form = p.filled(p.one(t, "webhook-save"))
	form.Del("works")
	p = b.post(action, form).want(http.StatusOK, "toast")
	if r := p.one(t, "webhook-row"); r.attr["data-state"] != "off" || p.has("webhook-test") {
		t.Errorf("switched off, the row says %s", r.words())
	}
	p = b.get(p.one(t, "webhook-edit").attr["href"])
	p = b.get(p.one(t, "webhook-remove").attr["href"]).want(http.StatusOK, "webhook-remove-dialog")
	p.send("webhook-remove-confirm").want(http.StatusOK, "empty-webhooks", "empty-deliveries")
	for act, want := range map[cullet.Act]int{cullet.ActWebhookCreated: 1, cullet.ActWebhookTested: 1, cullet.ActWebhookRetried: 1, cullet.ActWebhookChanged: 1, cullet.ActWebhookRemoved: 1} {
		if n := h.acts(act); n != want {
			t.Errorf("A1: %d entries %s, want %d", n, act, want)
		}
	}
	if bad.status != http.StatusUnprocessableEntity {
		t.Error("an address that is none was saved")
	}
}

// TestWebhooksRefused: others than administrators are refused in words, and see no
// link; private addresses are refused unless the operator allows them.
func TestWebhooksRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.person("editor", cullet.Editor)
	h.person("admin", cullet.Admin)
	page := h.base + "/settings/webhooks"
	p := h.as("admin").get(page).want(http.StatusOK, "webhook-new")
	for _, address := range []string{"http://127.0.0.1:8080/", "http://localhost/", "http://169.254.169.254/latest", "http://[::ffff:10.0.0.1]/"} {
		if e := p.send("webhook-create", "url", address).want(http.StatusUnprocessableEntity, "form-errors").one(t, "form-errors").words(); !strings.Contains(e, "private network") {
			t.Errorf("%s is refused with %q", address, e)
		}
	}
	p.send("webhook-create", "url", "https://receiver.example/hook").want(http.StatusOK, "webhook-row")
	hooks, err := (&notify.Desk{DB: h.DB}).Webhooks(t.Context(), h.Person())
	if err != nil || len(hooks) != 1 {
		t.Fatal(hooks, err)
	}
	b := h.as("editor")
	if b.get(h.base + "/settings").has("settings-nav-webhooks") {
		t.Error("an editor sees a link to a page that is refused")
	}
	one := page + "/" + hooks[0].ID
	for _, path := range []string{page, one, one + "/remove"} {
		if w := b.get(path).want(http.StatusForbidden, "error-page").one(t, "error-what").words(); !strings.Contains(w, "administrators") {
			t.Errorf("%s is refused with %q", path, w)
		}
	}
	csrf := b.get(h.base).where(named("csrf"))[0].attr["value"]
	for _, path := range []string{page, one, one + "/remove", one + "/test", page + "/deliveries/dl_x/retry"} {
		form := map[string][]string{"csrf": {csrf}, "url": {"https://other.example/"}, "event": {"trash.moved"}}
		b.post(path, form).want(http.StatusForbidden, "error-page")
	}
	after, err := (&notify.Desk{DB: h.DB}).Webhooks(t.Context(), h.Person())
	if err != nil || len(after) != 1 || after[0].URL != hooks[0].URL {
		t.Errorf("an editor changed the webhooks: %+v, %v", after, err)
	}
}

// TestBannerDueSoon: on every page, until the person puts it away; something new
// brings it back.
func TestBannerDueSoon(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.person("viewer", cullet.Viewer)
	h.Project(t, "cars")
	h.Project(t, "bikes")
	h.Project(t, "boats")
	h.deleteProject("cars")
	h.Clock.Advance(2 * cullettest.Day)
	h.deleteProject("bikes")
	ann := h.as("ann")
	if ann.get(h.base).has("banner-due-soon") {
		t.Error("28 days before anything is cleaned up the banner is there")
	}
	h.Clock.Advance(26 * cullettest.Day)
	ann, viewer := h.as("ann"), h.as("viewer")
	for _, path := range []string{h.base, h.base + "/boats", h.base + "/workflows", h.base + "/settings", h.base + "/settings/trash", h.base + "/settings/webhooks", h.base + "/nothing-here"} {
		banner := ann.get(path).one(t, "banner-due-soon")
		if banner.value() != "2" || !strings.Contains(banner.words(), "2 items will be deleted permanently within 7 days (first: cars , in 2 days)") {
			t.Errorf("on %s the banner says %q", path, banner.words())
		}
	}
	p := ann.get(h.base + "/boats")
	due := ann.get(p.one(t, "banner-due-soon-link").attr["href"]).want(http.StatusOK, "trash-row")
	if n := len(due.all("trash-row")); n != 2 {
		t.Errorf("the banner leads to %d items", n)
	}
	if p = p.send("banner-dismiss"); p.url.Path != h.base+"/boats" || p.has("banner-due-soon") {
		t.Errorf("put away on %s, it is still there", p.url)
	}
	if ann.get(h.base).has("banner-due-soon") || !viewer.get(h.base).has("banner-due-soon") {
		t.Error("it is put away for the wrong person")
	}
	h.Bin.Retention = cullettest.Day
	h.Clock.Advance(time.Second)
	h.deleteProject("boats")
	if b := ann.get(h.base).one(t, "banner-due-soon"); b.value() != "3" || !strings.Contains(b.words(), "first: boats") {
		t.Errorf("with something new the banner says %q", b.words())
	}
}

// TestWebhooksInBrowser: the page with script, and how it looks.
func TestWebhooksInBrowser(t *testing.T) {
	if os.Getenv(chromiumEnv) == "" {
		cullettest.Lacks(t, "no browser is named in %s; `make check` does", chromiumEnv)
	}
	t.Parallel()
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cullet-Event") == "trash.moved" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.WriteString(w, `{"ok":true}`)
	}))
	defer receiver.Close()
	h := newHouse(t, open)
	h.Project(t, "Old Labels")
	h.deleteProject("old-labels")
	h.Clock.Advance(28 * cullettest.Day)
	c := newChromium(t, h)
	c.open(h.base + "/settings/webhooks")
	c.write("sign-in-email", "ann@example.com")
	c.write("sign-in-password", cullettest.Password)
	c.click("sign-in-submit")
	c.see("empty-webhooks", "banner-due-soon")
	c.shots("webhooks-empty")
	c.write("webhook-url", receiver.URL+"/cullet/warnings")
	c.click("webhook-create")
	c.see("webhook-secret", "webhook-row")
	c.shots("webhooks-secret")
	c.open(h.base + "/settings/webhooks")
	c.miss("webhook-secret")
	h.deleteProject(h.Project(t, "Pallets").Slug)
	h.sendNotices()
	c.click("webhook-test")
	c.see("toast")
	c.click("toast-dismiss")
	h.sendNotices()
	c.until(`document.querySelector('[data-testid=delivery-row][data-state=delivered]') !== null`)
	c.do("open the details", chromedp.Click(chromedp.CSS(`[data-testid=delivery-row][data-state=waiting] summary`)))
	c.see("delivery-body")
	c.shots("webhooks")
	c.eval(`(e => { e.scrollIntoView(); return '' })(document.getElementById('deliveries'))`)
	c.shots("webhooks-deliveries")
	c.click("webhook-edit")
	c.see("webhook-form")
	c.shots("webhook-edit")
	c.click("webhook-remove")
	c.see("webhook-remove-dialog")
	c.shots("webhook-remove")
	c.click("webhook-remove-cancel")
	c.until(`!document.querySelector('dialog[open]')`)
	c.click("banner-dismiss")
	c.miss("banner-due-soon")
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.console {
		if !strings.Contains(m, "favicon") {
			t.Errorf("the browser complains: %s", m)
		}
	}
}

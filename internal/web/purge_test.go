package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/access"
	"github.com/cullet-vision/cullet/internal/cullettest"
)

// TestPurgeDialog: what is shown is what goes, and nothing goes before it is typed.
func TestPurgeDialog(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.Image(t, h.Project(t, "cars").Slug, 1)
	h.Version(t, "cars")
	h.Version(t, "cars")
	h.deleteVersion("cars", 1)
	cars := h.deleteProject("cars")
	h.deleteProject(h.Project(t, "bikes").Slug)
	b := h.as("ann")
	trash := h.base + "/settings/trash"
	row := b.get(trash+"?q=cars&type=project").item(t, "trash-row", cars.ID)
	d := b.get(row.one(t, "item-purge").attr["href"]).want(http.StatusOK, "purge-dialog", "purge-warning", "purge-children", "purge-would-expire", "purge-typed", "purge-cancel").
		lacks("purge-password", "purge-skipped", "purge-stale").says("purge-children", "cars/1").says("purge-would-expire", "on 1 May 2026 (in 30 days)").says("purge-warning", "This cannot be undone")
	if d.one(t, "purge-dialog").attr["role"] != "alertdialog" {
		t.Error("the dialog is no alertdialog")
	}
	for id, want := range map[string]string{"items": "2", "images": "2", "versions": "2", "models": "0", "workflows": "0"} {
		if got := d.one(t, "blast-"+id).value(); got != want {
			t.Errorf("blast-%s is %s, want %s", id, got, want)
		}
	}
	if got, all := d.one(t, "blast-bytes-freed").value(), h.Check(t).Bytes; got != fmt.Sprint(all) {
		t.Errorf("it frees %s bytes, on the disk are %d, all of it this project's", got, all)
	}
	d.lacks("blast-bytes-shared", "blast-shared-with", "blast-counting")
	if back := d.follow("purge-cancel"); back.url.RawQuery != "q=cars&type=project" {
		t.Errorf("cancelling leads to %s", back.url)
	}
	h.round(11 * time.Second)
	if len(h.trashed()) != 3 {
		t.Fatal("a dialog that was only looked at deleted something")
	}

	// The right text, with spaces around: scheduled, called off, everything is there.
	p := d.send("purge-confirm", "typed", "  cars ").want(http.StatusOK, "purge-state", "purge-countdown", "purge-stop", "purge-by", "job-tray").lacks("purge-report")
	if p.one(t, "purge-state").attr["data-state"] != "scheduled" || p.one(t, "purge-countdown").value() != "10" {
		t.Errorf("the order is %s, %s seconds", p.one(t, "purge-state").words(), p.one(t, "purge-countdown").value())
	}
	if !strings.Contains(p.body, `<meta http-equiv="refresh" content="5">`) {
		t.Error("without script the page would stand still")
	}
	h.Clock.Advance(4 * time.Second)
	if got := b.get(p.url.Path).one(t, "purge-countdown").value(); got != "6" {
		t.Errorf("after four seconds the countdown is %s", got)
	}
	stopped := p.send("purge-stop").want(http.StatusOK, "purge-report").lacks("purge-stop", "job-tray", "purge-countdown")
	if stopped.one(t, "purge-state").attr["data-state"] != "stopped" || stopped.one(t, "purge-report-row").attr["data-state"] != "kept" {
		t.Errorf("the report says %s", stopped.words())
	}
	h.round(11 * time.Second)
	if len(h.trashed()) != 3 {
		t.Fatal("what was called off was deleted")
	}

	// Once more, to the end. What changed in between is kept and reported (P4).
	d = b.get(trash + "/purge?item=" + cars.ID)
	d.send("purge-confirm", "typed", "cars").want(http.StatusOK, "purge-countdown")
	h.round(11 * time.Second)
	left := h.trashed()
	if len(left) != 1 || left[0].Slug != "bikes" {
		t.Fatalf("Trash holds %+v, want bikes alone", left)
	}
	h.Check(t)
	var order string
	for _, e := range h.audit() {
		if e.Act == cullet.ActPurgeOrdered {
			order = e.ItemID
		}
	}
	r := b.get(trash+"/purges/"+order).want(http.StatusOK, "purge-report", "purge-rows", "purge-files").lacks("purge-stop", "purge-countdown")
	if r.one(t, "purge-state").attr["data-state"] != "finished" || r.one(t, "purge-items").value() != "1" || r.one(t, "purge-progress").value() != "1.000" {
		t.Errorf("the report says %s", r.words())
	}
	if r.one(t, "purge-report-row").attr["data-state"] != "deleted" {
		t.Error("the report does not say that it was deleted")
	}
	acts := map[string]bool{}
	for _, row := range r.follow("purge-report-history").want(http.StatusOK, "history-dialog").all("history-row") {
		acts[row.attr["data-act"]] = true
	}
	if !acts["delete"] || !acts["purge-began"] || !acts["purged"] {
		t.Errorf("the history has %v", acts)
	}
}

// TestPurgeRefusals: each is refused, audited once, and deletes nothing.
func TestPurgeRefusals(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.person("ada", cullet.Admin)
	h.person("ed", cullet.Editor)
	cars := h.deleteProject(h.Project(t, "cars").Slug)
	h.deleteProject(h.Project(t, "bikes").Slug)
	b := h.as("ann")
	trash := h.base + "/settings/trash"
	dialog := func(b *browser, query string) (*page, string, url.Values) {
		p := b.get(trash+"/purge?"+query).want(http.StatusOK, "purge-dialog")
		action, form := p.filled(p.one(t, "purge-confirm"), "typed", "cars", "password", "")
		form.Del("idempotency") // each post is a new one
		return p, action, form
	}
	one := "item=" + cars.ID
	_, action, used := dialog(b, one)
	p := b.post(action, used).want(http.StatusOK, "purge-stop")
	p.send("purge-stop")
	elsewhere := h.as("ann")
	_, _, foreign := dialog(elsewhere, one)
	_, _, ofAnother := dialog(h.as("ada"), one)
	_, _, late := dialog(b, one)
	h.Clock.Advance(10 * time.Minute)
	csrf := func(b *browser) string { return b.get(h.base).where(named("csrf"))[0].attr["value"] }
	with := func(form url.Values, pairs ...string) url.Values {
		v := url.Values{"csrf": {csrf(b)}}
		for k, x := range form {
			if k != "csrf" {
				v[k] = x
			}
		}
		for n := 0; n < len(pairs); n += 2 {
			v.Set(pairs[n], pairs[n+1])
		}
		return v
	}
	_, _, fresh := dialog(b, one)
	_, _, all := dialog(b, "all=1")
	for _, c := range []struct {
		name   string
		form   url.Values
		status int
		shows  string
	}{
		{"no token", with(fresh, "token", ""), http.StatusConflict, "purge-stale"},
		{"a made-up token", with(fresh, "token", strings.Repeat("A", 43)), http.StatusConflict, "purge-stale"},
		{"a used token", with(used), http.StatusConflict, "purge-stale"},
		{"a token of another session", with(foreign), http.StatusConflict, "purge-stale"},
		{"a token of another person", with(ofAnother), http.StatusConflict, "purge-stale"},
		{"a token that is too old", with(late), http.StatusConflict, "purge-stale"},
		{"no text", with(fresh, "typed", ""), http.StatusUnprocessableEntity, "form-errors"},
		{"the wrong text", with(fresh, "typed", "Cars"), http.StatusUnprocessableEntity, "form-errors"},
		{"the text of another dialog", with(all, "typed", "cars"), http.StatusUnprocessableEntity, "form-errors"},
		{"no password", with(all, "typed", "empty acme"), http.StatusForbidden, "form-errors"},
		{"a wrong password", with(all, "typed", "empty acme", "password", "wrong"), http.StatusForbidden, "form-errors"},
	} {
		before := h.acts(cullet.ActPurgeRefused)
		p := b.post(trash+"/purge", c.form).want(c.status, c.shows, "purge-dialog")
		if got := h.acts(cullet.ActPurgeRefused) - before; got != 1 {
			t.Errorf("%s leaves %d entries in the audit, want one", c.name, got)
		}
		if p.one(t, "purge-confirm").form(t).fields().Get("token") == c.form.Get("token") {
			t.Errorf("%s: the dialog has the old token still", c.name)
		}
		if c.shows == "form-errors" && p.one(t, "purge-typed").attr["value"] != c.form.Get("typed") {
			t.Errorf("%s: what was typed is lost", c.name)
		}
	}
	// Who may not, may not, with whatever token.
	ed := h.as("ed")
	before := h.acts(cullet.ActPurgeRefused)
	ed.post(trash+"/purge", with(fresh, "csrf", csrf(ed))).want(http.StatusForbidden, "error-page")
	if got := h.acts(cullet.ActPurgeRefused) - before; got != 1 {
		t.Errorf("an editor leaves %d entries in the audit, want one", got)
	}
	// An administrator cannot empty the Trash, nor choose all of it.
	ada := h.as("ada")
	each := ""
	for _, item := range h.trashed() {
		each += "&item=" + item.ID
	}
	for _, query := range []string{"all=1", each[1:]} {
		before := h.acts(cullet.ActPurgeRefused)
		ada.get(trash+"/purge?"+query).want(http.StatusForbidden, "error-page")
		if got := h.acts(cullet.ActPurgeRefused) - before; got != 1 {
			t.Errorf("%s by an administrator leaves %d entries in the audit, want one", query, got)
		}
	}
	h.round(time.Minute)
	if len(h.trashed()) != 2 || h.acts(cullet.ActPurgeBegan) != 0 {
		t.Errorf("refusals deleted something: Trash holds %d", len(h.trashed()))
	}
}

// TestPurgeByKey: no API key deletes permanently, in whatever form it comes, also
// with a session beside it (P2).
func TestPurgeByKey(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.stranger()
	cars := h.deleteProject(h.Project(t, "cars").Slug)
	trash := h.base + "/settings/trash"
	b := h.as("ann")
	p := b.get(trash + "/purge?item=" + cars.ID)
	_, form := p.filled(p.one(t, "purge-confirm"), "typed", "cars")
	foreign, err := h.Access.Open(t.Context(), access.NewWorkspace{Name: "Other", Email: "other@example.com", Password: cullettest.Password})
	if err != nil {
		t.Fatal(err)
	}
	ways := map[string]func(r *http.Request, key string){
		"query":  func(r *http.Request, key string) { r.URL.RawQuery += "&api_key=" + key },
		"Query":  func(r *http.Request, key string) { r.URL.RawQuery += "&API-Key=" + key },
		"bearer": func(r *http.Request, key string) { r.Header.Set("Authorization", "Bearer "+key) },
		"bare":   func(r *http.Request, key string) { r.Header.Set("Authorization", key) },
		"basic":  func(r *http.Request, key string) { r.SetBasicAuth(key, "") },
		"header": func(r *http.Request, key string) { r.Header.Set("X-Api-Key", key) },
	}
	for _, path := range []string{trash + "/purge?item=" + cars.ID, trash + "/purge?all=1", trash + "/purge/choose", trash + "/purges/x", trash + "/purges/x/stop"} {
		for _, method := range []string{"GET", "POST", "DELETE", "PUT", "PATCH"} {
			for name, way := range ways {
				for _, who := range []*browser{h.browser(), b} {
					r := who.request(method, path, nil)
					if method == "POST" {
						r = who.request(method, path, form)
					}
					way(r, h.Secret)
					before := h.audited()
					who.do(r).want(http.StatusForbidden, "error-page")
					if after := h.auditAfter(before); len(after) != 1 || after[0].Act != cullet.ActPurgeRefused || after[0].ActorName != "key default" || after[0].Means != cullet.ByKey {
						t.Errorf("%s %s with a key by %s leaves %+v in the audit", method, path, name, after)
					}
				}
			}
		}
	}
	withForm := url.Values{"api_key": {h.Secret}}
	for k, v := range form {
		withForm[k] = v
	}
	before := h.acts(cullet.ActPurgeRefused)
	b.post(trash+"/purge", withForm).want(http.StatusForbidden, "error-page")
	if h.acts(cullet.ActPurgeRefused) != before+1 {
		t.Error("a key in the form is not audited")
	}
	// A key of another workspace: in its own audit, and in that of the person beside it.
	r := b.request("POST", trash+"/purge", form)
	r.Header.Set("Authorization", "Bearer "+foreign.Secret)
	before = h.acts(cullet.ActPurgeRefused)
	b.do(r).want(http.StatusForbidden, "error-page")
	if h.acts(cullet.ActPurgeRefused) != before+1 {
		t.Error("a foreign key beside a session is not in this workspace's audit")
	}
	// One that nobody knows, alone: refused and logged, not audited; with a session, audited.
	for n, who := range []*browser{h.browser(), b} {
		r := who.request("POST", trash+"/purge", form)
		r.Header.Set("Authorization", "Bearer ck_nobodyknowsthiskey")
		before := len(h.audit())
		who.do(r).want(http.StatusForbidden, "error-page")
		if got := len(h.audit()) - before; got != n {
			t.Errorf("an unknown key leaves %d entries in the audit, want %d", got, n)
		}
	}
	// A proxy's own authentication is no key.
	r = b.request("GET", trash+"/purge?item="+cars.ID, nil)
	r.SetBasicAuth("operator", "secret")
	b.do(r).want(http.StatusOK, "purge-dialog")
	h.round(time.Minute)
	if len(h.trashed()) != 1 {
		t.Error("a key deleted something")
	}
	// The same form without a key works: nothing above used its token up.
	b.post(trash+"/purge", form).want(http.StatusOK, "purge-countdown")
}

// TestPurgeChanged: the set is frozen (P4): what came later stays, what left or
// changed meanwhile is kept and reported.
func TestPurgeChanged(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	trash := h.base + "/settings/trash"
	var items []string
	for n := range 3 {
		items = append(items, h.deleteProject(h.Project(t, fmt.Sprintf("p%d", n)).Slug).ID)
	}
	b := h.as("ann")
	d := b.get(trash+"/purge?all=1").want(http.StatusOK, "purge-password").send("purge-confirm", "typed", "empty acme", "password", cullettest.Password)
	d.want(http.StatusOK, "purge-countdown")
	later := h.deleteProject(h.Project(t, "later").Slug)
	if _, err := h.Bin.RestoreItem(t.Context(), h.By, items[1], ""); err != nil {
		t.Fatal(err)
	}
	h.round(11 * time.Second)
	left := h.trashed()
	if len(left) != 1 || left[0].ID != later.ID {
		t.Fatalf("Trash holds %+v, want what came later alone", left)
	}
	r := b.get(d.url.Path).want(http.StatusOK, "purge-report")
	if r.one(t, "purge-state").attr["data-state"] != "finished-with-problems" {
		t.Errorf("the state is %s", r.one(t, "purge-state").words())
	}
	if row := r.item(t, "purge-report-row", items[1]); row.attr["data-state"] != "kept" || !strings.Contains(row.words(), "left Trash meanwhile") {
		t.Errorf("the item that left is reported as %q", row.words())
	}
	if got := r.one(t, "purge-items").words(); got != "2 of 3" {
		t.Errorf("the report counts %s", got)
	}
	h.Check(t)
}

// TestPurgeMarked: several at once, chosen in the list, with and without script.
func TestPurgeMarked(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	trash := h.base + "/settings/trash"
	a, c := h.deleteProject(h.Project(t, "a1").Slug), h.deleteProject(h.Project(t, "c1").Slug)
	h.deleteProject(h.Project(t, "d1").Slug)
	b := h.as("ann")
	list := b.get(trash + "?sort=name")
	list.send("bulk-purge").want(http.StatusBadRequest, "error-page").says("error-what", "Nothing is chosen")
	action, form := list.marked("bulk-purge", a.ID, c.ID)
	d := b.post(action, form).want(http.StatusOK, "purge-dialog").lacks("purge-password")
	if back := d.follow("purge-cancel"); back.url.RawQuery != "sort=name" {
		t.Errorf("cancelling leads to %s", back.url)
	}
	form.Del("idempotency") // another press of the button
	b.fragment("POST", action, "dialog", form).want(http.StatusOK, "purge-dialog").lacks("skip-link")
	d.send("purge-confirm", "typed", "delete 2 items").want(http.StatusOK, "purge-countdown")
	h.round(11 * time.Second)
	if len(h.trashed()) != 1 {
		t.Errorf("Trash holds %d, want 1", len(h.trashed()))
	}
	// What is gone already is said to be left out.
	gone := b.get(trash+"/purge?item="+a.ID).want(http.StatusOK, "purge-dialog", "purge-skipped").lacks("purge-confirm")
	gone.says("purge-skipped", "not in Trash any more")
}

// TestPurging: a row that is being deleted says how far it is and has no buttons.
func TestPurging(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	trash := h.base + "/settings/trash"
	h.Fill(t, h.Project(t, "cars").Slug, 50)
	cars, bikes := h.deleteProject("cars"), h.deleteProject(h.Project(t, "bikes").Slug)
	h.deleteProject(h.Project(t, "boats").Slug)
	b := h.as("ann")
	order := b.get(trash+"/purge?item="+cars.ID).send("purge-confirm", "typed", "cars").want(http.StatusOK, "purge-countdown")
	h.Clock.Advance(11 * time.Second)
	h.begin()
	row := b.get(trash).want(http.StatusOK, "job-tray").item(t, "trash-row", cars.ID)
	if row.attr["data-urgency"] != "purging" || row.attr["data-state"] != "purging" || !strings.HasPrefix(row.one(t, "item-left").words(), "being deleted · ") {
		t.Errorf("the row says %q", row.words())
	}
	if row.has("item-restore") || row.has("item-purge") || row.has("trash-select") {
		t.Error("the row has buttons")
	}
	p := b.get(order.url.Path).want(http.StatusOK, "purge-current", "purge-stop").lacks("purge-report", "purge-countdown")
	if p.one(t, "purge-state").attr["data-state"] != "running" {
		t.Errorf("the state is %s", p.one(t, "purge-state").words())
	}
	b.get(trash+"/restore?item="+cars.ID).want(http.StatusOK, "plan-refused").lacks("plan-confirm")
	// Of two, the one that can come back does, and the report says why the other did not.
	back := b.get(trash+"/restore?item="+cars.ID+"&item="+bikes.ID).want(http.StatusOK, "restore-plan-dialog").says("plan-confirm", "Restore 1 item").
		send("plan-confirm").want(http.StatusOK, "restore-report", "alert").says("alert", "Restored 1 item; 1 item left out.")
	if got := back.one(t, "restore-report").words(); !strings.Contains(got, "bikes project, restored") || !strings.Contains(got, "being permanently deleted") {
		t.Errorf("the report says %s", got)
	}
	// An act that was too late stays on the row until the next one (R5).
	list := b.get(trash)
	action, form := list.filled(list.one(t, "bulk-restore"), "only", cars.ID)
	late := b.post(action, form).want(http.StatusOK, "row-error").lacks("alert")
	if got := late.item(t, "trash-row", cars.ID).one(t, "row-error").words(); !strings.Contains(got, "being permanently deleted") {
		t.Errorf("the row's error says %q", got)
	}
	b.get(trash).lacks("row-error")
	h.round(0)
	b.get(order.url.Path).want(http.StatusOK, "purge-report")
}

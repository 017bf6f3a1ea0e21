package web_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/purge"
	"github.com/cullet-vision/cullet/internal/web"
)

// act opens what a row's menu leads to.
func (p *page) act(item, testid string) *page {
	p.b.h.t.Helper()
	return p.b.get(p.item(p.b.h.t, "trash-row", item).one(p.b.h.t, testid).attr["href"])
}

// left is what a row says of the time that is left.
func (p *page) left(item string) string {
	p.b.h.t.Helper()
	return p.item(p.b.h.t, "trash-row", item).one(p.b.h.t, "item-left").words()
}

// history is what was done with an item, oldest first.
func (b *browser) history(item string) string {
	b.h.t.Helper()
	var acts []string
	for _, r := range b.get(b.h.base + "/settings/trash/history?item=" + item).all("history-row") {
		acts = append(acts, r.attr["data-act"])
	}
	return strings.Join(acts, " ")
}

// TestC8Hold: a held item says by whom and why, no path deletes it, and released it
// stays a day at least. Both acts are in its history.
func TestC8Hold(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.person("ada", cullet.Admin)
	cars, bikes := h.deleteProject(h.Project(t, "cars").Slug), h.deleteProject(h.Project(t, "bikes").Slug)
	ann, ada := h.as("ann"), h.as("ada")
	trash := h.base + "/settings/trash"
	row := ada.get(trash+"?sort=name").item(t, "trash-row", cars.ID)
	if row.has("item-release") || row.has("item-hold-reason") {
		t.Error("what is not held can be released")
	}
	d := ada.get(row.one(t, "item-hold").attr["href"]).want(http.StatusOK, "hold-dialog", "hold-reason", "hold-confirm", "keep-cancel").lacks("keep-skipped")
	if back := d.follow("keep-cancel"); back.url.RawQuery != "sort=name" || h.trashed()[1].Held() {
		t.Errorf("cancelling leads to %s, or holds", back.url)
	}
	for _, bad := range []string{"", "  x ", strings.Repeat("ä", 501)} {
		d = d.send("hold-confirm", "reason", bad).want(http.StatusUnprocessableEntity, "hold-dialog", "form-errors").says("form-errors", "3 to 500 characters")
		if f := d.one(t, "hold-reason"); f.attr["aria-invalid"] != "true" || strings.TrimSpace(bad) != f.words() {
			t.Errorf("the field keeps %q", f.words())
		}
	}
	done := d.send("hold-confirm", "reason", "needed <b>in court</b>").want(http.StatusOK, "toast").says("toast", "Held cars.")
	if done.url.RawQuery != "sort=name" {
		t.Errorf("after the hold at %s, want the same view", done.url)
	}
	row = done.item(t, "trash-row", cars.ID)
	if got := done.left(cars.ID); row.attr["data-urgency"] != "held" || got != "held by ada since 1 Apr · not cleaned up" {
		t.Errorf("the row is %s: %q", row.attr["data-urgency"], got)
	}
	if got := row.one(t, "item-hold-reason").words(); got != "Held: needed <b>in court</b>" {
		t.Errorf("the reason is %q", got)
	}
	if row.has("item-hold") || !row.has("item-release") {
		t.Error("a held row offers to hold it")
	}
	purge := row.one(t, "item-purge")
	if purge.attr["aria-disabled"] != "true" || purge.attr["tabindex"] != "0" || purge.attr["href"] != "" || !strings.Contains(purge.words(), "Not now: it is held") {
		t.Errorf("item-purge is %v: %q", purge.attr, purge.words())
	}
	if p := done.item(t, "trash-row", bikes.ID).one(t, "item-purge"); p.attr["aria-disabled"] != "" || p.attr["href"] == "" {
		t.Error("what is not held cannot be deleted permanently")
	}
	if rows := ann.get(trash+"?held=1").want(http.StatusOK, "trash-filter-held").all("trash-row"); ids(rows) != "["+cars.ID+"]" {
		t.Errorf("held=1 finds %s", ids(rows))
	}

	// Held twice, or released when it is not: said on the row, by the item's name.
	form := func(b *browser, fields ...string) url.Values {
		v := url.Values{"csrf": {b.get(h.base).where(named("csrf"))[0].attr["value"]}}
		for n := 0; n < len(fields); n += 2 {
			v.Add(fields[n], fields[n+1])
		}
		return v
	}
	ann.get(trash+"/hold?item="+cars.ID).want(http.StatusOK, "hold-dialog", "keep-skipped").lacks("hold-confirm").says("keep-skipped", "cars: it is held already, by ada")
	again := ann.post(trash+"/hold", form(ann, "item", cars.ID, "reason", "mine")).want(http.StatusOK, "row-error").lacks("toast")
	if got := again.item(t, "trash-row", cars.ID).words(); !strings.Contains(got, "Project cars is held already, by ada") {
		t.Errorf("the row says %q", got)
	}
	ann.get(trash+"/release?item="+bikes.ID).want(http.StatusOK, "release-dialog", "keep-skipped").lacks("release-confirm")

	// No path deletes it, by whatever role: not the dialog, not the Trash as a whole, not its date.
	ann.get(trash+"/purge?item="+cars.ID).want(http.StatusOK, "purge-dialog", "purge-skipped").lacks("purge-confirm").says("purge-skipped", "cars: it is held by ada: needed")
	d = ann.get(trash+"/purge?all=1").want(http.StatusOK, "purge-skipped").says("purge-skipped", "1 item is left out: cars: it is held by ada")
	if got := d.one(t, "blast-items").value(); got != "1" {
		t.Errorf("the dialog counts %s items, want the one that is not held", got)
	}
	report := d.send("purge-confirm", "typed", "empty acme", "password", cullettest.Password).want(http.StatusOK, "purge-countdown")
	h.round(11 * time.Second)
	ann.get(report.url.Path).want(http.StatusOK, "purge-report")
	list := ann.get(trash).want(http.StatusOK, "empty-trash", "empty-trash-reason")
	if e := list.one(t, "empty-trash"); e.attr["aria-disabled"] != "true" || e.attr["href"] != "" || list.one(t, "bulk-purge").attr["aria-disabled"] != "true" {
		t.Error("a Trash of held items can be emptied")
	}
	list.says("empty-trash-reason", "Everything in Trash is held.").says("trash-next-cleanup", "none").lacks("trash-due-soon")
	h.Pass(t, 400*cullettest.Day)
	h.round(0)
	ann = h.as("ann")
	if got := ann.get(trash).left(cars.ID); got != "held by ada since 1 Apr 2026 · not cleaned up" {
		t.Errorf("400 days later the row says %q", got)
	}

	// Released, by somebody else too: due at its old date, but not within a day.
	d = ann.get(trash).act(cars.ID, "item-release").want(http.StatusOK, "release-dialog", "release-confirm").says("release-dates", "cars cleaned up "+h.Clock.Now().Add(24*time.Hour).Format("2 Jan 2006 15:04 UTC"))
	d.send("release-confirm").want(http.StatusOK, "toast").says("toast", "Released cars.")
	if got := ann.get(trash).left(cars.ID); got != "24 hours left · last day" {
		t.Errorf("after the release the row says %q", got)
	}
	if got := ann.history(cars.ID); got != "delete hold release" {
		t.Errorf("its history is %s", got)
	}
	if got := ann.get(trash + "/history?item=" + cars.ID).words(); !strings.Contains(got, "Held by ada in the web app needed <b>in court</b>") {
		t.Errorf("the history says %s", got)
	}
	h.Pass(t, 24*time.Hour)
	h.round(0)
	if len(h.trashed()) != 0 {
		t.Error("C2: not cleaned up a day after its release")
	}
}

// TestEachDatabase opens the Trash in all its states on each database.
func TestEachDatabase(t *testing.T) {
	t.Parallel()
	for _, name := range cullettest.Databases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := houseOn(t, name)
			h.Image(t, h.Project(t, "cars").Slug, 1)
			h.Version(t, "cars")
			ver, cars := h.deleteVersion("cars", 1), h.deleteProject("cars")
			flow := h.deleteProject(h.Project(t, "bikes").Slug)
			b := h.as("ann")
			trash := h.base + "/settings/trash"
			b.get(trash).act(ver.ID, "item-hold").send("hold-confirm", "reason", "needed").want(http.StatusOK, "toast", "held-by-child")
			b.get(h.base+"/settings/trash-policy").send("protection-toggle").want(http.StatusOK, "banner-protection")
			h.round(0)
			h.Clock.Advance(40 * cullettest.Day)
			h.round(0)
			b = h.as("ann")
			for query, want := range map[string]string{"": "", "?held=1": "", "?held=1&type=project": "[" + cars.ID + "]", "?due=overdue&type=project&q=bikes": "[" + flow.ID + "]", "?held=1&sort=due&due=7&by=default&type=version": "[" + ver.ID + "]"} {
				p := b.get(trash+query).want(http.StatusOK, "banner-clock", "banner-protection", "trash-row").lacks("trash-error")
				if got := ids(p.all("trash-row")); want != "" && got != want {
					t.Errorf("%s: %s, want %s", query, got, want)
				}
			}
			b.get(trash+"/clock").want(http.StatusOK, "clock-names")
			if err := h.Book.Count(t.Context()); err != nil {
				t.Fatal(err)
			}
			b.get(trash).want(http.StatusOK, "trash-counted-at")
			b.get(trash+"/preview?days=40").want(http.StatusOK, "preview-row", "preview-stays")
			b.get(h.base+"/settings/storage").want(http.StatusOK, "storage-row")
			b.get(h.base+"/settings/audit?who=ann&item=cars&from=2026-01-01&to=2030-01-01&refused=1&before=100").want(http.StatusOK, "no-results")
			rescue := b.get(trash+"/rescue?who=key+default&from=2026-01-01T00:00").want(http.StatusOK, "rescue-plan").send("rescue-confirm").want(http.StatusOK, "job-tray")
			h.workRescue(rescue)
			b.get(rescue.url.Path).want(http.StatusOK, "rescue-report").says("rescue-restored", "3 of 3")
		})
	}
}

// TestC8HeldMeanwhile: what was held after an order was confirmed is kept, and the report
// and the row say why.
func TestC8HeldMeanwhile(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	cars, bikes := h.deleteProject(h.Project(t, "cars").Slug), h.deleteProject(h.Project(t, "bikes").Slug)
	h.deleteProject(h.Project(t, "rest").Slug)
	b := h.as("ann")
	trash := h.base + "/settings/trash"
	order := b.get(trash+"/purge?item="+cars.ID+"&item="+bikes.ID).send("purge-confirm", "typed", "delete 2 items").want(http.StatusOK, "purge-countdown", "job-tray")
	b.get(trash).act(cars.ID, "item-hold").want(http.StatusOK, "job-tray").send("hold-confirm", "reason", "needed after all").want(http.StatusOK, "toast", "job-tray")
	h.round(11 * time.Second)
	r := b.get(order.url.Path).want(http.StatusOK, "purge-report").lacks("job-tray")
	if row := r.item(t, "purge-report-row", cars.ID); row.attr["data-state"] != "kept" || !strings.Contains(row.words(), "It is held by Ann: needed after all.") {
		t.Errorf("C8: the report says %q", row.words())
	}
	if r.one(t, "purge-state").attr["data-state"] != "finished-with-problems" || r.item(t, "purge-report-row", bikes.ID).attr["data-state"] != "deleted" {
		t.Errorf("the report says %s", r.words())
	}
	if got := b.get(trash).left(cars.ID); got != "held by Ann since 1 Apr · not cleaned up" {
		t.Errorf("C8: the row says %q", got)
	}
	h.Check(t)
}

// TestC8HeldByChild: a parent says what below it is held, and is left out with it.
func TestC8HeldByChild(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.Image(t, h.Project(t, "cars").Slug, 1)
	h.Version(t, "cars")
	ver, cars := h.deleteVersion("cars", 1), h.deleteProject("cars")
	b := h.as("ann")
	trash := h.base + "/settings/trash"
	b.get(trash).act(ver.ID, "item-hold").send("hold-confirm", "reason", "keep this one").want(http.StatusOK, "toast")
	list := b.get(trash)
	row := list.item(t, "trash-row", cars.ID)
	if row.attr["data-urgency"] != "held" || row.one(t, "held-by-child").words() != "held with version 1 below it · not cleaned up" || row.has("item-release") || !row.has("item-hold") {
		t.Errorf("the parent's row says %q", row.words())
	}
	if list.item(t, "trash-row", ver.ID).has("held-by-child") {
		t.Error("the child is held by a child")
	}
	if rows := b.get(trash + "?held=1").all("trash-row"); len(rows) != 2 {
		t.Errorf("held=1 finds %s, want both", ids(rows))
	}
	b.get(trash+"/purge?item="+cars.ID).says("purge-skipped", "cars: it is held because version 1 below it is").lacks("purge-confirm")
	b.get(trash+"/release?item="+cars.ID).says("keep-skipped", "it stays because version 1 below it is held").lacks("release-confirm")

	// Both held, the parent released: it stays for the child's sake, and the dialog says so.
	b.get(trash).act(cars.ID, "item-hold").send("hold-confirm", "reason", "this as well").want(http.StatusOK, "toast")
	b.get(trash).act(cars.ID, "item-release").says("release-dates", "stays: version 1 below it is held").send("release-confirm").
		want(http.StatusOK, "toast").says("toast", "Released cars. It is held because version 1 below it is.")
	h.Check(t)
}

// TestC8Postpone: a date goes further ahead and never back; the dialog shows both.
func TestC8Postpone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	cars, bikes := h.deleteProject(h.Project(t, "cars").Slug), h.deleteProject(h.Project(t, "bikes").Slug)
	b := h.as("ann")
	trash := h.base + "/settings/trash"
	const old = "1 May 2026 12:00 UTC"
	d := b.get(trash).act(cars.ID, "item-postpone").want(http.StatusOK, "postpone-dialog", "postpone-confirm", "postpone-date", "postpone-preview").says("postpone-preview", old+" → 8 May 2026 12:00 UTC")
	if got := d.all("postpone-choice"); len(got) != 3 || got[0].attr["value"] != "7" || got[1].attr["value"] != "30" || got[2].attr["value"] != "90" {
		t.Errorf("%d choices", len(got))
	}
	if f := d.one(t, "postpone-date"); f.attr["min"] != "2026-05-02" || f.attr["max"] != "2027-04-01" {
		t.Errorf("a day can be chosen from %s to %s", f.attr["min"], f.attr["max"])
	}
	for query, want := range map[string]string{"choice=30": "→ 31 May 2026 12:00 UTC", "choice=90": "→ 30 Jul 2026 12:00 UTC", "date=2026-06-01": "→ 1 Jun 2026 00:00 UTC", "choice=7&date=2026-06-01": "→ 1 Jun 2026 00:00 UTC",
		"date=2026-04-20": "is kept until " + old + " already; a new date must be later", "date=2027-05-01": "more than 365 days ahead", "date=soon": "is no day", "choice=8": "Choose how much longer"} {
		p := b.fragment("GET", trash+"/postpone?item="+cars.ID+"&"+query, "postpone-preview", nil).want(http.StatusOK)
		if got := p.one(t, "postpone-preview").words(); !strings.Contains(got, want) {
			t.Errorf("?%s: the preview says %q, want %q", query, got, want)
		}
	}
	// C7: an earlier date is refused with the reason, what was filled in is kept.
	for date, want := range map[string]string{"2026-04-20": "Project cars is kept until " + old + " already; a new date must be later", "2026-05-01": "must be later", "2027-05-01": "more than 365 days ahead", "x": "is no day"} {
		p := d.send("postpone-confirm", "date", date).want(http.StatusUnprocessableEntity, "postpone-dialog", "form-errors").says("form-errors", want)
		if got := p.one(t, "postpone-date").attr["value"]; got != date {
			t.Errorf("the field keeps %q, want %q", got, date)
		}
	}
	if b.history(cars.ID) != "delete" || !h.trashed()[0].CleanupAt.Equal(cars.CleanupAt) {
		t.Fatal("C7: a refusal changed a date")
	}
	done := d.send("postpone-confirm", "choice", "30").want(http.StatusOK, "toast").says("toast", "Postponed cars. Its cleanup is on 31 May 2026 12:00 UTC.")
	if got := done.left(cars.ID); got != "60 days left" {
		t.Errorf("the row says %q", got)
	}
	if got := b.history(cars.ID); got != "delete postpone" {
		t.Errorf("its history is %s", got)
	}
	if got := b.get(trash + "/history?item=" + cars.ID).words(); !strings.Contains(got, "from "+old+" to 31 May 2026 12:00 UTC") {
		t.Errorf("the history says %s", got)
	}
	// Of two with the same day one can: the report names the other, with the reason.
	list := b.get(trash)
	action, form := list.marked("bulk-postpone", cars.ID, bikes.ID)
	d = b.post(action, form).want(http.StatusOK, "postpone-dialog")
	report := d.send("postpone-confirm", "date", "2026-05-20").want(http.StatusOK, "alert", "keep-report").says("alert", "Postponed 1 item; 1 item left out.")
	if got := report.one(t, "keep-report").words(); !strings.Contains(got, "bikes project, postponed. Its cleanup is on 20 May 2026 00:00 UTC.") || !strings.Contains(got, "cars project, left out. Project cars is kept until 31 May 2026") {
		t.Errorf("the report says %s", got)
	}
}

// TestKeepMarked: one act for several, with and without script, each once.
func TestKeepMarked(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var items []string
	for n := range 14 {
		items = append(items, h.deleteProject(h.Project(t, fmt.Sprintf("p%02d", n)).Slug).ID)
	}
	b := h.as("ann")
	trash := h.base + "/settings/trash"
	list := b.get(trash+"?sort=name").want(http.StatusOK, "bulk-hold", "bulk-release", "bulk-postpone")
	list.send("bulk-hold").want(http.StatusBadRequest, "error-page")
	action, form := list.marked("bulk-hold", items...)
	d := b.post(action, form).want(http.StatusOK, "hold-dialog").says("hold-confirm", "Hold 14 items").says("hold-dialog", "and 2 more")
	if back := d.follow("keep-cancel"); back.url.RawQuery != "sort=name" {
		t.Errorf("cancelling leads to %s", back.url)
	}
	form.Del("idempotency")
	b.fragment("POST", action, "dialog", form).want(http.StatusOK, "hold-dialog").lacks("skip-link")
	button := d.one(t, "hold-confirm")
	action, form = d.filled(button, "reason", "for the audit")
	form["item"] = items
	for range 2 { // a double click acts once
		b.post(action, form).want(http.StatusOK)
	}
	if n := h.acts(cullet.ActHold); n != len(items) {
		t.Errorf("%d items were held, want %d", n, len(items))
	}
	list = b.get(trash)
	action, form = list.marked("bulk-release", items[:3]...)
	b.post(action, form).want(http.StatusOK, "release-dialog").send("release-confirm", "item", items[0]).want(http.StatusOK, "toast")
	if n := h.acts(cullet.ActRelease); n != 1 {
		t.Errorf("%d items were released, want the one of the form", n)
	}
	// What left Trash meanwhile is named and left out.
	if _, err := h.Bin.RestoreItem(t.Context(), h.Person(), items[5], ""); err != nil {
		t.Fatal(err)
	}
	b.get(trash+"/postpone?item="+items[5]+"&item="+items[6]).want(http.StatusOK, "keep-skipped", "postpone-confirm").says("keep-skipped", "project p05 was already restored by Ann")
}

// TestP2KeepDoors: who may not hold, release, postpone, lift or set the policy is
// refused in words and audited, and a key is refused whatever comes with it.
func TestP2KeepDoors(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, r := range []cullet.Role{cullet.Viewer, cullet.Editor, cullet.Admin} {
		h.person(string(r), r)
	}
	cars := h.deleteProject(h.Project(t, "cars").Slug)
	trash, policy := h.base+"/settings/trash", h.base+"/settings/trash-policy"
	if _, err := h.Bin.Hold(t.Context(), h.Person(), []string{cars.ID}, "needed"); err != nil {
		t.Fatal(err)
	}
	if err := desk(h).Protect(t.Context(), h.Person()); err != nil {
		t.Fatal(err)
	}
	writes := map[string]url.Values{
		trash + "/hold": {"item": {cars.ID}, "reason": {"mine"}}, trash + "/release": {"item": {cars.ID}}, trash + "/postpone": {"item": {cars.ID}, "choice": {"90"}},
		trash + "/clock": {"wait": {"x"}, "typed": {purge.LiftText}, "password": {cullettest.Password}},
		policy:           {"days": {"7"}}, policy + "/protect": {}, policy + "/unprotect": {"password": {cullettest.Password}}, policy + "/keep": {},
		policy + "/warnings": {"warn_days": {""}},
	}
	admins := map[string]bool{trash + "/hold": true, trash + "/release": true, trash + "/postpone": true, trash + "/clock": true, policy + "/keep": true}
	for _, who := range []string{"viewer", "editor", "admin"} {
		b := h.as(who)
		csrf := b.get(h.base).where(named("csrf"))[0].attr["value"]
		for path, form := range writes {
			if who == "admin" && admins[path] {
				continue
			}
			form.Set("csrf", csrf)
			before := h.audited()
			b.post(path, form).want(http.StatusForbidden, "error-page", "error-what")
			if after := h.auditAfter(before); len(after) != 1 || after[0].ActorName != who || after[0].Act != cullet.ActTrashRefused && after[0].Act != cullet.ActPurgeRefused {
				t.Errorf("P2: %s by %s leaves %+v in the audit", path, who, after)
			}
		}
		list := b.get(trash).want(http.StatusOK, "trash-row", "item-history")
		for _, id := range []string{"item-release", "item-hold", "item-postpone", "bulk-hold", "bulk-postpone", "bulk-release"} {
			if got, want := list.has(id), who == "admin" && id != "item-hold"; got != want {
				t.Errorf("%s for %s: %v, want %v", id, who, got, want)
			}
		}
		list.lacks("trash-policy-change", "settings-nav-retention")
		b.get(policy).want(http.StatusForbidden, "error-page")
		b.get(policy+"/unprotect").want(http.StatusForbidden, "error-page")
		if who != "admin" {
			for _, path := range []string{"/hold", "/release", "/postpone", "/clock"} {
				b.get(trash+path+"?item="+cars.ID).want(http.StatusForbidden, "error-page")
			}
		}
	}
	// A key, alone and beside the owner's session.
	ann := h.as("ann")
	ann.get(trash).want(http.StatusOK, "settings-nav-retention", "trash-policy-change")
	csrf := ann.get(h.base).where(named("csrf"))[0].attr["value"]
	for path, form := range writes {
		form.Set("csrf", csrf)
		for _, who := range []*browser{h.browser(), ann} {
			for _, method := range []string{"POST", "PUT", "DELETE"} {
				r := who.request(method, path, form)
				r.Header.Set("Authorization", "Bearer "+h.Secret)
				before := h.audited()
				who.do(r).want(http.StatusForbidden, "error-page")
				if after := h.auditAfter(before); len(after) != 1 || after[0].Act != cullet.ActTrashRefused || after[0].Means != cullet.ByKey {
					t.Errorf("P2: %s %s with a key leaves %+v in the audit", method, path, after)
				}
			}
		}
		form.Del("csrf")
		before := h.acts(cullet.ActTrashRefused)
		ann.post(path, form).want(http.StatusForbidden, "error-page")
		if h.acts(cullet.ActTrashRefused) != before+1 {
			t.Errorf("P2: %s without the anti-forgery field is not audited", path)
		}
	}
	now := h.trashed()[0]
	if now.HoldReason != "needed" || !now.CleanupAt.Equal(cars.CleanupAt) || h.acts(cullet.ActRetention)+h.acts(cullet.ActUnprotect)+h.acts(cullet.ActRelease) != 0 {
		t.Errorf("P2: after all that: %+v", now)
	}
}

// TestC6Clock: with the clock set 40 days ahead nothing is deleted before the wait
// ends, and the banner, the log and the rows agree.
func TestC6Clock(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.person("ada", cullet.Admin)
	h.person("vic", cullet.Viewer)
	var log bytes.Buffer
	h.engine = purge.NewEngine(h.DB, h.Blobs, time.Minute, slog.New(slog.NewTextHandler(&log, nil)))
	var items []string
	for n := range 14 {
		items = append(items, h.deleteProject(h.Project(t, fmt.Sprintf("p%02d", n)).Slug).ID)
	}
	if all, err := h.Bin.Hold(t.Context(), h.Person(), items[:1], "needed"); err != nil || all[0].Err != nil {
		t.Fatal(all, err)
	}
	h.round(0)
	trash := h.base + "/settings/trash"
	h.as("ann").get(trash).lacks("banner-clock")
	h.Clock.Advance(40 * cullettest.Day)
	// Before cleanup looked again nobody knows until when it waits; nothing says that it deletes.
	if got := h.as("ann").get(trash).left(items[1]); got != "due · waits until cleanup has looked at the clock" {
		t.Errorf("C6: before cleanup's look the row says %q", got)
	}
	h.round(0)
	const until = "12 May 2026 12:00 UTC"
	b := h.as("ann")
	p := b.get(h.base).want(http.StatusOK, "banner-clock", "clock-review", "clock-lift").
		says("banner-clock", "The server's clock moved ahead by 40 days. 13 items became due meanwhile. Cleanup waits until "+until)
	if words := log.String(); !strings.Contains(words, "cleanup waits: The server's clock moved ahead by 40 days") || !strings.Contains(words, "2026-05-12T12:00:00") {
		t.Errorf("C6: the log says %s", words)
	}
	p = p.follow("clock-review")
	if p.url.RawQuery != "due=overdue" {
		t.Errorf("the review is at %s", p.url)
	}
	waiting := 0
	for _, r := range p.all("trash-row") {
		switch r.attr["data-urgency"] {
		case "waiting":
			waiting++
			if got := r.one(t, "item-left").words(); got != "due · waits until "+until {
				t.Errorf("C6: a row says %q", got)
			}
		case "held":
		default:
			t.Errorf("C6: a row is %s", r.attr["data-urgency"])
		}
	}
	if waiting != 13 || p.one(t, "banner-clock").value() != "13" {
		t.Errorf("C6: %d rows wait, the banner says %s", waiting, p.one(t, "banner-clock").value())
	}
	p.says("trash-next-cleanup", "waits until "+until).says("banner-due-soon", "waits until "+until)
	h.as("vic").get(trash).want(http.StatusOK, "banner-clock", "clock-review").lacks("clock-lift")
	h.Pass(t, 24*time.Hour-time.Second)
	h.round(0)
	if len(h.trashed()) != 14 {
		t.Fatal("C6: deleted before the wait is over")
	}

	// What moved further ahead by a person's act counts from today.
	b = h.as("ada")
	d := b.get(trash+"/postpone?item="+items[13]).says("postpone-preview", "→ 19 May 2026 11:59 UTC")
	d.send("postpone-confirm").want(http.StatusOK, "toast")

	// Lifted: names, text and password, by an administrator.
	d = b.get(h.base).follow("clock-lift").want(http.StatusOK, "clock-dialog", "clock-names", "clock-typed", "clock-password", "clock-confirm").says("clock-names", "p01").says("clock-dialog", "clock moved ahead by 40 days")
	if n := len(d.one(t, "clock-names").where(func(n *node) bool { return n.attr["data-item-id"] != "" })); n != 12 {
		t.Errorf("the dialog names %d items, want 12", n)
	}
	wrong := d.send("clock-confirm", "typed", "resume", "password", cullettest.Password).want(http.StatusUnprocessableEntity, "clock-dialog", "form-errors").says("form-errors", "type resume cleanup, exactly")
	if wrong.one(t, "clock-typed").attr["value"] != "resume" {
		t.Error("what was typed is lost")
	}
	d.send("clock-confirm", "typed", purge.LiftText, "password", "wrong").want(http.StatusForbidden, "clock-dialog", "form-errors").says("form-errors", "The password is wrong")
	d.send("clock-confirm", "typed", purge.LiftText, "password", cullettest.Password, "wait", "cw_other").want(http.StatusConflict, "error-page")
	if h.acts(cullet.ActClockLift) != 0 {
		t.Fatal("C6: a refused lift lifted the wait")
	}
	d.send("clock-confirm", "typed", " "+purge.LiftText, "password", cullettest.Password).want(http.StatusOK, "toast").lacks("banner-clock").says("toast", "Cleanup goes on")
	b.get(trash+"/clock").want(http.StatusOK, "clock-dialog").lacks("clock-confirm")
	h.round(2 * time.Minute)
	if left := h.trashed(); len(left) != 2 {
		t.Errorf("C6: after the lift %d items are left, want the held and the postponed one", len(left))
	}
}

// TestC9Protection: on at once; off with the password, after its wait, over a restart;
// while it is on nothing can be deleted before its date, and the page says why.
func TestC9Protection(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.person("ada", cullet.Admin)
	cars := h.deleteProject(h.Project(t, "cars").Slug)
	h.deleteProject(h.Project(t, "bikes").Slug)
	b := h.as("ann")
	trash, policy := h.base+"/settings/trash", h.base+"/settings/trash-policy"
	p := b.get(policy).want(http.StatusOK, "protection-toggle", "policy-history").lacks("banner-protection", "policy-history-row")
	p.send("protection-toggle").want(http.StatusOK, "settings-saved", "banner-protection").lacks("toast", "protection-keep").
		says("banner-protection", "Purge protection is on: nothing can be deleted permanently before its date.")
	list := b.get(trash).want(http.StatusOK, "banner-protection")
	for _, id := range []string{"empty-trash", "bulk-purge"} {
		if n := list.one(t, id); n.attr["aria-disabled"] != "true" || n.attr["href"]+n.attr["formaction"] != "" {
			t.Errorf("C9: %s is %v", id, n.attr)
		}
		list.says(id+"-reason", "Purge protection is on: nothing is deleted permanently before its date.")
	}
	if n := list.item(t, "trash-row", cars.ID).one(t, "item-purge"); n.attr["aria-disabled"] != "true" || !strings.Contains(n.words(), "Not now: purge protection is on") {
		t.Errorf("C9: item-purge is %v: %q", n.attr, n.words())
	}
	b.get(trash+"/purge?all=1").want(http.StatusOK, "purge-skipped").lacks("purge-confirm").says("purge-skipped", "2 items are left out:").says("purge-skipped", "cars: purge protection is on")

	// Off: asked for with the password, at a date that is shown.
	const ends = "4 Apr 2026 12:00 UTC"
	d := b.get(policy).follow("protection-toggle").want(http.StatusOK, "unprotect-dialog", "unprotect-confirm").says("unprotect-ends", ends)
	d.send("unprotect-confirm", "password", "wrong").want(http.StatusForbidden, "unprotect-dialog", "form-errors").says("form-errors", "The password is wrong")
	if b.get(policy).one(t, "protection").attr["data-state"] != "on" {
		t.Fatal("C9: a wrong password changed something")
	}
	p = d.send("unprotect-confirm", "password", cullettest.Password).want(http.StatusOK, "settings-saved").says("settings-saved", "ends on "+ends)
	if p.one(t, "protection").attr["data-state"] != "ending" {
		t.Error("C9: the page does not say that it ends")
	}
	h.Pass(t, 71*time.Hour)
	// The server starts again: the date stands.
	h.server.Close()
	h.server = httptest.NewServer(web.New(web.Server{DB: h.DB, Access: h.Access, Catalog: h.Catalog, Press: h.Press, Queue: h.Queue, Shelf: h.Shelf, Bin: h.Bin, Book: h.Book,
		Purge: desk(h), Blobs: h.Blobs, Log: slog.New(slog.DiscardHandler)}))
	t.Cleanup(h.server.Close)
	ada := h.as("ada")
	p = ada.get(h.base+"/workflows").want(http.StatusOK, "protection-keep").says("banner-protection", "It ends "+ends+" , asked by Ann.")
	ada.get(trash+"/purge?item="+cars.ID).want(http.StatusOK, "purge-skipped").lacks("purge-confirm")
	p = p.send("protection-keep").want(http.StatusOK, "banner-protection").lacks("protection-keep")
	if p.url.Path != h.base+"/workflows" {
		t.Errorf("keeping it leads to %s", p.url)
	}
	h.Pass(t, 30*time.Hour)
	b = h.as("ann")
	b.get(trash+"/purge?item="+cars.ID).want(http.StatusOK, "purge-skipped").lacks("purge-confirm")
	b.get(policy).follow("protection-toggle").send("unprotect-confirm", "password", cullettest.Password).want(http.StatusOK, "settings-saved")
	b.get(policy+"/unprotect").want(http.StatusOK, "unprotect-dialog").lacks("unprotect-confirm")
	h.Pass(t, 72*time.Hour)
	b = h.as("ann")
	b.get(trash+"/purge?item="+cars.ID).want(http.StatusOK, "purge-confirm").lacks("purge-skipped", "banner-protection")
	var acts []string
	for _, r := range b.get(policy).all("policy-history-row") {
		acts = append(acts, r.attr["data-act"])
	}
	if got := strings.Join(acts, " "); got != "unprotect keep-protection unprotect protect" {
		t.Errorf("the history is %s", got)
	}
}

// TestC7Retention: a change counts for what is deleted from then on; every date in
// Trash stays as it is.
func TestC7Retention(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	cars := h.deleteProject(h.Project(t, "cars").Slug)
	b := h.as("ann")
	policy, trash := h.base+"/settings/trash-policy", h.base+"/settings/trash"
	p := b.get(trash).follow("trash-policy-change").want(http.StatusOK, "retention-days", "policy-save", "retention-note", "settings-nav-retention")
	if f := p.one(t, "retention-days"); f.attr["value"] != "" || f.attr["placeholder"] != "30 days" {
		t.Errorf("the field has %q, shows %q", f.attr["value"], f.attr["placeholder"])
	}
	for _, bad := range []string{"0", "-1", "3651", "1.5", "soon", "99999999999999999999"} {
		p := p.send("policy-save", "days", bad).want(http.StatusUnprocessableEntity, "form-errors").lacks("settings-saved")
		if f := p.one(t, "retention-days"); f.attr["value"] != bad || f.attr["aria-invalid"] != "true" {
			t.Errorf("%q: the field has %v", bad, f.attr)
		}
	}
	p = p.send("policy-save", "days", " 7 ").want(http.StatusOK, "settings-saved").says("settings-saved", "stays 7 days; what is in Trash keeps its date").says("policy-history", "from 30 days to 7 days")
	if got := p.one(t, "retention-days").attr["value"]; got != "7" {
		t.Errorf("the field has %q", got)
	}
	b.get(policy).lacks("settings-saved")
	bikes := h.deleteProject(h.Project(t, "bikes").Slug)
	list := b.get(trash).says("trash-policy-note", "Kept 7 days")
	if list.left(cars.ID) != "30 days left" || list.left(bikes.ID) != "7 days left · soon" {
		t.Errorf("C7: from 30 to 7 days: %q and %q", list.left(cars.ID), list.left(bikes.ID))
	}
	for _, i := range h.trashed() {
		if i.ID == cars.ID && (!i.CleanupAt.Equal(cars.CleanupAt) || !i.EffectiveAt.Equal(cars.EffectiveAt)) {
			t.Errorf("C7: a shorter retention moved %v to %v", cars.CleanupAt, i.CleanupAt)
		}
	}
	b.get(policy).send("policy-save", "days", "").want(http.StatusOK, "settings-saved")
	if got := b.get(policy).one(t, "retention-days").attr["value"]; got != "" {
		t.Errorf("back at the default the field has %q", got)
	}
	// A default of the operator's that is not whole days is shown as it is.
	h.Bin.Retention = 60 * time.Hour
	b.get(trash).says("trash-policy-note", "Kept 60 hours")
	if got := b.get(policy).one(t, "retention-days").attr["placeholder"]; got != "60 hours" {
		t.Errorf("the default is shown as %q", got)
	}
}

// TestC10Warnings: the owner says when people are warned before cleanup, and whether
// by mail; what does not fit is told at the field, and each change is in the audit.
func TestC10Warnings(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.as("ann")
	policy := h.base + "/settings/trash-policy"
	p := b.get(policy).want(http.StatusOK, "warn-days", "email-warnings", "warnings-save")
	if f := p.one(t, "warn-days"); f.attr["value"] != "7, 1" || !hasAttr(p.one(t, "email-warnings"), "checked") {
		t.Errorf("at first the field has %q, mail %v", f.attr["value"], p.one(t, "email-warnings").attr)
	}
	for _, bad := range []string{"0", "366", "7, soon", "-1", "1.5", "1,2,3,4,5,6,7,8,9,10,11", "99999999999999999999"} {
		p := p.send("warnings-save", "warn_days", bad).want(http.StatusUnprocessableEntity, "form-errors").lacks("settings-saved")
		if f := p.one(t, "warn-days"); f.attr["value"] != bad || f.attr["aria-invalid"] != "true" || p.one(t, "retention-days").attr["aria-invalid"] != "" {
			t.Errorf("%q: the field has %v", bad, f.attr)
		}
	}
	if h.acts(cullet.ActWarnings) != 0 {
		t.Error("what does not fit is in the audit as a change")
	}
	p = p.send("warnings-save", "warn_days", " 1 30;7, 7 ").says("settings-saved", "People are warned 30, 7 and 1 days before, also by mail.").
		says("policy-history", "Warnings before cleanup changed by Ann from 7 and 1 days before, also by mail to 30, 7 and 1 days before, also by mail")
	if f := p.one(t, "warn-days"); f.attr["value"] != "30, 7, 1" {
		t.Errorf("the field has %q", f.attr["value"])
	}
	action, form := p.filled(p.one(t, "warnings-save"), "warn_days", "1")
	form.Del("email")
	p = b.post(action, form).says("settings-saved", "People are warned 1 day before.")
	if hasAttr(p.one(t, "email-warnings"), "checked") || p.one(t, "retention-days").attr["value"] != "" {
		t.Error("the mail stays on, or the retention changed")
	}
	p.send("warnings-save", "warn_days", "").says("settings-saved", "Nobody is warned.")
	before := h.acts(cullet.ActWarnings)
	b.get(policy).send("warnings-save").want(http.StatusOK, "settings-saved")
	if before != 3 || h.acts(cullet.ActWarnings) != before {
		t.Errorf("3 changes left %d entries, saving the same %d more", before, h.acts(cullet.ActWarnings)-before)
	}
}

// TestBannerCost: what the banners add to every page is a fixed number of statements,
// whatever lies in Trash.
func TestBannerCost(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.as("ann")
	cost := func(act func()) (n int) {
		var mu sync.Mutex
		h.DB.Watch(func(string, int64) {
			mu.Lock()
			n++
			mu.Unlock()
		})
		defer h.DB.Watch(nil)
		act()
		return n
	}
	both := func() {
		if _, _, err := desk(h).Waiting(t.Context(), h.Person()); err != nil {
			t.Fatal(err)
		}
		if _, err := desk(h).Protection(t.Context(), h.Person()); err != nil {
			t.Fatal(err)
		}
	}
	empty := cost(both)
	page := cost(func() { b.get(h.base + "/workflows") })
	for n := range 40 {
		h.deleteProject(h.Project(t, fmt.Sprintf("p%d", n)).Slug)
	}
	if full := cost(both); full != empty || full == 0 || full > 4 {
		t.Errorf("the banners cost %d statements with an empty Trash, %d with 40 items", empty, full)
	}
	if full := cost(func() { b.get(h.base + "/workflows") }); full > page+1 {
		t.Errorf("a page costs %d statements with an empty Trash, %d with 40 items", page, full)
	}
	t.Logf("%d statements a page, %d of them for the banners", page, empty)
}

package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
)

// stray has a script delete projects, each with a version that it deleted before.
func (h *house) stray(projects ...string) (items []cullet.TrashItem) {
	h.t.Helper()
	script := h.By
	script.ID, script.Name = "key_stray", "key ci-bot"
	for n, name := range projects {
		p := h.Project(h.t, name)
		h.Image(h.t, p.ID, n)
		h.Version(h.t, p.ID)
		v, err := h.Bin.DeleteVersion(h.t.Context(), script, p.ID, 1)
		if err != nil {
			h.t.Fatal(err)
		}
		t, err := h.Bin.DeleteProject(h.t.Context(), script, p.ID)
		if err != nil {
			h.t.Fatal(err)
		}
		items = append(items, v, t)
	}
	return items
}

// workRescue does the job of the rescue whose report is open, to its end.
func (h *house) workRescue(p *page) {
	h.t.Helper()
	id := p.url.Path[strings.LastIndex(p.url.Path, "/")+1:]
	for again := true; again; {
		var err error
		if again, err = h.Bin.WorkRescue(h.t.Context(), id); err != nil {
			h.t.Fatal(err)
		}
	}
}

// TestRescue: a stray script's deletions come back as one operation: planned first,
// confirmed, with progress in the tray, and a report.
func TestRescue(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.person("ed", cullet.Editor)
	h.stray("early")
	h.Clock.Advance(time.Hour)
	h.stray("cars", "bikes", "jars")
	anns := h.deleteProject(h.Project(t, "anns").Slug)
	taken := h.Project(t, "bikes")
	b := h.as("ed")
	trash := h.base + "/settings/trash"
	form := b.get(trash).follow("rescue-open").want(http.StatusOK, "rescue-who", "rescue-means", "rescue-from", "rescue-to", "rescue-rename", "rescue-look").lacks("rescue-plan", "rescue-confirm", "rescue-earlier")
	if names := form.where(func(n *node) bool { return n.tag == "option" && n.parent.attr["id"] == "rescue-names" }); len(names) != 2 {
		t.Errorf("%d names are offered, want those of the two keys", len(names))
	}
	look := func(fields ...string) *page {
		t.Helper()
		action, q := form.filled(form.one(t, "rescue-look"), fields...)
		return b.get(action + "?" + q.Encode())
	}

	// A filter that does not say whose or when is none; a time that is none is told.
	look().want(http.StatusUnprocessableEntity, "form-errors").says("form-errors", "Say whose deletions")
	look("from", "noon").want(http.StatusUnprocessableEntity, "form-errors").says("form-errors", `"noon" is no time`)
	look("from", "2026-04-02T00:00", "to", "2026-04-01T00:00").want(http.StatusUnprocessableEntity, "form-errors")
	look("who", "x", "means", "cleanup").want(http.StatusUnprocessableEntity, "form-errors")
	look("who", "x", "type", "car").want(http.StatusUnprocessableEntity, "form-errors")
	look("who", "nobody").want(http.StatusOK, "rescue-none").lacks("rescue-confirm")

	// The plan: parents first, a taken slug with the free one, what lies below it too.
	p := look("who", "key ci-bot", "from", "2026-04-01T12:30").want(http.StatusOK, "rescue-plan", "rescue-confirm").says("rescue-confirm", "Restore 4 items")
	if p.one(t, "rescue-left").value() != "2" || len(p.all("rescue-step")) != 6 || p.has("rescue-added") {
		t.Errorf("%s left out of %d", p.one(t, "rescue-left").value(), len(p.all("rescue-step")))
	}
	for n, s := range p.all("rescue-step")[:3] {
		if s.attr["data-type"] != "project" {
			t.Errorf("R2: step %d is a %s, want the projects first", n, s.attr["data-type"])
		}
	}
	if w := p.one(t, "rescue-plan").words(); !strings.Contains(w, "Its slug was taken meanwhile; bikes-2 is free.") || !strings.Contains(w, "It belongs to bikes, which is left out.") {
		t.Errorf("R3: the plan says %q", w)
	}
	renamed := look("who", "key ci-bot", "from", "2026-04-01T12:30", "rename", "1").says("rescue-confirm", "Restore 6 items").says("rescue-renamed", "1").says("rescue-plan", "as bikes-2")
	if renamed.one(t, "rescue-left").value() != "0" {
		t.Error("with another name something is left out")
	}
	if got := counts(look("who", "key ci-bot", "type", "version")); got != "[project 3 version 3]" {
		t.Errorf("versions alone bring back %s, want their parents first", got)
	}
	if len(h.trashed()) != 9 || h.acts(cullet.ActRescue) != 0 {
		t.Fatal("a plan changed something")
	}

	// What is deleted after the plan was shown is no part of it.
	h.Clock.Advance(time.Minute)
	later := h.stray("later")
	report := renamed.send("rescue-confirm").want(http.StatusOK, "rescue-progress", "job-tray").lacks("rescue-report").says("rescue-asked", "deleted by key ci-bot from 1 Apr 2026 12:30 UTC until")
	if report.one(t, "rescue-state").attr["data-state"] != "running" || report.one(t, "rescue-progress").value() != "0.000" || !strings.Contains(report.body, `<meta http-equiv="refresh" content="5">`) {
		t.Errorf("the page says %s", report.words())
	}
	b.get(h.base).says("job-tray", "Restoring 6 items")
	again := renamed.send("rescue-confirm")
	if again.url.Path != report.url.Path || h.acts(cullet.ActRescue) != 1 {
		t.Errorf("the same form again leads to %s, %d rescues", again.url.Path, h.acts(cullet.ActRescue))
	}
	h.workRescue(report)
	done := b.get(report.url.Path).want(http.StatusOK, "rescue-report", "rescue-duration").lacks("job-tray").says("rescue-restored", "6 of 6")
	if done.one(t, "rescue-state").attr["data-state"] != "finished" || done.one(t, "rescue-progress").value() != "1.000" || len(done.all("rescue-report-row")) != 6 {
		t.Errorf("the report says %s", done.words())
	}
	if w := done.one(t, "rescue-report").words(); !strings.Contains(w, "as bikes-2 , since its slug was taken") {
		t.Errorf("R3: the report says %q", w)
	}
	var left []string
	for _, i := range h.trashed() {
		left = append(left, i.Handle())
	}
	if fmt.Sprint(left) != fmt.Sprint([]string{"later", anns.Slug, "early", "later/1", "early/1"}) {
		t.Errorf("in Trash are %v; %s was deleted after the plan", left, later[1].Slug)
	}
	if q, err := h.Catalog.Project(t.Context(), h.By, "bikes"); err != nil || q.ID != taken.ID {
		t.Errorf("R3: bikes is %s, %v", q.ID, err)
	}
	h.Check(t)

	// Left out, with the reason.
	h.Clock.Advance(time.Minute)
	form = b.get(trash+"/rescue").want(http.StatusOK, "rescue-earlier").says("rescue-earlier", "6 items , asked by ed")
	h.Project(t, "later")
	left2 := look("who", "key ci-bot", "from", "2026-04-01T13:00").says("rescue-plan", "Nothing comes back").lacks("rescue-confirm")
	left2.want(http.StatusOK, "rescue-step")
	early := look("who", "key ci-bot").send("rescue-confirm")
	h.workRescue(early)
	early = b.get(early.url.Path).says("rescue-left", "2").says("rescue-restored", "2 of 4").says("rescue-report", "later-2 is free.")
	early.follow("rescue-restore-as").want(http.StatusConflict, "conflict-dialog", "conflict-restore")
	if first := early.all("rescue-report-row")[0]; first.attr["data-state"] != "left" {
		t.Errorf("the report begins with what was %s", first.attr["data-state"])
	}
}

// counts is what a plan says comes back of each type.
func counts(p *page) string {
	var all []string
	for _, n := range p.all("rescue-count") {
		all = append(all, n.attr["data-type"]+" "+n.value())
	}
	return fmt.Sprint(all)
}

// TestRescueRefused: a viewer sees no control and is refused; the report is for all
// members, and for no other workspace.
func TestRescueRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.person("vera", cullet.Viewer)
	h.stray("cars")
	vera, ann := h.as("vera"), h.as("ann")
	trash := h.base + "/settings/trash"
	vera.get(trash).want(http.StatusOK).lacks("rescue-open")
	vera.get(trash+"/rescue").want(http.StatusForbidden, "error-page")
	form := url.Values{"who": {"key ci-bot"}, "csrf": {vera.get(h.base).where(named("csrf"))[0].attr["value"]}}
	vera.post(trash+"/rescue", form).want(http.StatusForbidden)
	ann.post(trash+"/rescue", url.Values{"who": {"key ci-bot"}}).want(http.StatusForbidden) // forged
	if h.acts(cullet.ActRescue) != 0 || h.acts(cullet.ActTrashRefused) != 1 || len(h.trashed()) != 2 {
		t.Errorf("A1: %d rescues, %d refusals", h.acts(cullet.ActRescue), h.acts(cullet.ActTrashRefused))
	}
	ann.get(trash+"/rescue?who=key+ci-bot").send("rescue-confirm").want(http.StatusOK, "rescue-progress")
	var id string
	for _, e := range h.audit() {
		if e.Act == cullet.ActRescue {
			id = e.ItemID
		}
	}
	vera.get(trash+"/rescues/"+id).want(http.StatusOK, "rescue-progress", "job-tray")
	other := h.Another(t, "Other")
	if _, err := h.Access.AddPerson(t.Context(), other.Workspace.ID, "olga@example.com", "olga", cullettest.Password, cullet.Owner); err != nil {
		t.Fatal(err)
	}
	h.as("olga").get("/app/" + other.Workspace.Slug + "/settings/trash/rescues/" + id).want(http.StatusNotFound)
}

package web_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/trail"
	"github.com/cullet-vision/cullet/internal/web"
)

// TestA1AuditPage: every act is there, refusals included, newest first, page by page,
// by filter, with its detail.
func TestA1AuditPage(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.person("ada", cullet.Admin)
	cars := h.deleteProject(h.Project(t, "cars").Slug)
	h.Clock.Advance(cullettest.Day)
	if _, err := h.Bin.Hold(t.Context(), h.Person(), []string{cars.ID}, "for <b>the court</b>"); err != nil {
		t.Fatal(err)
	}
	b, page := h.as("ada"), h.base+"/settings/audit"
	b.get(h.base + "/settings/trash-policy").want(http.StatusForbidden)
	refused := b.post(h.base+"/settings/trash-policy", url.Values{"csrf": {b.get(h.base).where(named("csrf"))[0].attr["value"]}, "days": {"1"}})
	refused.want(http.StatusForbidden)
	p := b.get(h.base+"/settings").follow("settings-nav-audit").want(http.StatusOK, "audit-row", "audit-chain", "audit-export", "audit-filter-who", "audit-filter-act", "audit-filter-item", "audit-filter-dates", "audit-filter-refused")
	all := h.audit()
	rows := p.all("audit-row")
	if len(rows) != len(all) {
		t.Fatalf("%d rows, want the %d entries", len(rows), len(all))
	}
	for n, r := range rows {
		e := all[len(all)-1-n]
		if r.value() != fmt.Sprint(e.Seq) || r.attr["data-act"] != string(e.Act) || (r.attr["data-state"] == "refused") != (e.Result != "ok") || r.one(t, "audit-who").words() != e.ActorName {
			t.Errorf("row %d is %v: %s", n, r.attr, r.words())
		}
		if !strings.Contains(r.one(t, "audit-detail").words(), e.Hash) {
			t.Errorf("row %d does not show its hash", n)
		}
	}
	if r := rows[0]; r.attr["data-act"] != string(cullet.ActTrashRefused) || !strings.Contains(r.one(t, "audit-result").words(), "Only the workspace's owner") {
		t.Errorf("the refusal says %q", r.words())
	}

	// The filters.
	for query, want := range map[string]string{
		"act=hold": "hold", "act=delete": "delete", "act=nonsense": "trash-refused hold delete", "who=KEY+DEF": "delete", "item=" + cars.ID: "hold delete", "item=CAR": "hold delete",
		"refused=1": "trash-refused", "from=2026-04-02": "trash-refused hold", "to=2026-04-01": "delete", "from=x": "trash-refused hold delete", "act=hold&who=key": "",
	} {
		p := b.get(page + "?" + query).want(http.StatusOK)
		var acts []string
		for _, r := range p.all("audit-row") {
			if a := r.attr["data-act"]; a != "workspace-created" && a != "member" && a != "key-created" {
				acts = append(acts, a)
			}
		}
		if got := strings.Join(acts, " "); got != want || (want == "") != p.has("no-results") {
			t.Errorf("%s finds %q, want %q", query, got, want)
		}
	}
	if held := b.get(page+"?act=hold").one(t, "audit-detail").words(); !strings.Contains(held, "for <b>the court</b>") {
		t.Errorf("the detail of the hold says %q", held)
	}
}

// TestAuditPages: the pages of the list are whole while entries come, by number.
func TestAuditPages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for n := range 60 {
		h.deleteProject(h.Project(t, fmt.Sprintf("p%d", n)).Slug)
	}
	b := h.as("ann")
	last := h.audited()
	first := b.get(h.base+"/settings/audit").want(http.StatusOK, "page-next").lacks("page-prev")
	h.deleteProject(h.Project(t, "between").Slug)
	second := first.follow("page-next").want(http.StatusOK, "page-prev").lacks("page-next")
	var got []string
	for _, p := range []*page{first, second} {
		for _, r := range p.all("audit-row") {
			got = append(got, r.value())
		}
	}
	if len(got) != int(last) || got[0] != fmt.Sprint(last) || got[len(got)-1] != "1" || len(first.all("audit-row")) != 50 {
		t.Errorf("the pages show %v, want %d down to 1", got, last)
	}
	if p := second.follow("page-prev"); p.all("audit-row")[0].value() != fmt.Sprint(last+1) {
		t.Error("the way back does not begin with the newest")
	}
	if p := b.get(h.base + "/settings/audit?act=delete").follow("page-next"); p.url.Query().Get("act") != "delete" || len(p.all("audit-row")) != 11 {
		t.Errorf("the next page of a filter is %s with %d rows", p.url, len(p.all("audit-row")))
	}
}

// TestA1Chain: the page says that the chain is whole, with its last hash; of one that
// was tampered with it names the first entry that does not follow.
func TestA1Chain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.deleteProject(h.Project(t, "cars").Slug)
	b, page := h.as("ann"), h.base+"/settings/audit"
	p := b.get(page).says("audit-chain", fmt.Sprintf("%d entries, chain whole, checked just now", h.audited()))
	all := h.audit()
	if c := p.one(t, "audit-chain"); c.attr["data-state"] != "whole" || p.one(t, "audit-hash").words() != all[len(all)-1].Hash {
		t.Errorf("the chain is %v, its last hash %s", c.attr, p.one(t, "audit-hash").words())
	}
	h.Clock.Advance(2 * time.Minute)
	h.deleteProject(h.Project(t, "bikes").Slug)
	b.get(page).says("audit-chain", fmt.Sprintf("%d entries, chain whole, checked 2 minutes ago", h.audited()))
	if _, err := h.DB.Conn().Writer.ExecContext(t.Context(), `UPDATE audit SET actor_name = 'Bob' WHERE seq = 2`); err != nil {
		t.Fatal(err)
	}
	h.Clock.Advance(2 * time.Hour)
	if c := b.get(page).says("audit-chain", "The chain is broken at entry 2").one(t, "audit-chain"); c.attr["data-state"] != "broken" || c.value() != "2" {
		t.Errorf("the chain is %v", c.attr)
	}
	slow := newHouse(t, func(s *web.Server) { s.Patience = time.Nanosecond })
	slow.as("ann").get(page).want(http.StatusOK, "audit-row").says("audit-chain", "is being checked")
}

// TestAuditExport: a download of JSON lines that can be verified; it and the page are
// an administrator's, and others read why not.
func TestAuditExport(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.person("ed", cullet.Editor)
	h.person("ada", cullet.Admin)
	h.deleteProject(h.Project(t, "cars").Slug)
	got := h.as("ada").get(h.base + "/settings/audit").follow("audit-export").want(http.StatusOK)
	if d := got.header.Get("Content-Disposition"); d != `attachment; filename="acme-audit-2026-04-01.jsonl"` || !strings.HasPrefix(got.header.Get("Content-Type"), "application/jsonl") {
		t.Errorf("it is %q, %q", d, got.header.Get("Content-Type"))
	}
	before, n := "", int64(0)
	for lines := bufio.NewScanner(strings.NewReader(got.body)); lines.Scan(); {
		var l trail.Line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		var fields []any
		if err := json.Unmarshal([]byte(l.Chained), &fields); err != nil || fields[len(fields)-1] != before {
			t.Fatalf("line %d does not follow: %v, %v", l.Seq, fields, err)
		}
		before, n = l.Hash, n+1
	}
	if n != h.audited() {
		t.Errorf("%d lines, want %d", n, h.audited())
	}
	ed := h.as("ed")
	ed.get(h.base+"/settings").lacks("settings-nav-audit").want(http.StatusOK, "settings-nav-storage")
	for _, path := range []string{"/settings/audit", "/settings/audit/export"} {
		p := ed.get(h.base+path).want(http.StatusForbidden, "error-page")
		if !strings.Contains(p.words(), "Only an administrator of the workspace can read its audit") {
			t.Errorf("%s says %s", path, p.words())
		}
	}
}

// TestStoragePage: the parts sum to the total, which is what the disk holds; exact
// numbers stand beside them (D9); projects are listed by size.
func TestStoragePage(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.person("vera", cullet.Viewer)
	h.Image(t, h.Project(t, "cars").Slug, 1)
	h.Image(t, "cars", 2)
	h.Image(t, h.Project(t, "bikes").Slug, 2)
	h.Image(t, "bikes", 3)
	h.Image(t, "bikes", 4)
	h.Image(t, "bikes", 5)
	b, page := h.as("vera"), h.base+"/settings/storage"
	p := b.get(h.base+"/settings").follow("settings-nav-storage").want(http.StatusOK, "storage-pending", "storage-logical-active").lacks("storage-total", "storage-row")
	cars := h.deleteProject("cars")
	if err := h.Book.Count(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.Clock.Advance(5 * time.Minute)
	p = b.get(page).want(http.StatusOK, "storage-total").lacks("storage-pending").says("storage-counted-at", "counted 5 minutes ago")
	value := func(testid string) (n int64) {
		t.Helper()
		if _, err := fmt.Sscan(p.one(t, testid).value(), &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	sum := value("storage-active") + value("storage-trash") + value("storage-shared") + value("storage-derived")
	if total := value("storage-total"); total != sum || total != h.disk() || total == 0 {
		t.Errorf("the parts sum to %d, the total is %d, on the disk are %d", sum, total, h.disk())
	}
	for _, part := range []string{"storage-active", "storage-trash", "storage-shared", "storage-derived"} {
		if value(part) == 0 {
			t.Errorf("%s is 0", part)
		}
	}
	if got := b.get(h.base+"/settings/trash").one(t, "trash-freeable-bytes").value(); got != fmt.Sprint(value("storage-trash")) {
		t.Errorf("the Trash says that emptying frees %s, here are %d", got, value("storage-trash"))
	}
	if value("storage-logical-trash") != cars.Contents.Bytes || value("storage-logical-active") == 0 {
		t.Errorf("D9: in Trash %d, want %d", value("storage-logical-trash"), cars.Contents.Bytes)
	}
	rows := p.all("storage-row")
	if len(rows) != 2 || !strings.HasPrefix(rows[0].words(), "bikes") || rows[1].attr["data-state"] != "trashed" || rows[0].one(t, "storage-own").value() <= "0" {
		t.Errorf("the rows say %s", p.words())
	}
	bar := p.where(func(n *node) bool { return n.tag == "rect" && n.parent.attr["class"] == "parts" })
	if len(bar) != 4 {
		t.Errorf("the bar has %d parts", len(bar))
	}
}

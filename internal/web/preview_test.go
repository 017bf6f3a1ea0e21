package web_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/web"
)

// disk is the bytes of all files.
func (h *house) disk() int64 { return h.Check(h.t).Bytes }

// TestD9Sizes: a row says what deleting it alone frees and what stays because it is
// shared, once it is counted, and the summary what emptying the Trash frees.
func TestD9Sizes(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.Image(t, h.Project(t, "cars").Slug, 1)
	one := h.disk()
	h.Image(t, "cars", 2)
	shared := h.disk() - one
	h.Image(t, h.Project(t, "bikes").Slug, 2)
	cars := h.deleteProject("cars")
	b := h.as("ann")
	trash := h.base + "/settings/trash"
	p := b.get(trash).want(http.StatusOK, "sizes-note").lacks("trash-counted-at").says("trash-freeable-bytes", "being counted…")
	size := p.item(t, "trash-row", cars.ID).one(t, "item-size")
	if size.attr["data-state"] != "pending" || size.value() != "" || size.words() != "being counted…" || p.one(t, "trash-freeable-bytes").attr["data-state"] != "pending" {
		t.Errorf("before it is counted the row says %v %q", size.attr, size.words())
	}
	if err := h.Book.Count(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.Clock.Advance(2 * time.Minute)
	p = b.get(trash).says("trash-counted-at", "counted 2 minutes ago")
	size = p.item(t, "trash-row", cars.ID).one(t, "item-size")
	if size.value() != fmt.Sprint(one) || size.attr["data-shared"] != fmt.Sprint(shared) || !strings.HasSuffix(size.words(), "shared, stays") || size.attr["data-state"] != "" {
		t.Errorf("the row says %v %q, want %d freed, %d shared", size.attr, size.words(), one, shared)
	}
	if got := p.one(t, "trash-freeable-bytes").value(); got != fmt.Sprint(one) {
		t.Errorf("emptying frees %s, want %d", got, one)
	}

	// Rows need not add up: what two share gets free with the last of them.
	bikes := h.deleteProject("bikes")
	h.Clock.Advance(time.Hour)
	if err := h.Book.Count(t.Context()); err != nil {
		t.Fatal(err)
	}
	p = b.get(trash)
	row := p.item(t, "trash-row", bikes.ID).one(t, "item-size")
	if got := p.one(t, "trash-freeable-bytes").value(); got != fmt.Sprint(h.disk()) || row.value() != "0" || row.attr["data-shared"] != fmt.Sprint(shared) {
		t.Errorf("emptying frees %s of %d on the disk; bikes alone %s, shared %s", got, h.disk(), row.value(), row.attr["data-shared"])
	}
}

// TestPurgeBytes: the dialog counts anew for exactly what goes, and names who shares
// what stays; of another workspace's projects it tells the number alone.
func TestPurgeBytes(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.Image(t, h.Project(t, "cars").Slug, 1)
	one := h.disk()
	h.Image(t, "cars", 2)
	two := h.disk() - one
	h.Image(t, "cars", 3)
	three := h.disk() - one - two
	h.Image(t, h.Project(t, "bikes").Slug, 2)
	other := h.Another(t, "Other")
	other.Image(t, other.Project(t, "secret").Slug, 3)
	cars, bikes := h.deleteProject("cars"), h.deleteProject("bikes")
	h.deleteProject(h.Project(t, "rest").Slug)
	b := h.as("ann")
	purge := h.base + "/settings/trash/purge"
	bytes := func(p *page, testid string) string { return p.one(t, testid).value() }
	d := b.get(purge+"?item="+cars.ID).want(http.StatusOK, "purge-confirm").says("blast-shared-with", "bikes (in Trash) and 1 project of other workspaces and stays.")
	if bytes(d, "blast-bytes-freed") != fmt.Sprint(one) || bytes(d, "blast-bytes-shared") != fmt.Sprint(two+three) || d.one(t, "blast-shared-with").attr["data-foreign"] != "1" {
		t.Errorf("cars: %s freed, %s shared; want %d, %d", bytes(d, "blast-bytes-freed"), bytes(d, "blast-bytes-shared"), one, two+three)
	}
	if strings.Contains(d.body, "secret") {
		t.Error("another workspace's project is named")
	}
	d = b.get(purge + "?item=" + cars.ID + "&item=" + bikes.ID)
	if bytes(d, "blast-bytes-freed") != fmt.Sprint(one+two) || bytes(d, "blast-bytes-shared") != fmt.Sprint(three) {
		t.Errorf("both: %s freed, %s shared; want %d, %d", bytes(d, "blast-bytes-freed"), bytes(d, "blast-bytes-shared"), one+two, three)
	}

	// What is said is what the disk shows afterwards.
	before := h.disk()
	d.send("purge-confirm", "typed", "delete 2 items").want(http.StatusOK, "purge-countdown")
	h.round(11 * time.Second)
	if freed := before - h.disk(); freed != one+two {
		t.Errorf("%d bytes were freed, %d were promised", freed, one+two)
	}
}

// TestPurgeBytesSlow: numbers that take long are none, and keep nobody from going on (P4).
func TestPurgeBytesSlow(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(s *web.Server) { s.Patience = time.Nanosecond })
	h.Image(t, h.Project(t, "cars").Slug, 1)
	cars := h.deleteProject("cars")
	h.deleteProject(h.Project(t, "rest").Slug)
	b := h.as("ann")
	d := b.get(h.base+"/settings/trash/purge?item="+cars.ID).want(http.StatusOK, "purge-confirm", "blast-counting").lacks("blast-bytes-shared").says("blast-bytes-freed", "being counted, up to ")
	if f := d.one(t, "blast-bytes-freed"); f.attr["data-state"] != "pending" || f.value() != "" {
		t.Errorf("not counted, it says %v", f.attr)
	}
	d.send("purge-confirm", "typed", "cars").want(http.StatusOK, "purge-countdown")
	h.round(11 * time.Second)
	if left := h.trashed(); len(left) != 1 || left[0].Slug != "rest" {
		t.Errorf("Trash holds %+v", left)
	}
	b.get(h.base+"/settings/trash/preview").want(http.StatusOK, "preview-slow").lacks("preview-items", "preview-row")
}

// TestPreviewPage: the dry run of the next days says what goes, what stays and what it
// frees, for everybody who may look, and changes nothing.
func TestPreviewPage(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.person("vera", "viewer")
	h.Image(t, h.Project(t, "cars").Slug, 1)
	one := h.disk()
	h.Image(t, "cars", 2)
	two := h.disk() - one
	h.Image(t, h.Project(t, "bikes").Slug, 2)
	cars := h.deleteProject("cars")
	held := h.deleteProject(h.Project(t, "kept").Slug)
	if _, err := h.Bin.Hold(t.Context(), h.Person(), []string{held.ID}, "for the court"); err != nil {
		t.Fatal(err)
	}
	h.Clock.Advance(cullettest.Day)
	late := h.deleteProject(h.Project(t, "late").Slug)
	b := h.as("vera")
	seq := h.audited()
	p := b.get(h.base+"/settings/trash").follow("preview-open").want(http.StatusOK, "preview-days", "preview-none").lacks("preview-row", "preview-stays")
	if f := p.one(t, "preview-days"); f.attr["value"] != "7" || p.one(t, "preview-items").value() != "0" {
		t.Errorf("within %s days %s items go", f.attr["value"], p.one(t, "preview-items").value())
	}
	p = b.get(h.base+"/settings/trash/preview?days=29").want(http.StatusOK, "preview-row").lacks("preview-none").says("preview-shared-with", "is also used by bikes and stays").says("preview-stays", "kept project: it is held by Ann: for the court")
	for testid, want := range map[string]int64{"preview-items": 1, "preview-freed": one, "preview-shared": two, "preview-images": 2} {
		if got := p.one(t, testid).value(); got != fmt.Sprint(want) {
			t.Errorf("%s is %s, want %d", testid, got, want)
		}
	}
	if rows := ids(p.all("preview-row")); rows != "["+cars.ID+"]" {
		t.Errorf("the rows are %s", rows)
	}
	if rows := ids(b.get(h.base + "/settings/trash/preview?days=30").all("preview-row")); rows != "["+cars.ID+" "+late.ID+"]" {
		t.Errorf("within 30 days: %s", rows)
	}
	for _, bad := range []string{"", "-1", "3651", "soon", "1.5", "99999999999999999999"} {
		p := b.get(h.base+"/settings/trash/preview?days="+bad).want(http.StatusUnprocessableEntity, "form-errors", "preview-days").lacks("preview-items")
		if f := p.one(t, "preview-days"); f.attr["value"] != bad || f.attr["aria-invalid"] != "true" {
			t.Errorf("%q: the field has %v", bad, f.attr)
		}
	}
	if len(h.trashed()) != 3 || h.audited() != seq {
		t.Error("a dry run changed something")
	}
}

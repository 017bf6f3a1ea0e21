package web_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/dataset"
	"github.com/cullet-vision/cullet/internal/training"
	"github.com/cullet-vision/cullet/internal/upload"
	"github.com/cullet-vision/cullet/internal/version"
	"github.com/cullet-vision/cullet/internal/workflow"
)

// walk goes through all pages of a list, to the end and back, and returns the
// items in order. A page back that differs from the page there fails the test.
func walk(b *browser, path, testid string) (items []string) {
	b.h.t.Helper()
	var seen []string
	p := b.get(path)
	for {
		rows := p.all(testid)
		seen = append(seen, ids(rows))
		for _, r := range rows {
			items = append(items, r.attr["data-item-id"])
		}
		if !p.has("page-next") {
			break
		}
		p = p.follow("page-next")
	}
	for n := len(seen) - 2; n >= 0; n-- {
		p = p.follow("page-prev")
		if got := ids(p.all(testid)); got != seen[n] {
			b.h.t.Errorf("%s: page %d is %s on the way back, was %s", path, n+1, got, seen[n])
		}
	}
	if p.has("page-prev") {
		b.h.t.Errorf("%s: there is a page before the first", path)
	}
	return items
}

func TestProjects(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.as("ann")
	p := b.get(h.base).want(http.StatusOK, "empty-projects", "project-new", "snippet-python").lacks("project-search")
	p = p.follow("project-new").send("project-new-submit", "name", "  ")
	p.want(http.StatusUnprocessableEntity, "form-errors")
	if f := p.one(t, "project-new-name"); f.attr["aria-invalid"] != "true" {
		t.Error("the field of the error is not marked")
	}
	p = p.send("project-new-submit", "name", "Cars & <b>Trucks</b>", "license", "MIT", "group", "cars").want(http.StatusOK, "empty-images")
	if got := p.one(t, "project-title").words(); got != "Cars & <b>Trucks</b>" {
		t.Errorf("the title is %q", got)
	}
	want := []string{}
	for n := range 60 {
		h.Clock.Advance(time.Second)
		want = append(want, h.Project(t, fmt.Sprintf("Project %02d", n%50)).ID)
	}
	gone := h.deleteProject("project-07")
	for _, sort := range []string{"", "name", "created", "images", "updated", "nonsense"} {
		got := walk(b, h.base+"?sort="+sort, "project-card")
		if len(got) != 60 || slices.Contains(got, gone.Target) {
			t.Errorf("sort %q: %d projects, want 60 without the one in Trash", sort, len(got))
		}
		sorted := slices.Clone(got)
		slices.Sort(sorted)
		if len(slices.Compact(sorted)) != 60 {
			t.Errorf("sort %q shows a project twice", sort)
		}
	}
	newest := walk(b, h.base+"?sort=created", "project-card")
	if newest[0] != want[len(want)-1] {
		t.Error("the newest project is not the first")
	}
	if got := b.get(h.base + "?q=PROJECT+1&type=object-detection").all("project-card"); len(got) != 10 {
		t.Errorf("the search finds %d, want 10", len(got))
	}
	b.get(h.base + "?q=project-07").lacks("empty-projects") // its twin has project-07-2
	b.get(h.base+"?q=nothing").want(http.StatusOK, "no-results", "project-search")
	b.get(h.base+"?type=classification").want(http.StatusOK, "no-results")
	f, err := h.Catalog.CreateFolder(t.Context(), h.By, "Line 1", "", []string{"project-01"})
	if err != nil {
		t.Fatal(err)
	}
	p = b.get(h.base).want(http.StatusOK, "folder-link")
	if got := p.follow("folder-link").all("project-card"); len(got) != 1 {
		t.Errorf("folder %s shows %d projects", f.Name, len(got))
	}
	b.get(h.base + "?cursor=nonsense").want(http.StatusOK)
}

// TestEmptyButTrash: an empty list says that Trash is not.
func TestEmptyButTrash(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.deleteProject(h.Project(t, "one").Slug)
	h.deleteProject(h.Project(t, "two").Slug)
	b := h.as("ann")
	p := b.get(h.base).want(http.StatusOK, "empty-projects").says("empty-projects", "2 projects are in Trash")
	if got := p.one(t, "trash-count").value(); got != "2" {
		t.Errorf("the badge says %s", got)
	}
	p.lacks("trash-due-soon")
	h.Clock.Advance(24 * cullettest.Day)
	if got := b.restart().get(h.base).one(t, "trash-due-soon").words(); got != "2 due soon" {
		t.Errorf("the badge says %q", got)
	}
}

// restart signs in again after the session ended.
func (b *browser) restart() *browser { return b.h.as("ann") }

func TestImages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.as("ann")
	p := h.Project(t, "cars")
	odd := `<img src=x onerror=alert(1)>&amp;".png`
	taken, err := h.Intake.Image(t.Context(), h.By, p.ID, upload.NewImage{Name: odd, Split: "valid", Batch: "Odd", Tags: []string{"rain"}}, bytes.NewReader(cullettest.PNG(1)))
	if err != nil {
		t.Fatal(err)
	}
	shapes := []cullet.Shape{cullet.BoxAround("car", 1.5, 2.25, 5, 6), cullet.PolygonOf("person", []cullet.Point{{X: 1, Y: 1}, {X: 9.5, Y: 2}, {X: 4, Y: 8}}), cullet.BoxAround("car", 0, 0, 16, 12)}
	if _, err := h.Catalog.SaveShapes(t.Context(), h.By, p.ID, taken.Image, shapes, dataset.NewAnnotation{}); err != nil {
		t.Fatal(err)
	}
	for n := range 130 {
		h.Image(t, "cars", n+2)
	}
	all := walk(b, h.base+"/cars", "image-tile")
	if len(all) != 131 || all[0] != taken.Image {
		t.Errorf("the grid shows %d images, want 131 in order of arrival", len(all))
	}
	grid := b.get(h.base + "/cars")
	if n := len(grid.all("image-tile")); n != 60 {
		t.Errorf("a page shows %d images, want 60", n)
	}
	tile := grid.item(t, "image-tile", taken.Image)
	img := tile.where(func(n *node) bool { return n.tag == "img" })[0]
	if want := odd + ": 3 annotations: 2 car, 1 person"; img.attr["alt"] != want {
		t.Errorf("alt is %q, want %q", img.attr["alt"], want)
	}
	svg := tile.where(func(n *node) bool { return n.tag == "svg" })[0]
	if svg.attr["viewBox"] != "0 0 16 12" {
		t.Errorf("the overlay's field is %q", svg.attr["viewBox"])
	}
	drawn := tile.all("annotation-shape")
	if len(drawn) != 3 || drawn[0].attr["data-class"] != "car" || drawn[1].attr["data-class"] != "person" {
		t.Fatalf("%d shapes are drawn", len(drawn))
	}
	rect, polygon := drawn[0].kids[1], drawn[1].kids[1]
	if got := rect.attr["x"] + " " + rect.attr["y"] + " " + rect.attr["width"] + " " + rect.attr["height"]; got != "1.5 2.25 5 6" {
		t.Errorf("the box is drawn at %s", got)
	}
	if polygon.attr["points"] != "1,1 9.5,2 4,8" {
		t.Errorf("the polygon is drawn at %s", polygon.attr["points"])
	}
	for query, want := range map[string]int{"q=ONERROR": 1, "split=valid": 1, "class=person": 1, "tag=rain": 1, "annotated=yes": 1, "split=valid&class=car": 1, "tag=ra": 0, "class=bike": 0, "split=test": 0} {
		p := b.get(h.base + "/cars/images?" + query)
		if got := len(p.all("image-tile")); got != want || (want == 0) != p.has("no-results") {
			t.Errorf("?%s shows %d images, want %d", query, got, want)
		}
	}
	if got := walk(b, h.base+"/cars/images?annotated=no", "image-tile"); len(got) != 130 {
		t.Errorf("%d images without annotation", len(got))
	}
	batch := b.get(h.base+"/cars").one(t, "filter-batch").where(func(n *node) bool { return n.words() == "Odd (1)" })
	if len(batch) != 1 || len(b.get(h.base+"/cars/images?batch="+batch[0].attr["value"]).all("image-tile")) != 1 {
		t.Error("the batch does not choose its image")
	}
	h.Version(t, "cars")
	one := b.get(grid.item(t, "image-tile", all[1]).attr["href"]).want(http.StatusOK, "image-full", "image-prev", "image-next")
	if prev := one.follow("image-prev").want(http.StatusOK).lacks("image-prev"); !strings.Contains(prev.url.Path, taken.Image) {
		t.Error("the image before the second is not the first")
	}
	first := b.get(h.base+"/cars/images/"+taken.Image+"?split=valid").want(http.StatusOK, "annotation-table").lacks("image-next").says("image-versions", "1").says("image-tags", "rain")
	if got := first.one(t, "annotation-table").words(); !strings.Contains(got, "x 1.5, y 2.25") || !strings.Contains(got, "5 × 6 px") {
		t.Errorf("the table says %q", got)
	}
	if first.one(t, "image-title").words() != odd {
		t.Error("the name is not text")
	}
}

// TestImageFiles: bytes go to who may see them, as pictures and nothing else, and
// end with the project (D3).
func TestImageFiles(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.person("vic", cullet.Viewer)
	p := h.Project(t, "cars")
	h.Project(t, "bikes")
	img := h.Image(t, p.Slug, 1)
	b := h.as("vic")
	at := h.base + "/cars/images/" + img
	got := b.get(at + "/original")
	if got.status != http.StatusOK || got.body != string(cullettest.PNG(1)) || got.header.Get("Content-Type") != "image/png" {
		t.Errorf("the original: %d, %s, %d bytes", got.status, got.header.Get("Content-Type"), len(got.body))
	}
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-cache", "Content-Security-Policy": "default-src 'none'; sandbox"} {
		if v := got.header.Get(name); v != want {
			t.Errorf("%s is %q, want %q", name, v, want)
		}
	}
	if small := b.get(at + "/thumb"); small.status != http.StatusOK || small.header.Get("Content-Type") != "image/jpeg" {
		t.Errorf("the thumbnail: %d, %s", small.status, small.header.Get("Content-Type"))
	}
	again := func() *page {
		r := b.request("GET", at+"/original", nil)
		r.Header.Set("If-None-Match", got.header.Get("ETag"))
		return b.do(r)
	}
	if p := again(); p.status != http.StatusNotModified || p.body != "" {
		t.Errorf("asked again: %d", p.status)
	}
	b.get(h.base + "/bikes/images/" + img + "/original").want(http.StatusNotFound)
	if p := h.browser().get(at + "/thumb"); p.url.Path != "/app/sign-in" {
		t.Errorf("a stranger gets %d at %s", p.status, p.url)
	}
	h.deleteProject("cars")
	again().want(http.StatusNotFound)
	b.get(at + "/thumb").want(http.StatusNotFound)
}

func TestVersions(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.as("ann")
	p := h.Project(t, "cars")
	b.get(h.base+"/cars/versions").want(http.StatusOK, "empty-versions")
	h.Image(t, p.Slug, 1)
	for range 7 {
		h.Version(t, p.Slug)
	}
	h.Export(t, p.Slug, 7, "coco")
	if _, err := h.Queue.Start(t.Context(), h.By, p.Slug, 7, training.NewTraining{Epochs: 3}); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int64{2, 4, 5} {
		h.deleteVersion(p.Slug, n)
	}
	h.round(31 * cullettest.Day) // these are gone
	h.deleteVersion(p.Slug, 3)
	b = b.restart()
	page := b.get(h.base+"/cars/versions").want(http.StatusOK, "version-list", "training-row")
	var order []string
	page.each(func(n *node) {
		switch n.attr["data-testid"] {
		case "version-row":
			order = append(order, strings.TrimPrefix(n.attr["id"], "version-")+" "+n.attr["data-state"])
		case "version-gap":
			order = append(order, n.words()+" "+n.attr["data-state"])
		}
	})
	want := "[7 ready 6 ready 4 to 5 were deleted permanently. gone 3 is in Trash. Open Trash trash 2 was deleted permanently. gone 1 ready]"
	if got := fmt.Sprint(order); got != want {
		t.Errorf("the list is %s, want %s", got, want)
	}
	if got := page.one(t, "training-row").words(); !strings.Contains(got, "test-model is queued") || !strings.Contains(got, "0 credits") {
		t.Errorf("the training says %q", got)
	}
	if to := b.get(h.base + "/cars/7").url; to.Path != h.base+"/cars/versions" {
		t.Errorf("the link of the SDK leads to %s", to)
	}
	// A generation that a deletion stopped can be started again (R1).
	v, err := h.Press.Generate(t.Context(), h.By, p.Slug, version.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	b.get(h.base+"/cars/versions").want(http.StatusOK, "generation-progress", "job-tray")
	item := h.deleteVersion(p.Slug, v.Number)
	if _, err := h.Bin.RestoreItem(t.Context(), h.By, item.ID, ""); err != nil {
		t.Fatal(err)
	}
	page = b.get(h.base+"/cars/versions").want(http.StatusOK, "version-resume").lacks("generation-progress", "job-tray")
	page.send("version-resume").want(http.StatusOK, "generation-progress", "toast").lacks("version-resume")
	if _, err := h.Press.Freeze(context.Background(), v.ID); err != nil {
		t.Fatal(err)
	}
	b.get(h.base+"/cars/versions").want(http.StatusOK).lacks("generation-progress", "version-resume")
}

func TestWorkflows(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.as("ann")
	b.get(h.base+"/workflows").want(http.StatusOK, "empty-workflows")
	for _, config := range []string{`{"specification":{"steps":[{"model_id":"cars/2"},{"model_id":"cars/2"},{}]}}`, `{"specification":"{\"steps\":[{\"model_id\":\"bikes/1\"}]}"}`, `no json`} {
		if _, err := h.Shelf.Create(t.Context(), h.By, workflow.Draft{Name: fmt.Sprintf("Flow %d", len(config)), Config: config}); err != nil {
			t.Fatal(err)
		}
	}
	got := ""
	for _, r := range b.get(h.base+"/workflows").want(http.StatusOK, "workflow-list").all("workflow-row") {
		got += r.words() + "\n"
	}
	for _, want := range []string{" 3 cars/2 ", " 1 bikes/1 ", "not known none"} {
		if !strings.Contains(got, want) {
			t.Errorf("no row says %q in %s", want, got)
		}
	}
}

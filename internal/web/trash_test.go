package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/training"
	"github.com/cullet-vision/cullet/internal/version"
	"github.com/cullet-vision/cullet/internal/workflow"
)

// TestMoveToTrash: the dialog says what goes and ends, the toast what did, and both
// the cancelled training and the undo are true.
func TestMoveToTrash(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.Project(t, "cars")
	img := h.Image(t, p.Slug, 1)
	h.Annotate(t, p.Slug, img, "car")
	h.Version(t, p.Slug)
	h.Export(t, p.Slug, 1, "coco")
	tr, err := h.Queue.Start(t.Context(), h.By, p.Slug, 1, training.NewTraining{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Press.Generate(t.Context(), h.By, p.Slug, version.Settings{}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Shelf.Create(t.Context(), h.By, workflow.Draft{Name: "Count", Config: `{"specification":{"steps":[{"model_id":"cars/1"}]}}`}); err != nil {
		t.Fatal(err)
	}
	b := h.as("ann")
	d := b.get(h.base+"/cars").follow("project-delete").want(http.StatusOK, "delete-dialog", "delete-quota-note", "delete-inflight").
		says("delete-summary", "cars goes to Trash; you can restore it until 1 May 2026 12:00 UTC").says("delete-dependents", "count").
		says("delete-inflight", "test-model").says("delete-inflight", "generation of version 2").says("delete-inflight", "0 credits so far")
	counts := map[string]string{}
	for _, k := range d.one(t, "delete-counts").kids {
		if k.tag != "" {
			counts[k.attr["data-name"]] = k.value()
		}
	}
	for name, want := range map[string]string{"image": "1", "annotation": "1", "version": "2", "export": "1"} {
		if counts[name] != want {
			t.Errorf("the dialog counts %s of %s, want %s", counts[name], name, want)
		}
	}
	if back := d.follow("delete-cancel"); back.url.Path != h.base+"/cars" || len(h.trashed()) != 0 {
		t.Error("cancelling changed something")
	}
	done := d.send("delete-confirm").want(http.StatusOK, "toast", "toast-undo", "toast-trash-link", "toast-dismiss").says("toast", "cars moved to Trash. 1 training cancelled. 1 job stopped.")
	if done.url.Path != h.base {
		t.Errorf("after the deletion at %s", done.url)
	}
	// The same form again leads to the same place; another one is told where the thing is (D8).
	d.send("delete-confirm").want(http.StatusOK)
	b.get(h.base+"/cars/delete").want(http.StatusNotFound, "error-open-trash")
	items := h.trashed()
	if len(items) != 1 || !items[0].DeletedAt.Equal(cullettest.Start) || items[0].DeletedByName != "Ann" || items[0].DeletedMeans != cullet.ByWeb {
		t.Fatalf("Trash holds %+v", items)
	}
	if first := done.where(func(n *node) bool { return n.tag == "a" || n.tag == "button" }); first[1].attr["data-testid"] != "toast-undo" {
		t.Error("the toast is not the second stop of the tab order")
	}
	b.get(h.base).lacks("toast", "project-card")
	// The undo brings back just that, without its training.
	p2 := done.send("toast-undo").want(http.StatusOK, "toast", "toast-open").says("toast", "Restored cars. Its cancelled training stays cancelled.").lacks("toast-undo")
	if p2.url.Path != h.base || len(h.trashed()) != 0 {
		t.Errorf("after the undo at %s with %d items in Trash", p2.url, len(h.trashed()))
	}
	if got, err := h.Queue.Get(t.Context(), h.By, "cars", 1, tr.ID); err != nil || got.State != cullet.TrainCancelled {
		t.Errorf("the training is %s, %v", got.State, err)
	}
	if row := b.get(h.base+"/cars/versions").want(http.StatusOK).item(t, "training-row", tr.ID); row.attr["data-state"] != "cancelled" || !strings.Contains(row.words(), "its project cars was moved to Trash") {
		t.Errorf("the training's row says %q", row.words())
	}
	// Undone twice: the second is told so.
	done.press(done.one(t, "toast-undo"), "idempotency", "another").want(http.StatusOK, "alert").says("alert", "already restored by Ann")

	v := b.get(h.base + "/cars/versions")
	v = b.get(v.all("version-delete")[1].attr["href"]).want(http.StatusOK, "delete-dialog").says("delete-summary", "cars/1 goes to Trash")
	if v = v.send("delete-confirm").want(http.StatusOK, "toast"); v.url.Path != h.base+"/cars/versions" {
		t.Errorf("after deleting a version at %s", v.url)
	}
	w := b.get(h.base+"/workflows").follow("workflow-delete").want(http.StatusOK, "delete-dialog").send("delete-confirm").want(http.StatusOK, "toast", "empty-workflows")
	w.send("toast-undo").want(http.StatusOK, "workflow-row")
}

func TestTrashRows(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.as("ann")
	b.get(h.base+"/settings/trash").want(http.StatusOK, "empty-trash-state", "trash-policy-note").says("empty-trash-state", "What you delete stays here 30 days").
		lacks("trash-search", "restore-all", "empty-trash", "trash-bulk-bar", "trash-count")
	p := h.Project(t, "Cars <script>")
	img := h.Image(t, p.Slug, 1)
	h.Annotate(t, p.Slug, img, "car")
	h.Version(t, p.Slug)
	h.Version(t, p.Slug)
	ver := h.deleteVersion(p.Slug, 1)
	h.Clock.Advance(2 * cullettest.Day)
	proj := h.deleteProject(p.Slug)
	page := b.restart().get(h.base+"/settings/trash").want(http.StatusOK, "trash-summary", "trash-search", "trash-bulk-bar")
	if got := fmt.Sprint(sections(page)); got != "[project (1) version (1)]" {
		t.Errorf("the sections are %s", got)
	}
	row := page.item(t, "trash-row", proj.ID)
	for testid, want := range map[string]string{"item-name": "Cars <script> " + p.Slug, "item-deleted-by": "key default", "item-deleted-at": "3 Apr 2026 12:00 UTC", "item-left": "30 days left"} {
		if got := row.one(t, testid).words(); got != want {
			t.Errorf("%s is %q, want %q", testid, got, want)
		}
	}
	contents := row.one(t, "item-contents")
	for _, c := range []struct{ name, value string }{{"image", "1"}, {"annotation", "1"}, {"version", "1"}} {
		if !slices.ContainsFunc(contents.where(named2("data-name", c.name)), func(n *node) bool { return n.value() == c.value }) {
			t.Errorf("the contents do not say %s %s: %s", c.value, c.name, contents.words())
		}
	}
	if row.one(t, "item-bytes").value() != fmt.Sprint(proj.Contents.Bytes) || row.attr["data-state"] != "trashed" || row.attr["data-type"] != "project" {
		t.Errorf("the row is %v with %s bytes", row.attr, row.one(t, "item-bytes").value())
	}
	child := page.item(t, "trash-row", ver.ID)
	if !child.has("parent-in-trash") || !strings.Contains(child.one(t, "item-parent").words(), "version 1 of "+p.Slug) {
		t.Errorf("the version's row says %q", child.words())
	}
	sum := page.one(t, "trash-summary")
	if sum.one(t, "trash-total-count").value() != "2" || sum.one(t, "trash-total-bytes").value() != fmt.Sprint(proj.Contents.Bytes+ver.Contents.Bytes) {
		t.Errorf("the summary says %s", sum.words())
	}
	history := b.restart().get(page.item(t, "trash-row", proj.ID).one(t, "item-history").attr["href"]).want(http.StatusOK, "history-dialog")
	if rows := history.all("history-row"); len(rows) != 1 || rows[0].attr["data-act"] != "delete" {
		t.Errorf("the history has %d rows", len(rows))
	}
	for _, c := range []struct {
		after   time.Duration
		urgency string
		left    string
	}{{22 * cullettest.Day, "calm", "8 days left"}, {cullettest.Day, "soon", "7 days left · soon"}, {5*cullettest.Day + 30*time.Minute, "soon", "47 hours left · soon"},
		{23*time.Hour + 30*time.Minute, "last", "24 hours left · last day"}, {23*time.Hour + 30*time.Minute, "last", "30 minutes left · last day"}, {29*time.Minute + 30*time.Second, "last", "less than a minute left · last day"},
		{30 * time.Second, "due", "due · deleted within a minute"}} {
		h.Clock.Advance(c.after)
		row := b.restart().get(h.base+"/settings/trash").item(t, "trash-row", proj.ID)
		if got := row.one(t, "item-left").words(); got != c.left || row.attr["data-urgency"] != c.urgency {
			t.Errorf("%s: %q, want %s: %q", row.attr["data-urgency"], got, c.urgency, c.left)
		}
	}
	h.round(0)
	b.restart().get(h.base+"/settings/trash").want(http.StatusOK, "empty-trash-state")
}

func named2(attr, value string) func(*node) bool {
	return func(n *node) bool { return n.attr[attr] == value }
}

func sections(p *page) (all []string) {
	for _, s := range p.all("trash-section") {
		all = append(all, s.attr["data-type"]+" ("+s.all("section-count")[0].words()+")")
	}
	return all
}

// TestTrashPages: with no type the first of each, with one a page after the other.
func TestTrashPages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.Image(t, h.Project(t, "cars").Slug, 1)
	const versions = 60
	for n := range versions {
		h.Version(t, "cars")
		if n%10 == 0 {
			h.Clock.Advance(time.Hour)
		}
		h.deleteVersion("cars", int64(n+1))
	}
	h.deleteProject(h.Project(t, "bikes").Slug)
	b := h.as("ann")
	trash := h.base + "/settings/trash"
	p := b.get(trash).want(http.StatusOK, "section-show-all")
	if got := fmt.Sprint(sections(p)); got != "[project (1) version (60)]" {
		t.Errorf("the sections are %s", got)
	}
	if n := len(p.all("trash-row")); n != 1+25 {
		t.Errorf("%d rows, want 25 of a type", n)
	}
	if got := walk(b, p.one(t, "section-show-all").attr["href"], "trash-row"); len(got) != versions {
		t.Errorf("all of them are %d rows, want %d", len(got), versions)
	}
}

// TestTrashSorts: each sort goes through all pages without a gap or a double, in
// both directions, also while items come and go; each filter chooses.
func TestTrashSorts(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for n := range 70 {
		if _, err := h.Shelf.Create(t.Context(), h.By, workflow.Draft{Name: fmt.Sprintf("Flow %d", n%7), Slug: fmt.Sprintf("flow-%d", n), Config: strings.Repeat("x", n%5)}); err != nil {
			t.Fatal(err)
		}
		by := h.By
		if n%2 == 0 {
			by = h.Person()
		}
		if n%10 == 0 {
			h.Clock.Advance(time.Hour)
		}
		if _, err := h.Bin.DeleteWorkflow(t.Context(), by, fmt.Sprintf("flow-%d", n)); err != nil {
			t.Fatal(err)
		}
	}
	b := h.as("ann")
	trash := h.base + "/settings/trash"
	for _, sort := range []string{"deleted", "due", "size", "name", "type"} {
		var both [][]string
		for _, dir := range []string{"asc", "desc"} {
			got := walk(b, trash+"?type=workflow&sort="+sort+"&dir="+dir, "trash-row")
			both = append(both, got)
			sorted := slices.Clone(got)
			slices.Sort(sorted)
			if len(got) != 70 || len(slices.Compact(sorted)) != 70 {
				t.Errorf("sort %s %s: %d rows, %d different", sort, dir, len(got), len(slices.Compact(sorted)))
			}
		}
		slices.Reverse(both[1])
		if !slices.Equal(both[0], both[1]) {
			t.Errorf("sort %s is not the same backwards", sort)
		}
	}
	if got := walk(b, trash+"?sort=type", "trash-row"); len(got) != 70 {
		t.Errorf("all types in one list: %d rows", len(got))
	}
	for query, want := range map[string]string{"q=flow-1": "11", "by=ann": "35", "by=DEFAULT": "35", "due=7": "", "due=overdue": "", "from=2026-04-02": "", "to=2026-03-31": "", "from=2026-04-01&to=2026-04-01": "70", "q=flow-1&by=ann": "5", "type=project": "", "from=nonsense": "70"} {
		p := b.get(trash + "?" + query)
		if want == "" {
			p.want(http.StatusOK, "no-results", "trash-clear-filters").lacks("trash-row")
		} else if got := p.one(t, "section-count").value(); got != want {
			t.Errorf("?%s finds %s, want %s", query, got, want)
		}
	}
	// What comes and goes between two pages neither doubles nor drops the rest.
	p := b.get(trash + "?type=workflow")
	first := ids(p.all("trash-row"))
	next := p.one(t, "page-next").attr["href"]
	gone := p.all("trash-row")[49].attr["data-item-id"]
	if _, err := h.Bin.RestoreItem(t.Context(), h.By, gone, ""); err != nil {
		t.Fatal(err)
	}
	h.deleteProject(h.Project(t, "newer").Slug)
	second := b.get(next).all("trash-row")
	if len(second) != 20 || strings.Contains(first, second[0].attr["data-item-id"]) {
		t.Error("the second page changed with what went from the first")
	}
	p.want(http.StatusOK).one(t, "sort-due")
	if head := p.one(t, "sort-deleted").parent; head.attr["aria-sort"] != "descending" {
		t.Errorf("the sorted column says %q", head.attr["aria-sort"])
	}
}

// TestRestore: plainly, with its parents, under another name, several at once.
func TestRestore(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.as("ann")
	trash := h.base + "/settings/trash"
	p := h.Project(t, "cars")
	h.Image(t, p.Slug, 1)
	h.Version(t, p.Slug)
	item := h.deleteProject("cars")
	page := b.get(trash + "?type=project&q=car")
	done := page.press(page.item(t, "trash-row", item.ID).one(t, "item-restore")).want(http.StatusOK, "toast", "toast-open", "no-results").says("toast", "Restored cars.")
	if done.url.RawQuery != "q=car&type=project" {
		t.Errorf("after a restore at %s, want the same view", done.url)
	}
	done.follow("toast-open").want(http.StatusOK, "project-title")

	// Its parent is in Trash too (R2).
	ver := h.deleteVersion("cars", 1)
	item = h.deleteProject("cars")
	page = b.get(trash)
	d := page.press(page.item(t, "trash-row", ver.ID).one(t, "item-restore")).want(http.StatusConflict, "restore-parents-dialog", "restore-plan", "plan-added", "restore-cancel")
	steps := d.one(t, "restore-plan").where(named2("data-state", "added"))
	if len(steps) != 1 || steps[0].attr["data-item-id"] != item.ID {
		t.Error("the parent is not marked as added")
	}
	if len(h.trashed()) != 2 {
		t.Fatal("the dialog changed something")
	}
	d.send("restore-with-parents").want(http.StatusOK, "toast", "empty-trash-state").says("toast", "Restored cars, cars/1.")

	// The name was taken (R3).
	item = h.deleteProject("cars")
	other := h.Project(t, "Cars")
	page = b.get(trash)
	d = page.press(page.item(t, "trash-row", item.ID).one(t, "item-restore")).want(http.StatusConflict, "conflict-dialog", "conflict-taken-by", "conflict-note", "conflict-check").
		says("conflict-restore", "Restore as cars-2").says("conflict-taken-by", "Cars")
	if len(h.trashed()) != 1 {
		t.Fatal("the dialog changed something")
	}
	// Taken again in between: the same dialog, the typed slug kept.
	h.Project(t, "Cars 2")
	d = d.send("conflict-restore").want(http.StatusConflict, "conflict-dialog", "form-errors")
	if d.one(t, "conflict-slug").attr["value"] != "cars-2" {
		t.Errorf("the typed slug became %q", d.one(t, "conflict-slug").attr["value"])
	}
	for _, bad := range []string{"Cars!", "123", "settings"} {
		d = d.send("conflict-restore", "slug", bad).want(http.StatusConflict, "conflict-dialog", "form-errors")
		if d.one(t, "conflict-slug").attr["value"] != bad {
			t.Errorf("the typed slug %q became %q", bad, d.one(t, "conflict-slug").attr["value"])
		}
	}
	for slug, state := range map[string]string{"cars": "taken", "cars-7": "free", "Cars!": "bad", "12": "bad", "": "bad"} {
		check := b.fragment("GET", trash+"/slug-check?type=project&slug="+url.QueryEscape(slug), "conflict-check", nil).want(http.StatusOK)
		if got := check.one(t, "conflict-check").attr["data-state"]; got != state {
			t.Errorf("the slug %q is %s, want %s", slug, got, state)
		}
	}
	d.send("conflict-restore", "slug", "cars-old").want(http.StatusOK, "toast").says("toast", "Restored cars. It is called cars-old now.").follow("toast-open").want(http.StatusOK, "project-title")
	if back, err := h.Catalog.Project(t.Context(), h.By, "cars-old"); err != nil || back.ID != item.Target || back.ID == other.ID {
		t.Errorf("cars-old is %s, %v, want the project that was deleted", back.ID, err)
	}

	// Two people: the second is told who was first (R6).
	item = h.deleteProject("cars-old")
	page = b.get(trash)
	if _, err := h.Bin.RestoreItem(t.Context(), h.By, item.ID, ""); err != nil {
		t.Fatal(err)
	}
	page.press(page.item(t, "trash-row", item.ID).one(t, "item-restore")).want(http.StatusOK, "alert").says("alert", "already restored by key default").lacks("toast")
}

// TestRestoreSeveral: marked or all, parents first, each conflict with its field,
// and line by line where something was left out.
func TestRestoreSeveral(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.as("ann")
	trash := h.base + "/settings/trash"
	h.Image(t, h.Project(t, "cars").Slug, 1)
	h.Version(t, "cars")
	ver := h.deleteVersion("cars", 1)
	cars := h.deleteProject("cars")
	bikes := h.deleteProject(h.Project(t, "bikes").Slug)
	h.Project(t, "Bikes")
	page := b.get(trash)
	page.press(page.one(t, "bulk-restore")).want(http.StatusBadRequest, "error-page") // nothing marked
	action, form := page.marked("bulk-restore", ver.ID, bikes.ID, cars.ID)            // in this order
	plan := b.post(action, form).want(http.StatusOK, "restore-plan-dialog", "plan-slug").says("plan-confirm", "Restore 3 items")
	var order []string
	for _, n := range plan.one(t, "restore-plan").kids {
		if n.tag == "li" {
			order = append(order, n.attr["data-item-id"])
		}
	}
	if slices.Index(order, cars.ID) > slices.Index(order, ver.ID) || len(order) != 3 {
		t.Errorf("the plan's order is %v", order)
	}
	plan = plan.send("plan-confirm", "slug-"+bikes.ID, "cars").want(http.StatusConflict, "restore-plan-dialog").says("restore-plan", "given to another one of these")
	if len(h.trashed()) != 3 {
		t.Fatal("a plan that does not fit changed something")
	}
	plan.send("plan-confirm", "slug-"+bikes.ID, "bikes-2").want(http.StatusOK, "toast", "empty-trash-state").says("toast", "Restored bikes, cars, cars/1")

	// All of it, in one go; one that leaves in between is left out, with the reason.
	h.deleteVersion("cars", 1)
	h.deleteProject("cars")
	plan = b.get(trash).send("restore-all").want(http.StatusOK, "restore-plan-dialog")
	plan.send("plan-confirm").want(http.StatusOK, "toast").says("toast", "Restored cars, cars/1.")
	for n := range 5 {
		h.deleteProject(h.Project(t, fmt.Sprintf("p%d", n)).Slug)
	}
	plan = b.get(trash).send("restore-all").want(http.StatusOK, "restore-plan-dialog")
	h.Project(t, "p3") // taken in between, after the plan was shown
	plan.send("plan-confirm").want(http.StatusConflict, "restore-plan-dialog", "plan-slug").send("plan-confirm").
		want(http.StatusOK, "toast").says("toast", "Restored 5 items.")
}

// TestFolderGone: it comes back at the top level, and says so (R4).
func TestFolderGone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.Project(t, "cars")
	f, err := h.Catalog.CreateFolder(t.Context(), h.By, "Line 1", "", []string{"cars"})
	if err != nil {
		t.Fatal(err)
	}
	h.deleteProject("cars")
	if err := h.Catalog.RemoveFolder(t.Context(), h.By, f.ID); err != nil {
		t.Fatal(err)
	}
	b := h.as("ann")
	b.get(h.base+"/settings/trash").says("item-contents", "in folder Line 1").send("item-restore").want(http.StatusOK, "toast").
		says("toast", "at the top level: its folder no longer exists")
}

package web_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/cullet-vision/cullet/internal/cullettest"
)

// TestAccountsInBrowser walks through what tells before and after: sizes in the Trash,
// the dry run, the bytes in the dialog of a permanent deletion, storage, the rescue of
// what a script deleted, the warnings, and the audit with its export.
func TestAccountsInBrowser(t *testing.T) {
	if os.Getenv(chromiumEnv) == "" {
		cullettest.Lacks(t, "no browser is named in %s; `make check` does", chromiumEnv)
	}
	t.Parallel()
	h := newHouse(t)
	p := h.Project(t, "My Detector")
	h.belt(p, 1, 6)
	h.Version(t, p.Slug)
	h.Export(t, p.Slug, 1, "coco")
	h.belt(h.Project(t, "Bottle Caps"), 4, 6)
	h.belt(h.Project(t, "Line 3 Overhead"), 20, 4)
	h.deleteProject("bottle-caps")
	c := newChromium(t, h)
	trash := h.base + "/settings/trash"
	c.open(trash)
	c.write("sign-in-email", "ann@example.com")
	c.write("sign-in-password", cullettest.Password)
	c.click("sign-in-submit")
	c.see("trash-summary")
	c.says("item-size", "being counted…")
	c.shotsAll("sizes-pending")
	if err := h.Book.Count(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.Clock.Advance(2 * time.Minute)
	h.stray("Pallets", "Old Labels", "Jars")
	if _, err := h.Bin.Hold(t.Context(), h.Person(), []string{h.item("jars")}, "The court has asked for it"); err != nil {
		t.Fatal(err)
	}
	h.Project(t, "Pallets")
	c.open(trash)
	c.says("trash-counted-at", "counted 2 minutes ago")
	c.shotsAll("sizes")

	// The dry run, from the link and with other days.
	c.click("preview-open")
	c.see("preview-none")
	c.rewrite("preview-days", "31")
	c.click("preview-look")
	c.see("preview-row", "preview-stays")
	c.says("preview-shared-with", "my-detector")
	c.shotsAll("preview")

	// The dialog says who else uses what stays.
	c.open(trash)
	c.do("open the menu", chromedp.Click(chromedp.CSS("#menu-"+h.item("bottle-caps"))))
	c.do("delete permanently", chromedp.Click(chromedp.CSS(`#row-`+h.item("bottle-caps")+` [data-testid=item-purge]`)))
	c.see("purge-dialog", "blast-bytes-freed", "blast-bytes-shared")
	c.says("blast-shared-with", "my-detector")
	c.shotsAll("blast")
	c.click("purge-cancel")
	c.until(`!document.querySelector('dialog[open]')`)

	c.open(h.base + "/settings/storage")
	c.see("storage-total", "storage-row")
	c.shotsAll("storage")

	// The rescue: who, the plan, one button, the report.
	c.open(trash)
	c.click("rescue-open")
	c.see("rescue-form")
	c.shotsAll("rescue")
	c.write("rescue-who", "key ci-bot")
	c.click("rescue-look")
	c.see("rescue-plan", "rescue-confirm")
	c.says("rescue-confirm", "Restore 4 items")
	c.shotsAll("rescue-plan")
	c.click("rescue-confirm")
	c.see("rescue-progress", "job-tray")
	c.shotsAll("rescue-running")
	var id string
	for _, e := range h.audit() {
		if e.Act == "rescue" {
			id = e.ItemID
		}
	}
	for again := true; again; {
		var err error
		if again, err = h.Bin.WorkRescue(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	c.see("rescue-report") // the page looks by itself
	c.says("rescue-restored", "4 of 6")
	c.shotsAll("rescue-report")

	// The warnings, and what the audit tells of all this.
	c.open(h.base + "/settings/trash-policy")
	c.rewrite("warn-days", "30, 7, 1")
	c.click("warnings-save")
	c.see("settings-saved")
	c.shotsAll("warnings")
	c.click("settings-nav-audit")
	c.see("audit-row", "audit-chain")
	c.says("audit-chain", "chain whole")
	c.do("open the details", chromedp.Click(chromedp.CSS(`[data-testid=audit-row][data-act=warnings] summary`)))
	c.shotsAll("audit")
	c.write("audit-filter-who", "ci-bot")
	c.until(`location.search === '?who=ci-bot' && document.querySelectorAll('[data-testid=audit-row]').length === 6`)
	c.shotsAll("audit-filtered")
	lines := c.eval(`fetch(document.querySelector('[data-testid=audit-export]').href).then(r => r.text()).then(t => String(t.trim().split('\n').length))`)
	if want := fmt.Sprint(h.audited()); lines != want {
		t.Errorf("the export has %s lines, want %s", lines, want)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.console {
		if !strings.Contains(m, "favicon") {
			t.Errorf("the browser complains: %s", m)
		}
	}
}

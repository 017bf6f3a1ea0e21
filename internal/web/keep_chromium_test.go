package web_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/purge"
)

// TestKeepingInBrowser walks through what has things stay longer: hold an item, empty
// the Trash, which passes it by, release it, postpone it; then a clock that jumped, its
// banner, and the lift; then the policy.
func TestKeepingInBrowser(t *testing.T) {
	if os.Getenv(chromiumEnv) == "" {
		cullettest.Lacks(t, "no browser is named in %s; `make check` does", chromiumEnv)
	}
	t.Parallel()
	h := newHouse(t)
	p := h.Project(t, "My Detector")
	h.belt(p, 1, 3)
	h.Version(t, p.Slug)
	ver := h.deleteVersion(p.Slug, 1)
	cars := h.deleteProject(p.Slug)
	for _, name := range []string{"Pallets", "Bottle Caps", "Old Labels"} {
		h.deleteProject(h.Project(t, name).Slug)
	}
	h.Workflow(t, "Count the jars")
	h.round(time.Hour)
	c := newChromium(t, h)
	trash := h.base + "/settings/trash"
	c.open(trash)
	c.write("sign-in-email", "ann@example.com")
	c.write("sign-in-password", cullettest.Password)
	c.click("sign-in-submit")
	c.see("trash-summary")

	// Hold, with a reason. Esc changes nothing and gives the focus back.
	menu := func(item, entry string) {
		c.do("open the menu", chromedp.Click(chromedp.CSS("#menu-"+item)))
		c.do(entry, chromedp.Click(chromedp.CSS(`#row-`+item+` [data-testid="`+entry+`"]`)))
	}
	c.do("open the menu", chromedp.Click(chromedp.CSS("#menu-"+ver.ID)))
	c.shotsAll("row-menu")
	c.press(kb.Escape)
	menu(ver.ID, "item-hold")
	c.see("hold-dialog")
	c.until(`document.activeElement.id === 'dialog-title'`)
	c.press(kb.Escape)
	c.until(`!document.querySelector('dialog[open]') && document.activeElement.id === 'menu-` + ver.ID + `'`)
	menu(ver.ID, "item-hold")
	c.see("hold-reason")
	c.write("hold-reason", "The court has asked for this model until spring")
	c.shotsAll("hold")
	c.click("hold-confirm")
	c.see("toast", "item-hold-reason", "held-by-child")
	c.says("toast", "Held my-detector/1.")
	c.click("toast-dismiss")
	c.shotsAll("held")
	c.do("open the menu", chromedp.Click(chromedp.CSS("#menu-"+cars.ID)))
	c.shotsAll("held-menu")
	c.do("what cannot be done does nothing", chromedp.Click(chromedp.CSS(`#row-`+cars.ID+` [data-testid=item-purge]`)))
	c.press(kb.Escape)

	// Marked rows that are all held cannot be deleted permanently, and the bar says so.
	c.do("mark", chromedp.Click(chromedp.CSS("#pick-"+ver.ID)))
	c.until(`document.querySelector('[data-testid=bulk-purge]').getAttribute('aria-disabled') === 'true'`)
	c.see("bulk-purge-reason", "bulk-release")
	c.shotsAll("held-marked")
	c.do("press what cannot be pressed", chromedp.Click(testid("bulk-purge")))
	c.do("mark another", chromedp.Click(chromedp.CSS("#pick-"+h.item("pallets"))))
	c.until(`!document.querySelector('[data-testid=bulk-purge]').hasAttribute('aria-disabled') && document.querySelector('[data-testid=bulk-purge-reason]').hidden && !document.querySelector('dialog[open]')`)

	// Emptied: the held ones are passed by.
	c.click("empty-trash")
	c.see("purge-dialog", "purge-skipped")
	c.says("purge-skipped", "my-detector/1: it is held by Ann: The court has asked")
	c.shotsAll("empty-but-held")
	c.write("purge-typed", "empty acme")
	c.write("purge-password", cullettest.Password)
	c.click("purge-confirm")
	c.see("purge-countdown")
	h.round(11 * time.Second)
	c.see("purge-report")
	if got := h.trashed(); len(got) != 2 {
		t.Fatalf("Trash holds %d items, want the held version and its project", len(got))
	}
	c.open(trash)
	c.see("empty-trash-reason")
	c.shotsAll("all-held")

	// Released and postponed.
	menu(ver.ID, "item-release")
	c.see("release-dialog", "release-dates")
	c.shotsAll("release")
	c.click("release-confirm")
	c.see("toast")
	c.says("toast", "Released my-detector/1.")
	c.click("toast-dismiss")
	menu(ver.ID, "item-postpone")
	c.see("postpone-dialog")
	before := c.words("postpone-preview")
	c.do("choose 90 days", chromedp.Click(chromedp.CSS(`[data-testid=postpone-choice][value="90"]`)))
	c.until(`document.querySelector('[data-testid=postpone-preview]').innerText.includes('30 Jul 2026')`)
	if !strings.Contains(before, "8 May 2026") {
		t.Errorf("before a choice the preview says %q", before)
	}
	c.shotsAll("postpone")
	c.eval(`(e => { e.value = '2026-04-02'; e.dispatchEvent(new Event('change', { bubbles: true })); return '' })(document.querySelector('[data-testid=postpone-date]'))`)
	c.until(`document.querySelector('[data-testid=postpone-preview] [data-state=refused]') && ![...document.querySelectorAll('[data-testid=postpone-choice]')].some(c => c.checked)`)
	c.shotsAll("postpone-refused")
	c.do("choose 30 days", chromedp.Click(chromedp.CSS(`[data-testid=postpone-choice][value="30"]`)))
	c.until(`document.querySelector('[data-testid=postpone-preview]').innerText.includes('31 May 2026') && document.querySelector('[data-testid=postpone-date]').value === ''`)
	c.click("postpone-confirm")
	c.see("toast")
	c.says("toast", "Postponed my-detector/1.")

	// The clock jumped: the banner, the rows, and the lift.
	for _, name := range []string{"Pallets", "Bottle Caps"} {
		h.deleteProject(h.Project(t, name).Slug)
	}
	h.round(0)
	h.Clock.Advance(40 * cullettest.Day)
	h.round(0)
	c.open(trash)
	c.write("sign-in-email", "ann@example.com")
	c.write("sign-in-password", cullettest.Password)
	c.click("sign-in-submit")
	c.see("banner-clock")
	c.shotsAll("clock-banner")
	c.click("clock-review")
	c.until(`location.search === '?due=overdue' && !!document.querySelector('[data-urgency=waiting]')`)
	c.click("clock-lift")
	c.see("clock-dialog", "clock-names")
	c.until(`document.querySelector('[data-testid=clock-confirm]').disabled`)
	c.write("clock-password", cullettest.Password)
	c.write("clock-typed", purge.LiftText)
	c.until(`!document.querySelector('[data-testid=clock-confirm]').disabled`)
	c.shotsAll("clock-lift")
	c.click("clock-confirm")
	c.see("toast")
	c.miss("banner-clock")
	h.round(2 * time.Minute)
	c.open(h.base + "/settings/trash-policy")

	// How long things stay, and the protection.
	c.see("retention-days")
	c.shotsAll("policy")
	c.rewrite("retention-days", "7")
	c.click("policy-save")
	c.see("settings-saved")
	c.click("protection-toggle")
	c.see("banner-protection")
	c.click("protection-toggle")
	c.see("unprotect-dialog")
	c.write("unprotect-password", "not this one")
	c.click("unprotect-confirm")
	c.see("form-errors")
	c.write("unprotect-password", cullettest.Password)
	c.shotsAll("unprotect")
	c.click("unprotect-confirm")
	c.see("protection-keep")
	c.shotsAll("policy-ending")
	c.click("protection-keep")
	c.miss("protection-keep")
	h.Check(t)
	c.quiet()
}

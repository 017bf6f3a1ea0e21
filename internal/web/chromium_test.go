package web_test

import (
	"bytes"
	"context"
	"fmt"
	"image/jpeg"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/dataset"
	"github.com/cullet-vision/cullet/internal/demo/scene"
	"github.com/cullet-vision/cullet/internal/upload"
)

// The environment of the browser test. `make check` sets the first; the second names
// a folder for screenshots of each state: light, dark and narrow.
const (
	chromiumEnv    = "CULLET_TEST_CHROMIUM"
	screenshotsEnv = "CULLET_SCREENSHOTS"
)

// patience is how long a step may take on a busy machine.
const patience = 30 * time.Second

// chromium is a real browser with script, at work on a house.
type chromium struct {
	*house
	ctx context.Context

	mu      sync.Mutex
	console []string
}

func newChromium(t *testing.T, h *house) *chromium {
	t.Helper()
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(os.Getenv(chromiumEnv)), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU)
	for _, flag := range []string{"disable-quic", "no-first-run", "disable-background-networking", "disable-component-update", "disable-sync", "hide-scrollbars"} {
		opts = append(opts, chromedp.Flag(flag, true))
	}
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	c := &chromium{house: h, ctx: ctx}
	// The browser lives as long as the context it was started in.
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1280, 860)); err != nil {
		t.Fatalf("starting the browser: %v", err)
	}
	go c.listen()
	return c
}

// listen keeps what the browser complains about.
func (c *chromium) listen() {
	for m, err := range chromedp.Console(c.ctx) {
		if err != nil {
			return
		}
		c.mu.Lock()
		c.console = append(c.console, m.String())
		c.mu.Unlock()
	}
}

// do takes steps, each within patience.
func (c *chromium) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	c.t.Helper()
	for _, s := range steps {
		ctx, cancel := context.WithTimeout(c.ctx, patience)
		err := chromedp.Do(ctx, s)
		cancel()
		if err != nil {
			c.save("failed")
			c.t.Fatalf("%s: %v", what, err)
		}
	}
}

func testid(id string) chromedp.CSS { return chromedp.CSS(`[data-testid="` + id + `"]`) }

func (c *chromium) open(path string) {
	c.t.Helper()
	c.do("open "+path, chromedp.Navigate(c.server.URL+path))
}

func (c *chromium) click(id string) {
	c.t.Helper()
	c.do("click "+id, chromedp.Click(testid(id)))
}

func (c *chromium) see(ids ...string) {
	c.t.Helper()
	for _, id := range ids {
		c.do("see "+id, chromedp.WaitVisible(testid(id)))
	}
}

func (c *chromium) miss(id string) {
	c.t.Helper()
	c.do("miss "+id, chromedp.WaitNotPresent(testid(id)))
}

func (c *chromium) write(id, text string) {
	c.t.Helper()
	c.do("write into "+id, chromedp.SendKeys(testid(id), text))
}

// rewrite replaces what is in a field.
func (c *chromium) rewrite(id, text string) {
	c.t.Helper()
	c.eval(`(e => { e.focus(); e.select(); return '' })(document.querySelector('[data-testid="` + id + `"]'))`)
	c.do("write into "+id, chromedp.KeyEvent(text))
}

func (c *chromium) press(key string) {
	c.t.Helper()
	c.do("press a key", chromedp.KeyEvent(key))
}

// until waits until an expression of the page is true, also over a change of pages.
func (c *chromium) until(expression string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	for {
		_, err := chromedp.Run(ctx, chromedp.Poll[bool](expression))
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			c.save("failed")
			c.t.Fatalf("until %s: %v", expression, err)
		}
	}
}

// eval returns what an expression of the page says.
func (c *chromium) eval(expression string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[string](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		c.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

func (c *chromium) words(id string) string {
	c.t.Helper()
	return c.eval(`document.querySelector('[data-testid="` + id + `"]').innerText`)
}

func (c *chromium) says(id, want string) {
	c.t.Helper()
	if got := c.words(id); !strings.Contains(got, want) {
		c.t.Errorf("%s says %q, want %q", id, got, want)
	}
}

// shots keeps pictures of a state, where a folder is named for them.
func (c *chromium) shots(name string) {
	c.t.Helper()
	if os.Getenv(screenshotsEnv) == "" {
		return
	}
	for _, look := range []struct {
		name, theme   string
		width, height int64
	}{{"light", "light", 1280, 860}, {"dark", "dark", 1280, 860}, {"narrow", "light", 375, 812}, {"narrow-dark", "dark", 375, 812}} {
		c.do("look "+look.name, chromedp.EmulateViewport(look.width, look.height), theme(look.theme))
		c.until(`document.getAnimations().length === 0 && [...document.images].every(i => i.getBoundingClientRect().top > innerHeight || i.complete && i.naturalWidth > 0)`)
		c.save(name + "-" + look.name)
	}
	c.do("look as before", chromedp.EmulateViewport(1280, 860), theme("light"))
}

// shotsAll looks at a state in all widths and colours: nothing is wider than its window.
func (c *chromium) shotsAll(name string) {
	c.t.Helper()
	for _, look := range []struct {
		name, theme   string
		width, height int64
		forced        string
	}{{"light", "light", 1280, 900, "none"}, {"dark", "dark", 1280, 900, "none"}, {"640", "light", 640, 1200, "none"}, {"320", "light", 320, 1500, "none"}, {"320-dark", "dark", 320, 1500, "none"}, {"forced", "dark", 1280, 900, "active"}} {
		if os.Getenv(screenshotsEnv) == "" && look.width != 320 {
			continue
		}
		c.do("look "+look.name, chromedp.EmulateViewport(look.width, look.height), media("prefers-color-scheme", look.theme, "forced-colors", look.forced))
		c.until(`document.getAnimations().length === 0`)
		if wide := c.eval(`String([...document.querySelectorAll('dialog[open], html')].filter(e => e.scrollWidth > e.clientWidth).map(e => e.tagName + ' ' + e.scrollWidth))`); wide != "" {
			c.t.Errorf("%s at %d px is too wide: %s", name, look.width, wide)
		}
		c.save(name + "-" + look.name)
	}
	c.do("look as before", chromedp.EmulateViewport(1280, 860), theme("light"))
}

// media has the browser claim what the pairs of name and value say.
func media(pairs ...string) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		var p emulation.SetEmulatedMediaParams
		for n := 0; n < len(pairs); n += 2 {
			p.Features = append(p.Features, &emulation.MediaFeature{Name: pairs[n], Value: pairs[n+1]})
		}
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, p)
		return chromedp.Void{}, err
	}
}

func theme(name string) chromedp.Action[chromedp.Void] {
	return media("prefers-color-scheme", name)
}

func (c *chromium) save(name string) {
	dir := os.Getenv(screenshotsEnv)
	if dir == "" {
		return
	}
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)
	}
	if err != nil {
		c.t.Errorf("keeping the picture %s: %v", name, err)
	}
}

// belt uploads pictures of glass on a belt, with their boxes.
func (h *house) belt(project cullet.Project, from, n int) {
	h.t.Helper()
	for i := range n {
		picture, shapes := scene.Draw(int64(from + i))
		var b bytes.Buffer
		if err := jpeg.Encode(&b, picture, &jpeg.Options{Quality: 85}); err != nil {
			h.t.Fatal(err)
		}
		name := fmt.Sprintf("belt-%03d.jpg", from+i)
		taken, err := h.Intake.Image(h.t.Context(), h.By, project.ID, upload.NewImage{Name: name, Split: []string{"train", "train", "valid", "test"}[i%4], Batch: "Belt camera", Tags: []string{"belt"}}, &b)
		if err != nil {
			h.t.Fatal(err)
		}
		if _, err := h.Catalog.SaveShapes(h.t.Context(), h.By, project.ID, taken.Image, shapes, dataset.NewAnnotation{Overwrite: true}); err != nil {
			h.t.Fatal(err)
		}
	}
}

// TestInBrowser walks through Settings, Trash as a person does: sign in, see what
// was deleted, by whom and for how long it stays, restore it plainly and under
// another name, delete permanently behind the dialog. Esc and Cancel change nothing.
func TestInBrowser(t *testing.T) {
	if os.Getenv(chromiumEnv) == "" {
		cullettest.Lacks(t, "no browser is named in %s; `make check` does", chromiumEnv)
	}
	t.Parallel()
	h := newHouse(t)
	old := h.Project(t, "Old Labels")
	h.belt(old, 100, 2)
	h.deleteProject(old.Slug)
	h.Clock.Advance(25 * cullettest.Day)
	p := h.Project(t, "My Detector")
	h.belt(p, 1, 12)
	for range 4 {
		h.Version(t, p.Slug)
	}
	h.deleteVersion(p.Slug, 3)
	pallets := h.Project(t, "Pallets")
	h.belt(pallets, 200, 3)
	h.Clock.Advance(4*cullettest.Day + 15*time.Hour)
	h.deleteProject(h.Project(t, "Bottle Caps").Slug)
	h.Workflow(t, "Count the jars")
	h.deleteProject(p.Slug)
	h.Clock.Advance(42 * time.Minute)

	c := newChromium(t, h)
	trash := h.base + "/settings/trash"
	c.open(trash)
	c.see("sign-in-email")
	c.shots("sign-in")
	c.write("sign-in-email", "ann@example.com")
	c.write("sign-in-password", cullettest.Password)
	c.click("sign-in-submit")

	// Who, when, and how long it stays.
	c.see("trash-summary")
	row := `[data-testid=trash-row][data-type=project]:has([data-testid=item-name] code)`
	mine := func(id string) chromedp.CSS {
		return chromedp.CSS(`tr:has(#contents-` + h.item(p.Slug) + `) [data-testid="` + id + `"]`)
	}
	for id, want := range map[string]string{"item-name": "My Detector", "item-deleted-by": "key default", "item-deleted-at": "1 May 2026 03:00 UTC", "item-left": "30 days left"} {
		text, err := chromedp.Run(c.ctx, chromedp.Text(mine(id)))
		if err != nil || !strings.Contains(text, want) {
			t.Errorf("%s says %q, %v; want %q", id, text, err, want)
		}
	}
	if n := c.eval(`String(document.querySelectorAll('` + row + `').length)`); n != "3" {
		t.Errorf("%s projects in Trash, want 3", n)
	}
	c.shots("trash")

	// The filter follows the typing, the address the filter, and Back leaves it.
	c.write("trash-search", "caps")
	c.until(`document.querySelectorAll('[data-testid=trash-row]').length === 1 && location.search === '?q=caps'`)
	c.until(`document.getElementById('live-region').textContent.startsWith('1 item found')`)
	c.do("back", chromedp.NavigateBack())
	c.until(`document.querySelectorAll('[data-testid=trash-row]').length === 4 && location.search === ''`)

	// Restored plainly.
	c.do("restore", chromedp.Click(mine("item-restore")))
	c.see("toast", "toast-open")
	c.says("toast", "Restored my-detector.")
	c.shots("restored")
	c.click("toast-open")
	c.see("image-grid")
	c.shots("project")
	c.click("image-tile")
	c.see("image-full", "annotation-table")
	c.shots("image")
	c.open(h.base + "/" + p.Slug + "/versions")
	c.see("version-list")
	c.shots("versions")
	c.open(h.base)
	c.see("project-card")
	c.shots("projects")

	// Deleted again: Esc and Cancel change nothing, and give the focus back.
	c.open(h.base + "/" + p.Slug)
	menu := chromedp.CSS(`[data-testid=project-menu] > summary`)
	before := len(h.trashed())
	for _, away := range []func(){func() { c.press(kb.Escape) }, func() { c.click("delete-cancel") }} {
		c.do("open the menu", chromedp.Click(menu))
		c.click("project-delete")
		c.see("delete-dialog")
		c.until(`document.activeElement.id === 'dialog-title'`)
		away()
		c.until(`!document.querySelector('dialog[open]') && document.activeElement.matches('summary')`)
	}
	if len(h.trashed()) != before {
		t.Error("Esc or Cancel moved something to Trash")
	}
	c.do("open the menu", chromedp.Click(menu))
	c.click("project-delete")
	c.see("delete-confirm")
	c.shots("move-to-trash")
	c.click("delete-confirm")
	c.see("toast", "toast-undo")
	c.says("toast", "my-detector moved to Trash.")
	c.until(`document.getElementById('live-region').textContent.includes('moved to Trash')`)
	c.shots("toast")

	// A new one takes the slug; the old one comes back under another name.
	c.open(h.base + "/new")
	c.write("project-new-name", "My Detector")
	c.click("project-new-submit")
	c.see("empty-images")
	c.shots("empty-project")
	c.open(trash)
	for _, away := range []func(){func() { c.press(kb.Escape) }, func() { c.click("restore-cancel") }} {
		c.do("restore", chromedp.Click(mine("item-restore")))
		c.see("conflict-dialog")
		away()
		c.until(`!document.querySelector('dialog[open]')`)
	}
	c.do("restore", chromedp.Click(mine("item-restore")))
	c.see("conflict-dialog")
	c.says("conflict-restore", "Restore as my-detector-2")
	c.rewrite("conflict-slug", "pallets")
	c.until(`document.querySelector('[data-testid=conflict-check]').dataset.state === 'taken'`)
	c.rewrite("conflict-slug", "my-detector-2")
	c.until(`document.querySelector('[data-testid=conflict-check]').dataset.state === 'free'`)
	c.shots("name-taken")
	c.click("conflict-restore")
	c.see("toast-open")
	c.says("toast", "It is called my-detector-2 now.")
	if back, err := h.Catalog.Project(t.Context(), h.By, "my-detector-2"); err != nil || back.ID != p.ID {
		t.Errorf("my-detector-2 is %s, %v; want the project that was deleted", back.ID, err)
	}

	// Several, parents first.
	child := h.deleteVersion("my-detector-2", 1)
	parent := h.deleteProject("my-detector-2")
	c.open(trash)
	c.do("restore a version", chromedp.Click(chromedp.CSS("#restore-"+child.ID)))
	c.see("restore-parents-dialog")
	c.shots("parents-first")
	c.press(kb.Escape)
	c.until(`!document.querySelector('dialog[open]')`)
	c.do("mark two", chromedp.Click(chromedp.CSS("#pick-"+child.ID)), chromedp.Click(chromedp.CSS("#pick-"+parent.ID)))
	c.says("bulk-count", "2 selected")
	c.shots("marked")
	c.click("bulk-restore")
	c.see("restore-plan-dialog")
	c.click("plan-confirm")
	c.see("toast")
	c.says("toast", "Restored my-detector-2, my-detector-2/1.")

	// Deleted permanently, behind the dialog.
	doomed := h.deleteProject("pallets")
	c.open(trash)
	ask := func() {
		c.do("open the menu", chromedp.Click(chromedp.CSS("#menu-"+doomed.ID)))
		c.do("ask", chromedp.Click(chromedp.CSS(`#row-`+doomed.ID+` [data-testid=item-purge]`)))
		c.see("purge-dialog", "purge-warning", "purge-blast")
	}
	for _, away := range []func(){func() { c.press(kb.Escape) }, func() { c.click("purge-cancel") }} {
		ask()
		away()
		c.until(`!document.querySelector('dialog[open]')`)
	}
	if h.acts("purge-ordered") != 0 {
		t.Error("Esc or Cancel ordered something")
	}
	ask()
	c.until(`document.querySelector('[data-testid=purge-confirm]').disabled`)
	c.write("purge-typed", "Pallets")
	c.until(`document.querySelector('[data-testid=purge-confirm]').disabled`)
	c.rewrite("purge-typed", "pallets")
	c.until(`!document.querySelector('[data-testid=purge-confirm]').disabled`)
	c.shots("delete-permanently")
	send := func(change string) string {
		return c.eval(`(async () => { const v = new URLSearchParams(new FormData(document.querySelector('form[data-typed]'))); v.set('idempotency', ''); const headers = {}; let query = ''; ` +
			change + `; return String((await fetch('` + trash + `/purge' + query, { method: 'POST', body: v, headers })).status); })()`)
	}
	refused := h.acts("purge-refused")
	for _, way := range []struct{ name, change, want string }{
		{"without the token", `v.delete('token')`, "409"},
		{"without the anti-forgery field", `v.delete('csrf')`, "403"},
		{"with an API key", `headers.Authorization = 'Bearer ` + h.Secret + `'`, "403"},
		{"with an API key in the address", `query = '?api_key=` + h.Secret + `'`, "403"},
	} {
		if got := send(way.change); got != way.want {
			t.Errorf("%s: %s, want %s", way.name, got, way.want)
		}
	}
	if got := h.acts("purge-refused") - refused; got != 4 {
		t.Errorf("four refusals leave %d entries in the audit", got)
	}
	token := c.eval(`document.querySelector('form[data-typed]').elements.token.value`)
	c.click("purge-confirm")
	c.see("purge-countdown", "purge-stop")
	c.shots("countdown")
	h.round(11 * time.Second)
	c.see("purge-report")
	c.until(`document.querySelector('[data-testid=purge-state]').dataset.state === 'finished'`)
	c.miss("job-tray")
	c.shots("report")
	again := c.eval(`(async () => { const v = new URLSearchParams({ csrf: document.querySelector('[name=csrf]').value, token: '` + token + `', typed: 'pallets', item: '` + doomed.ID + `' });
		return String((await fetch('` + trash + `/purge', { method: 'POST', body: v })).status); })()`)
	if again != "409" {
		t.Errorf("a used token: %s, want 409", again)
	}
	for _, i := range h.trashed() {
		if i.ID == doomed.ID {
			t.Error("what was deleted permanently lies in Trash still")
		}
	}
	h.Check(t)
	c.quiet()
}

// item returns the id of the trash item of a project's slug.
func (h *house) item(slug string) string {
	h.t.Helper()
	for _, i := range h.trashed() {
		if i.Slug == slug {
			return i.ID
		}
	}
	h.t.Fatalf("%s is not in Trash", slug)
	return ""
}

// quiet fails the test where the browser complained of more than the refusals that
// were meant: no script failed, and nothing was against the policy.
func (c *chromium) quiet() {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.console {
		if !strings.Contains(m, "the server responded with a status of 4") && !strings.Contains(m, "Response Status Error Code 4") && !strings.Contains(m, "Autofocus") && !strings.Contains(m, "optionally hidden) username") {
			c.t.Errorf("the browser says: %s", m)
		}
	}
}

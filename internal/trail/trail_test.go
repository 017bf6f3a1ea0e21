package trail_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/trail"
)

var ctx = context.Background()

func each(t *testing.T, test func(t *testing.T, w *cullettest.World)) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := cullettest.WorldOn(t, d, cullettest.NewClock())
		p := w.Project(t, `<"Bottles" & jars> ü 漢`)
		for range 3 {
			item, err := w.Bin.DeleteProject(ctx, w.By, p.ID)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Bin.RestoreItem(ctx, w.Person(), item.ID, ""); err != nil {
				t.Fatal(err)
			}
			w.Clock.Advance(time.Minute)
		}
		test(t, w)
	})
}

// recipe is the program that docs/audit.md shows.
func recipe(t *testing.T) string {
	t.Helper()
	doc, err := os.ReadFile("../../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```python\n(.*?)```").FindSubmatch(doc)
	if m == nil {
		t.Fatal("docs/audit.md shows no program")
	}
	return string(m[1])
}

func verify(t *testing.T, export []byte) (string, bool) {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		cullettest.Lacks(t, "there is no python3: %v", err)
	}
	cmd := exec.Command(python, "-c", recipe(t))
	cmd.Stdin = bytes.NewReader(export)
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

// TestA1ExportIsVerifiable: the documented program, which knows nothing of Cullet, finds
// an export whole, and any line changed, taken out, put in or moved.
func TestA1ExportIsVerifiable(t *testing.T) {
	each(t, func(t *testing.T, w *cullettest.World) {
		audit := &trail.Trail{DB: w.DB}
		var b bytes.Buffer
		if err := audit.Export(ctx, w.By, &b); err != nil {
			t.Fatal(err)
		}
		lines := strings.SplitAfter(strings.TrimSuffix(b.String(), "\n"), "\n")
		chain, err := audit.Chain(ctx, w.By)
		if err != nil || int64(len(lines)) != chain.Entries {
			t.Fatalf("%d lines of %d entries, %v", len(lines), chain.Entries, err)
		}
		out, ok := verify(t, b.Bytes())
		if !ok || !strings.Contains(out, chain.Hash) {
			t.Errorf("A1: the export as it is: %s", out)
		}
		forged := strings.Replace(lines[3], `\"delete\"`, `\"restore\"`, 1)
		if forged == lines[3] {
			t.Fatalf("nothing was forged in %s", lines[3])
		}
		for what, changed := range map[string][]string{
			"changed":   {lines[0], lines[1], lines[2], forged, lines[4]},
			"taken out": {lines[0], lines[1], lines[3], lines[4]},
			"put in":    {lines[0], lines[1], lines[1], lines[2]},
			"moved":     {lines[0], lines[2], lines[1], lines[3]},
			"no first":  lines[1:],
		} {
			if out, ok := verify(t, []byte(strings.Join(changed, ""))); ok {
				t.Errorf("A1: a line %s is not noticed: %s", what, out)
			}
		}
	})
}

// TestA1Chain: what is rewritten in the database is found.
func TestA1Chain(t *testing.T) {
	each(t, func(t *testing.T, w *cullettest.World) {
		audit := &trail.Trail{DB: w.DB}
		c, err := audit.Chain(ctx, w.By)
		if err != nil || c.Broken != 0 || c.Entries < 6 {
			t.Fatalf("%+v, %v", c, err)
		}
		if _, err := w.DB.Conn().Writer.ExecContext(ctx, `UPDATE audit SET actor_name = 'Bob' WHERE seq = 3`); err != nil {
			t.Fatal(err)
		}
		w.Clock.Advance(2 * time.Hour)
		if c, err = audit.Chain(ctx, w.By); err != nil || c.Broken != 3 {
			t.Errorf("A1: %+v, %v; want entry 3 found", c, err)
		}
	})
}

// TestPage: people find what they look for, and only those who may look.
func TestPage(t *testing.T) {
	each(t, func(t *testing.T, w *cullettest.World) {
		audit := &trail.Trail{DB: w.DB}
		for what, c := range map[string]struct {
			f    store.AuditFilter
			want int
			more bool
		}{
			"deletions":    {store.AuditFilter{Acts: []cullet.Act{cullet.ActDelete}, Limit: 10}, 3, false},
			"both":         {store.AuditFilter{Acts: []cullet.Act{cullet.ActDelete, cullet.ActRestore}, Limit: 4}, 4, true},
			"by a person":  {store.AuditFilter{Who: "ANN", Acts: []cullet.Act{cullet.ActRestore}, Limit: 10}, 3, false},
			"of an item":   {store.AuditFilter{Item: "bottles", Acts: []cullet.Act{cullet.ActRestore}, Limit: 10}, 3, false},
			"refused":      {store.AuditFilter{Failed: true, Limit: 10}, 0, false},
			"in a minute":  {store.AuditFilter{From: w.Clock.Now().Add(-time.Minute), Limit: 10}, 2, false},
			"of long ago":  {store.AuditFilter{To: w.Clock.Now().Add(-time.Hour), Limit: 10}, 0, false},
			"before entry": {store.AuditFilter{Before: 2, Limit: 10}, 1, false},
		} {
			page, more, err := audit.Page(ctx, w.By, c.f)
			if err != nil || len(page) != c.want || more != c.more {
				t.Errorf("%s: %d entries, more %v, %v; want %d, %v", what, len(page), more, err, c.want, c.more)
			}
		}
		editor := w.Person()
		editor.Role = cullet.Editor
		if _, _, err := audit.Page(ctx, editor, store.AuditFilter{Limit: 1}); cullet.CodeOf(err) != cullet.Forbidden {
			t.Errorf("an editor reads the audit: %v", err)
		}
		if err := audit.Export(ctx, editor, &bytes.Buffer{}); cullet.CodeOf(err) != cullet.Forbidden {
			t.Errorf("an editor exports the audit: %v", err)
		}
	})
}

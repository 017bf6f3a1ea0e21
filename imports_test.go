package cullet_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/cullet-vision/cullet"

// story is the order in which the data lives: a stage may import earlier ones,
// never later ones.
var story = []string{"access", "dataset", "upload", "version", "training", "workflow", "trash", "account", "trail", "purge", "fsck"}

// bans lists who must not reach whom, and why. A ban holds for every way there,
// through other packages too.
var bans = []struct {
	from, to string
	why      string
}{
	{"internal/api", "internal/purge", "P2: no API key can delete permanently"},
	{"internal/job", "internal/purge", "P2: nothing that a request enqueues can delete permanently"},
	{"sdk", "internal/purge", "P2: the client cannot delete permanently"},
	{"internal/trash", "internal/purge", "the Trash is read by every door"},
	{"internal/account", "internal/purge", "a dry run changes nothing"},
	{"internal/api", "internal/web", "the doors know nothing of each other"},
	{"internal/web", "internal/api", "the doors know nothing of each other"},
	{"internal/backup", "internal/purge", "a backup and its restore delete nothing of a server's"},
	{"internal/store", "internal/trash", "the ground knows nothing of the story"},
	{"internal/blob", "internal/store", "the ground's parts know nothing of each other"},
	{"internal/notify", "internal/purge", "who warns deletes nothing"},
	{"internal/notify", "internal/trash", "notices come by the outbox alone, so that no act waits for who is told of it"},
	{"internal/api", "internal/notify", "no API key says where notices go"},
	{"internal/metrics", "internal/purge", "who measures changes nothing"},
	{"internal/metrics", "internal/trash", "numbers come from the store alone"},
	{"internal/outward", "internal/store", "what guards requests knows nothing of who asks"},
}

// only lists packages that few may import directly.
var only = []struct {
	to  string
	may []string
	why string
}{
	{"internal/purge", []string{"internal/web", "cmd/cullet", "internal/bench"}, "P1: permanent deletion is the web app's, and cleanup's loop is started by cmd; bench is a program of its own that measures it on its own data"},
	{"internal/store/sqlite", []string{"cmd/cullet", "internal/cullettest", "internal/bench"}, "drivers are chosen in one place"},
	{"internal/store/postgres", []string{"cmd/cullet", "internal/cullettest", "internal/bench"}, "drivers are chosen in one place"},
	{"internal/blob/fileblob", []string{"cmd/cullet", "internal/bench"}, "drivers are chosen in one place"},
	{"internal/blob/memblob", []string{"internal/cullettest"}, "it is for tests"},
	{"internal/cullettest", nil, "it is for tests"},
	{"internal/notify", []string{"internal/web", "cmd/cullet"}, "it is started by cmd and set up in the web app; all others write notices into the outbox"},
	{"internal/backup", []string{"cmd/cullet"}, "a backup holds every workspace: it is the operator's, and no door's"},
	{"internal/metrics", []string{"cmd/cullet"}, "the numbers of all workspaces are the operator's, and no door's"},
	{"internal/bench", nil, "it measures the product and is no part of it"},
	{"internal/web", []string{"cmd/cullet"}, "the doors are wired in cmd"},
	{"internal/api", []string{"cmd/cullet"}, "the doors are wired in cmd"},
}

// TestImports holds the packages to the arrows that ARCHITECTURE.md draws.
func TestImports(t *testing.T) {
	t.Parallel()
	direct := listImports(t, "{{.ImportPath}} {{join .Imports \" \"}}")
	all := listImports(t, "{{.ImportPath}} {{join .Deps \" \"}}")
	for _, root := range []string{"", "sdk"} {
		if _, there := direct[root]; !there {
			t.Fatalf("package %q is not listed", root)
		}
		for _, dep := range direct[root] {
			if strings.Contains(strings.SplitN(dep, "/", 2)[0], ".") || strings.HasPrefix(dep, "internal") {
				t.Errorf("%q imports %s: it has the standard library alone", root, dep)
			}
		}
	}
	for _, b := range bans {
		if _, there := all[b.from]; !there {
			t.Errorf("%s is not there: the ban on %s forbids nothing", b.from, b.to)
		}
		if slices.Contains(all[b.from], b.to) {
			t.Errorf("%s reaches %s: %s", b.from, b.to, b.why)
		}
	}
	for _, o := range only {
		for from, imports := range direct {
			if slices.Contains(imports, o.to) && !slices.Contains(o.may, from) {
				t.Errorf("%s imports %s: %s", from, o.to, o.why)
			}
		}
	}
	for n, stage := range story {
		for _, later := range story[n+1:] {
			for from, imports := range direct {
				if (from == "internal/"+stage || strings.HasPrefix(from, "internal/"+stage+"/")) && slices.Contains(imports, "internal/"+later) {
					t.Errorf("%s imports %s, which comes later in the story", from, later)
				}
			}
		}
	}
}

// listImports asks the go command, and shortens our own packages to their folder.
func listImports(t *testing.T, format string) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", format, "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	short := func(p string) string {
		if p == module {
			return ""
		}
		return strings.TrimPrefix(p, module+"/")
	}
	by := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		imports := []string{}
		for _, f := range fields[1:] {
			imports = append(imports, short(f))
		}
		by[short(fields[0])] = imports
	}
	return by
}

//go:build failpoints

package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/failpoint"
)

// point is a failpoint of the source.
type point struct {
	name string
	fail bool // it can fail; else it is only passed
}

// points reads the failpoints from the source: each place, and for each act the
// steps that the store names. It fails the test for a name that is no constant or
// is used twice.
func points(t *testing.T) []point {
	t.Helper()
	var places, steps []point
	var acts []string
	used := map[string]string{}
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || filepath.Base(filepath.Dir(path)) == "failpoint" {
			return err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		name := func(call *ast.CallExpr, n int) string {
			at := set.Position(call.Pos()).String()
			lit, ok := call.Args[n].(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				t.Errorf("%s: the name of a failpoint is a constant text", at)
				return ""
			}
			s, _ := strconv.Unquote(lit.Value)
			if used[s] != "" {
				t.Errorf("%s: the failpoint %s is there twice, before at %s", at, s, used[s])
			}
			used[s] = at
			return s
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			f, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			of := ""
			switch x := f.X.(type) {
			case *ast.Ident:
				of = x.Name
			case *ast.SelectorExpr: // tx.act
				of = x.Sel.Name
			}
			switch of + "." + f.Sel.Name {
			case "failpoint.At", "failpoint.Pass":
				places = append(places, point{name(call, 0), f.Sel.Name == "At"})
			case "failpoint.In":
				acts = append(acts, name(call, 1))
			case "act.At", "act.Pass":
				steps = append(steps, point{name(call, 0), f.Sel.Name == "At"})
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(places) < 10 || len(acts) < 10 || len(steps) != 3 {
		t.Fatalf("the source has the places %v, acts %v, steps %v: the search finds too few", places, acts, steps)
	}
	for _, a := range acts {
		for _, s := range steps {
			places = append(places, point{a + "." + s.name, s.fail})
		}
	}
	return places
}

// trace is the names of the failpoints that were hit, in order.
func trace(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(text))
}

// stage is where a failpoint is hit: while a server lives, by the desk where a
// person orders, or when a data folder is made.
type stage string

const (
	living   stage = "serve"
	ordering stage = "order"
	making   stage = "init"
)

// table collects what the runs found, for people.
type table struct {
	mu    sync.Mutex
	lines []string
}

func (t *table) add(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, fmt.Sprintf(format, args...))
}

func (t *table) print() {
	slices.Sort(t.lines)
	fmt.Println(strings.Join(t.lines, "\n"))
}

// matrix prepares a life on each database, learns which failpoints it hits, and
// has each run tried.
func matrix(t *testing.T, what string, chosen func(p point, hit int) bool, try func(t *testing.T, l *life, r shot) string) {
	all := points(t)
	var found table
	t.Cleanup(found.print)
	for _, database := range cullettest.Databases() {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			ready := newLife(t, database)
			seen, good := learn(t, ready)
			for _, p := range all {
				if len(seen[p.name]) == 0 {
					t.Errorf("the failpoint %s is never hit: add to the steps what hits it", p.name)
				}
				for at, all := range seen[p.name] {
					for _, hit := range all.tries {
						if !chosen(p, hit) {
							continue
						}
						t.Run(fmt.Sprintf("%s@%d in %s", p.name, hit, at), func(t *testing.T) {
							t.Parallel()
							began := time.Now()
							said := try(t, ready, shot{p, at, hit, good})
							if t.Failed() {
								said = "FAILED: " + said
							}
							found.add("%-24s %-9s %-6s %s of hit %d of %d, %4.1f s: %s", p.name, database, at, what, hit, all.hits, time.Since(began).Seconds(), said)
						})
					}
				}
			}
		})
	}
}

// shot is one run of the matrix.
type shot struct {
	point
	at   stage
	hit  int
	good []string // what is left of a life in which nothing happens
}

// known is what a trace tells of a failpoint: how often it was hit, and which of
// the hits are tried.
type known struct {
	hits  int
	tries []int
}

// sift reads a trace. Tried is each failpoint's first hit; the first one outside
// recovery, where it is hit there too; of a transaction's end the first behind a
// write; of a deletion, a restore and an upload each write of the first
// transaction. In the soak it is some later ones as well.
func sift(lines []string) map[string]known {
	all := map[string]known{}
	writes := map[string]int{} // of each act's transaction that is open
	recovered := !slices.Contains(lines, "recover.settled")
	afterwards := map[string]bool{}
	wrote := map[string]bool{} // acts whose end behind a write was tried
	ended := map[string]bool{} // acts of which a transaction was committed
	for _, name := range lines {
		k := all[name]
		k.hits++
		act, step := name[:strings.LastIndex(name, ".")], name[strings.LastIndex(name, ".")+1:]
		try := k.hits == 1
		switch {
		case step == "write":
			writes[act]++
			try = try || !ended[act] && slices.Contains([]string{"delete", "restore", "upload"}, act)
		case step == "commit" || step == "committed":
			try = writes[act] > 0 && !wrote[name]
			wrote[name] = wrote[name] || try
			if step == "committed" {
				ended[act] = ended[act] || writes[act] > 0
				writes[act] = 0
			}
		case recovered && !afterwards[name]:
			try, afterwards[name] = true, true
		}
		if name == "recover.settled" {
			recovered = true
		}
		if try || os.Getenv("CULLET_SOAK") != "" && slices.Contains([]int{1, 2, 3, 7}, k.hits) {
			k.tries = append(k.tries, k.hits)
		}
		all[name] = k
	}
	return all
}

// learn lives once without a fault, and says which failpoints were hit in which
// stage, and what is left at the end.
func learn(t *testing.T, ready *life) (seen map[string]map[stage]known, good []string) {
	t.Helper()
	l := ready.copy(t)
	folder := t.TempDir()
	file := func(s stage) string { return filepath.Join(folder, string(s)) }
	env := func(s stage) []string { return []string{failpoint.HitsEnv + "=" + file(s)} }
	c := l.serve(t, env(living)...)
	g := l.ground(t, false)
	defer g.close()
	want := wants(l.facts(t, g))
	for n, s := range steps {
		e := env(ordering)
		if err := s.do(l, c, e); err != nil {
			t.Fatalf("%s: %v\n%s", s.name, err, c.log.String())
		}
		if got := l.facts(t, g); got != want[n+1] {
			t.Fatalf("after %s there is %+v, want %+v", s.name, got, want[n+1])
		}
		l.await(t, g, c, s)
	}
	c.stop(t)
	l.check(t)
	good = l.left(t, g)

	n := newInit(t, ready.database)
	i := n.init(t, env(making)...)
	if <-i.dead; i.cmd.ProcessState.ExitCode() != 0 {
		t.Fatalf("init: %s", i.log.String())
	}
	seen = map[string]map[stage]known{}
	for _, s := range []stage{living, ordering, making} {
		for name, k := range sift(trace(t, file(s))) {
			if s == ordering && !strings.HasPrefix(name, "order.") {
				continue
			}
			if seen[name] == nil {
				seen[name] = map[stage]known{}
			}
			seen[name][s] = k
		}
	}
	return seen, good
}

// await waits until nothing of a step goes on any more.
func (l *life) await(t *testing.T, g *ground, c *child, s step) {
	t.Helper()
	if err := l.awaited(t, g, c, s); err != nil {
		t.Fatalf("%s: %v; its items %v\n%s", s.name, err, l.text(t, g, `SELECT type || ' ' || name || ' ' || state || ' ' || problem FROM trash_items`), c.log.String())
	}
}

func (l *life) awaited(t *testing.T, g *ground, c *child, s step) error {
	if s.await == "" {
		return nil
	}
	return pass(c, 40*time.Second, func() bool { return l.count(t, g, s.await) == 0 })
}

// TestFailpointsKill kills the process at every failpoint, one by one, starts it
// again, and lets the life go on to its end: what was answered is done, what was
// not is done whole or not at all, the purges end, what is left is what is left
// without a kill, and fsck finds nothing (D1, C3, C4, C5, R6).
func TestFailpointsKill(t *testing.T) {
	matrix(t, "kill", func(point, int) bool { return true }, func(t *testing.T, ready *life, r shot) string {
		if r.at == making {
			return killInit(t, ready.database, r)
		}
		l := ready.copy(t)
		g := l.ground(t, false)
		defer g.close()
		want := wants(l.facts(t, g))
		env := armedWith(r.name, "kill", r.hit)
		var arms, helper []string
		if r.at == living {
			arms = env
		} else {
			helper = env
		}
		c := l.serve(t, arms...)
		said := ""
		// again starts the server anew after the kill, and says whether the step was done.
		again := func(n int, answered bool) (done bool) {
			t.Helper()
			if said != "" || r.at == living && !c.killed() {
				t.Fatalf("the server ended by itself: %v\n%s", c.cmd.ProcessState, c.log.String())
			}
			l.settled(t, g)
			got := l.facts(t, g)
			done = got == want[n+1]
			if !done && (answered || got != want[n]) {
				t.Fatalf("D1: killed at %q (answered %v) there is %+v, want %+v or %+v", steps[n].name, answered, got, want[n+1], want[n])
			}
			l.whole(t, g)
			said = fmt.Sprintf("killed at %q, found done %v", steps[n].name, done)
			if r.at == living {
				c = l.serve(t)
			}
			return done
		}
		for n, s := range steps {
			done := false
			if c.url == "" {
				done = again(n, false)
			}
			if !done {
				err := s.do(l, c, helper)
				var no refusal
				switch {
				case errors.As(err, &no):
					t.Fatalf("%s: %v\n%s", s.name, no, c.log.String())
				case err != nil && !again(n, false):
					if err := s.do(l, c, nil); err != nil {
						t.Fatalf("%s, once more: %v\n%s", s.name, err, c.log.String())
					}
				}
			}
			if err := l.awaited(t, g, c, s); errors.Is(err, errKilled) {
				again(n, true)
				l.await(t, g, c, s)
			} else if err != nil {
				l.await(t, g, c, s)
			}
		}
		if last := len(steps) - 1; said == "" && pass(c, time.Second, func() bool { return false }) == errKilled { // right after the last commit
			again(last, true)
		}
		if said == "" {
			t.Error("the failpoint was not hit")
		}
		l.end(t, g, c, r)
		return said
	})
}

// end stops the server and looks at what is left.
func (l *life) end(t *testing.T, g *ground, c *child, r shot) {
	t.Helper()
	c.stop(t)
	l.check(t)
	if left := l.left(t, g); !slices.Equal(left, r.good) {
		t.Errorf("C4, C5: left are %v, want %v", left, r.good)
	}
	l.whole(t, g)
}

// newborn is where a data folder is made.
type newborn struct{ *place }

func newInit(t *testing.T, database string) newborn {
	t.Helper()
	d := cullettest.NewDatabase(t, database)
	return newborn{&place{settings: settings{Data: filepath.Join(t.TempDir(), "data"), DatabaseURL: d.URL, TrashRetention: time.Hour, CleanupInterval: time.Second, UploadMaxBytes: 1 << 20}}}
}

func (n newborn) init(t *testing.T, env ...string) *child {
	t.Helper()
	args := []string{"init", "--data", n.Data, "--workspace", "Acme", "--email", "ann@example.com", "--password-stdin", "--json"}
	if n.DatabaseURL != "" {
		args = append(args, "--database-url", n.DatabaseURL)
	}
	c := spawn(t, cullettest.Password+"\n", env, args...)
	<-c.dead
	return c
}

// killInit kills what makes a data folder, and makes it again: there is one whole
// workspace in the end.
func killInit(t *testing.T, database string, r shot) string {
	n := newInit(t, database)
	if c := n.init(t, armedWith(r.name, "kill", r.hit)...); !c.killed() {
		t.Fatalf("the failpoint was not hit: %v\n%s", c.cmd.ProcessState, c.log.String())
	}
	c := n.init(t)
	said := "made at the second try"
	if c.cmd.ProcessState.ExitCode() != 0 {
		said = "made at the first try"
		if !strings.Contains(c.log.String(), "nothing was changed") {
			t.Errorf("init again: %s", c.log.String())
		}
	}
	n.whole(t)
	return said
}

func (n newborn) whole(t *testing.T) {
	t.Helper()
	n.check(t)
	g := n.ground(t, false)
	defer g.close()
	if all, err := g.workspaces(bg); err != nil || len(all) != 1 {
		t.Errorf("there are the workspaces %v, %v", all, err)
	}
}

// TestFailpointsDiskFull has every failpoint that can fail say once that the disk
// is full: what is asked at that moment is refused in clear words and changes
// nothing, what goes on by itself waits and says so, nothing is purged early, and
// after room was made everything goes on (C11).
func TestFailpointsDiskFull(t *testing.T) {
	// Of the writes of one transaction the first is as good as any, but in the soak.
	chosen := func(p point, hit int) bool {
		return p.fail && (hit == 1 || !strings.HasSuffix(p.name, ".write") || os.Getenv("CULLET_SOAK") != "")
	}
	matrix(t, "full disk", chosen, func(t *testing.T, ready *life, r shot) string {
		env := armedWith(r.name, "enospc", r.hit)
		if r.at == making {
			n := newInit(t, ready.database)
			c := n.init(t, env...)
			if c.cmd.ProcessState.ExitCode() != 1 || !strings.Contains(c.log.String(), "disk") && !strings.Contains(c.log.String(), "no space") {
				t.Errorf("init on a full disk: %v\n%s", c.cmd.ProcessState, c.log.String())
			}
			if c := n.init(t); c.cmd.ProcessState.ExitCode() != 0 {
				t.Errorf("init again: %s", c.log.String())
			}
			n.whole(t)
			return "refused, then made"
		}
		l := ready.copy(t)
		g := l.ground(t, false)
		defer g.close()
		want := wants(l.facts(t, g))
		var arms, helper []string
		if r.at == living {
			arms = env
		} else {
			helper = env
		}
		said := ""
		c := l.serve(t, arms...)
		if c.url == "" {
			<-c.dead
			said = "the server did not start, and said so"
			if !strings.Contains(c.log.String(), "no space left") && !strings.Contains(c.log.String(), "disk is full") {
				t.Errorf("on a full disk the server ended with %v\n%s", c.cmd.ProcessState, c.log.String())
			}
			c = l.serve(t)
		}
		for n, s := range steps {
			err := s.do(l, c, helper)
			var no refusal
			if errors.As(err, &no) && said == "" {
				said = fmt.Sprintf("%q was refused", s.name)
				if no.status != http.StatusServiceUnavailable || !strings.Contains(no.body, "disk") {
					t.Errorf("C11: %s on a full disk is answered %v", s.name, no)
				}
				if got := l.facts(t, g); got != want[n] {
					t.Errorf("D1: %s was refused, and there is %+v, want %+v", s.name, got, want[n])
				}
				l.whole(t, g)
				err = s.do(l, c, nil)
			}
			if err != nil {
				t.Fatalf("%s: %v\n%s", s.name, err, c.log.String())
			}
			if got := l.facts(t, g); got != want[n+1] {
				t.Fatalf("after %s there is %+v, want %+v", s.name, got, want[n+1])
			}
			if n < len(steps)-1 {
				l.await(t, g, c, s)
			}
		}
		if said == "" {
			said = l.waits(t, g, c)
		} else {
			l.await(t, g, c, steps[len(steps)-1])
		}
		l.end(t, g, c, r)
		return said
	})
}

// waits lets a purge end that may have met a full disk. Where it waits, it says
// why, and goes on five minutes later.
func (l *life) waits(t *testing.T, g *ground, c *child) string {
	t.Helper()
	last := steps[len(steps)-1]
	const problems = `SELECT name || ': ' || problem FROM trash_items WHERE problem <> '' AND problem NOT LIKE '%is not in Trash by this item%' UNION SELECT path || ': ' || problem FROM blob_unlinks WHERE problem <> ''`
	var stuck []string
	err := pass(c, 20*time.Second, func() bool {
		stuck = l.text(t, g, problems)
		return len(stuck) > 0 || l.count(t, g, last.await) == 0
	})
	if err != nil {
		t.Fatalf("the purge neither goes on nor says why not: %v\n%s", err, c.log.String())
	}
	if len(stuck) == 0 {
		if !strings.Contains(c.log.String(), "no space left") {
			t.Errorf("nobody says that the disk was full:\n%s", c.log.String())
		}
		return "went on by itself, and the log tells"
	}
	if !strings.Contains(strings.Join(stuck, " "), "disk is full") {
		t.Errorf("C11: the problem is told as %v", stuck)
	}
	l.later(t, g, c)
	return fmt.Sprintf("kept (%.60s …), and went on 5 minutes later", stuck[0])
}

//go:build failpoints

package main

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/access"
	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/blob/fileblob"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/dataset"
	"github.com/cullet-vision/cullet/internal/failpoint"
	"github.com/cullet-vision/cullet/internal/fsck"
	"github.com/cullet-vision/cullet/internal/purge"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/training"
	"github.com/cullet-vision/cullet/internal/trash"
	"github.com/cullet-vision/cullet/internal/upload"
	"github.com/cullet-vision/cullet/internal/version"
	"github.com/cullet-vision/cullet/internal/workflow"
)

// life is a data folder in which everything is about to happen: a project whose
// date has come, one that a person will order away, files that a killed server
// left, a file whose removal failed, an item that contradicts itself, a generation
// that a deletion stopped. Made
// once for a database, it is copied for each run.
type life struct {
	*place
	database string            // sqlite or postgres
	ids      map[string]string // of projects and workflows, by name
	doomed   string            // the trash item to order
}

// before is how long ago the life was made ready. Less than an hour, so that no
// guard of the clock takes the server for one that stood still.
const before = 10 * time.Minute

var bg = context.Background()

// newLife makes one on a new database.
func newLife(t *testing.T, database string) *life {
	t.Helper()
	d := cullettest.NewDatabase(t, database)
	l := &life{place: newPlace(t, d), database: database, ids: map[string]string{}}
	if err := os.WriteFile(configFile(l.Data), []byte("[[trainer]]\nname = \"sleeper\"\nmodel_types = [\"sleep\"]\ncommand = [\"sleep\", \"600\"]\ncredits_per_hour = 1.0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	clock := cullettest.NewClock()
	clock.Advance(time.Since(cullettest.Start) - before)
	kept := &stubborn{}
	g := l.groundAt(t, clock, func(d blob.Driver) blob.Driver { kept.Driver = d; return kept })
	s, err := newServer(bg, l.settings, g, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.engine.ServerTime = nil // it would find that this clock goes after its own (C6)
	s.queue.Trainers = []training.Trainer{{Name: "sleeper", ModelTypes: []string{"sleep"}}}
	by, _, err := g.access.Key(bg, l.opened.Secret)
	if err != nil {
		t.Fatal(err)
	}
	m := &maker{t: t, life: l, server: s, by: by}
	s.bin.Retention = time.Second
	m.project("stuck", 60)
	m.trash("stuck")
	m.project("Odd", 90)
	m.trash("Odd")
	m.sql(`UPDATE projects SET trash_item_id = NULL WHERE name = 'Odd'`)
	clock.Advance(2 * time.Second)
	kept.keep = true
	m.must(s.engine.BeginDue(bg))
	m.sql(`UPDATE trash_items SET retry_at = 9000000000000000000 WHERE name = 'Odd'`)
	m.must(s.engine.Round(bg)) // ends with a file that could not be removed, for 5 minutes
	kept.keep = false
	m.sql(`UPDATE trash_items SET retry_at = 0 WHERE name = 'Odd'`) // a server will find it, and say so (C11)
	clock.Advance(before - 30*time.Second)

	m.project("Belt", 1)
	m.project("Twin", 1, 2, 3)
	m.version("Twin")
	m.project("Keep", 50, 51)
	m.project("old", 50, 51, 52, 53)
	m.version("old")
	m.export("old", 1)
	m.version("old")
	if _, err := s.bin.DeleteVersion(bg, by, l.ids["old"], 2); err != nil {
		t.Fatal(err)
	}
	m.trash("old") // due at once, with what lies below it
	s.bin.Retention = time.Hour
	m.project("doomed", 50, 70)
	l.doomed = m.trash("doomed").ID
	m.project("Halted", 80)
	m.halt("Halted")
	f, err := s.shelf.Create(bg, by, workflow.Draft{Name: "Flow", Config: "{}"})
	m.must(err)
	l.ids["Flow"] = f.ID
	m.leave()
	g.close()
	return l
}

// groundAt opens the place by a clock that is handed in, and with a wrapped driver.
func (p *place) groundAt(t *testing.T, clock cullet.Clock, wrap func(blob.Driver) blob.Driver) *ground {
	t.Helper()
	conn, err := openDatabase(bg, p.settings, filepath.Join(p.Data, "cullet.db"))
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(bg, conn, clock)
	if err != nil {
		t.Fatal(err)
	}
	files, err := fileblob.New(p.blobs())
	if err != nil {
		t.Fatal(err)
	}
	g := p.ground(t, false)
	g.close()
	g.db, g.files, g.blobs, g.access.DB = db, files, blob.New(wrap(files), clock), db
	return g
}

// stubborn is a blob driver that removes no object while it is told to keep them.
type stubborn struct {
	blob.Driver
	keep bool
}

func (s *stubborn) Remove(ctx context.Context, area blob.Area, name string) error {
	if s.keep && area == blob.Objects {
		return errors.New("the disk says no")
	}
	return s.Driver.Remove(ctx, area, name)
}

// maker fills a life.
type maker struct {
	*server
	life *life
	t    *testing.T
	by   cullet.Actor
}

func (m *maker) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *maker) project(name string, pictures ...int) {
	p, err := m.catalog.CreateProject(bg, m.by, dataset.NewProject{Name: name, Type: "object-detection"})
	m.must(err)
	m.life.ids[name] = p.ID
	for _, n := range pictures {
		_, err := m.intake.Image(bg, m.by, p.ID, upload.NewImage{Name: fmt.Sprint(n, ".png")}, bytes.NewReader(cullettest.PNG(n)))
		m.must(err)
	}
}

func (m *maker) version(project string) {
	v, err := m.press.Generate(bg, m.by, m.life.ids[project], version.Settings{})
	m.must(err)
	_, err = m.press.Freeze(bg, v.ID)
	m.must(err)
}

func (m *maker) export(project string, number int64) {
	e, err := m.press.Export(bg, m.by, m.life.ids[project], number, "coco")
	m.must(err)
	_, err = m.press.Write(bg, e.ID)
	m.must(err)
}

func (m *maker) trash(project string) cullet.TrashItem {
	t, err := m.bin.DeleteProject(bg, m.by, m.life.ids[project])
	m.must(err)
	return t
}

func (m *maker) sql(statement string) {
	m.must(m.db.Update(bg, func(tx *store.Tx) error {
		_, err := tx.SQL().Exec(statement)
		return err
	}))
}

// halt leaves a generation that a deletion stopped.
func (m *maker) halt(project string) {
	_, err := m.press.Generate(bg, m.by, m.life.ids[project], version.Settings{})
	m.must(err)
	t := m.trash(project)
	_, err = m.bin.RestoreItem(bg, m.by, t.ID, "")
	m.must(err)
}

// leave leaves what a killed server does: a draft, bytes without a row, and bytes
// with a row that were not settled.
func (m *maker) leave() {
	_, err := m.files.Create(bg, "20260101T000000Z_0123456789abcdef01234567")
	m.must(err)
	_, err = m.blobs.Put(bg, strings.NewReader("nobody's"), 100)
	m.must(err)
	var path string
	m.must(m.db.View(bg, func(tx *store.Tx) error {
		return tx.SQL().QueryRow(`SELECT path FROM blobs ORDER BY path LIMIT 1`).Scan(&path)
	}))
	folder := m.life.place.blobs()
	m.must(os.Link(filepath.Join(folder, "objects", path), filepath.Join(folder, "pending", filepath.Base(path))))
}

// copy makes a life of its own from one that was made ready.
func (l *life) copy(t *testing.T) *life {
	t.Helper()
	return l.copyTo(t, t.TempDir())
}

func (l *life) copyTo(t *testing.T, dir string) *life {
	t.Helper()
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", l.Data+"/.", data).CombinedOutput(); err != nil {
		t.Fatalf("copying: %v %s", err, out)
	}
	c := &life{database: l.database, ids: l.ids, doomed: l.doomed}
	c.place = &place{settings: l.settings, opened: l.opened}
	c.Data = data
	if l.database == "postgres" {
		c.DatabaseURL = copyDatabase(t, l.DatabaseURL)
	}
	return c
}

// copying is held while a database is copied: nobody may be connected to it.
var copying sync.Mutex

func copyDatabase(t *testing.T, from string) string {
	t.Helper()
	u, err := url.Parse(from)
	if err != nil {
		t.Fatal(err)
	}
	to := fmt.Sprintf("%s_%d", strings.TrimPrefix(u.Path, "/"), time.Now().UnixNano())
	admin, err := sql.Open("pgx", os.Getenv(cullettest.PostgresEnv))
	if err != nil {
		t.Fatal(err)
	}
	copying.Lock()
	_, err = admin.Exec(`CREATE DATABASE ` + to + ` TEMPLATE ` + strings.TrimPrefix(u.Path, "/"))
	copying.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := admin.Exec(`DROP DATABASE ` + to + ` WITH (FORCE)`); err != nil {
			t.Error(err)
		}
		admin.Close()
	})
	u.Path = "/" + to
	return u.String()
}

// child is a process of the test binary that runs as cullet, with a failpoint armed
// or without.
type child struct {
	cmd  *exec.Cmd
	url  string
	log  bytes.Buffer
	out  bytes.Buffer
	dead chan struct{} // closed when it has ended
}

// killed says whether a SIGKILL ended it.
func (c *child) killed() bool {
	<-c.dead
	w, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && w.Signaled() && w.Signal() == syscall.SIGKILL
}

func (c *child) ended() bool {
	select {
	case <-c.dead:
		return true
	default:
		return false
	}
}

// spawn starts a process with environment and arguments.
func spawn(t *testing.T, stdin string, env []string, args ...string) *child {
	t.Helper()
	c := &child{cmd: exec.Command(os.Args[0], args...), dead: make(chan struct{})}
	c.cmd.Env = append(append(os.Environ(), asCullet+"=1"), env...)
	c.cmd.Stderr, c.cmd.Stdin = &c.log, strings.NewReader(stdin)
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first := make(chan string, 1)
	go func() {
		defer close(c.dead)
		r := bufio.NewReader(out)
		line, _ := r.ReadString('\n')
		c.out.WriteString(line)
		first <- line
		_, _ = io.Copy(&c.out, r)
		_ = c.cmd.Wait()
	}()
	t.Cleanup(func() { _ = c.cmd.Process.Kill(); <-c.dead })
	if args[0] == "serve" {
		c.url = strings.TrimSpace(strings.TrimPrefix(<-first, "listening on "))
	}
	return c
}

// serve starts a server; its url is "" where it ended before it served.
func (l *life) serve(t *testing.T, env ...string) *child {
	t.Helper()
	args := []string{"serve", "--data", l.Data, "--addr", "127.0.0.1:0", "--cleanup-interval", "50ms", "--trash-retention", "1h"}
	if l.DatabaseURL != "" {
		args = append(args, "--database-url", l.DatabaseURL)
	}
	return spawn(t, "", env, args...)
}

// stop ends a server as an operator does.
func (c *child) stop(t *testing.T) {
	t.Helper()
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	<-c.dead
	if c.cmd.ProcessState.ExitCode() != 0 {
		t.Errorf("after SIGTERM: %v\n%s", c.cmd.ProcessState, c.log.String())
	}
}

// refusal is an answer that says no.
type refusal struct {
	status int
	body   string
}

func (r refusal) Error() string { return fmt.Sprintf("%d %s", r.status, r.body) }

// call makes a request with the key; an answer that is no yes is a refusal.
func (l *life) call(c *child, method, path, body string) error {
	r, err := http.NewRequest(method, c.url+path+"?api_key="+l.opened.Secret, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 300 {
		err = refusal{res.StatusCode, string(b)}
	}
	return err
}

// facts is what can be told of a life by its rows, without what goes on by itself.
type facts struct {
	images, versions, exports, orders int
	resumed, trains, cancelled        int
	twin, one, flow                   bool // in Trash
}

// step is one act of a client: what it asks, what is so afterwards, and what goes
// on by itself until the next.
type step struct {
	name  string
	do    func(l *life, c *child, env []string) error
	then  func(f *facts)
	await string // a query that counts what is not done yet
}

func ask(method, path, body string) func(*life, *child, []string) error {
	return func(l *life, c *child, _ []string) error {
		named := body
		for name, id := range l.ids {
			named = strings.ReplaceAll(named, "{"+name+"}", id)
		}
		return l.call(c, method, path, named)
	}
}

func send(picture int) func(*life, *child, []string) error {
	return func(l *life, c *child, _ []string) error {
		return l.sendBytes(c, cullettest.PNG(picture))
	}
}

func (l *life) sendBytes(c *child, picture []byte) error {
	_, err := l.place.send(c.url, picture)
	if err == nil || !strings.HasPrefix(err.Error(), "503") {
		return err
	}
	return refusal{http.StatusServiceUnavailable, err.Error()}
}

const (
	inProject = ` IN (SELECT id FROM projects WHERE name = `
	notReady  = `SELECT COUNT(*) FROM versions WHERE state <> 'ready' AND project_id` + inProject
)

// steps is a life from its first upload to the last.
var steps = []step{
	{"upload", send(4), func(f *facts) { f.images++ }, ""},
	{"upload of bytes that are there", send(2), func(f *facts) { f.images++ }, ""},
	{"upload again", send(4), func(*facts) {}, ""},
	{"generate", ask("POST", "/acme/belt/generate", "{}"), func(f *facts) { f.versions++ }, notReady + `'Belt')`},
	{"export", ask("GET", "/acme/belt/1/coco", ""), func(f *facts) { f.exports++ },
		`SELECT COUNT(*) FROM exports WHERE state = 'running' AND version_id IN (SELECT id FROM versions WHERE project_id` + inProject + `'Belt'))`},
	{"resume", ask("POST", "/-/v1/acme/projects/halted/versions/1/resume", ""), func(f *facts) { f.resumed++ }, notReady + `'Halted')`},
	{"train", ask("POST", "/acme/twin/1/train", `{"modelType":"sleep"}`), func(f *facts) { f.trains++ },
		`SELECT 1 - COUNT(*) FROM trainings WHERE state = 'running'`},
	{"delete a project that trains", ask("DELETE", "/acme/twin", ""), func(f *facts) { f.twin, f.trains, f.cancelled = true, 0, 1 }, ""},
	{"delete a version", ask("DELETE", "/acme/belt/1", ""), func(f *facts) { f.one = true }, ""},
	{"restore a version", ask("POST", "/acme/trash/restore", `{"type":"version","id":"1","parentId":"{Belt}"}`), func(f *facts) { f.one = false }, ""},
	{"delete a workflow", ask("DELETE", "/acme/workflows/flow", ""), func(f *facts) { f.flow = true }, ""},
	{"restore a workflow", ask("POST", "/acme/trash/restore", `{"type":"workflow","id":"{Flow}"}`), func(f *facts) { f.flow = false }, ""},
	{"restore a project", ask("POST", "/acme/trash/restore", `{"type":"project","id":"{Twin}"}`), func(f *facts) { f.twin = false }, ""},
	{"order a permanent deletion", (*life).order, func(f *facts) { f.orders++ },
		`SELECT (SELECT COUNT(*) FROM trash_items WHERE name <> 'Odd' OR problem = '') + (SELECT COUNT(*) FROM blob_unlinks) + (SELECT COUNT(*) FROM purge_orders WHERE state IN ('scheduled', 'running'))`},
}

// orderHelper makes the test binary place a person's order, as the web app does.
const orderHelper = "CULLET_TEST_ORDER"

// order has a helper process place it, in which the failpoint is armed that is one
// of the desk's. Its clock goes after ours, so that the countdown is over at once.
func (l *life) order(_ *child, env []string) error {
	c := exec.Command(os.Args[0])
	c.Env = append(append(os.Environ(), orderHelper+"="+l.Data+"|"+l.DatabaseURL+"|"+l.doomed), env...)
	out, err := c.CombinedOutput()
	if err == nil {
		return nil
	}
	if w, ok := c.ProcessState.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return errKilled
	}
	return refusal{http.StatusServiceUnavailable, string(out)}
}

var errKilled = errors.New("the helper was killed")

// slowClock goes a minute after the machine's.
type slowClock struct{ cullet.SystemClock }

func (slowClock) Now() time.Time { return time.Now().Add(-time.Minute) }

func init() {
	helpers = append(helpers, func() bool {
		parts := strings.Split(os.Getenv(orderHelper), "|")
		if len(parts) != 3 {
			return false
		}
		if err := placeOrder(settings{Data: parts[0], DatabaseURL: parts[1]}, parts[2]); err != nil {
			fmt.Println(cullet.MessageOf(err), err)
			os.Exit(1)
		}
		return true
	})
}

func placeOrder(s settings, item string) error {
	conn, err := openDatabase(bg, s, filepath.Join(s.Data, "cullet.db"))
	if err != nil {
		return err
	}
	db, err := store.Open(bg, conn, slowClock{})
	if err != nil {
		return err
	}
	defer db.Close()
	var w cullet.Workspace
	var p cullet.Person
	err = db.View(bg, func(tx *store.Tx) error {
		if w, err = tx.GetWorkspace(bg, "acme"); err != nil {
			return err
		}
		p, err = tx.GetPersonByEmail(bg, "ann@example.com")
		return err
	})
	if err != nil {
		return err
	}
	desk := &purge.Desk{DB: db, Bin: &trash.Bin{DB: db, Retention: time.Hour}, Access: &access.Desk{DB: db}}
	by := cullet.Actor{Workspace: w.ID, ID: p.ID, Name: p.Name, Means: cullet.ByWeb, Role: cullet.Owner, Session: "session", Address: "127.0.0.1"}
	plan, err := desk.Prepare(bg, by, w.Slug, purge.Choice{Items: []string{item}})
	if err != nil {
		return err
	}
	_, err = desk.Order(bg, by, purge.Confirmation{Token: plan.Token, Typed: plan.Typed, Password: cullettest.Password})
	return err
}

// facts reads them.
func (l *life) facts(t *testing.T, g *ground) (f facts) {
	t.Helper()
	count := func(query string) int { return int(l.count(t, g, query)) }
	trashed := func(table, where string) bool {
		return count(`SELECT COUNT(*) FROM `+table+` WHERE trash_item_id IS NOT NULL AND `+where) > 0
	}
	f.images = count(`SELECT COUNT(*) FROM images WHERE project_id` + inProject + `'Belt')`)
	f.versions = count(`SELECT COUNT(*) FROM versions WHERE project_id` + inProject + `'Belt')`)
	f.exports = count(`SELECT COUNT(*) FROM exports WHERE version_id IN (SELECT id FROM versions WHERE project_id` + inProject + `'Belt'))`)
	f.orders = count(`SELECT COUNT(*) FROM purge_orders`)
	f.resumed = count(`SELECT COUNT(*) FROM versions WHERE state <> 'interrupted' AND project_id` + inProject + `'Halted')`)
	f.trains = count(`SELECT COUNT(*) FROM trainings WHERE state IN ('queued', 'starting', 'running')`)
	f.cancelled = count(`SELECT COUNT(*) FROM trainings WHERE state = 'cancelled'`)
	f.twin, f.flow = trashed("projects", "name = 'Twin'"), trashed("workflows", "name = 'Flow'")
	f.one = trashed("versions", "project_id"+inProject+"'Belt')")
	return f
}

func (l *life) count(t *testing.T, g *ground, query string) (n int64) {
	t.Helper()
	err := g.db.View(bg, func(tx *store.Tx) error { return tx.SQL().QueryRow(query).Scan(&n) })
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// settled waits until PostgreSQL has ended what a killed process asked for last: a
// commit may have been on its way.
func (l *life) settled(t *testing.T, g *ground) {
	t.Helper()
	if l.database != "postgres" {
		return
	}
	waitFor(t, 20*time.Second, "the database to end what was under way", func() bool {
		return l.count(t, g, `SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'`) == 0
	})
}

// text reads one column of text, in order.
func (l *life) text(t *testing.T, g *ground, query string) (all []string) {
	t.Helper()
	err := g.db.View(bg, func(tx *store.Tx) error {
		all = nil
		rows, err := tx.SQL().Query(query)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var s string
			if err := rows.Scan(&s); err != nil {
				return err
			}
			all = append(all, s)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return all
}

// whole holds the rows against the rules at the moment of a kill, before anybody
// recovered anything: nothing is half (D1), and what the audit tells of the items
// is what is there (A1).
func (l *life) whole(t *testing.T, g *ground) {
	t.Helper()
	r, err := fsck.Check(bg, g.db, g.blobs, fsck.Options{Deep: true})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Clean() {
		t.Errorf("right after the kill fsck finds %v", r.Findings)
	}
	// In one statement, since a server that lives goes on beside it.
	told, there := map[string]string{}, map[string]string{}
	for _, line := range l.text(t, g, `
		SELECT line FROM (
			SELECT act || ' ' || item_id AS line, seq FROM audit WHERE act IN ('delete', 'restore', 'purge-began', 'purged')
			UNION ALL SELECT state || ' ' || id, 0 FROM trash_items
		) AS lines ORDER BY seq`) {
		word, item, _ := strings.Cut(line, " ")
		switch word {
		case "trashed", "purging":
			there[item] = word
		default:
			told[item] = map[string]string{"delete": "trashed", "purge-began": "purging"}[word]
		}
	}
	for item, state := range told {
		if there[item] != state {
			t.Errorf("A1: the audit tells of item %s that it is %q, and it is %q", item, state, there[item])
		}
	}
	for item, state := range there {
		if told[item] == "" {
			t.Errorf("A1: the audit does not tell of item %s, which is %s", item, state)
		}
	}
	for _, query := range []string{
		`SELECT COUNT(*) FROM projects p WHERE p.trash_item_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM trash_items i WHERE i.id = p.trash_item_id AND i.target_id = p.id)`,
		`SELECT COUNT(*) FROM versions p WHERE p.trash_item_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM trash_items i WHERE i.id = p.trash_item_id AND i.target_id = p.id)`,
		`SELECT COUNT(*) FROM workflows p WHERE p.trash_item_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM trash_items i WHERE i.id = p.trash_item_id AND i.target_id = p.id)`,
		`SELECT COUNT(*) FROM trash_items i WHERE i.problem <> '' AND NOT EXISTS (SELECT 1 FROM audit a WHERE a.act = 'purge-problem' AND a.item_id = i.id AND a.result = i.problem)`,
	} {
		if n := l.count(t, g, query); n > 0 {
			t.Errorf("D1, C11: %d rows: %s", n, query)
		}
	}
}

// left is what is there at the end of a life: the digests of pictures, and how
// many files there are.
func (l *life) left(t *testing.T, g *ground) []string {
	t.Helper()
	all := l.text(t, g, `SELECT digest FROM blobs WHERE id IN (SELECT blob_id FROM images UNION SELECT thumb_id FROM images) ORDER BY digest`)
	return append(all, fmt.Sprint(l.count(t, g, `SELECT COUNT(*) FROM blobs`), " files"))
}

// pass lets the time pass until something is so, while the process lives.
func pass(c *child, most time.Duration, so func() bool) error {
	end := time.NewTimer(most)
	defer end.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for !so() {
		select {
		case <-c.dead:
			return errKilled
		case <-end.C:
			return fmt.Errorf("waited %v in vain", most)
		case <-look.C:
		}
	}
	return nil
}

// armedWith is the environment in which a failpoint is armed.
func armedWith(point, what string, hit int) []string {
	return []string{fmt.Sprintf("%s=%s=%s@%d", failpoint.Env, point, what, hit)}
}

// want is what is so before each step, and after the last.
func wants(first facts) []facts {
	all := []facts{first}
	for _, s := range steps {
		f := all[len(all)-1]
		s.then(&f)
		all = append(all, f)
	}
	return all
}

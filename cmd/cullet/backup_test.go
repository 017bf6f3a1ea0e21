package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/backup"
	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/blob/fileblob"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/dataset"
	"github.com/cullet-vision/cullet/internal/store"
)

// command prepares cullet with the place's database.
func (p *place) command(args ...string) *exec.Cmd {
	args = append(args, "--data", p.Data)
	if p.DatabaseURL != "" {
		args = append(args, "--database-url", p.DatabaseURL)
	}
	c := exec.Command(os.Args[0], args...)
	c.Env = append(os.Environ(), asCullet+"=1")
	return c
}

// run runs cullet to its end.
func (p *place) run(t *testing.T, args ...string) (out, errs string, status int) {
	t.Helper()
	c := p.command(args...)
	var o, e bytes.Buffer
	c.Stdout, c.Stderr = &o, &e
	err := c.Run()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		t.Fatal(err)
	}
	return o.String(), e.String(), c.ProcessState.ExitCode()
}

// must runs cullet to its good end, and reads the JSON object that it prints.
func (p *place) must(t *testing.T, args ...string) map[string]any {
	t.Helper()
	out, errs, status := p.run(t, append(args, "--json")...)
	var answer map[string]any
	if err := json.Unmarshal([]byte(out), &answer); status != 0 || err != nil {
		t.Fatalf("cullet %s: status %d, %v\n%s%s", strings.Join(args, " "), status, err, out, errs)
	}
	return answer
}

// copyOf is a place that a backup of p is to be restored into.
func (p *place) copyOf(t *testing.T) *place {
	t.Helper()
	c := &place{settings: p.settings, opened: p.opened}
	c.Data = filepath.Join(t.TempDir(), "restored")
	if p.DatabaseURL != "" {
		c.DatabaseURL = cullettest.NewDatabase(t, "postgres").URL
	}
	return c
}

// tree lists the files below a folder.
func tree(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && !d.IsDir() {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestBackupWhileServing backs a server up while it takes uploads, into a folder and a
// file, restores both, and serves the copies: all that was answered before is there.
func TestBackupWhileServing(t *testing.T) {
	cullettest.TakesLong(t, "runs servers")
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		p := newPlace(t, d)
		p.project(t, "Belt")
		s := p.serve(t)
		var mu sync.Mutex
		var answered []string
		n, stop := 0, make(chan struct{})
		var clients sync.WaitGroup
		for range 3 {
			clients.Go(func() {
				for {
					mu.Lock()
					n++
					picture := n
					mu.Unlock()
					id, err := p.upload(s.url, picture)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					answered = append(answered, id)
					mu.Unlock()
					select {
					case <-stop:
						return
					default:
					}
				}
			})
		}
		so := func() []string {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(answered)
		}
		more := func(by int) []string {
			t.Helper()
			before := len(so())
			waitFor(t, time.Minute, "uploads", func() bool { return len(so()) >= before+by })
			return so()
		}
		dir := filepath.Join(t.TempDir(), "backups")
		before := more(10)
		first := p.must(t, "backup", dir)
		between := more(10)
		second := p.must(t, "backup", dir)
		file := dir + ".tar"
		p.must(t, "backup", file)
		close(stop)
		clients.Wait()
		s.kill()
		if first["copied"].(float64) < 20 || second["present"] != first["blobs"] || second["copied"].(float64) < 20 {
			t.Errorf("the second backup copied anew what was there: first %v, second %v", first, second)
		}
		for _, c := range []struct {
			args []string
			want []string
		}{
			{[]string{"restore-backup", dir, "--snapshot", first["snapshot"].(string)}, before},
			{[]string{"restore-backup", dir}, between},
			{[]string{"restore-backup", file}, between},
		} {
			r := p.copyOf(t)
			if got := r.must(t, c.args...); got["fsck"].(map[string]any)["clean"] != true {
				t.Errorf("%v: %v", c.args, got)
			}
			r.check(t)
			served := r.serve(t)
			if _, err := r.upload(served.url, 1_000_000); err != nil {
				t.Errorf("an upload into the copy, with the old key: %v", err)
			}
			served.kill()
			g := r.ground(t, false)
			for _, id := range c.want {
				if _, err := (&dataset.Catalog{DB: g.db}).File(context.Background(), id, false); err != nil {
					t.Errorf("%v: upload %s was answered before the backup and is not in it: %v", c.args, id, err)
				}
			}
			g.close()
			was := tree(t, r.Data)
			_, errs, status := r.run(t, c.args...)
			if status != 1 || !strings.Contains(errs, "is not empty") {
				t.Errorf("a second restore into the same folder: status %d, %s", status, errs)
			}
			r.Data = filepath.Join(t.TempDir(), "another")
			if _, errs, status := r.run(t, c.args...); r.DatabaseURL != "" && (status != 1 || !strings.Contains(errs, "the database holds the workspace acme already")) {
				t.Errorf("a second restore into the same database: status %d, %s", status, errs)
			}
			r.Data = filepath.Dir(was[0])
		}
	})
}

// TestRestoreRefuses: whatever is wrong is named, and nothing is left.
func TestRestoreRefuses(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		p := newPlace(t, d)
		p.fill(t, 30, 3)
		dir := filepath.Join(t.TempDir(), "backups")
		snapshot := p.must(t, "backup", dir)["snapshot"].(string)
		r := p.copyOf(t)
		objects := tree(t, filepath.Join(dir, "blobs", "objects"))
		whole, err := os.ReadFile(objects[7])
		if err != nil {
			t.Fatal(err)
		}
		put := func(name string, b []byte) func() error {
			return func() error { return os.WriteFile(name, b, 0o600) }
		}
		changed := slices.Clone(whole)
		changed[3] ^= 1
		dump := filepath.Join(dir, "snapshots", snapshot, "database.jsonl.gz")
		dumped, err := os.ReadFile(dump)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name           string
			damage, repair func() error
			want           string
			args           []string
		}{
			{"a changed file", put(objects[7], changed), put(objects[7], whole), "is damaged in the backup", nil},
			{"a file cut off", put(objects[7], whole[:9]), put(objects[7], whole), "has 9 bytes in the backup", nil},
			{"a missing file", func() error { return os.Remove(objects[7]) }, put(objects[7], whole), filepath.Base(objects[7]) + " is missing", nil},
			{"a dump cut off", put(dump, dumped[:len(dumped)/2]), put(dump, dumped), "the dump is cut off", nil},
			{"no such snapshot", nil, nil, "there are: " + snapshot, []string{"--snapshot", "20200101T000000Z"}},
			{"bytes elsewhere", nil, nil, "--blobs", []string{"--blobs", t.TempDir()}},
		} {
			if c.damage != nil {
				if err := c.damage(); err != nil {
					t.Fatal(err)
				}
			}
			_, errs, status := r.run(t, append([]string{"restore-backup", dir}, c.args...)...)
			if status != 1 || !strings.Contains(errs, c.want) {
				t.Errorf("%s: status %d, %s; want 1 and %q", c.name, status, errs, c.want)
			}
			if _, err := os.Stat(r.Data); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: something is left in %v, %v", c.name, tree(t, r.Data), err)
			}
			if c.repair != nil {
				if err := c.repair(); err != nil {
					t.Fatal(err)
				}
			}
		}
		for name, args := range map[string][]string{
			"a folder of something else": {"restore-backup", p.Data},
			"a file of something else":   {"restore-backup", objects[0]},
			"no such place":              {"restore-backup", dir + "x"},
		} {
			if _, errs, status := r.run(t, args...); status != 1 || len(errs) < 20 {
				t.Errorf("%s: status %d, %s", name, status, errs)
			}
		}
		// A backup into the server's own folder, or from none.
		if _, errs, status := p.run(t, "backup", p.Data); status != 1 || !strings.Contains(errs, "something else than backups") {
			t.Errorf("a backup into the server's own folder: status %d, %s", status, errs)
		}
		// Settings may lie there already.
		if err := errors.Join(os.Mkdir(r.Data, 0o700), os.WriteFile(configFile(r.Data), []byte("cleanup_grace = \"1h\"\n"), 0o600)); err != nil {
			t.Fatal(err)
		}
		r.must(t, "restore-backup", dir)
		r.check(t)
	})
}

// TestKilledBackupAndRestore kills backups and restores at moments chosen by how far
// they are: nothing half is served, and the next run succeeds.
func TestKilledBackupAndRestore(t *testing.T) {
	cullettest.TakesLong(t, "kills processes")
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		const images = 700
		p := newPlace(t, d)
		p.fill(t, images, 100)
		dir := filepath.Join(t.TempDir(), "backups")
		hit := 0
		killAt := func(c *exec.Cmd, so func() bool) {
			t.Helper()
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- c.Wait() }()
			look := time.NewTicker(time.Millisecond)
			defer look.Stop()
			for !so() {
				select {
				case err := <-ended:
					t.Logf("%v was over before its moment: %v", c.Args[1:3], err)
					return
				case <-look.C:
				}
			}
			_ = c.Process.Kill()
			if err := <-ended; err != nil {
				hit++
			}
		}
		files := func(below string) int { return len(tree(t, filepath.Join(below, "blobs", "objects"))) }
		for _, so := range []func() bool{
			func() bool { return len(tree(t, filepath.Join(dir, "snapshots"))) > 0 },
			func() bool { return files(dir) > 50 },
			func() bool { return files(dir) > images/2 },
			func() bool { return files(dir) > images-20 },
		} {
			killAt(p.command("backup", dir), so)
		}
		copied := files(dir)
		made := p.must(t, "backup", dir, "--keep", "1")
		if made["blobs"] != float64(images) || files(dir) != images || made["present"].(float64) < float64(copied-10) {
			t.Errorf("after the kills %v, with %d files of which %d were there", made, files(dir), copied)
		}
		file := dir + ".tar"
		killAt(p.command("backup", file), func() bool {
			st, err := os.Stat(file + ".partial")
			return err == nil && st.Size() > images*1000
		})
		if _, err := os.Stat(file); err == nil {
			t.Error("half of a file is there under its name")
		}
		p.must(t, "backup", file)
		if left, _ := filepath.Glob(file + ".*"); len(left) != 0 {
			t.Errorf("beside the file lies %v", left)
		}

		r := p.copyOf(t)
		database := func() bool {
			st, err := os.Stat(filepath.Join(r.Data, restoringDatabase+"-wal"))
			return err == nil && st.Size() > 0 || d.Name == "postgres" && files(r.Data) == images
		}
		for n, so := range []func() bool{
			func() bool { return files(r.Data) > 0 },
			func() bool { return files(r.Data) > images/2 },
			database,
		} {
			killAt(r.command("restore-backup", []string{dir, file}[n%2]), so)
			if _, err := os.Stat(filepath.Join(r.Data, restoringFile)); err != nil {
				continue // it was over before
			}
			for _, args := range [][]string{{"serve", "--addr", "127.0.0.1:0"}, {"fsck"}, {"backup", dir + "2"}} {
				if _, errs, status := r.run(t, args...); status == 0 || !strings.Contains(errs, "has not come to its end") {
					t.Errorf("%s on half of a restore: status %d, %s", args[0], status, errs)
				}
			}
		}
		t.Logf("%d of 8 kills hit", hit)
		if hit < 4 {
			t.Errorf("%d of 8 kills hit: the moments are chosen badly", hit)
		}
		if _, err := os.Stat(filepath.Join(r.Data, restoringFile)); err == nil {
			r.must(t, "restore-backup", dir)
		}
		if got := r.check(t); got.Blobs != images {
			t.Errorf("%d files came back, want %d", got.Blobs, images)
		}
		if was, is := p.counts(t), r.counts(t); !maps.Equal(was, is) {
			t.Errorf("rows: there were %v, there are %v", was, is)
		}
	})
}

// counts counts the rows of each table that a backup holds, but for the entry of the
// audit that a restore adds.
func (p *place) counts(t *testing.T) map[string]int {
	t.Helper()
	g := p.ground(t, false)
	defer g.close()
	n := map[string]int{}
	err := g.db.View(context.Background(), func(tx *store.Tx) error {
		tables, err := tx.Tables(context.Background())
		if err != nil {
			return err
		}
		for _, table := range tables {
			err := tx.DumpTable(context.Background(), table, func(row []any) error {
				if table.Name != "audit" || !slices.Contains(row, any(string(cullet.ActRestoredBackup))) {
					n[table.Name]++
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestRestoreGoesOn: PostgreSQL has no moment at which a database gets its name. What
// is filled is not served before the restore has ended, and another run ends it.
func TestRestoreGoesOn(t *testing.T) {
	cullettest.NeedsPostgres(t)
	ctx := context.Background()
	p := newPlace(t, cullettest.NewDatabase(t, "postgres"))
	p.fill(t, 10, 2)
	dir := filepath.Join(t.TempDir(), "backups")
	p.must(t, "backup", dir)
	p.project(t, "Another")
	other := dir + ".tar" // of other rows
	p.must(t, "backup", other)
	for _, step := range []string{filled, settled} {
		r := p.copyOf(t)
		r.until(t, dir, step)
		for _, args := range [][]string{{"restore-backup", other}, {"serve", "--addr", "127.0.0.1:0"}} {
			was := tree(t, r.Data)
			if _, errs, status := r.run(t, args...); status != 1 || !strings.Contains(errs, "has not come to its end") && !strings.Contains(errs, "nothing was changed") {
				t.Errorf("%s%s: status %d, %s", args[0], step, status, errs)
			}
			if is := tree(t, r.Data); !slices.Equal(was, is) {
				t.Errorf("%s%s: of %d files %d are left", args[0], step, len(was), len(is))
			}
		}
		elsewhere := *r
		elsewhere.Data = filepath.Join(t.TempDir(), "elsewhere") // the mark in the database alone tells
		if err := os.Mkdir(elsewhere.Data, 0o700); err != nil {
			t.Fatal(err)
		}
		if _, errs, status := elsewhere.run(t, "serve", "--addr", "127.0.0.1:0"); status != 1 || !strings.Contains(errs, "has not come to its end") {
			t.Errorf("serving the database from elsewhere%s: status %d, %s", step, status, errs)
		}
		r.must(t, "restore-backup", dir)
		r.check(t)
		g := r.ground(t, false)
		entries := 0
		err := g.db.View(ctx, func(tx *store.Tx) error {
			all, err := tx.ListAudit(ctx, p.opened.Workspace.ID, 0, 1000)
			for _, e := range all {
				if e.Act == cullet.ActRestoredBackup {
					entries++
				}
			}
			return err
		})
		if err != nil || entries != 1 {
			t.Errorf("A1:%s the audit has %d entries of the restore, %v; want one", step, entries, err)
		}
		g.close()
	}
}

// until restores as far as a step, and is gone then, as if it were killed.
func (p *place) until(t *testing.T, dir, step string) {
	t.Helper()
	ctx := context.Background()
	c := &restoreCommand{Source: dir, settings: p.settings}
	s, err := c.open()
	if err != nil {
		t.Fatal(err)
	}
	to, err := c.claim(s)
	if err != nil {
		t.Fatal(err)
	}
	defer to.unlock()
	conn, err := openDatabase(ctx, p.settings, "")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if at, err := to.step(ctx, conn); at != "" || err != nil {
		t.Fatalf("the restore begins at %q, %v", at, err)
	}
	driver, err := fileblob.New(p.blobs())
	if err != nil {
		t.Fatal(err)
	}
	if step == settled {
		_, err = to.fill(ctx, s, conn, blob.New(driver, cullet.SystemClock{}), "")
	} else {
		var db *store.DB
		if db, err = store.OpenAt(ctx, conn, cullet.SystemClock{}, s.Schema); err == nil {
			err = errors.Join(s.Files(ctx, blob.New(driver, cullet.SystemClock{})), s.Fill(ctx, db, to.mark+filled))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestRestoreIsLocked: two at once do not build in one folder.
func TestRestoreIsLocked(t *testing.T) {
	p := newPlace(t, cullettest.NewDatabase(t, "sqlite"))
	dir := filepath.Join(t.TempDir(), "backups")
	p.must(t, "backup", dir)
	r := p.copyOf(t)
	if err := os.MkdirAll(r.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	unlock, err := backup.Lock(filepath.Join(r.Data, restoringFile))
	if err != nil {
		t.Fatal(err)
	}
	if _, errs, status := r.run(t, "restore-backup", dir); status != 1 || !strings.Contains(errs, "another backup or restore") {
		t.Errorf("a second restore: status %d, %s", status, errs)
	}
	unlock()
	r.must(t, "restore-backup", dir)
	r.check(t)
}

// TestC6RestoredBackupWaits: a restored copy purges nothing that is due, however often
// its cleanup looks; the server it was made from did long ago.
func TestC6RestoredBackupWaits(t *testing.T) {
	cullettest.TakesLong(t, "runs servers")
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		p := newPlace(t, d)
		p.fill(t, 20, 5)
		dir := filepath.Join(t.TempDir(), "backups")
		p.must(t, "backup", dir)
		s := p.serve(t, "--cleanup-interval", "50ms")
		g := p.ground(t, false)
		defer g.close()
		waitFor(t, time.Minute, "the original to purge what is due", func() bool { return len(p.items(t, g)) == 0 })
		s.kill()
		r := p.copyOf(t)
		r.must(t, "restore-backup", dir)
		c := r.ground(t, false)
		defer c.close()
		served := r.serve(t, "--cleanup-interval", "50ms")
		defer served.kill()
		looks, last := 0, time.Time{}
		waitFor(t, time.Minute, "the copy's cleanup to look", func() bool {
			w := r.watch(t, c)
			if w.Why != cullet.BackupIsFresh {
				t.Fatalf("C6: a restored copy does not wait: %+v", w)
			}
			if w.SeenAt.After(last) {
				looks, last = looks+1, w.SeenAt
			}
			return looks > 5
		})
		items := r.items(t, c)
		if len(items) != 1 || items[0].State != cullet.Trashed || items[0].EffectiveAt.After(last) {
			t.Errorf("C6: after %d looks the copy's Trash is %+v", looks, items)
		}
	})
}

func (p *place) watch(t *testing.T, g *ground) (w cullet.ClockWatch) {
	t.Helper()
	err := g.db.View(context.Background(), func(tx *store.Tx) (err error) {
		w, err = tx.ClockWatch(context.Background())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

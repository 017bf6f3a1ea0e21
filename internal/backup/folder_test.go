package backup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/trash"
)

// purgeable is a World with many images in Trash, due at once.
func purgeable(t *testing.T, d cullettest.Database, images int) *cullettest.World {
	t.Helper()
	w := cullettest.WorldOn(t, d, cullettest.NewClock())
	throwAway(t, w, images)
	return w
}

// throwAway puts a project of many images into Trash, due at once.
func throwAway(t *testing.T, w *cullettest.World, images int) {
	t.Helper()
	p := w.Project(t, "Large")
	for n := range images {
		w.Image(t, p.ID, n)
	}
	if _, err := (&trash.Bin{DB: w.DB, Retention: time.Second}).DeleteProject(ctx, w.By, p.ID); err != nil {
		t.Fatal(err)
	}
	w.Clock.Advance(time.Minute)
}

func count(t *testing.T, w *cullettest.World) (rows, files int) {
	t.Helper()
	rows = len(view(t, w.DB, func(tx *store.Tx) ([]cullet.Blob, error) { return tx.ListBlobs(ctx, "", 1000) }))
	err := w.Blobs.List(ctx, func(blob.Info) error { files++; return nil })
	if err != nil {
		t.Fatal(err)
	}
	return rows, files
}

// TestFilesWaitForABackup purges all that a backup's snapshot has, between the snapshot
// and the copy: the rows go, their files wait, the backup is whole, and then they go.
func TestFilesWaitForABackup(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		const images = 20
		w := purgeable(t, d, images)
		_, files := count(t, w)
		engine := newEngine(w.DB, w.Blobs)
		from := source(w)
		from.dumped = func() {
			for range 3 { // it comes back to what waits
				if err := engine.Round(ctx); err != nil {
					t.Fatal(err)
				}
				w.Clock.Advance(6 * time.Second)
			}
			if rows, left := count(t, w); rows != 0 || left != files {
				t.Errorf("C6: while the backup copies there are %d rows and %d files, want none and all %d", rows, left, files)
			}
			if still := view(t, w.DB, func(tx *store.Tx) ([]cullet.TrashItem, error) { return tx.ListTrash(ctx, w.Workspace.ID) }); len(still) != 1 || still[0].Problem != "" {
				t.Errorf("the item is %+v; it waits, and that is no problem", still)
			}
		}
		folder := newFolder(t, w.Clock)
		result, err := from.ToFolder(ctx, folder, 0)
		if err != nil || int(result.Copied) != files {
			t.Fatalf("copied %d of %d files, %v", result.Copied, files, err)
		}
		w.Clock.Advance(6 * time.Second)
		if err := engine.Round(ctx); err != nil {
			t.Fatal(err)
		}
		if rows, left := count(t, w); rows+left != 0 {
			t.Errorf("C5: after the backup there are %d rows and %d files", rows, left)
		}
		w.Check(t)
		s, err := folder.Open("")
		if err != nil {
			t.Fatal(err)
		}
		r, err := restore(t, s, d.Name, w.Clock, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.check(t)
	})
}

// TestKilledBackupHoldsNothingForLong: its lease ends by itself, and one that a clock
// left in the far future holds nothing.
func TestKilledBackupHoldsNothingForLong(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := cullettest.WorldOn(t, d, cullettest.NewClock())
		for _, c := range []struct {
			name string
			move time.Duration // of the clock, after the lease was taken
			goes bool
		}{
			{"at once", 0, false},
			{"within the lease", store.BackupLease - time.Second, false},
			{"after the lease", store.BackupLease + time.Second, true},
			{"the clock went back an hour", -time.Hour, true},
		} {
			t.Run(c.name, func(t *testing.T) {
				throwAway(t, w, 3)
				if err := newEngine(w.DB, w.Blobs).BeginDue(ctx); err != nil { // however the clock goes then
					t.Fatal(err)
				}
				update(t, w.DB, func(tx *store.Tx) error { return tx.AddBackup(ctx, "killed") })
				w.Clock.Advance(c.move)
				if err := newEngine(w.DB, w.Blobs).Round(ctx); err != nil {
					t.Fatal(err)
				}
				if rows, files := count(t, w); rows != 0 || (files == 0) != c.goes {
					t.Errorf("there are %d rows and %d files; files go: %v wanted", rows, files, c.goes)
				}
				w.Clock.Advance(2 * time.Minute)
				update(t, w.DB, func(tx *store.Tx) error { return tx.RemoveBackup(ctx, "killed") })
				if err := newEngine(w.DB, w.Blobs).Round(ctx); err != nil {
					t.Fatal(err)
				}
				w.Check(t)
			})
		}
	})
}

// TestALostLease ends the backup where a file is gone before it was copied, without a
// snapshot, and the next one is whole.
func TestALostLease(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := purgeable(t, d, 3)
		p := w.Project(t, "Other")
		w.Image(t, p.ID, 1000)
		from := source(w)
		from.dumped = func() {
			update(t, w.DB, func(tx *store.Tx) error { // a machine that slept
				_, err := tx.SQL().ExecContext(ctx, `UPDATE backups SET until = 1`)
				return err
			})
			if err := newEngine(w.DB, w.Blobs).Round(ctx); err != nil {
				t.Fatal(err)
			}
		}
		folder := newFolder(t, w.Clock)
		_, err := from.ToFolder(ctx, folder, 0)
		if cullet.CodeOf(err) != cullet.Conflict || !strings.Contains(err.Error(), "is missing") {
			t.Fatalf("a file that is gone: %v", err)
		}
		if _, err := folder.Open(""); cullet.CodeOf(err) != cullet.NotFound {
			t.Errorf("there is a snapshot: %v", err)
		}
		file := filepath.Join(t.TempDir(), "b.tar")
		throwAway(t, w, 3)
		if _, err := from.ToFile(ctx, file); cullet.CodeOf(err) != cullet.Conflict {
			t.Errorf("a file that is gone, into a tar: %v", err)
		}
		if left, _ := filepath.Glob(file + "*"); len(left) != 0 {
			t.Errorf("it left %v", left)
		}
		if _, err := source(w).ToFolder(ctx, folder, 0); err != nil {
			t.Fatal(err)
		}
		held := view(t, w.DB, func(tx *store.Tx) (bool, error) { return tx.BackupRunning(ctx) })
		if held {
			t.Error("a backup that ended holds its lease")
		}
	})
}

// TestTheLeaseIsRenewed as time passes, and its loss ends the backup.
func TestTheLeaseIsRenewed(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := cullettest.WorldOn(t, d, cullettest.NewClock())
		held, release, err := source(w).hold(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		end := func() int64 {
			return view(t, w.DB, func(tx *store.Tx) (n int64, err error) {
				return n, tx.SQL().QueryRowContext(ctx, `SELECT COALESCE(MAX(until), 0) FROM backups`).Scan(&n)
			})
		}
		renewed := make(chan struct{}, 10)
		w.DB.Watch(func(statement string, _ int64) {
			if strings.HasPrefix(statement, "UPDATE backups") {
				renewed <- struct{}{}
			}
		})
		defer w.DB.Watch(nil)
		for range 3 {
			before := end()
			w.Clock.Advance(store.BackupLease / 6)
			select {
			case <-renewed:
			case <-held.Done():
				t.Fatal(held.Err())
			}
			for end() == before { // the statement has run; its commit is a moment away
				runtime.Gosched()
			}
		}
		w.Clock.Advance(2 * store.BackupLease)
		<-held.Done()
		if err := causeOf(held, errors.New("cut off")); cullet.CodeOf(err) != cullet.Conflict || !strings.Contains(err.Error(), "lease ran out") {
			t.Errorf("a lost lease: %v", err)
		}
	})
}

// TestIncremental: what an earlier backup copied is not copied again.
func TestIncremental(t *testing.T) {
	w := cullettest.NewWorld(t, "sqlite")
	p := w.Project(t, "Belt")
	for n := range 10 {
		w.Image(t, p.ID, n)
	}
	folder := newFolder(t, w.Clock)
	first, err := source(w).ToFolder(ctx, folder, 0)
	if err != nil || first.Copied != 20 || first.Present != 0 { // each with its thumbnail
		t.Fatalf("the first copied %d, %v", first.Copied, err)
	}
	for n := range 3 {
		w.Image(t, p.ID, 100+n)
	}
	second, err := source(w).ToFolder(ctx, folder, 0)
	if err != nil || second.Copied != 6 || second.Present != 20 || second.CopiedBytes == 0 {
		t.Errorf("the second copied %d and found %d, %v; want 6 and 20", second.Copied, second.Present, err)
	}
	// One that is there only in part is copied again.
	i := view(t, w.DB, func(tx *store.Tx) ([]cullet.Blob, error) { return tx.ListBlobs(ctx, "", 1) })[0]
	if err := folder.Blobs.Remove(ctx, i.Path); err != nil {
		t.Fatal(err)
	}
	third, err := source(w).ToFolder(ctx, folder, 0)
	if err != nil || third.Copied != 1 || third.Present != 25 {
		t.Errorf("the third copied %d and found %d, %v; want 1 and 25", third.Copied, third.Present, err)
	}
	for _, at := range []string{first.Where, second.Where, ""} {
		s, err := folder.Open(at)
		if err != nil {
			t.Fatal(err)
		}
		r, err := restore(t, s, "sqlite", w.Clock, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.check(t)
	}
	if _, err := folder.Open("20200101T000000Z"); cullet.CodeOf(err) != cullet.NotFound || !strings.Contains(err.Error(), first.Where) {
		t.Errorf("a snapshot that is not there: %v; it should name those that are", err)
	}
}

// TestKeep removes the oldest snapshots, and just the files that no other refers to.
func TestKeep(t *testing.T) {
	w := cullettest.NewWorld(t, "sqlite")
	p := w.Project(t, "Belt")
	w.Image(t, p.ID, 0)
	old := w.Project(t, "Old")
	for n := range 4 {
		w.Image(t, old.ID, 10+n)
	}
	folder := newFolder(t, w.Clock)
	backup := func(keep int) Result {
		t.Helper()
		w.Clock.Advance(time.Hour)
		r, err := source(w).ToFolder(ctx, folder, keep)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	first, second := backup(2), backup(2)
	if len(second.Removed) != 0 {
		t.Errorf("of two, %v is removed", second.Removed)
	}
	if _, err := (&trash.Bin{DB: w.DB, Retention: time.Second}).DeleteProject(ctx, w.By, old.ID); err != nil {
		t.Fatal(err)
	}
	live(t, newEngine(w.DB, w.Blobs), w.Clock, 30*time.Minute)
	third := backup(2) // the second refers to all files yet
	if !slices.Equal(third.Removed, []string{first.Where}) || third.FreedBlobs != 0 {
		t.Errorf("the third removed %v and %d files", third.Removed, third.FreedBlobs)
	}
	fourth := backup(2)
	if !slices.Equal(fourth.Removed, []string{second.Where}) || fourth.FreedBlobs != 8 || fourth.FreedBytes == 0 {
		t.Errorf("the fourth removed %v and %d files, want %s and 8", fourth.Removed, fourth.FreedBlobs, second.Where)
	}
	left := 0
	if err := folder.Blobs.List(ctx, func(blob.Info) error { left++; return nil }); err != nil || left != 2 {
		t.Errorf("%d files are left, %v; want 2", left, err)
	}
	for _, at := range []string{third.Where, fourth.Where} {
		s, err := folder.Open(at)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := restore(t, s, "sqlite", w.Clock, nil); err != nil {
			t.Error(err)
		} else {
			r.check(t)
		}
	}
	// C11: a snapshot that cannot be read may need any file.
	for _, name := range []string{manifestName, dumpName} {
		damage(t, filepath.Join(folder.snapshots(), fourth.Where, name))
		w.Clock.Advance(time.Hour)
		r, err := source(w).ToFolder(ctx, folder, 1+len(name)%2) // the damaged one is kept, or not
		if name == manifestName && (err == nil || len(r.Removed) != 0 || !strings.Contains(err.Error(), fourth.Where)) {
			t.Errorf("with a damaged %s: removed %v, %v", name, r.Removed, err)
		}
	}
}

// damage changes one byte in the middle of a file.
func damage(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 0x11
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestUnfinished: what a killed backup left is no snapshot, and the next one clears it.
func TestUnfinished(t *testing.T) {
	w := cullettest.NewWorld(t, "sqlite")
	p := w.Project(t, "Belt")
	w.Image(t, p.ID, 0)
	folder := newFolder(t, w.Clock)
	first, err := source(w).ToFolder(ctx, folder, 0)
	if err != nil {
		t.Fatal(err)
	}
	w.Clock.Advance(time.Hour)
	killed := filepath.Join(folder.snapshots(), "20990101T000000Z")
	if err := errors.Join(os.Mkdir(killed, 0o700), os.WriteFile(filepath.Join(killed, dumpName), []byte("half"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if s, err := folder.Open(""); err != nil || s.Where != first.Where {
		t.Errorf("the latest snapshot is %+v, %v; one without a manifest is none", s, err)
	}
	if _, err := folder.Open("20990101T000000Z"); cullet.CodeOf(err) != cullet.NotFound {
		t.Errorf("opening one without a manifest: %v", err)
	}
	second, err := source(w).ToFolder(ctx, folder, 0)
	if err != nil || !slices.Equal(second.Unfinished, []string{"20990101T000000Z"}) {
		t.Errorf("the next backup removed %v, %v", second.Unfinished, err)
	}
	if _, err := os.Stat(killed); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is there yet: %v", err)
	}
	if runs, err := Lock(filepath.Join(folder.Dir, "lock")); err != nil {
		t.Error(err)
	} else {
		_, err := source(w).ToFolder(ctx, folder, 0)
		if cullet.CodeOf(err) != cullet.Conflict {
			t.Errorf("two at once into one folder: %v, want a conflict", err)
		}
		runs()
	}
}

// TestPrepare takes no folder that holds anything else: files are removed in it.
func TestPrepare(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cullet.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Prepare(dir); cullet.CodeOf(err) != cullet.Conflict || !strings.Contains(err.Error(), "cullet.db") {
		t.Errorf("a server's folder: %v", err)
	}
	fresh := filepath.Join(dir, "new", "folder")
	for range 2 {
		if err := Prepare(fresh); err != nil || !IsFolder(fresh) {
			t.Errorf("a new folder: %v", err)
		}
	}
}

// TestPowerOfTheManifest: each thing that it says is held against what is there.
func TestPowerOfTheManifest(t *testing.T) {
	w := cullettest.NewWorld(t, "sqlite")
	p := w.Project(t, "Belt")
	w.Image(t, p.ID, 0)
	folder := newFolder(t, w.Clock)
	r, err := source(w).ToFolder(ctx, folder, 0)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder.snapshots(), r.Where, manifestName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ was, is, want string }{
		{`"acme"`, `"evil"`, "manifest was changed"},
		{`"format": 1`, `"format": 2`, "of format 2"},
		{`"blobs": 2`, `"blobs": 1`, "manifest was changed"},
		{`{`, `[`, "no JSON object"},
		{`"dump_sha256": "`, `"dump_sha256": "0`, "manifest was changed"},
	} {
		changed := strings.Replace(string(whole), c.was, c.is, 1)
		if changed == string(whole) {
			t.Fatalf("the manifest has no %s:\n%s", c.was, whole)
		}
		if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := folder.Open(""); cullet.CodeOf(err) != cullet.Invalid || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), r.Where) {
			t.Errorf("%s for %s: %v, want %q and the snapshot's name", c.is, c.was, err, c.want)
		}
	}
	// A manifest that proves itself, and speaks of something else.
	for what, change := range map[string]func(m *Manifest){
		"the table images has": func(m *Manifest) { m.Tables["images"]++ },
		"the table folders":    func(m *Manifest) { m.Tables["folders"] = 7 },
		"refers to 2 files":    func(m *Manifest) { m.Blobs++ },
		"files of":             func(m *Manifest) { m.Bytes-- },
		"digest is not":        func(m *Manifest) { m.DumpDigest = strings.Repeat("0", 64) },
		"of schema":            func(m *Manifest) { m.Schema = 1 },
		"newer Cullet":         func(m *Manifest) { m.Schema = 1000 },
	} {
		m, err := readManifest(strings.NewReader(string(whole)))
		if err != nil {
			t.Fatal(err)
		}
		change(&m)
		sealed, err := m.seal()
		if err := errors.Join(err, os.WriteFile(path, sealed, 0o600)); err != nil {
			t.Fatal(err)
		}
		s, err := folder.Open("")
		if err == nil {
			err = s.Check(ctx)
		}
		if cullet.CodeOf(err) != cullet.Invalid || !strings.Contains(fmt.Sprint(err), what) {
			t.Errorf("%v, want %q", err, what)
		}
	}
}

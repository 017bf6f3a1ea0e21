package fileblob

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/blob/blobtest"
)

func open(t *testing.T) *Driver {
	t.Helper()
	d, err := New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestSuite(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, func(t *testing.T) blob.Driver { return open(t) })
}

// The order of syncs is what a power cut tests: the bytes before their name, the
// name before Put returns.
func TestSyncOrder(t *testing.T) {
	t.Parallel()
	d := open(t)
	var synced []string
	d.sync = func(f *os.File) error {
		rel, err := filepath.Rel(d.dir, f.Name())
		if err != nil {
			return err
		}
		if strings.HasPrefix(rel, "tmp/") {
			rel = "tmp/draft"
		}
		synced = append(synced, rel)
		return f.Sync()
	}
	s := blob.New(d, blobtest.NewClock())
	for _, want := range [][]string{
		{"tmp/draft", "objects", "objects/2c"},
		{"tmp/draft", "objects/2c"}, // the folder's own entry is durable by now
	} {
		synced = nil
		if _, err := s.Put(t.Context(), strings.NewReader("foo"), blob.NoLimit); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(synced, want) {
			t.Errorf("synced %q, want %q", synced, want)
		}
	}
	// Another process that finds the folder syncs objects/ all the same: the one
	// that made it may not have come to that.
	other, err := New(d.dir)
	if err != nil {
		t.Fatal(err)
	}
	synced, other.sync = nil, d.sync
	if _, err := blob.New(other, blobtest.NewClock()).Put(t.Context(), strings.NewReader("foo"), blob.NoLimit); err != nil {
		t.Fatal(err)
	}
	if want := []string{"tmp/draft", "objects", "objects/2c"}; !slices.Equal(synced, want) {
		t.Errorf("a second process synced %q, want %q", synced, want)
	}
}

// Whichever sync fails, nothing is left, and a full disk is said in words.
func TestSyncFails(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"tmp", "objects", "objects/2c"} {
		for _, why := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EIO} {
			d := open(t)
			d.sync = func(f *os.File) error {
				if rel, _ := filepath.Rel(d.dir, f.Name()); rel == where || filepath.Dir(rel) == where && where == "tmp" {
					return &os.PathError{Op: "sync", Path: rel, Err: why}
				}
				return nil
			}
			_, err := blob.New(d, blobtest.NewClock()).Put(t.Context(), strings.NewReader("foo"), blob.NoLimit)
			want := cullet.Unavailable
			if why == syscall.EIO {
				want = cullet.Internal
			}
			if !errors.Is(err, why) || cullet.CodeOf(err) != want {
				t.Errorf("sync of %s fails with %v: %v (%s), want %s", where, why, err, cullet.CodeOf(err), want)
			}
			if left := files(t, d.dir); len(left) > 0 {
				t.Errorf("sync of %s fails: left behind %q", where, left)
			}
		}
	}
}

// Folders that somebody tidied away are made again.
func TestFolderRemoved(t *testing.T) {
	t.Parallel()
	d := open(t)
	s := blob.New(d, blobtest.NewClock())
	for range 2 {
		p, err := s.Put(t.Context(), strings.NewReader("foo"), blob.NoLimit)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Remove(t.Context(), p.Path); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(d.dir, "objects", "2c")); err != nil {
			t.Fatal(err)
		}
	}
}

// What is not ours is neither listed nor swept.
func TestStrangers(t *testing.T) {
	t.Parallel()
	d := open(t)
	s := blob.New(d, blobtest.NewClock())
	for _, name := range []string{"objects/.DS_Store", "objects/ab/notes.txt", "tmp/x", "quarantine/x", "tmp/20200101T000000Z"} {
		path := filepath.Join(d.dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc", filepath.Join(d.dir, "objects", "cd")); err != nil {
		t.Fatal(err)
	}
	err := s.List(t.Context(), func(i blob.Info) error { t.Errorf("listed %+v", i); return nil })
	if err != nil {
		t.Fatal(err)
	}
	later := blobtest.Start.AddDate(10, 0, 0)
	temp, err1 := s.SweepTemp(t.Context(), later)
	held, err2 := s.SweepQuarantine(t.Context(), later)
	if temp != 0 || held != 0 || err1 != nil || err2 != nil {
		t.Errorf("swept %d and %d, %v, %v", temp, held, err1, err2)
	}
}

func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func BenchmarkPut200KB(b *testing.B) {
	d, err := New(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	s := blob.New(d, blobtest.NewClock())
	data := strings.Repeat("0123456789", 20_000)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := s.Put(b.Context(), strings.NewReader(data), blob.NoLimit); err != nil {
			b.Fatal(err)
		}
	}
}

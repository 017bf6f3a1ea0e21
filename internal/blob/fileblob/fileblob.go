// Package fileblob keeps blobs in a folder of the local disk.
//
//	DIR/objects/<aa>/<digest>-<random>   what rows may refer to
//	DIR/tmp/<time>_<random>              what is being written
//	DIR/quarantine/<time>_<digest>-<random>
//	DIR/pending/<digest>-<random>        a second name of an object that has no row yet
//
// An object counts as written after: fsync of its file, rename, fsync of the
// folder it is in, and fsync of objects/ once after the folder was made.
package fileblob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/failpoint"
)

// Driver keeps blobs below one folder. Several processes may use the same folder.
type Driver struct {
	dir string

	mu    sync.Mutex
	known map[string]bool // folders whose entry in objects/ is known to be durable

	lock *os.File // held by a process that took its place with Alone

	sync func(*os.File) error // (*os.File).Sync, but for tests
}

// New uses the folder, which it makes where there is none.
func New(dir string) (*Driver, error) {
	d := &Driver{dir: dir, known: map[string]bool{}, sync: (*os.File).Sync}
	for _, area := range blob.Areas() {
		if err := os.MkdirAll(filepath.Join(dir, string(area)), 0o700); err != nil {
			return nil, fmt.Errorf("make the blob folder: %w", err)
		}
	}
	if err := d.syncDir(dir); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *Driver) path(area blob.Area, name string) string {
	return filepath.Join(d.dir, string(area), filepath.FromSlash(name))
}

// Create makes the draft's file.
func (d *Driver) Create(_ context.Context, name string) (blob.Draft, error) {
	f, err := os.OpenFile(d.path(blob.Temp, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, translate(err)
	}
	failpoint.Pass("blob.created")
	return &draft{d: d, f: f}, nil
}

type draft struct {
	d *Driver
	f *os.File
}

func (t *draft) Write(p []byte) (int, error) {
	if err := failpoint.At("blob.write"); err != nil {
		return 0, translate(err)
	}
	n, err := t.f.Write(p)
	return n, translate(err)
}

// Commit makes the bytes durable before it gives them their name, and the name
// durable before it returns: a row that is written afterwards never points at
// nothing.
func (t *draft) Commit(_ context.Context, name string, now time.Time) error {
	err := errors.Join(os.Chtimes(t.f.Name(), now, now), failpoint.At("blob.sync"), t.d.sync(t.f), t.f.Close())
	if err != nil {
		return errors.Join(translate(err), remove(t.f.Name()))
	}
	to, mark := t.d.path(blob.Objects, name), t.d.path(blob.Pending, path.Base(name))
	// The mark comes first: an object without one is there for good. A file system
	// without hard links leaves what a kill leaves to fsck.
	if err := t.link(mark); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrPermission) {
		return errors.Join(translate(err), remove(t.f.Name()))
	}
	if err := t.d.rename(t.f.Name(), to); err != nil {
		return errors.Join(translate(err), remove(mark), remove(t.f.Name()))
	}
	if err := errors.Join(failpoint.At("blob.folder"), t.d.syncDir(filepath.Dir(to))); err != nil {
		return errors.Join(translate(err), remove(to), remove(mark))
	}
	failpoint.Pass("blob.committed")
	return nil
}

func (t *draft) link(mark string) error {
	if err := failpoint.At("blob.mark"); err != nil {
		return err
	}
	return os.Link(t.f.Name(), mark)
}

// Discard closes and unlinks the draft's file.
func (t *draft) Discard() error {
	_ = t.f.Close() // nobody needs what it holds
	return remove(t.f.Name())
}

// rename gives a file its place among the objects, whose folder it makes where
// there is none.
func (d *Driver) rename(from, to string) error {
	folder := filepath.Dir(to)
	if err := errors.Join(failpoint.At("blob.rename"), d.ensure(folder, false)); err != nil {
		return err
	}
	err := os.Rename(from, to)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// Somebody tidied the empty folder away since we made it.
	if err := d.ensure(folder, true); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// ensure makes a folder below objects/ durably. It syncs objects/ even where the
// folder was there: whoever made it may not have come to that yet.
func (d *Driver) ensure(folder string, again bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known[folder] && !again {
		return nil
	}
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := d.syncDir(filepath.Dir(folder)); err != nil {
		return err
	}
	d.known[folder] = true
	return nil
}

func (d *Driver) syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.sync(f), f.Close())
}

// Open opens an object's file: an *os.File, so that it can be sent to a socket
// without passing through our memory.
func (d *Driver) Open(_ context.Context, name string) (io.ReadSeekCloser, int64, error) {
	f, err := os.Open(d.path(blob.Objects, name))
	if err != nil {
		return nil, 0, translate(err)
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file", f.Name())
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, st.Size(), nil
}

// Remove unlinks a file.
func (d *Driver) Remove(_ context.Context, area blob.Area, name string) error {
	return translate(os.Remove(d.path(area, name)))
}

// List walks the area, a few hundred names in memory at a time.
func (d *Driver) List(ctx context.Context, area blob.Area, fn func(blob.Info) error) error {
	return d.list(ctx, area, "", fn)
}

func (d *Driver) list(ctx context.Context, area blob.Area, below string, fn func(blob.Info) error) error {
	dir, err := os.Open(d.path(area, below))
	if errors.Is(err, fs.ErrNotExist) && below != "" {
		return nil // gone since its parent was read
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	for {
		entries, err := dir.ReadDir(512)
		for _, e := range entries {
			if err := ctx.Err(); err != nil {
				return err
			}
			name := filepath.ToSlash(filepath.Join(below, e.Name()))
			switch {
			case e.IsDir() && below == "":
				err = d.list(ctx, area, name, fn)
			case e.Type().IsRegular():
				err = listed(name, e, fn)
			default:
				err = nil // links and pipes are not ours
			}
			if err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func listed(name string, e fs.DirEntry, fn func(blob.Info) error) error {
	st, err := e.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return nil // gone since the folder was read
	}
	if err != nil {
		return err
	}
	return fn(blob.Info{Path: name, Bytes: st.Size(), ModTime: st.ModTime()})
}

// Quarantine renames an object's file and makes the new name durable first: a
// power cut may leave both names, never neither.
func (d *Driver) Quarantine(_ context.Context, name, to string) error {
	from := d.path(blob.Objects, name)
	if err := os.Rename(from, d.path(blob.Quarantined, to)); err != nil {
		return translate(err)
	}
	return errors.Join(d.syncDir(d.path(blob.Quarantined, "")), d.syncDir(filepath.Dir(from)))
}

// remove unlinks what may be gone already.
func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove what was begun: %w", err)
	}
	return nil
}

// translate tells the store's errors by number, never by text. An open folder of
// the path that is missing is no missing blob when a draft is made, and cannot
// be told from one here; New made the folders.
func translate(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w (%w)", blob.ErrNotFound, err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w (%w)", blob.ErrFull, err)
	}
	return err
}

// String names the folder, for logs.
func (d *Driver) String() string { return "folder " + strings.TrimSuffix(d.dir, "/") }

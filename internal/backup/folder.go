package backup

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/blob"
)

// Folder keeps any number of snapshots, which share their files:
//
//	DIR/blobs/                              a store of bytes like a server's own
//	DIR/snapshots/<time>/database.jsonl.gz
//	DIR/snapshots/<time>/manifest.json      written last
type Folder struct {
	Dir   string
	Blobs *blob.Store // over DIR/blobs
}

// BlobsOf is where a folder of backups keeps its files.
func BlobsOf(dir string) string { return filepath.Join(dir, "blobs") }

// IsFolder says whether a folder is one of backups.
func IsFolder(dir string) bool {
	st, err := os.Stat(Folder{Dir: dir}.snapshots())
	return err == nil && st.IsDir()
}

// Prepare makes a folder of backups, or takes one that is there. A folder that holds
// anything else is refused: files are removed in it, so it must not be a server's.
func Prepare(dir string) error {
	if IsFolder(dir) {
		return nil
	}
	there, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(there) > 0 {
		return cullet.E(cullet.Conflict, "%s holds something else than backups, such as %s; name a new folder, or one with backups", dir, there[0].Name())
	}
	return os.MkdirAll(Folder{Dir: dir}.snapshots(), 0o700)
}

func (f Folder) snapshots() string { return filepath.Join(f.Dir, "snapshots") }

// atOnce is how many files are copied at once: the disk is told to keep each one, and
// several of these take hardly longer than one.
const atOnce = 8

// ToFolder adds a snapshot to the folder, copying the files that are not in it yet.
// With keep > 0 it then removes all but that many of the newest snapshots, and the
// files that none of these refers to.
func (s Source) ToFolder(ctx context.Context, f Folder, keep int) (r Result, err error) {
	unlock, err := Lock(filepath.Join(f.Dir, "lock"))
	if err != nil {
		return r, err
	}
	defer unlock()
	if r.Unfinished, err = f.tidy(ctx, s.DB.Clock()); err != nil {
		return r, fmt.Errorf("clearing what an earlier backup left: %w", err)
	}
	if err := s.add(ctx, f, &r); err != nil {
		return r, err
	}
	if keep > 0 {
		err = f.prune(ctx, keep, &r)
	}
	return r, err
}

// tidy removes what backups left that were killed. With the lock held none is alive.
// Their files stay: the next snapshot needs most of them.
func (f Folder) tidy(ctx context.Context, clock cullet.Clock) (unfinished []string, err error) {
	all, err := f.list()
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		if e.unfinished {
			unfinished = append(unfinished, e.name)
			err = errors.Join(err, os.RemoveAll(filepath.Join(f.snapshots(), e.name)))
		}
	}
	now := clock.Now().Add(time.Minute) // the stamps of drafts are rounded up
	_, swept := f.Blobs.SweepTemp(ctx, now)
	settled := f.Blobs.Unsettled(ctx, now, func(path string) error { return f.Blobs.Settle(ctx, path) })
	return unfinished, errors.Join(err, swept, settled)
}

func (s Source) add(ctx context.Context, f Folder, r *Result) error {
	held, release, err := s.hold(ctx)
	if err != nil {
		return err
	}
	defer release()
	name, err := f.begin(s.DB.Clock().Now())
	if err != nil {
		return err
	}
	dir := filepath.Join(f.snapshots(), name)
	if err := s.write(held, f, dir, r); err != nil {
		// Without a manifest it is no snapshot; what is left of it, the next backup clears.
		return errors.Join(causeOf(held, err), os.RemoveAll(dir))
	}
	r.Where = name
	return nil
}

// begin makes a snapshot's folder, named for the time.
func (f Folder) begin(now time.Time) (string, error) {
	stamp := now.UTC().Format("20060102T150405Z")
	for n := 1; ; n++ {
		name := stamp
		if n > 1 {
			name = fmt.Sprintf("%s-%d", stamp, n)
		}
		err := os.Mkdir(filepath.Join(f.snapshots(), name), 0o700)
		if !errors.Is(err, fs.ErrExist) {
			return name, err
		}
	}
}

func (s Source) write(ctx context.Context, f Folder, dir string, r *Result) error {
	d, err := os.OpenFile(filepath.Join(dir, dumpName), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer d.Close()
	if r.Manifest, err = s.snapshot(ctx, d); err != nil {
		return err
	}
	if s.dumped != nil {
		s.dumped()
	}
	if _, err := d.Seek(0, 0); err != nil {
		return err
	}
	var mu sync.Mutex
	err = together(ctx, func(give func(file) error) error { return files(d, give) }, func(ctx context.Context, i file) error {
		copied, err := s.copy(ctx, f, i)
		mu.Lock()
		defer mu.Unlock()
		if copied {
			r.Copied++
			r.CopiedBytes += i.bytes
		} else {
			r.Present++
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := d.Close(); err != nil {
		return err
	}
	sealed, err := r.seal()
	if err != nil {
		return err
	}
	return errors.Join(writeWhole(filepath.Join(dir, manifestName), sealed), syncDir(f.snapshots()), syncDir(f.Dir))
}

// copy copies one file, unless it is there: a path is used once, and a file has it
// only when it was whole.
func (s Source) copy(ctx context.Context, f Folder, i file) (copied bool, err error) {
	if there, n, err := f.Blobs.Open(ctx, i.path); err == nil {
		_ = there.Close() // nothing was read
		if n == i.bytes {
			return false, nil
		}
	} else if !errors.Is(err, blob.ErrNotFound) {
		return false, err
	}
	from, _, err := s.open(ctx, i.path)
	if err != nil {
		return false, err
	}
	defer from.Close()
	_, err = f.Blobs.Import(ctx, i.path, from)
	return err == nil, explain(i.path, err)
}

// together has several files copied at once, and ends with the first error.
func together(ctx context.Context, each func(give func(file) error) error, work func(context.Context, file) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	todo := make(chan file)
	var workers sync.WaitGroup
	for range atOnce {
		workers.Go(func() {
			for i := range todo {
				if err := work(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	err := each(func(i file) error {
		select {
		case todo <- i:
			return ctx.Err()
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	close(todo)
	workers.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// writeWhole makes a file that is there whole and durable, or not at all.
func writeWhole(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// entry is what lies among the snapshots.
type entry struct {
	name       string
	manifest   Manifest
	unfinished bool  // it has no manifest: no snapshot
	damaged    error // its manifest cannot be trusted
}

// list returns what lies among the snapshots, oldest first.
func (f Folder) list() ([]entry, error) {
	found, err := os.ReadDir(f.snapshots())
	if err != nil {
		return nil, err
	}
	var all []entry
	for _, d := range found {
		if !d.IsDir() {
			continue
		}
		e := entry{name: d.Name()}
		m, err := os.Open(filepath.Join(f.snapshots(), e.name, manifestName))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			e.unfinished = true
		case err != nil:
			e.damaged = err
		default:
			e.manifest, e.damaged = readManifest(m)
			_ = m.Close() // it was read
		}
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b entry) int {
		if c := a.manifest.Time.Compare(b.manifest.Time); c != 0 {
			return c
		}
		return strings.Compare(a.name, b.name)
	})
	return all, nil
}

// prune removes the oldest snapshots, and the files that no other refers to. In doubt
// it removes nothing: a snapshot that cannot be read may refer to any file.
func (f Folder) prune(ctx context.Context, keep int, r *Result) error {
	all, err := f.list()
	if err != nil {
		return err
	}
	for _, e := range all {
		if e.damaged != nil {
			return fmt.Errorf("the backup is done, but nothing old was removed: the snapshot %s is damaged, and may need any file (%w)", e.name, e.damaged)
		}
	}
	old := all[:max(0, len(all)-keep)]
	kept, err := f.references(ctx, all[len(old):])
	if err != nil {
		return fmt.Errorf("the backup is done, but nothing old was removed: %w", err)
	}
	for _, e := range old {
		dir := filepath.Join(f.snapshots(), e.name)
		// The manifest goes first: what is left then is no snapshot, whenever this ends.
		err := errors.Join(os.Remove(filepath.Join(dir, manifestName)), syncDir(dir), os.RemoveAll(dir))
		if err != nil {
			return err
		}
		r.Removed = append(r.Removed, e.name)
	}
	return f.Blobs.List(ctx, func(i blob.Info) error {
		if _, needed := slices.BinarySearch(kept, fingerprint(i.Path)); needed {
			return nil
		}
		if err := f.Blobs.Remove(ctx, i.Path); err != nil {
			return err
		}
		r.FreedBlobs++
		r.FreedBytes += i.Bytes
		return nil
	})
}

// references returns the fingerprints of the files that snapshots refer to, sorted:
// eight bytes a file.
func (f Folder) references(ctx context.Context, some []entry) (all []uint64, err error) {
	for _, e := range some {
		n := int64(0)
		err := f.filesOf(ctx, e.name, func(i file) error {
			n++
			all = append(all, fingerprint(i.path))
			return nil
		})
		if err == nil && n != e.manifest.Blobs {
			err = cullet.E(cullet.Invalid, "its dump names %d files instead of %d", n, e.manifest.Blobs)
		}
		if err != nil {
			return nil, fmt.Errorf("the snapshot %s: %w", e.name, err)
		}
		slices.Sort(all)
		all = slices.Compact(all)
	}
	return all, nil
}

func (f Folder) filesOf(ctx context.Context, name string, fn func(file) error) error {
	d, err := os.Open(filepath.Join(f.snapshots(), name, dumpName))
	if err != nil {
		return err
	}
	defer d.Close()
	return files(d, func(i file) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return fn(i)
	})
}

// fingerprint is a part of a path's random end. Two paths that have the same one are
// both kept where one is.
func fingerprint(path string) uint64 {
	b, _ := hex.DecodeString(path[len(path)-16:]) // the form of paths is checked
	n := uint64(0)
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}

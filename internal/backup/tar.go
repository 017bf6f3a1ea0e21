package backup

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/blob"
)

// A file of a backup is a tar: the dump, the files that its rows refer to in the
// dump's order, and the manifest last.

const inTar = "blobs/" // before the path of a file

// ToFile writes one snapshot into a file, which appears when it is whole. One that is
// there is replaced then.
func (s Source) ToFile(ctx context.Context, path string) (r Result, err error) {
	partial := path + ".partial"
	unlock, err := Lock(partial)
	if err != nil {
		return r, err
	}
	defer unlock()
	held, release, err := s.hold(ctx)
	if err != nil {
		return r, errors.Join(err, os.Remove(partial))
	}
	defer release()
	if err := causeOf(held, s.tar(held, partial, &r)); err != nil {
		return r, errors.Join(err, os.Remove(partial))
	}
	r.Where = path
	if err := os.Rename(partial, path); err != nil {
		return r, err
	}
	return r, syncDir(filepath.Dir(path))
}

func (s Source) tar(ctx context.Context, partial string, r *Result) error {
	d, err := os.OpenFile(partial+".dump", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = errors.Join(d.Close(), os.Remove(d.Name())) }() // the tar holds it, or there is none
	if r.Manifest, err = s.snapshot(ctx, d); err != nil {
		return err
	}
	if s.dumped != nil {
		s.dumped()
	}
	out, err := os.OpenFile(partial, os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	t := tar.NewWriter(out)
	if err := s.entries(ctx, t, d, r); err != nil {
		return err
	}
	return errors.Join(t.Close(), out.Sync(), out.Close())
}

func (s Source) entries(ctx context.Context, t *tar.Writer, d *os.File, r *Result) error {
	if _, err := d.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := addEntry(t, dumpName, r.DumpBytes, r.Time, d); err != nil {
		return err
	}
	if _, err := d.Seek(0, io.SeekStart); err != nil {
		return err
	}
	err := files(d, func(i file) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		from, n, err := s.open(ctx, i.path)
		if err != nil {
			return err
		}
		defer from.Close()
		sum := sha256.New()
		if err := addEntry(t, inTar+i.path, n, r.Time, io.TeeReader(from, sum)); err != nil {
			return err
		}
		if hex.EncodeToString(sum.Sum(nil)) != i.digest {
			return explain(i.path, blob.ErrCorrupt)
		}
		r.Copied++
		r.CopiedBytes += n
		return nil
	})
	if err != nil {
		return err
	}
	sealed, err := r.seal()
	if err != nil {
		return err
	}
	if err := t.WriteHeader(header(manifestName, int64(len(sealed)), r.Time)); err != nil {
		return err
	}
	_, err = t.Write(sealed)
	return err
}

func header(name string, size int64, at time.Time) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: at.Truncate(time.Second)}
}

func addEntry(t *tar.Writer, name string, size int64, at time.Time, from io.Reader) error {
	if err := t.WriteHeader(header(name, size, at)); err != nil {
		return err
	}
	n, err := io.Copy(t, from)
	if err == nil && n != size {
		err = fmt.Errorf("%s has %d bytes instead of %d", name, n, size)
	}
	return err
}

// OpenFile opens a backup that is one file.
func OpenFile(path string) (*Snapshot, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	s := &Snapshot{Where: path, close: f.Close}
	s.dump = func() (io.ReadCloser, error) {
		t, err := rewind(f)
		if err != nil {
			return nil, err
		}
		h, err := t.Next()
		if err != nil || h.Name != dumpName || h.Typeflag != tar.TypeReg {
			return nil, cullet.E(cullet.Invalid, "%s is no backup of Cullet's: it does not begin with %s", path, dumpName)
		}
		return io.NopCloser(t), nil
	}
	s.copy = func(ctx context.Context, into *blob.Store) error { return copyTar(ctx, f, s, into) }
	if s.Manifest, err = tarManifest(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return s, nil
}

func rewind(f *os.File) (*tar.Reader, error) {
	_, err := f.Seek(0, io.SeekStart)
	return tar.NewReader(f), err
}

// tarManifest finds the last entry: without it the file is cut off.
func tarManifest(f *os.File) (Manifest, error) {
	t, err := rewind(f)
	if err != nil {
		return Manifest{}, err
	}
	for first := true; ; first = false {
		h, err := t.Next()
		switch {
		case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
			return Manifest{}, cullet.E(cullet.Invalid, "%s is cut off: it has no manifest at its end", f.Name())
		case err != nil:
			return Manifest{}, cullet.E(cullet.Invalid, "%s is no backup, or a damaged one (%v)", f.Name(), err)
		case first && h.Name != dumpName:
			return Manifest{}, cullet.E(cullet.Invalid, "%s is no backup of Cullet's: it does not begin with %s", f.Name(), dumpName)
		case h.Name == manifestName:
			return readManifest(t)
		}
	}
}

// copyTar walks through the tar and the dump's files side by side: they have one order.
func copyTar(ctx context.Context, f *os.File, s *Snapshot, into *blob.Store) error {
	d, err := os.Open(f.Name()) // a place of its own in the file
	if err != nil {
		return err
	}
	defer d.Close()
	dump, err := rewind(d)
	if err != nil {
		return err
	}
	t, err := rewind(f)
	if err != nil {
		return err
	}
	for _, r := range []*tar.Reader{dump, t} {
		if _, err := r.Next(); err != nil { // the dump: it was looked at
			return err
		}
	}
	return files(dump, func(i file) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := t.Next()
		if err != nil || h.Name != inTar+i.path || h.Typeflag != tar.TypeReg {
			return cullet.E(cullet.Invalid, "the file %s is missing in %s, or not at its place", i.path, f.Name())
		}
		return take(ctx, i, h.Size, t, into)
	})
}

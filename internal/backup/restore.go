package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/store"
)

// Snapshot is a backup that is opened to be restored. Check it, copy its files, fill
// a database of its schema with its rows, bring the schema up to date, then Settle.
type Snapshot struct {
	Manifest
	Where string

	dump  func() (io.ReadCloser, error)
	copy  func(ctx context.Context, into *blob.Store) error
	close func() error
}

// Close closes what is read.
func (s *Snapshot) Close() error {
	if s.close == nil {
		return nil
	}
	return s.close()
}

// Open opens the snapshot of the name, or the latest where it is "". The error names
// those that there are.
func (f Folder) Open(name string) (*Snapshot, error) {
	all, err := f.list()
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(e entry) bool { return e.unfinished })
	if len(all) == 0 {
		return nil, cullet.E(cullet.NotFound, "%s holds no snapshot that is whole", f.Dir)
	}
	chosen := all[len(all)-1]
	if name != "" {
		n := slices.IndexFunc(all, func(e entry) bool { return e.name == name })
		if n < 0 {
			return nil, cullet.E(cullet.NotFound, "there is no snapshot %.100q in %s; there are: %s", name, f.Dir, names(all))
		}
		chosen = all[n]
	}
	if chosen.damaged != nil {
		return nil, cullet.E(cullet.Invalid, "the snapshot %s: %s. Choose another one with --snapshot; there are: %s", chosen.name, cullet.MessageOf(chosen.damaged), names(all))
	}
	s := &Snapshot{Manifest: chosen.manifest, Where: chosen.name}
	s.dump = func() (io.ReadCloser, error) {
		return os.Open(filepath.Join(f.snapshots(), chosen.name, dumpName))
	}
	s.copy = func(ctx context.Context, into *blob.Store) error {
		return together(ctx, func(give func(file) error) error { return f.filesOf(ctx, chosen.name, give) },
			func(ctx context.Context, i file) error {
				from, n, err := f.Blobs.Open(ctx, i.path)
				if errors.Is(err, blob.ErrNotFound) {
					return cullet.E(cullet.Invalid, "the file %s is missing in %s", i.path, f.Dir)
				} else if err != nil {
					return err
				}
				defer from.Close()
				return take(ctx, i, n, from, into)
			})
	}
	return s, nil
}

func names(all []entry) string {
	var list []string
	for _, e := range all {
		list = append(list, e.name)
	}
	return strings.Join(list, ", ")
}

// take copies one file out of a backup. Its bytes are read to the end and compared.
func take(ctx context.Context, i file, size int64, from io.Reader, into *blob.Store) error {
	if size != i.bytes {
		return cullet.E(cullet.Invalid, "the file %s has %d bytes in the backup instead of %d", i.path, size, i.bytes)
	}
	_, err := into.Import(ctx, i.path, from)
	if errors.Is(err, blob.ErrCorrupt) {
		return cullet.E(cullet.Invalid, "the file %s is damaged in the backup: its bytes are not those that were put there", i.path)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return cullet.E(cullet.Invalid, "the backup is cut off in the file %s", i.path)
	}
	return err
}

// read reads the whole dump, and holds it against the manifest.
func (s *Snapshot) read(v visitor) error {
	d, err := s.dump()
	if err != nil {
		return err
	}
	defer d.Close()
	sum := sha256.New()
	all := io.TeeReader(d, sum)
	read, err := readDump(all, v)
	if err != nil {
		return err
	}
	if n, err := io.Copy(io.Discard, all); err != nil || n > 0 {
		return errors.Join(err, cullet.E(cullet.Invalid, "something follows the database's dump"))
	}
	if hex.EncodeToString(sum.Sum(nil)) != s.DumpDigest {
		return cullet.E(cullet.Invalid, "the database's dump was changed: its digest is not the one that the manifest names")
	}
	if read.schema != s.Schema {
		return cullet.E(cullet.Invalid, "the dump is of schema %d, its manifest of schema %d", read.schema, s.Schema)
	}
	for _, table := range store.Dumped() {
		n, there := read.rows[table]
		if want, listed := s.Tables[table]; n != want || there != listed {
			return cullet.E(cullet.Invalid, "the table %s has %d rows in the dump, and %d by the manifest", table, n, want)
		}
	}
	return nil
}

// Check reads the dump to its end, without a database, and holds it against the
// manifest. Nothing of it is used before.
func (s *Snapshot) Check(ctx context.Context) error {
	count := Manifest{}
	err := s.read(visitor{table: func(t store.Table) (func([]any) error, error) {
		look := func([]any) error { return nil }
		if t.Name == "blobs" {
			var err error
			look, err = eachFile(t, func(i file) error {
				count.Blobs++
				count.Bytes += i.bytes
				return nil
			})
			if err != nil {
				return nil, err
			}
		}
		return func(values []any) error {
			if err := ctx.Err(); err != nil {
				return outside{err}
			}
			return look(values)
		}, nil
	}})
	if err == nil && (count.Blobs != s.Blobs || count.Bytes != s.Bytes) {
		err = cullet.E(cullet.Invalid, "the dump refers to %d files of %d bytes, and by the manifest there are %d of %d", count.Blobs, count.Bytes, s.Blobs, s.Bytes)
	}
	return err
}

// Files copies all files that the rows refer to, and reads each to its end.
func (s *Snapshot) Files(ctx context.Context, into *blob.Store) error {
	return s.copy(ctx, into)
}

// fillAtOnce bounds a batch of rows, by their number.
const fillAtOnce = 200

// Fill puts all rows into an empty database of the dump's schema, in one transaction.
// The mark says, until Settle and ClearUnfinished, that the restore has not ended;
// "" leaves none.
func (s *Snapshot) Fill(ctx context.Context, db *store.DB, mark string) error {
	return db.Update(ctx, func(tx *store.Tx) error {
		schema, err := tx.SchemaVersion(ctx)
		if err != nil {
			return err
		}
		if schema != s.Schema {
			return cullet.E(cullet.Conflict, "the database has schema %d and the backup %d: restore into a database that is new and empty", schema, s.Schema)
		}
		tables, err := tx.Tables(ctx)
		if err != nil {
			return err
		}
		if err := s.fill(ctx, tx, tables); err != nil || mark == "" {
			return err
		}
		return tx.MarkUnfinished(ctx, mark)
	})
}

func (s *Snapshot) fill(ctx context.Context, tx *store.Tx, tables []store.Table) error {
	var flushes []func() error // what is left of each table's rows
	next := 0
	err := s.read(visitor{table: func(t store.Table) (func([]any) error, error) {
		if next == len(tables) || tables[next].Name != t.Name {
			return nil, cullet.E(cullet.Invalid, "the table %s is not at its place, or one before it is missing", t.Name)
		}
		if !slices.Equal(tables[next].Columns, t.Columns) {
			return nil, cullet.E(cullet.Invalid, "the table %s has other columns than those of schema %d", t.Name, s.Schema)
		}
		next++
		b := &batch{table: t}
		flush := func() error { return b.flush(ctx, tx) }
		// The table before is complete once the next one begins.
		if n := len(flushes); n > 0 {
			if err := flushes[n-1](); err != nil {
				return nil, outside{err}
			}
		}
		flushes = append(flushes, flush)
		return func(values []any) error {
			if b.add(values) {
				if err := flush(); err != nil {
					return outside{err}
				}
			}
			return nil
		}, nil
	}})
	if err == nil && next < len(tables) {
		err = cullet.E(cullet.Invalid, "the table %s is missing in the dump", tables[next].Name)
	}
	if err == nil {
		err = flushes[len(flushes)-1]()
	}
	return err
}

// batch gathers rows of a table, up to a number and a size.
type batch struct {
	table store.Table
	rows  [][]any
	bytes int
}

// add keeps a copy of a row and says whether it is time to flush.
func (b *batch) add(values []any) bool {
	b.rows = append(b.rows, slices.Clone(values))
	for _, v := range values {
		if s, ok := v.(string); ok {
			b.bytes += len(s)
		}
	}
	return len(b.rows) == fillAtOnce || b.bytes > 1<<20
}

func (b *batch) flush(ctx context.Context, tx *store.Tx) error {
	err := tx.FillTable(ctx, b.table, b.rows)
	b.rows, b.bytes = b.rows[:0], 0
	return err
}

// Settle makes a filled database, whose schema is up to date, harmless, in one
// transaction: what was under way on the other server ends here, cleanup waits for
// the grace, and each workspace's audit says where its history parts from the
// other's (A1). The mark is kept as Fill's is, so that this is done once.
func (s *Snapshot) Settle(ctx context.Context, db *store.DB, grace time.Duration, mark string) error {
	return db.Update(ctx, func(tx *store.Tx) error {
		ended, err := tx.EndUnfinished(ctx, "the server was restored from a backup")
		if err != nil {
			return err
		}
		if err := errors.Join(tx.WaitAfterRestore(ctx, grace), tx.CountAnew(ctx)); err != nil {
			return err
		}
		all, err := tx.ListWorkspaces(ctx)
		if err != nil {
			return err
		}
		for _, w := range all {
			detail := map[string]string{"snapshot": s.Time.UTC().Format(time.RFC3339), "orders": fmt.Sprint(ended.Orders[w.ID]),
				"trainings": fmt.Sprint(ended.Trainings[w.ID]), "generations": fmt.Sprint(ended.Generations[w.ID]), "exports": fmt.Sprint(ended.Exports[w.ID])}
			err := tx.Audit(ctx, cullet.SystemActor(w.ID, "restore-backup", cullet.ByServer),
				cullet.AuditEntry{Act: cullet.ActRestoredBackup, ItemType: "workspace", ItemID: w.ID, ItemName: w.Slug, Detail: detail})
			if err != nil {
				return err
			}
		}
		if mark == "" {
			return nil
		}
		return tx.MarkUnfinished(ctx, mark)
	})
}

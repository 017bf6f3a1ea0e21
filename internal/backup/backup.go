// Package backup makes a consistent copy of a server while it serves, and fills an
// empty one from it.
//
// A snapshot is a dump of all rows, as they were at one instant, and the files that
// they refer to. The dump names tables, columns and values and nothing of a
// database's own, so what was taken from SQLite can be filled into PostgreSQL and
// the other way round.
//
// Invariants:
//   - A snapshot without its manifest is none. The manifest is written last, when
//     all that it speaks of is on the disk.
//   - Every file is read to its end while it is copied, in either direction, and
//     refused where its bytes are not those of its path's digest.
//   - Files are only ever added to a snapshot's folder, never changed: a path is used
//     once, so what is there under it is what would be copied.
//   - What is read back is not trusted: lines and values are bounded, and only tables,
//     columns, types and paths that this program knows are taken.
//   - Nothing is held in memory that grows with what is copied.
package backup

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/store"
)

// Source is the server that is copied. It may be serving, in another process.
type Source struct {
	DB    *store.DB
	Blobs *blob.Store
	Log   *slog.Logger

	dumped func() // for tests: called between the snapshot of the rows and the copy of the files
}

// Manifest says what a snapshot is made of. It is written last.
type Manifest struct {
	Format     int              `json:"format"` // of the dump and of this
	Schema     int64            `json:"schema"` // number of the last migration
	Time       time.Time        `json:"time"`   // of the instant that the rows are of
	Database   string           `json:"database"`
	Workspaces []string         `json:"workspaces"`
	Tables     map[string]int64 `json:"tables"` // rows of each
	Blobs      int64            `json:"blobs"`
	Bytes      int64            `json:"bytes"` // of the blobs
	DumpBytes  int64            `json:"dump_bytes"`
	DumpDigest string           `json:"dump_sha256"`
	// Check is the SHA-256 of the manifest itself, as JSON with this field empty.
	Check string `json:"manifest_sha256"`
}

// Result is what a backup did.
type Result struct {
	Manifest
	Where       string   // the snapshot's name, or the file
	Copied      int64    // files
	CopiedBytes int64    //
	Present     int64    // files that an earlier backup had copied
	Unfinished  []string // snapshots without a manifest, which a backup left that did not end; removed
	Removed     []string // older snapshots that were not to be kept
	FreedBlobs  int64    // files that no snapshot refers to any more; removed
	FreedBytes  int64    //
}

const (
	format       = 1
	dumpName     = "database.jsonl.gz"
	manifestName = "manifest.json"
)

// seal writes the manifest as it is kept.
func (m Manifest) seal() ([]byte, error) {
	m.Check = ""
	check, err := m.digest()
	if err != nil {
		return nil, err
	}
	m.Check = check
	b, err := json.MarshalIndent(m, "", "  ")
	return append(b, '\n'), err
}

func (m Manifest) digest() (string, error) {
	m.Check = ""
	b, err := json.Marshal(m)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), err
}

// maxManifest bounds what is read of one.
const maxManifest = 16 << 20

// readManifest refuses what was changed, cut off or is of a format that is not known.
func readManifest(r io.Reader) (Manifest, error) {
	var m Manifest
	b, err := io.ReadAll(io.LimitReader(r, maxManifest+1))
	if err != nil {
		return m, cullet.E(cullet.Invalid, "the manifest is cut off or cannot be read (%v)", err)
	}
	if len(b) > maxManifest || json.Unmarshal(b, &m) != nil {
		return m, cullet.E(cullet.Invalid, "the manifest is damaged: it is no JSON object of a backup")
	}
	if m.Format != format {
		return m, cullet.E(cullet.Invalid, "the manifest is of format %d; this program reads format %d", m.Format, format)
	}
	if check, err := m.digest(); err != nil || check != m.Check {
		return m, cullet.E(cullet.Invalid, "the manifest was changed or is damaged: its digest is not the one it names")
	}
	if latest := store.LatestSchema(); m.Schema < 1 || m.Schema > latest {
		return m, cullet.E(cullet.Invalid, "the backup is of a newer Cullet (schema %d; this one has %d): restore it with that one", m.Schema, latest)
	}
	return m, nil
}

// snapshot dumps all rows of one instant into f, which may hold what a try before it
// wrote, and returns the manifest but for the files.
func (s Source) snapshot(ctx context.Context, f *os.File) (m Manifest, err error) {
	err = s.DB.View(ctx, func(tx *store.Tx) error {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if err := f.Truncate(0); err != nil {
			return err
		}
		m, err = dump(ctx, tx, f)
		m.Database = s.DB.Conn().Dialect.Name()
		return err
	})
	if err != nil {
		return m, fmt.Errorf("dumping the database: %w", err)
	}
	return m, f.Sync()
}

// dump writes all tables as one transaction sees them.
func dump(ctx context.Context, tx *store.Tx, to io.Writer) (Manifest, error) {
	m := Manifest{Format: format, Time: tx.Now, Tables: map[string]int64{}, Workspaces: []string{}}
	var err error
	if m.Schema, err = tx.SchemaVersion(ctx); err != nil {
		return m, err
	}
	tables, err := tx.Tables(ctx)
	if err != nil {
		return m, err
	}
	sum := sha256.New()
	count := &counter{w: io.MultiWriter(to, sum)}
	buffered := bufio.NewWriterSize(count, 1<<20)
	w := newWriter(buffered, m.Schema)
	for _, t := range tables {
		m.Tables[t.Name], err = w.table(t, func(row func([]any) error) error {
			return tx.DumpTable(ctx, t, func(values []any) error {
				m.notice(t, values)
				return row(values)
			})
		})
		if err != nil {
			return m, fmt.Errorf("table %s: %w", t.Name, err)
		}
	}
	if err := errors.Join(w.end(), buffered.Flush()); err != nil {
		return m, err
	}
	m.DumpBytes, m.DumpDigest = count.n, hex.EncodeToString(sum.Sum(nil))
	return m, nil
}

// notice counts what the manifest tells of the rows themselves.
func (m *Manifest) notice(t store.Table, values []any) {
	for n, c := range t.Columns {
		switch {
		case t.Name == "workspaces" && c.Name == "slug":
			slug, _ := values[n].(string)
			m.Workspaces = append(m.Workspaces, slug)
		case t.Name == "blobs" && c.Name == "bytes":
			bytes, _ := values[n].(int64)
			m.Blobs++
			m.Bytes += bytes
		}
	}
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// open opens a file of the server to copy it, and refuses a missing one in words.
func (s Source) open(ctx context.Context, path string) (io.ReadSeekCloser, int64, error) {
	f, n, err := s.Blobs.Open(ctx, path)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, 0, cullet.E(cullet.Conflict, "the file %s is missing, and a backup without it could not be restored; `cullet fsck` names what else is", path)
	}
	return f, n, err
}

// explain gives what may go wrong with one file its words.
func explain(path string, err error) error {
	if errors.Is(err, blob.ErrCorrupt) {
		return &cullet.Error{Code: cullet.Conflict, Err: err,
			Message: fmt.Sprintf("the file %s is damaged: its bytes are not those that were put there (`cullet fsck --deep` names what else is)", path)}
	}
	return err
}

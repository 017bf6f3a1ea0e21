package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver by which databases are made

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/access"
	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/blob/fileblob"
	"github.com/cullet-vision/cullet/internal/dataset"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/store/postgres"
	"github.com/cullet-vision/cullet/internal/store/sqlite"
	"github.com/cullet-vision/cullet/internal/trash"
)

const (
	email    = "ann@example.com"
	password = "correct horse battery"
)

// place is the data folder of a server, with a workspace.
type place struct {
	dir    string
	url    string // of its PostgreSQL database, "" for SQLite
	db     *store.DB
	blobs  *blob.Store
	opened access.Opened
	by     cullet.Actor
	close  func()
}

// newPlace makes one in the folder, on a database of its own.
func (c common) newPlace(ctx context.Context, dir string) (p *place, err error) {
	p = &place{dir: filepath.Join(dir, cullet.NewID("data"))}
	drop := func() {}
	if err := os.Mkdir(p.dir, 0o700); err != nil {
		return nil, err
	}
	var conn store.Conn
	if c.DatabaseURL == "" {
		conn, err = sqlite.Open(filepath.Join(p.dir, "cullet.db"))
	} else if p.url, drop, err = newDatabase(ctx, c.DatabaseURL); err == nil {
		conn, err = postgres.Open(ctx, p.url)
	}
	if err != nil {
		return nil, err
	}
	if p.db, err = store.Open(ctx, conn, clock); err != nil {
		return nil, err
	}
	p.close = func() {
		_ = p.db.Close()
		drop()
		_ = os.RemoveAll(p.dir)
	}
	driver, err := fileblob.New(p.files())
	if err != nil {
		return nil, err
	}
	p.blobs = blob.New(driver, clock)
	desk := &access.Desk{DB: p.db}
	if p.opened, err = desk.Open(ctx, access.NewWorkspace{Name: "Acme", Email: email, Person: "Ann", Password: password}); err != nil {
		return nil, err
	}
	p.by, _, err = desk.Key(ctx, p.opened.Secret)
	return p, err
}

func (p *place) files() string { return filepath.Join(p.dir, "blobs") }

// newDatabase makes a database on a server, and says how to get rid of it.
func newDatabase(ctx context.Context, server string) (address string, drop func(), err error) {
	u, err := url.Parse(server)
	if err != nil {
		return "", nil, err
	}
	admin, err := sql.Open("pgx", server)
	if err != nil {
		return "", nil, err
	}
	name := fmt.Sprintf("cullet_bench_%08x", rand.Uint32())
	if _, err := admin.ExecContext(ctx, `CREATE DATABASE `+name+` TEMPLATE template0`); err != nil {
		return "", nil, errors.Join(err, admin.Close())
	}
	u.Path = "/" + name
	return u.String(), func() {
		_, _ = admin.Exec(`DROP DATABASE ` + name + ` WITH (FORCE)`)
		_ = admin.Close()
	}, nil
}

// analyze has the database know its tables, as it comes to by itself in a while.
func (p *place) analyze(ctx context.Context) error {
	if p.url == "" {
		return nil // a server's SQLite has no statistics
	}
	_, err := p.db.Conn().Writer.ExecContext(ctx, `ANALYZE`)
	return err
}

func (p *place) project(ctx context.Context, name string) (cullet.Project, error) {
	return (&dataset.Catalog{DB: p.db}).CreateProject(ctx, p.by, dataset.NewProject{Name: name, Type: "object-detection"})
}

// trashNow moves a project to Trash whose cleanup is due at once.
func (p *place) trashNow(ctx context.Context, slug string) error {
	_, err := (&trash.Bin{DB: p.db, Retention: time.Millisecond}).DeleteProject(ctx, p.by, slug)
	return err
}

// left is how many items are in Trash and how many files wait to be unlinked.
func (p *place) left(ctx context.Context) (n int64, err error) {
	err = p.db.Conn().Reader.QueryRowContext(ctx, `SELECT (SELECT COUNT(*) FROM trash_items) + (SELECT COUNT(*) FROM blob_unlinks)`).Scan(&n)
	return n, err
}

// fill makes the projects large, of so many images with a file each, and other, which
// shares the first ones with it. A picture is its own thumbnail. Files that large has
// alone are written to the folder twin too, where one is named: it is what rm -rf removes.
func (p *place) fill(ctx context.Context, images, shared, size int, twin string) error {
	stored, err := p.write(images, shared, size, twin)
	if err != nil {
		return err
	}
	if err := p.addBlobs(ctx, stored); err != nil {
		return err
	}
	for name, some := range map[string][]cullet.Blob{"Large": stored, "Other": stored[:shared]} {
		project, err := p.project(ctx, name)
		if err == nil {
			err = p.addImages(ctx, project, some)
		}
		if err != nil {
			return err
		}
	}
	return p.analyze(ctx)
}

// write writes files where uploads would have put them, but lets the disk take its time.
func (p *place) write(images, shared, size int, twin string) ([]cullet.Blob, error) {
	const writers = 4
	folders := []string{filepath.Join(p.files(), string(blob.Objects))}
	if twin != "" {
		folders = append(folders, twin)
	}
	for _, folder := range folders {
		for n := range 256 {
			if err := os.MkdirAll(filepath.Join(folder, fmt.Sprintf("%02x", n)), 0o700); err != nil {
				return nil, err
			}
		}
	}
	stored := make([]cullet.Blob, images)
	failed := make([]error, writers)
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			source := rand.NewChaCha8(sha256.Sum256([]byte(p.dir + fmt.Sprint(w))))
			picture, suffix := make([]byte, size), make([]byte, 12)
			for n := w; n < images; n += writers {
				_, _ = source.Read(picture) // it never fails
				_, _ = source.Read(suffix)
				sum := sha256.Sum256(picture)
				digest := hex.EncodeToString(sum[:])
				b := cullet.Blob{ID: cullet.NewID(cullet.BlobID), Digest: digest, Bytes: int64(size), Path: digest[:2] + "/" + digest + "-" + hex.EncodeToString(suffix)}
				to := folders
				if n < shared {
					to = folders[:1]
				}
				for _, folder := range to {
					if err := os.WriteFile(filepath.Join(folder, b.Path), picture, 0o600); err != nil {
						failed[w] = err
						return
					}
				}
				stored[n] = b
			}
		})
	}
	all.Wait()
	return stored, errors.Join(failed...)
}

// insert adds rows, some hundred in a statement, all in one transaction.
func (p *place) insert(ctx context.Context, into string, rows int, row func(n int) []any) error {
	t, err := p.db.Conn().Writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = t.Rollback() }() // nothing, once it is committed
	const some = 300
	for from := 0; from < rows; from += some {
		var q strings.Builder
		var args []any
		q.WriteString("INSERT INTO " + into + " VALUES ")
		for n := from; n < min(rows, from+some); n++ {
			if n > from {
				q.WriteString(", ")
			}
			for c, value := range row(n) {
				args = append(args, value)
				q.WriteString(map[bool]string{true: "(", false: ", "}[c == 0] + fmt.Sprintf("$%d", len(args)))
			}
			q.WriteString(")")
		}
		if _, err := t.ExecContext(ctx, q.String(), args...); err != nil {
			return err
		}
	}
	return t.Commit()
}

func (p *place) addBlobs(ctx context.Context, all []cullet.Blob) error {
	now := clock.Now().UnixMicro()
	return p.insert(ctx, "blobs (id, digest, bytes, path, created_at)", len(all), func(n int) []any {
		b := all[n]
		return []any{b.ID, b.Digest, b.Bytes, b.Path, now}
	})
}

// addImages makes one image of each file.
func (p *place) addImages(ctx context.Context, project cullet.Project, all []cullet.Blob) error {
	batch := cullet.Batch{ID: cullet.NewID(cullet.BatchID), Project: project.ID, Name: "all", Images: int64(len(all))}
	total := int64(0)
	for _, b := range all {
		total += 2 * b.Bytes
	}
	err := p.db.Update(ctx, func(tx *store.Tx) error {
		id, err := tx.EnsureBatch(ctx, batch)
		if err != nil {
			return err
		}
		n := int64(len(all))
		if _, err = tx.CountProject(ctx, project.ID, cullet.ProjectCounts{Images: n, Unannotated: n, Train: n, Bytes: total}); err != nil {
			return err
		}
		return tx.CountBatch(ctx, id, n)
	})
	if err != nil {
		return err
	}
	now := clock.Now().UnixMicro()
	return p.insert(ctx, `images (id, workspace_id, project_id, name, digest, blob_id, thumb_id, format, bytes, width, height, split, batch_id, tags, metadata, seq, created_at)`,
		len(all), func(n int) []any {
			b := all[n]
			return []any{cullet.NewID(cullet.ImageID), project.Workspace, project.ID, fmt.Sprintf("%06d.png", n), b.Digest, b.ID, b.ID, "png", b.Bytes, 640, 480,
				"train", batch.ID, "[]", "{}", n + 2, now}
		})
}

var quiet = slog.New(slog.DiscardHandler)

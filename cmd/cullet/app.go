package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/access"
	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/blob/fileblob"
	"github.com/cullet-vision/cullet/internal/failpoint"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/store/postgres"
	"github.com/cullet-vision/cullet/internal/store/sqlite"
	"github.com/cullet-vision/cullet/internal/upload"
)

// databaseFile is SQLite's, in the data folder.
const databaseFile = "cullet.db"

// ground is what everything stands on: a database and the bytes beside it.
type ground struct {
	db     *store.DB
	blobs  *blob.Store
	files  *fileblob.Driver
	access *access.Desk
	log    *slog.Logger
}

// errNoData says that a folder holds no server's data.
var errNoData = errors.New("there is no data here yet; make it with `cullet init`")

// openGround opens the data that the settings name. Unless create is set, there
// has to be some.
func openGround(ctx context.Context, s settings, create bool) (*ground, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	database := filepath.Join(s.Data, databaseFile)
	if err := notHalfRestored(s.Data); err != nil {
		return nil, err
	}
	if !create {
		if _, err := os.Stat(s.Data); err != nil {
			return nil, fmt.Errorf("%s: %w", s.Data, errNoData)
		}
		if _, err := os.Stat(database); s.DatabaseURL == "" && err != nil {
			return nil, fmt.Errorf("%s: %w", s.Data, errNoData)
		}
	}
	if err := os.MkdirAll(s.Data, 0o700); err != nil {
		return nil, err
	}
	conn, err := openDatabase(ctx, s, database)
	if err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	db, err := store.Open(ctx, conn, systemClock)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if err := notUnfinished(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	driver, err := fileblob.New(s.blobs())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the folder of the bytes: %w", err), db.Close())
	}
	return &ground{db: db, blobs: blob.New(driver, systemClock), files: driver, access: &access.Desk{DB: db}, log: s.logger()}, nil
}

func openDatabase(ctx context.Context, s settings, file string) (store.Conn, error) {
	if s.DatabaseURL != "" {
		return postgres.Open(ctx, s.DatabaseURL)
	}
	return sqlite.Open(file)
}

func (g *ground) close() {
	if err := g.db.Close(); err != nil {
		g.log.Error("closing the database", "err", err)
	}
}

// workspaces returns those there are.
func (g *ground) workspaces(ctx context.Context) (all []cullet.Workspace, err error) {
	err = g.db.View(ctx, func(tx *store.Tx) error {
		all, err = tx.ListWorkspaces(ctx)
		return err
	})
	return all, err
}

// linkKey is the key that signs links to files; all processes have the same.
func (g *ground) linkKey(ctx context.Context) ([]byte, error) {
	fresh := make([]byte, 32)
	_, _ = rand.Read(fresh) // never fails: crypto/rand ends the program instead
	var kept string
	err := g.db.Update(ctx, func(tx *store.Tx) (err error) {
		kept, err = tx.Secret(ctx, "links", hex.EncodeToString(fresh))
		return err
	})
	if err != nil {
		return nil, err
	}
	return hex.DecodeString(kept)
}

// recover clears what servers left that were killed in the middle of storing bytes,
// and says whether this one is alone with the folder: then whatever is half done
// is theirs. Else it may be another's, and is cleared once it is older than any
// upload.
func (g *ground) recover(ctx context.Context) (alone bool, err error) {
	if alone, err = g.files.Alone(); err != nil || !alone {
		return false, err
	}
	now := g.db.Clock().Now().Add(time.Minute) // the stamps are rounded up
	_, swept := g.blobs.SweepTemp(ctx, now)
	failpoint.Pass("recover.swept")
	recovered := upload.Recover(ctx, g.db, g.blobs, now)
	failpoint.Pass("recover.settled")
	return true, errors.Join(swept, recovered, g.files.Share())
}

// Package account tells who holds which bytes, and what permanent deletion would do
// before anybody does it. It only reads and counts, so every door may use it.
//
// Logical bytes, what rows refer to, are kept exactly at every commit. Bytes of files,
// each once however many share it, take reading all the rows: they are counted in the
// background and carry the time at which they were.
package account

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/store"
)

// Book is the accounts of all workspaces.
type Book struct {
	DB  *store.DB
	Log *slog.Logger
	// Every is the time between two counts of a workspace's storage.
	Every time.Duration
}

// NewBook makes one that counts storage once an hour.
func NewBook(db *store.DB, log *slog.Logger) *Book {
	return &Book{DB: db, Log: log, Every: time.Hour}
}

// How often is looked for items that were not counted yet, and for storage that was
// counted long ago.
const (
	look        = time.Second
	lookStorage = time.Minute
)

// Run counts in the background until the context ends.
func (b *Book) Run(ctx context.Context) {
	clock := b.DB.Clock()
	tick := clock.NewTicker(look)
	defer tick.Stop()
	var last time.Time
	for {
		count, now := b.countItems, clock.Now()
		if now.Sub(last).Abs() >= lookStorage {
			count, last = b.Count, now
		}
		if err := count(ctx); err != nil && ctx.Err() == nil {
			b.Log.Error("bytes could not be counted; it is tried again", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C():
		}
	}
}

// Count counts every item whose freeable bytes are not known, and the storage of
// workspaces for which it was long ago. Several servers that count at once do the same
// work and keep the same result.
func (b *Book) Count(ctx context.Context) error {
	if err := b.countItems(ctx); err != nil {
		return err
	}
	return b.countStorage(ctx)
}

func (b *Book) countItems(ctx context.Context) error {
	for {
		if more, err := b.countItem(ctx); err != nil || !more {
			return err
		}
	}
}

func (b *Book) countItem(ctx context.Context) (bool, error) {
	var t cullet.TrashItem
	var epoch int64
	var w store.Weight
	err := b.DB.View(ctx, func(tx *store.Tx) (err error) {
		if t, epoch, err = tx.Uncounted(ctx); err != nil {
			return err
		}
		w, err = tx.Weigh(ctx, t.Workspace, store.Scope{IDs: []string{t.ID}})
		return err
	})
	if errors.Is(err, store.ErrNoRow) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	return true, b.DB.Update(ctx, func(tx *store.Tx) error { return tx.SetWeight(ctx, t.ID, w, epoch) })
}

// mostProjects bounds how many projects a count of storage lists.
const mostProjects = 1000

func (b *Book) countStorage(ctx context.Context) error {
	var all []cullet.Workspace
	err := b.DB.View(ctx, func(tx *store.Tx) (err error) {
		all, err = tx.ListWorkspaces(ctx)
		return err
	})
	if err != nil {
		return err
	}
	for _, w := range all {
		var s store.Storage
		fresh := false
		err := b.DB.View(ctx, func(tx *store.Tx) (err error) {
			last, err := tx.LastStorage(ctx, w.ID)
			if err != nil && !errors.Is(err, store.ErrNoRow) {
				return err
			}
			if fresh = err == nil && tx.Now.Sub(last.CountedAt).Abs() < b.Every; fresh {
				return nil
			}
			s, err = tx.CountStorage(ctx, w.ID, mostProjects)
			return err
		})
		if err == nil && !fresh {
			err = b.DB.Update(ctx, func(tx *store.Tx) error { return tx.KeepStorage(ctx, w.ID, s) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Storage is what a workspace stores.
type Storage struct {
	Active int64         // logical bytes of what is active, exact
	Trash  int64         // logical bytes of what is in Trash, exact (D9)
	Items  int64         // in Trash, exact
	Files  store.Storage // bytes of files, as counted last; zero CountedAt: not yet
}

// Storage returns what the workspace stores.
func (b *Book) Storage(ctx context.Context, by cullet.Actor) (s Storage, err error) {
	if err := by.Allow(cullet.ProjectRead); err != nil {
		return s, err
	}
	err = b.DB.View(ctx, func(tx *store.Tx) error {
		if s.Active, err = tx.LogicalBytes(ctx, by.Workspace); err != nil {
			return err
		}
		totals, err := tx.TrashTotals(ctx, by.Workspace)
		if err != nil {
			return err
		}
		s.Trash, s.Items = 0, 0
		for _, t := range totals {
			s.Trash += t.Bytes
			s.Items += t.Items
		}
		if s.Files, err = tx.LastStorage(ctx, by.Workspace); errors.Is(err, store.ErrNoRow) {
			err = nil
		}
		return err
	})
	return s, err
}

package store_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/store/sqlite"
)

// TestCommitted: the driver is told of each commit, and of nothing else.
func TestCommitted(t *testing.T) {
	conn, err := sqlite.Open(filepath.Join(t.TempDir(), "a.db"))
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	conn.Committed = func() { told++ }
	db, err := store.Open(t.Context(), conn, cullettest.NewClock())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	nothing := func(*store.Tx) error { return nil }
	ctx := context.Background()
	no := errors.New("no")
	if told = 0; db.Update(ctx, nothing) != nil || told != 1 {
		t.Errorf("told %d times of a commit", told)
	}
	if err := db.Update(ctx, func(*store.Tx) error { return no }); !errors.Is(err, no) || told != 1 {
		t.Errorf("told %d times after what was rolled back: %v", told, err)
	}
	if db.View(ctx, nothing) != nil || told != 1 {
		t.Errorf("told %d times after a read", told)
	}
}

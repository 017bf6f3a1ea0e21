package sqlite

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestLogIsBroughtHome: what commits put into the log is brought home beside them, long
// before a commit has to do it.
func TestLogIsBroughtHome(t *testing.T) {
	conn, err := Open(filepath.Join(t.TempDir(), "a.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Writer.Exec(`CREATE TABLE pages (x TEXT)`); err != nil {
		t.Fatal(err)
	}
	page := strings.Repeat("x", 4000)
	for range 12 { // 12 * 500 pages: more than is left in the log, less than a commit brings home
		tx, err := conn.Writer.Begin()
		if err != nil {
			t.Fatal(err)
		}
		for range 500 {
			if _, err := tx.Exec(`INSERT INTO pages VALUES ($1)`, page); err != nil {
				t.Fatal(err)
			}
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		conn.Committed()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for {
		var busy bool
		var log, home int
		if err := conn.Writer.QueryRow(`PRAGMA wal_checkpoint(NOOP)`).Scan(&busy, &log, &home); err != nil {
			t.Fatal(err)
		}
		if log > 0 && home > 0 && log-home < enough {
			return
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			t.Fatalf("of %d pages in the log %d are home", log, home)
		}
	}
}

// TestCommitsBesideClose: whoever commits while the database is closed harms nobody.
func TestCommitsBesideClose(t *testing.T) {
	conn, err := Open(filepath.Join(t.TempDir(), "a.db"))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 1000 {
				conn.Committed()
			}
		})
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	all.Wait()
	if err := conn.Close(); err != nil {
		t.Error("closing it again:", err)
	}
}

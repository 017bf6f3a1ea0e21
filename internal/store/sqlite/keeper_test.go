package sqlite

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestLogIsBroughtHome: what commits put into the log is brought home beside them, long
// before a commit has to do it; and a long log begins anew while small commits go on.
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
	write := func(pages int) {
		t.Helper()
		tx, err := conn.Writer.Begin()
		if err != nil {
			t.Fatal(err)
		}
		for range pages {
			if _, err := tx.Exec(`INSERT INTO pages VALUES ($1)`, page); err != nil {
				t.Fatal(err)
			}
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		conn.Committed()
	}
	until := func(what string, so func(log, home int) bool, meanwhile func()) {
		t.Helper()
		look, most := time.NewTicker(10*time.Millisecond), time.After(30*time.Second)
		defer look.Stop()
		for {
			var busy bool
			var log, home int
			if err := conn.Writer.QueryRow(`PRAGMA wal_checkpoint(NOOP)`).Scan(&busy, &log, &home); err != nil {
				t.Fatal(err)
			}
			if so(log, home) {
				return
			}
			select {
			case <-look.C:
				meanwhile()
			case <-most:
				t.Fatalf("%s: of %d pages in the log %d are home", what, log, home)
			}
		}
	}
	for range 12 { // more than is left in the log, less than a commit brings home
		write(500)
	}
	until("home", func(log, home int) bool { return log > 0 && home > 0 && log-home < enough }, func() {})
	for range 7 {
		write(500)
	}
	small := 0
	until("anew", func(log, _ int) bool { return log < long }, func() { write(1); small++ })
	if small > 1000 {
		t.Errorf("the log began anew after %d small commits", small)
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

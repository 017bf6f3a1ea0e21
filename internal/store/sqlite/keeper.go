package sqlite

import (
	"context"
	"database/sql"
	"net/url"
)

// What is committed is in the log first, and is brought home into the file later,
// which takes tens of milliseconds of a slow disk. SQLite has the commit wait for it
// that happens to fill the log. Here a connection of its own brings it home while
// others write (a PASSIVE checkpoint waits for nobody, and nobody for it).
//
// The log begins anew, at its front, when somebody writes while all of it is home. What
// is written while the keeper works is not, so the longer the log has become, the fewer
// pages are left to wait: until there is a moment in which none does.
// Source: https://www.sqlite.org/wal.html, "Avoiding Excessively Large WAL Files".
const (
	enough = 4000 // pages that wait in the log, before they are brought home
	long   = 8000 // pages of a log that has to begin anew
	few    = 100  // pages that wait in such a log, before they are brought home

	// A log that comes to this length all the same, since somebody reads an old state of
	// the database, say, is brought home by the commits. Its file keeps no more than kept.
	backstop = "wal_autocheckpoint(16000)"
	kept     = "journal_size_limit(33554432)"
)

// keeper brings home what the log holds.
type keeper struct {
	db   *sql.DB
	wake chan struct{}
	stop func()
	done chan struct{}
}

func newKeeper(path string) (*keeper, error) {
	db, err := sql.Open("sqlite", dsn(path, url.Values{}, "busy_timeout(0)", "synchronous(FULL)", small))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	ctx, stop := context.WithCancel(context.Background())
	k := &keeper{db: db, wake: make(chan struct{}, 1), stop: stop, done: make(chan struct{})}
	go k.run(ctx)
	return k, nil
}

// committed has it look how much waits.
func (k *keeper) committed() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// run ends when the keeper is closed. What goes wrong is tried again after the next
// commit: on a disk that is full or broken the commits say so themselves.
func (k *keeper) run(ctx context.Context) {
	defer close(k.done)
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
		}
		if log, home := k.checkpoint("NOOP"); log-home >= enough || log >= long && log-home >= few {
			k.checkpoint("PASSIVE")
		}
	}
}

// checkpoint says how many pages the log has, and how many of them are home. NOOP only
// looks.
func (k *keeper) checkpoint(mode string) (log, home int) {
	var busy bool
	if err := k.db.QueryRow("PRAGMA wal_checkpoint("+mode+")").Scan(&busy, &log, &home); err != nil {
		return 0, 0
	}
	return log, home
}

// close ends it, and waits until it has ended. Closing it again is harmless.
func (k *keeper) close() error {
	k.stop()
	<-k.done
	return k.db.Close()
}

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
// Source: https://www.sqlite.org/wal.html, "Avoiding Excessively Large WAL Files".
const (
	enough = 4000 // pages that wait in the log, before they are brought home

	// A log that is written without a pause never begins anew, since something always
	// waits in it. From this length on each commit brings home the few pages that wait.
	backstop = "wal_autocheckpoint(16000)"
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

// run ends when the keeper is closed. What goes wrong is left to the backstop, whose
// commit reports it.
func (k *keeper) run(ctx context.Context) {
	defer close(k.done)
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
		}
		if busy, log, home := k.checkpoint("NOOP"); !busy && log-home >= enough {
			k.checkpoint("PASSIVE")
		}
	}
}

// checkpoint says how many pages the log has, and how many of them are home. NOOP only
// looks. A log that another process is bringing home is busy.
func (k *keeper) checkpoint(mode string) (busy bool, log, home int) {
	if err := k.db.QueryRow("PRAGMA wal_checkpoint("+mode+")").Scan(&busy, &log, &home); err != nil {
		return true, 0, 0
	}
	return busy, log, home
}

// close ends it, and waits until it has ended. Closing it again is harmless.
func (k *keeper) close() error {
	k.stop()
	<-k.done
	return k.db.Close()
}

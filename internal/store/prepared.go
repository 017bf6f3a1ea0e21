package store

import (
	"context"
	"database/sql"
	"sync"
)

// statements are those that a pool of SQLite connections keeps prepared: it takes longer
// to understand most of ours than to run them. PostgreSQL's driver does this by itself.
type statements struct {
	pool *sql.DB

	mu   sync.Mutex
	seen map[string]*sql.Stmt // nil: seen once
}

// mostKept bounds how many are known: all of ours, and some of those that are put
// together for a filter and never come again.
const mostKept = 2000

func newStatements(pool *sql.DB) *statements {
	return &statements{pool: pool, seen: map[string]*sql.Stmt{}}
}

// prepared returns the statement as the transaction runs it, nil where it is not
// prepared. Preparing takes a connection of the pool, which the transaction may hold
// alone: it is done after its end, for what comes a second time.
func (tx *Tx) prepared(ctx context.Context, statement string) *sql.Stmt {
	if tx.kept == nil {
		return nil
	}
	tx.kept.mu.Lock()
	s, seen := tx.kept.seen[statement]
	if !seen && len(tx.kept.seen) < mostKept {
		tx.kept.seen[statement] = nil
	}
	tx.kept.mu.Unlock()
	if s != nil {
		return tx.tx.StmtContext(ctx, s)
	}
	if seen {
		tx.missed = append(tx.missed, statement)
	}
	return nil
}

// prepareMissed prepares what the transaction ran unprepared, for the next one. A
// statement that cannot be prepared runs as it is.
func (tx *Tx) prepareMissed(ctx context.Context) {
	for _, statement := range tx.missed {
		tx.kept.mu.Lock()
		known := tx.kept.seen[statement] != nil
		tx.kept.mu.Unlock()
		if known || ctx.Err() != nil {
			continue
		}
		s, err := tx.kept.pool.PrepareContext(context.WithoutCancel(ctx), statement)
		if err != nil {
			continue
		}
		tx.kept.mu.Lock()
		if tx.kept.seen[statement] != nil { // another was faster
			known = true
		} else {
			tx.kept.seen[statement] = s
		}
		tx.kept.mu.Unlock()
		if known {
			s.Close()
		}
	}
}

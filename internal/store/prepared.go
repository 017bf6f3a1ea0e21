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

// runner runs one statement: prepared or as it is.
type runner interface {
	ExecContext(ctx context.Context, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, args ...any) *sql.Row
}

// asItIs runs a statement that is not prepared.
type asItIs struct {
	tx        *sql.Tx
	statement string
}

func (a asItIs) ExecContext(ctx context.Context, args ...any) (sql.Result, error) {
	return a.tx.ExecContext(ctx, a.statement, args...)
}

func (a asItIs) QueryContext(ctx context.Context, args ...any) (*sql.Rows, error) {
	return a.tx.QueryContext(ctx, a.statement, args...)
}

func (a asItIs) QueryRowContext(ctx context.Context, args ...any) *sql.Row {
	return a.tx.QueryRowContext(ctx, a.statement, args...)
}

// runner returns the statement as the transaction runs it. Preparing takes a connection
// of the pool, which the transaction may hold alone: it is done after its end, for what
// comes a second time. What it returns ends with the transaction.
func (tx *Tx) runner(ctx context.Context, statement string) runner {
	if tx.kept == nil {
		return asItIs{tx.tx, statement}
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
	return asItIs{tx.tx, statement}
}

// prepareMissed prepares what the transaction ran unprepared, for the next one. A
// statement that cannot be prepared runs as it is.
func (tx *Tx) prepareMissed(ctx context.Context) {
	for _, statement := range tx.missed {
		if ctx.Err() != nil {
			return
		}
		tx.kept.prepare(context.WithoutCancel(ctx), statement)
	}
}

func (s *statements) prepare(ctx context.Context, statement string) {
	if s.knows(statement) {
		return
	}
	fresh, err := s.pool.PrepareContext(ctx, statement)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[statement] == nil {
		s.seen[statement] = fresh
		return
	}
	defer fresh.Close() // another was faster
}

func (s *statements) knows(statement string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[statement] != nil
}

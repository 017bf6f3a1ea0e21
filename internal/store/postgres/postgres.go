// Package postgres opens a PostgreSQL database for the store.
package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/cullet-vision/cullet/internal/store"
)

// connections is how many one process opens at most.
const connections = 16

// Open connects to the database that the URL names. The error never holds the
// URL, which may hold a password.
func Open(ctx context.Context, databaseURL string) (store.Conn, error) {
	cfg, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		return store.Conn{}, errors.New("the database URL cannot be read; it looks like postgres://user:password@host:5432/name")
	}
	cfg.MaxConns = max(cfg.MaxConns, connections)
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return store.Conn{}, err
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return store.Conn{}, fmt.Errorf("PostgreSQL at %s does not answer: %w", cfg.ConnConfig.Host, err)
	}
	db := stdlib.OpenDBFromPool(pool)
	return store.Conn{
		Writer: db, Reader: db, Dialect: dialect{},
		Close: func() error { err := db.Close(); pool.Close(); return err },
	}, nil
}

type dialect struct{}

func (dialect) Name() string      { return "postgres" }
func (dialect) ForShare() string  { return " FOR SHARE" }
func (dialect) ForUpdate() string { return " FOR UPDATE" }

// PostgreSQL lets who shares a row pass who waits to take it, for ever where there
// are enough of them; its advisory locks are handed out in order.
func (dialect) QueueShare() string {
	return `SELECT pg_advisory_xact_lock_shared(hashtextextended($1, 0))`
}

func (dialect) QueueUpdate() string { return `SELECT pg_advisory_xact_lock(hashtextextended($1, 0))` }

func (dialect) Classify(err error) store.Fault {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return store.FaultOther
	}
	switch e.Code {
	case "23505": // unique_violation
		return store.FaultUnique
	case "23503", "23001": // foreign_key_violation, restrict_violation
		return store.FaultForeignKey
	case "40001", "40P01", "55P03": // serialization_failure, deadlock_detected, lock_not_available
		return store.FaultRetry
	case "22021", "22P05": // character_not_in_repertoire, untranslatable_character
		return store.FaultText
	case "53100": // disk_full
		return store.FaultFull
	}
	return store.FaultOther
}

// Package sqlite opens a SQLite file for the store: one connection that writes,
// several that read.
package sqlite

import (
	"database/sql"
	"errors"
	"net/url"

	moderncsqlite "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/cullet-vision/cullet/internal/store"
)

// readers is how many reads go on beside each other.
const readers = 4

// How much each connection keeps of the file, in KiB; a page takes twice its size. The
// digests of files are random, so a batch of a purge changes pages all over their
// indexes, and the writer would read most of them again with the 2 MB of SQLite.
const (
	large = "cache_size(-3000)" // of the writer
	some  = "cache_size(-500)"  // of each reader
	small = "cache_size(-100)"  // of the keeper, which reads nothing but the log
)

// Open opens the file, and makes it where it does not exist. Commits are on the
// disk when they return (synchronous FULL).
func Open(path string) (store.Conn, error) {
	writer, err := sql.Open("sqlite", dsn(path, url.Values{"_txlock": {"immediate"}},
		"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(10000)", "foreign_keys(1)", large, backstop, kept))
	if err != nil {
		return store.Conn{}, err
	}
	writer.SetMaxOpenConns(1)
	if err := writer.Ping(); err != nil {
		writer.Close()
		return store.Conn{}, err
	}
	reader, err := sql.Open("sqlite", dsn(path, url.Values{}, "busy_timeout(10000)", "foreign_keys(1)", "query_only(1)", some))
	if err != nil {
		writer.Close()
		return store.Conn{}, err
	}
	reader.SetMaxOpenConns(readers)
	k, err := newKeeper(path)
	if err != nil {
		return store.Conn{}, errors.Join(err, reader.Close(), writer.Close())
	}
	return store.Conn{
		Writer: writer, Reader: reader, Dialect: dialect{}, Committed: k.committed,
		Close: func() error { return errors.Join(k.close(), reader.Close(), writer.Close()) },
	}, nil
}

func dsn(path string, v url.Values, pragmas ...string) string {
	v["_pragma"] = pragmas
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: v.Encode()}).String()
}

type dialect struct{}

func (dialect) Name() string      { return "sqlite" }
func (dialect) ForShare() string  { return "" } // there is one writer, and it holds everything
func (dialect) ForUpdate() string { return "" }

func (dialect) QueueShare() string  { return "" }
func (dialect) QueueUpdate() string { return "" }

func (dialect) Classify(err error) store.Fault {
	var e *moderncsqlite.Error
	if !errors.As(err, &e) {
		return store.FaultOther
	}
	switch e.Code() {
	case lib.SQLITE_CONSTRAINT_UNIQUE, lib.SQLITE_CONSTRAINT_PRIMARYKEY:
		return store.FaultUnique
	case lib.SQLITE_CONSTRAINT_FOREIGNKEY:
		return store.FaultForeignKey
	}
	switch e.Code() & 0xff {
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED:
		return store.FaultRetry
	case lib.SQLITE_FULL:
		return store.FaultFull
	}
	return store.FaultOther
}

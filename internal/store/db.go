// Package store is every SQL statement of Cullet, over SQLite and PostgreSQL
// alike. It keeps what it is told and decides nothing.
//
// Invariants it keeps:
//
//   - D3: whoever reads what is live reads a view named active_…, which hides
//     what is in Trash, by ancestors too. Only trash.go, keep.go, account.go, warn.go,
//     purge.go, status.go, fsck.go, lock.go and dump.go read the tables below; a test
//     looks for strays.
//   - Locks are taken root first: workspace, project, version, then rows below;
//     the head of the audit chain is locked last, and only the webhooks that are
//     told of it after that.
//   - Times go in and come out in UTC, rounded to microseconds.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/failpoint"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Dialect is what a driver knows about its database that SQL does not hide.
type Dialect interface {
	// Name is "sqlite" or "postgres".
	Name() string
	// ForShare and ForUpdate end a SELECT that locks the rows it returns, or are
	// empty where the database has one writer anyway.
	ForShare() string
	ForUpdate() string
	// QueueShare and QueueUpdate are statements that wait in a fair queue for the
	// thing with the id $1, or are empty where waiting is fair anyway.
	QueueShare() string
	QueueUpdate() string
	// Classify names a database error by its code, never by its text.
	Classify(error) Fault
}

// Fault is what kind of error a database reported.
type Fault int

// The kinds of fault that the store acts on.
const (
	FaultOther      Fault = iota
	FaultUnique           // a unique index has the value already
	FaultForeignKey       // a row refers to what is not, or no longer, there
	FaultRetry            // two transactions got in each other's way; run it again
	FaultFull             // no room left on the disk
	FaultText             // text that the database cannot keep
)

// Conn is an open database as a driver hands it over. Writer and Reader may be
// the same pool.
type Conn struct {
	Writer  *sql.DB
	Reader  *sql.DB
	Dialect Dialect
	Close   func() error

	// Committed, where set, is called after each commit of the store.
	Committed func()
}

// DB is the store.
type DB struct {
	conn  Conn
	clock cullet.Clock
	kept  map[*sql.DB]*statements // by pool; nil where the driver keeps them itself
	watch atomic.Pointer[func(statement string, rows int64)]
	again atomic.Int64
	asked others
}

// ErrNoRow says that there is no such row, or none that this read may see.
var ErrNoRow = errors.New("no such row")

// Open takes an open database into use and brings its schema up to date.
func Open(ctx context.Context, conn Conn, clock cullet.Clock) (*DB, error) {
	return OpenAt(ctx, conn, clock, LatestSchema())
}

// OpenAt takes an open database into use and brings its schema up to the given
// version only: that of a backup, which it is then filled from. Migrate does the rest.
func OpenAt(ctx context.Context, conn Conn, clock cullet.Clock, version int64) (*DB, error) {
	db := &DB{conn: conn, clock: clock}
	if conn.Dialect.Name() == "sqlite" {
		db.kept = map[*sql.DB]*statements{conn.Writer: newStatements(conn.Writer), conn.Reader: newStatements(conn.Reader)}
	}
	if err := db.migrate(ctx, version); err != nil {
		return nil, fmt.Errorf("migrating the database: %w", err)
	}
	return db, nil
}

// Migrate brings the schema up to date.
func (db *DB) Migrate(ctx context.Context) error { return db.migrate(ctx, LatestSchema()) }

func (db *DB) migrate(ctx context.Context, version int64) error {
	dialect := goose.DialectSQLite3
	if db.conn.Dialect.Name() == "postgres" {
		dialect = goose.DialectPostgres
	}
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	opts, err := db.oneMigratorAtATime()
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(dialect, db.conn.Writer, dir, opts...)
	if err != nil {
		return err
	}
	for {
		at, err := p.GetDBVersion(ctx)
		if err != nil || at >= version {
			return err
		}
		if err := failpoint.At("migrate.next"); err != nil {
			return err
		}
		if _, err := p.UpByOne(ctx); errors.Is(err, goose.ErrNoNextVersion) {
			return nil
		} else if err != nil {
			return err
		}
		failpoint.Pass("migrate.one")
	}
}

// oneMigratorAtATime holds processes that start together apart. SQLite's one
// writer does that by itself.
func (db *DB) oneMigratorAtATime() ([]goose.ProviderOption, error) {
	if db.conn.Dialect.Name() != "postgres" {
		return nil, nil
	}
	locker, err := lock.NewPostgresSessionLocker()
	return []goose.ProviderOption{goose.WithSessionLocker(locker)}, err
}

// Close closes the database.
func (db *DB) Close() error { return db.conn.Close() }

// Conn is the database itself, for the job engine, which works in the same one.
func (db *DB) Conn() Conn { return db.conn }

// Ping says whether the database answers.
func (db *DB) Ping(ctx context.Context) error { return db.conn.Reader.PingContext(ctx) }

// Clock is the clock the store was opened with.
func (db *DB) Clock() cullet.Clock { return db.clock }

// Watch has every statement reported with the number of rows it changed, until
// it is called with nil. Tests count with it what an operation costs (D2).
func (db *DB) Watch(f func(statement string, rows int64)) {
	if f == nil {
		db.watch.Store(nil)
		return
	}
	db.watch.Store(&f)
}

// Tx is one transaction. Now is one instant for the whole of it.
type Tx struct {
	Now time.Time

	db       *DB
	tx       *sql.Tx
	act      failpoint.Act
	onCommit []func()
	notices  []cullet.Notice // to be written down before the commit
	kept     *statements
	missed   []string // statements that were not prepared yet
}

// tries bounds how often a transaction is run again after a serialization failure.
const tries = 20

// Update runs fn in a writing transaction: committed when it returns nil, else
// rolled back. It is run again when two transactions got in each other's way,
// so fn touches nothing but tx. Nesting deadlocks on SQLite: never do it.
func (db *DB) Update(ctx context.Context, fn func(tx *Tx) error) error {
	defer db.asked.came(ctx)()
	return db.retry(ctx, func() error { return db.run(ctx, db.conn.Writer, nil, fn) })
}

// View runs fn in a reading transaction that sees one state of the database.
func (db *DB) View(ctx context.Context, fn func(tx *Tx) error) error {
	opts := &sql.TxOptions{ReadOnly: true}
	if db.conn.Dialect.Name() == "postgres" {
		opts.Isolation = sql.LevelRepeatableRead
	}
	return db.retry(ctx, func() error { return db.run(ctx, db.conn.Reader, opts, fn) })
}

// races and takes bound how often it is run again after a foreign key or a unique
// index said no: fn looks first, so either is a race that the second look sees. Of
// many that want the same name at once, each round ends for one of them.
const (
	races = 3
	takes = 10
)

func (db *DB) retry(ctx context.Context, once func() error) error {
	for n := 1; ; n++ {
		err := once()
		most := 1
		if err != nil {
			fault := db.fault(err)
			if errors.Is(err, errAgain) {
				fault = FaultRetry
			}
			switch fault {
			case FaultRetry:
				most = tries
			case FaultUnique:
				most = takes
			case FaultForeignKey:
				most = races
			}
		}
		if n >= most {
			return db.explain(err)
		}
		db.again.Add(1)
		// By the machine's time, whatever clock was handed in: it is about the database.
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(n) * time.Millisecond):
		}
	}
}

// fault names an error by its code: the database's own, or the system's.
func (db *DB) fault(err error) Fault {
	if errors.Is(err, syscall.ENOSPC) {
		return FaultFull
	}
	return db.conn.Dialect.Classify(err)
}

// explain gives database errors that a person can act on their words.
func (db *DB) explain(err error) error {
	if err == nil || cullet.CodeOf(err) != cullet.Internal {
		return err
	}
	switch db.fault(err) {
	case FaultFull:
		return &cullet.Error{Code: cullet.Unavailable, Err: err,
			Message: "the database's disk is full; nothing was changed. Make room and try again"}
	case FaultRetry:
		return &cullet.Error{Code: cullet.Unavailable, Err: err,
			Message: "too many wanted the same thing at once; nothing was changed. Try again"}
	case FaultUnique:
		return &cullet.Error{Code: cullet.Conflict, Err: err,
			Message: "somebody else took the same name at this moment; nothing was changed. Try again"}
	case FaultText:
		return &cullet.Error{Code: cullet.Invalid, Err: err,
			Message: "a text holds characters that cannot be kept (NUL or invalid UTF-8)"}
	}
	return err
}

func (db *DB) run(ctx context.Context, pool *sql.DB, opts *sql.TxOptions, fn func(tx *Tx) error) (err error) {
	t, err := pool.BeginTx(ctx, opts)
	if err != nil {
		return err
	}
	tx := &Tx{Now: db.clock.Now().UTC().Truncate(time.Microsecond), db: db, tx: t, act: failpoint.Of(ctx), kept: db.kept[pool]}
	defer tx.prepareMissed(ctx) // when the pool's connection is free again
	defer func() {
		if p := recover(); p != nil {
			_ = t.Rollback()
			panic(p)
		}
	}()
	if err := fn(tx); err != nil {
		_ = t.Rollback()
		return err
	}
	if err := tx.writeNotices(ctx); err != nil {
		_ = t.Rollback()
		return err
	}
	if err := tx.act.At("commit"); err != nil {
		_ = t.Rollback()
		return err
	}
	if err := t.Commit(); err != nil {
		return err
	}
	tx.act.Pass("committed")
	if db.conn.Committed != nil && opts == nil {
		db.conn.Committed()
	}
	for _, f := range tx.onCommit {
		f()
	}
	return nil
}

// OnCommit has f called once the transaction is committed, never when it is not.
func (tx *Tx) OnCommit(f func()) { tx.onCommit = append(tx.onCommit, f) }

// SQL is the transaction itself, for the job engine's inserts.
func (tx *Tx) SQL() *sql.Tx { return tx.tx }

// Retried is how often a transaction was run again since the store was opened.
// Many mean that locks are taken in the wrong order somewhere.
func (db *DB) Retried() int64 { return db.again.Load() }

// IsFault says whether err is a database error of the given kind.
func (db *DB) IsFault(err error, f Fault) bool {
	return err != nil && db.fault(err) == f
}

func (tx *Tx) exec(ctx context.Context, statement string, args ...any) (int64, error) {
	res, err := tx.runner(ctx, statement).ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	tx.db.saw(statement, n)
	return n, tx.wrote(statement, err)
}

// wrote is a failpoint behind each statement that writes.
func (tx *Tx) wrote(statement string, err error) error {
	if !failpoint.Enabled || err != nil || strings.HasPrefix(statement, "SELECT") {
		return err
	}
	return tx.act.At("write")
}

// one row must be changed: none means that somebody else was first (ErrNoRow).
func (tx *Tx) execOne(ctx context.Context, statement string, args ...any) error {
	n, err := tx.exec(ctx, statement, args...)
	if err == nil && n == 0 {
		return ErrNoRow
	}
	return err
}

func (db *DB) saw(statement string, rows int64) {
	if f := db.watch.Load(); f != nil {
		(*f)(statement, rows)
	}
}

// row is what a scan function reads from: *sql.Row or *sql.Rows.
type row interface{ Scan(dest ...any) error }

func queryOne[T any](ctx context.Context, tx *Tx, scan func(row) (T, error), statement string, args ...any) (T, error) {
	tx.db.saw(statement, 0)
	v, err := scan(tx.runner(ctx, statement).QueryRowContext(ctx, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return v, ErrNoRow
	}
	return v, tx.wrote(statement, err)
}

func queryAll[T any](ctx context.Context, tx *Tx, scan func(row) (T, error), statement string, args ...any) ([]T, error) {
	tx.db.saw(statement, 0)
	rows, err := tx.runner(ctx, statement).QueryContext(ctx, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, tx.wrote(statement, rows.Err())
}

func scanInt(r row) (n int64, err error)   { return n, r.Scan(&n) }
func scanText(r row) (s string, err error) { return s, r.Scan(&s) }
func scanBool(r row) (yes bool, err error) { return yes, r.Scan(&yes) }

// errAgain has Update run a transaction again: what it found was gone a moment later.
var errAgain = errors.New("it was gone at this moment")

func forShare(tx *Tx) string   { return tx.db.conn.Dialect.ForShare() }
func forUpdate(tx *Tx) string  { return tx.db.conn.Dialect.ForUpdate() }
func micros(t time.Time) int64 { return timeOr0(t) }
func timeOr0(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// instant scans microseconds since 1970 into a time; 0 is the zero time.
type instant struct{ t *time.Time }

func (i instant) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("a time is kept as an integer, not as %T", v)
	}
	if n == 0 {
		*i.t = time.Time{}
	} else {
		*i.t = time.UnixMicro(n).UTC()
	}
	return nil
}

// maybe scans text that may be NULL; NULL is "".
type maybe struct{ s *string }

func (m maybe) Scan(v any) error {
	var s sql.NullString
	err := s.Scan(v)
	*m.s = s.String
	return err
}

// orNull keeps "" as NULL, so that a foreign key holds for the rest.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

package cullettest

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/job"
)

// Stage makes one new world after the other on one database, quickly: thousands of
// histories each begin with nothing, so that one that fails can be shrunk and replayed.
type Stage struct {
	first  *World
	jobs   *job.Engine
	log    *slog.Logger
	tables []string            // in the order in which they were made: what is referred to comes first
	rows   map[string][][]any  // of a world that is new
	heads  map[string][]string // their columns
}

// NewStage makes a stage on a new database.
func NewStage(t testing.TB, d Database) *Stage {
	t.Helper()
	w := WorldOn(t, d, NewClock())
	s := &Stage{first: w, log: slog.New(slog.NewTextHandler(io.Discard, nil)), rows: map[string][][]any{}, heads: map[string][]string{}}
	var err error
	if s.jobs, err = job.New(context.Background(), w.DB, 0, s.log); err != nil {
		t.Fatal(err)
	}
	conn := w.DB.Conn()
	list := `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid`
	if conn.Dialect.Name() == "postgres" {
		list = `SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY oid`
	}
	names, err := conn.Writer.Query(list)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range read(t, names) {
		if name := fmt.Sprint(row[0]); !strings.HasPrefix(name, "goose") && !strings.HasPrefix(name, "river") {
			s.tables = append(s.tables, name)
		}
	}
	for _, table := range s.tables {
		rows, err := conn.Writer.Query(`SELECT * FROM ` + table)
		if err != nil {
			t.Fatal(err)
		}
		if s.heads[table], err = rows.Columns(); err != nil {
			t.Fatal(err)
		}
		s.rows[table] = read(t, rows)
	}
	return s
}

func read(t testing.TB, rows *sql.Rows) (all [][]any) {
	t.Helper()
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		row := make([]any, len(columns))
		into := make([]any, len(columns))
		for n := range row {
			into[n] = &row[n]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// World takes the database back to where it was new, and makes a world on it whose bytes
// are kept by the driver. The world before must not be used any more.
func (s *Stage) World(t T, driver blob.Driver) *World {
	t.Helper()
	s.first.Clock.Set(Start)
	if err := s.clear(); err != nil {
		t.Fatalf("clearing the stage: %v", err)
	}
	w := furnish(s.first.DB, s.first.Clock, driver, s.jobs, s.log)
	w.Workspace, w.Owner, w.Secret, w.By = s.first.Workspace, s.first.Owner, s.first.Secret, s.first.By
	return w
}

func (s *Stage) clear() error {
	ctx := context.Background()
	conn := s.first.DB.Conn()
	c, err := conn.Writer.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	// Both databases are told not to look at references meanwhile.
	before, after := `PRAGMA foreign_keys = OFF`, `PRAGMA foreign_keys = ON`
	if conn.Dialect.Name() == "postgres" {
		before, after = `SET session_replication_role = replica`, `SET session_replication_role = origin`
	}
	if _, err := c.ExecContext(ctx, before); err != nil {
		return err
	}
	tx, err := c.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	for _, table := range append([]string{"river_job"}, s.tables...) {
		if _, err := tx.Exec(`DELETE FROM ` + table); err != nil {
			return err
		}
	}
	for _, table := range s.tables {
		for _, row := range s.rows[table] {
			marks := make([]string, len(row))
			for n := range row {
				marks[n] = fmt.Sprintf("$%d", n+1)
			}
			if _, err := tx.Exec(fmt.Sprintf(`INSERT INTO %s (%s) VALUES (%s)`, table, strings.Join(s.heads[table], ", "), strings.Join(marks, ", ")), row...); err != nil {
				return fmt.Errorf("%s: %w", table, err)
			}
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	_, err = c.ExecContext(ctx, after)
	return err
}

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/cullet-vision/cullet"
)

// This file sees below what is active: a backup holds all there is.

// dumped lists the tables that a backup holds, those first that others refer to: in
// this order they can be filled. The rows of bytes come first, by path: their files
// are copied in that order.
var dumped = []string{
	"blobs", "workspaces", "people", "members", "api_keys", "audit_heads", "audit",
	"trash_items", "trash_counts", "folders", "projects", "project_counts", "classes",
	"blob_candidates", "blob_unlinks", "batches", "annotations", "images", "versions", "version_images", "exports",
	"trainings", "training_metrics", "ledger", "models", "model_files",
	"workflows", "workflow_versions", "purge_orders", "purge_order_items", "rescues", "rescue_items",
	"webhooks", "banners_put_away",
}

// leftOut lists the tables that a backup does not hold, and why. A test finds every
// table of the database in one of the two lists.
var leftOut = map[string]string{
	"secrets":             "a restored server makes its own: who has the backup must not be able to sign links",
	"sessions":            "nobody is signed in to a restored server",
	"sign_in_failures":    "they count attempts on the server that was",
	"form_posts":          "they belong to sessions",
	"purge_confirmations": "they belong to sessions, and live for ten minutes",
	"backups":             "the leases of backups themselves",
	"deliveries":          "the server that was has sent them, or still does; the copy tells of what happens to it",
	"digests":             "like deliveries",
	"mails":               "like deliveries",
	"clock_watch":         "a restored server looks at its own clock, and begins with a wait",
	"account_epoch":       "bytes are counted anew",
	"storage_counts":      "bytes are counted anew",
	"goose_db_version":    "the migrations keep it; the dump names the version of the schema",
}

// LeftOut says why a backup does not hold a table, "" where it does.
func LeftOut(table string) string {
	if strings.HasPrefix(table, "river_") {
		return "the job engine keeps it; what it was doing is begun again or was ended"
	}
	return leftOut[table]
}

// Dumped lists the tables that a backup holds, in the order in which they are filled.
func Dumped() []string { return slices.Clone(dumped) }

// ColumnKind is what a column holds, on both databases alike.
type ColumnKind string

// The kinds of columns: their values are string, int64, bool and float64, or nil.
const (
	ColumnText  ColumnKind = "text"
	ColumnInt   ColumnKind = "int"
	ColumnBool  ColumnKind = "bool"
	ColumnFloat ColumnKind = "float"
)

// columnKinds names the kinds by the databases' words for them.
var columnKinds = map[string]ColumnKind{
	"TEXT": ColumnText, "BIGINT": ColumnInt, "INT8": ColumnInt, "BOOLEAN": ColumnBool, "BOOL": ColumnBool,
	"DOUBLE PRECISION": ColumnFloat, "FLOAT8": ColumnFloat,
}

// Column is a column of a table.
type Column struct {
	Name string     `json:"name"`
	Kind ColumnKind `json:"kind"`
}

// Table is a table that a backup holds.
type Table struct {
	Name    string
	Columns []Column
}

// Tables returns those tables of a database that a backup holds, in order.
func (tx *Tx) Tables(ctx context.Context) ([]Table, error) {
	there, err := ListTables(ctx, tx.tx, tx.db.conn.Dialect)
	if err != nil {
		return nil, err
	}
	var all []Table
	for _, name := range dumped {
		if !slices.Contains(there, name) {
			continue // it came with a later schema
		}
		columns, err := tx.columns(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("looking at table %s: %w", name, err)
		}
		all = append(all, Table{name, columns})
	}
	return all, nil
}

func (tx *Tx) columns(ctx context.Context, table string) ([]Column, error) {
	rows, err := tx.tx.QueryContext(ctx, `SELECT * FROM `+table+` WHERE 1 = 0`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	var columns []Column
	for _, t := range types {
		kind, ok := columnKinds[strings.ToUpper(t.DatabaseTypeName())]
		if !ok {
			return nil, fmt.Errorf("column %s has the type %q, of which a backup knows nothing", t.Name(), t.DatabaseTypeName())
		}
		columns = append(columns, Column{t.Name(), kind})
	}
	return columns, rows.Err()
}

// DumpTable calls fn with each row of a table. The row is fn's until it returns.
func (tx *Tx) DumpTable(ctx context.Context, t Table, fn func(row []any) error) error {
	rows, err := tx.tx.QueryContext(ctx, t.selection())
	if err != nil {
		return err
	}
	defer rows.Close()
	dest, row := make([]any, len(t.Columns)), make([]any, len(t.Columns))
	for n, c := range t.Columns {
		dest[n] = c.Kind.dest()
	}
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		for n := range dest {
			row[n] = plain(dest[n])
		}
		if err := fn(row); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (t Table) selection() string {
	names := make([]string, len(t.Columns))
	for n, c := range t.Columns {
		names[n] = "t." + c.Name
	}
	from := `SELECT ` + strings.Join(names, ", ") + ` FROM ` + t.Name + ` t`
	switch t.Name {
	case "blobs":
		return from + ` ORDER BY t.path`
	case "folders": // a folder refers to the one it is in
		return `WITH RECURSIVE tree (id, depth) AS (SELECT f.id, 0 FROM folders f WHERE f.parent_id IS NULL
			UNION ALL SELECT f.id, tree.depth + 1 FROM folders f JOIN tree ON tree.id = f.parent_id) ` +
			from + ` JOIN tree ON tree.id = t.id ORDER BY tree.depth, t.id`
	}
	return from
}

func (k ColumnKind) dest() any {
	switch k {
	case ColumnInt:
		return new(sql.NullInt64)
	case ColumnBool:
		return new(sql.NullBool)
	case ColumnFloat:
		return new(sql.NullFloat64)
	}
	return new(sql.NullString)
}

func plain(dest any) any {
	switch v := dest.(type) {
	case *sql.NullInt64:
		if v.Valid {
			return v.Int64
		}
	case *sql.NullBool:
		if v.Valid {
			return v.Bool
		}
	case *sql.NullFloat64:
		if v.Valid {
			return v.Float64
		}
	case *sql.NullString:
		if v.Valid {
			return v.String
		}
	}
	return nil
}

// FillTable adds rows to a table, whose columns and kinds are those of Tables. The
// error is Invalid where the database refuses them: it says so in its own words,
// and the transaction is not run again for it.
func (tx *Tx) FillTable(ctx context.Context, t Table, rows [][]any) error {
	const parameters = 30_000 // of one statement; SQLite takes 32,766
	most := parameters / len(t.Columns)
	for len(rows) > 0 {
		some := rows[:min(most, len(rows))]
		rows = rows[len(some):]
		args := make([]any, 0, len(some)*len(t.Columns))
		for _, r := range some {
			args = append(args, r...)
		}
		// Past tx.exec: the last statement of each table is another one, and never comes again.
		_, err := tx.tx.ExecContext(ctx, t.insertion(len(some)), args...)
		if err != nil && ctx.Err() == nil && tx.db.conn.Dialect.Classify(err) != FaultFull {
			return cullet.E(cullet.Invalid, "the database refuses rows of the table %s: %v", t.Name, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t Table) insertion(rows int) string {
	var b strings.Builder
	b.WriteString(`INSERT INTO ` + t.Name + ` (`)
	for n, c := range t.Columns {
		if n > 0 {
			b.WriteString(", ")
		}
		b.WriteString(c.Name)
	}
	b.WriteString(") VALUES ")
	for n := range rows * len(t.Columns) {
		switch {
		case n == 0:
			b.WriteString("(")
		case n%len(t.Columns) == 0:
			b.WriteString("), (")
		default:
			b.WriteString(", ")
		}
		b.WriteString("$" + strconv.Itoa(n+1))
	}
	b.WriteString(")")
	return b.String()
}

// SchemaVersion is the number of the last migration that the database has.
func (tx *Tx) SchemaVersion(ctx context.Context) (int64, error) {
	return queryOne(ctx, tx, scanInt, `SELECT MAX(version_id) FROM goose_db_version`)
}

// LatestSchema is the number of the last migration that this program has.
func LatestSchema() int64 {
	latest := int64(0)
	files, _ := fs.ReadDir(migrations, "migrations") // embedded
	for _, f := range files {
		number, _, _ := strings.Cut(f.Name(), "_")
		n, _ := strconv.ParseInt(number, 10, 64)
		latest = max(latest, n)
	}
	return latest
}

// querier is a transaction or a database.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// ListTables lists all tables of a database, whoever made them.
func ListTables(ctx context.Context, q querier, d Dialect) (names []string, err error) {
	statement := `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`
	if d.Name() == "postgres" {
		statement = `SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' ORDER BY table_name`
	}
	rows, err := q.QueryContext(ctx, statement)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

// Occupant is what a database holds already.
type Occupant struct {
	What       string // in words; "": nothing may be lost by filling it
	Unfinished string // the mark of a restore that has not come to its end, where one filled it
}

// Occupied says what a database holds already: nothing where it is empty, or has our
// tables without a workspace. It changes nothing.
func Occupied(ctx context.Context, conn Conn) (Occupant, error) {
	tables, err := ListTables(ctx, conn.Reader, conn.Dialect)
	if err != nil || len(tables) == 0 {
		return Occupant{}, err
	}
	if !slices.Contains(tables, "goose_db_version") || !slices.Contains(tables, "workspaces") {
		return Occupant{What: "tables of something else, such as " + tables[0]}, nil
	}
	slug, err := first(ctx, conn, `SELECT slug FROM workspaces ORDER BY created_at LIMIT 1`)
	if err != nil || slug == "" {
		return Occupant{}, err
	}
	mark, err := first(ctx, conn, `SELECT value FROM secrets WHERE name = '`+unfinished+`'`)
	return Occupant{"the workspace " + slug, mark}, err
}

// first returns the first row's text, "" where there is none.
func first(ctx context.Context, conn Conn, statement string) (text string, err error) {
	err = conn.Reader.QueryRowContext(ctx, statement).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return text, err
}

package cullettest

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver by which test databases are made

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/store/postgres"
	"github.com/cullet-vision/cullet/internal/store/sqlite"
)

// PostgresEnv names the URL of a PostgreSQL server in which tests may make
// databases. `make check` sets it; without it the PostgreSQL half does not run.
const PostgresEnv = "CULLET_TEST_POSTGRES"

// Database is one of the two databases, new and empty.
type Database struct {
	Name string // sqlite or postgres
	URL  string // of a PostgreSQL database, "" for SQLite
	File string // of a SQLite database, "" for PostgreSQL
}

// Open opens it for a store with the given clock, until the test ends.
func (d Database) Open(t testing.TB, clock cullet.Clock) *store.DB {
	t.Helper()
	db, err := store.Open(context.Background(), d.Connect(t), clock)
	if err != nil {
		t.Fatalf("opening the store on %s: %v", d.Name, err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// Connect opens it without a store: who calls closes it.
func (d Database) Connect(t testing.TB) store.Conn {
	t.Helper()
	var conn store.Conn
	var err error
	if d.Name == "sqlite" {
		conn, err = sqlite.Open(d.File)
	} else {
		conn, err = postgres.Open(context.Background(), d.URL)
	}
	if err != nil {
		t.Fatalf("opening %s: %v", d.Name, err)
	}
	return conn
}

// Databases lists the databases that tests run on here.
func Databases() []string {
	if os.Getenv(PostgresEnv) == "" {
		return []string{"sqlite"}
	}
	return []string{"sqlite", "postgres"}
}

// Each runs the test on a new database of each kind.
func Each(t *testing.T, test func(t *testing.T, d Database)) {
	t.Helper()
	if os.Getenv(AllEnv) != "" {
		NeedsPostgres(t) // half of the test would be skipped in silence
	}
	for _, name := range Databases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, NewDatabase(t, name))
		})
	}
}

// NewDatabase makes an empty database that is thrown away when the test ends.
func NewDatabase(t testing.TB, name string) Database {
	t.Helper()
	if name == "sqlite" {
		return Database{Name: name, File: filepath.Join(t.TempDir(), "cullet.db")}
	}
	server := os.Getenv(PostgresEnv)
	u, err := url.Parse(server)
	if err != nil {
		t.Fatalf("%s is no URL", PostgresEnv)
	}
	admin, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	database := fmt.Sprintf("cullet_go_%d_%08x", os.Getpid(), rand.Uint32())
	if _, err := admin.Exec(`CREATE DATABASE ` + database + ` TEMPLATE template0`); err != nil {
		t.Fatalf("making a database on PostgreSQL: %v", err)
	}
	t.Cleanup(func() {
		if _, err := admin.Exec(`DROP DATABASE ` + database + ` WITH (FORCE)`); err != nil {
			t.Errorf("dropping %s: %v", database, err)
		}
		admin.Close()
	})
	u.Path = "/" + database
	return Database{Name: name, URL: u.String()}
}

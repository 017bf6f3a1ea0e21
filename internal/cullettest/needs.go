package cullettest

import (
	"os"
	"testing"
)

// AllEnv is set where every test has to run, as in make check: there, what is missing is
// a failure, since a test that is skipped cannot fail.
const AllEnv = "CULLET_TEST_ALL"

// Lacks skips a test for what this machine does not have, or fails it where all have to run.
func Lacks(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv(AllEnv) != "" {
		t.Fatalf("every test has to run here ("+AllEnv+"), but "+format, args...)
	}
	t.Skipf(format, args...)
}

// NeedsPostgres is for tests that are about PostgreSQL alone.
func NeedsPostgres(t testing.TB) {
	t.Helper()
	if os.Getenv(PostgresEnv) == "" {
		Lacks(t, "%s names no PostgreSQL", PostgresEnv)
	}
}

// TakesLong skips a test in a short run, for what it does.
func TakesLong(t testing.TB, does string) {
	t.Helper()
	if testing.Short() {
		Lacks(t, "it %s, and this is a short run", does)
	}
}

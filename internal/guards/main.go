// Command guards shows that no rule of the Trash is held by argument alone: it copies
// the module, breaks the code that keeps each rule, one at a time, and sees a test that
// names the rule fail. It prints rule, guard and test, and ends with status 1 where a
// broken guard went unnoticed.
//
//	go run ./internal/guards [RULE…]
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// postgresEnv is where the tests find PostgreSQL.
const postgresEnv = "CULLET_TEST_POSTGRES"

// most is how long the tests of one broken guard may take.
const most = 4 * time.Minute

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "guards:", err)
		os.Exit(1)
	}
}

func run(only []string, out io.Writer) error {
	if missing := unguarded(); len(missing) > 0 {
		return fmt.Errorf("no guard is listed for %s", strings.Join(missing, ", "))
	}
	dir, err := os.MkdirTemp("", "cullet-guards-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := copyModule(dir); err != nil {
		return err
	}
	unnoticed := 0
	fmt.Fprintf(out, "%-4s  %-72s  %s\n", "rule", "guard, broken", "test that fails")
	for _, g := range guards {
		if len(only) > 0 && !slices.Contains(only, g.rule) {
			continue
		}
		if g.where == "postgres" && os.Getenv(postgresEnv) == "" {
			return fmt.Errorf("%s is a matter of PostgreSQL alone: set %s", g.rule, postgresEnv)
		}
		test, err := g.broken(dir)
		if err != nil {
			unnoticed++
			test = "NONE: " + err.Error()
		}
		fmt.Fprintf(out, "%-4s  %-72s  %s\n", g.rule, g.what, test)
	}
	if unnoticed > 0 {
		return fmt.Errorf("%d broken guards went unnoticed", unnoticed)
	}
	return nil
}

// copyModule copies what git knows of the module, and what is new.
func copyModule(to string) error {
	list, err := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		return fmt.Errorf("listing the module's files: %w", err)
	}
	for _, name := range strings.Fields(string(list)) {
		b, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) {
			continue // removed, and not yet committed
		} else if err != nil {
			return err
		}
		path := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// broken breaks the guard in the copy, runs its tests there, mends it, and returns the
// test that failed and names the rule.
func (g guard) broken(dir string) (test string, err error) {
	for _, e := range g.edits {
		path := filepath.Join(dir, e.file)
		was, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		if n := bytes.Count(was, []byte(e.old)); n != 1 {
			return "", fmt.Errorf("%s holds %d times %q; the guard moved", e.file, n, e.old)
		}
		if err := os.WriteFile(path, bytes.Replace(was, []byte(e.old), []byte(e.new), 1), 0o644); err != nil {
			return "", err
		}
		defer func() { err = errors.Join(err, os.WriteFile(path, was, 0o644)) }()
	}
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-timeout", most.String(), "-run", g.run, g.pkg)
	cmd.Dir = dir
	if g.where == "" {
		cmd.Env = append(os.Environ(), postgresEnv+"=", "CULLET_TEST_ALL=")
	} else {
		cmd.Args[len(cmd.Args)-2] += "/" + g.where
	}
	output, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		return "", fmt.Errorf("%s -run '%s' passes", g.pkg, g.run)
	case bytes.Contains(output, []byte("[build failed]")), bytes.Contains(output, []byte("[setup failed]")):
		return "", fmt.Errorf("it does not build: %.300s", output)
	}
	return failed(output, g.rule)
}

var failure = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

// failed is the first test in the output that failed and names the rule, by its name or
// by what it says.
func failed(output []byte, rule string) (string, error) {
	names := regexp.MustCompile(`\b(Test)?` + rule + `([A-Z:]|\b)`)
	if !names.Match(output) {
		return "", fmt.Errorf("a test failed, but none names %s: %.300s", rule, output)
	}
	m := failure.FindSubmatch(output)
	if m == nil {
		return "", fmt.Errorf("the tests did not run to their end: %.300s", output)
	}
	return string(m[1]), nil
}

// unguarded lists the rules of docs/trash.md for which nothing is listed.
func unguarded() (missing []string) {
	doc, err := os.ReadFile("docs/trash.md")
	if err != nil {
		return []string{err.Error()}
	}
	for _, m := range regexp.MustCompile(`(?m)^\| ([DRCPA]\d+) \|.*\|\s*(\S[^|]*)\|$`).FindAllStringSubmatch(string(doc), -1) {
		later := !strings.Contains(m[2], "✓")
		if !later && !slices.ContainsFunc(guards, func(g guard) bool { return g.rule == m[1] }) {
			missing = append(missing, m[1])
		}
	}
	return missing
}

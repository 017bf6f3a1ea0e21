package store

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// below lists the files that may read what is in Trash.
var seesBelow = []string{"trash.go", "keep.go", "account.go", "warn.go", "purge.go", "status.go", "fsck.go", "lock.go", "dump.go", "stray_test.go"}

// hidden are the tables whose rows a deletion hides; everybody else reads their
// active_… views.
var hidden = []string{"projects", "images", "annotations", "batches", "classes", "versions", "version_images", "exports", "trainings", "models", "workflows", "trash_items"}

// TestD3ReadsGoThroughViews looks for statements that read a table which Trash
// hides things in by another way than the one place that hides them.
func TestD3ReadsGoThroughViews(t *testing.T) {
	strays := regexp.MustCompile(`(?i)\b(FROM|JOIN)\s+(` + strings.Join(hidden, "|") + `)\b`)
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 10 {
		t.Fatalf("found %d files, %v", len(files), err)
	}
	for _, f := range files {
		if slices.Contains(seesBelow, f) || strings.HasSuffix(f, "_test.go") {
			continue
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for n, line := range strings.Split(string(text), "\n") {
			if m := strays.FindString(line); m != "" && !allowed(f, line) {
				t.Errorf("D3: %s:%d reads %q; read the active_ view, or move it to a file that may see below", f, n+1, m)
			}
		}
	}
	for _, h := range hidden[:2] { // the search can fail
		if !strays.MatchString("SELECT 1 FROM " + h) {
			t.Errorf("the search does not find a stray read of %s", h)
		}
	}
}

// allowed names the reads below that are right: they say why here.
func allowed(file, line string) bool {
	for _, a := range []struct{ file, part string }{
		{"training.go", "t.lease_until FROM trainings t WHERE t.id = $1"}, // a worker ends processes of trainings in Trash too
	} {
		if file == a.file && strings.Contains(line, a.part) {
			return true
		}
	}
	return false
}

// TestC4EveryReferenceToBytesIsKnown holds the collector's list of references
// against the schema's foreign keys: one that it forgot would free bytes in use.
func TestC4EveryReferenceToBytesIsKnown(t *testing.T) {
	text, err := os.ReadFile("migrations/0001_first.sql")
	if err != nil {
		t.Fatal(err)
	}
	var declared []string
	table := ""
	for line := range strings.Lines(string(text)) {
		if m := regexp.MustCompile(`^CREATE TABLE (\w+)`).FindStringSubmatch(line); m != nil {
			table = m[1]
		}
		if m := regexp.MustCompile(`^\s+(\w+) .*REFERENCES blobs`).FindStringSubmatch(line); m != nil {
			declared = append(declared, table+"."+m[1])
		}
	}
	var known []string
	for _, r := range blobReferences {
		known = append(known, r.table+"."+r.column)
	}
	slices.Sort(declared)
	slices.Sort(known)
	if len(declared) == 0 || !slices.Equal(declared, known) {
		t.Errorf("C4: the schema refers to bytes by %v, the collector looks at %v", declared, known)
	}
	for _, steps := range sweeps {
		for _, s := range steps {
			for _, c := range s.blobs {
				if !slices.Contains(known, s.table+"."+c) {
					t.Errorf("the purge frees %s.%s, which is no reference", s.table, c)
				}
			}
		}
	}
}

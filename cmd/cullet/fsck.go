package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/cullet-vision/cullet/internal/fsck"
)

type fsckCommand struct {
	settings
	Deep   bool `help:"Read every file and compare its digest."`
	Repair bool `help:"Set files aside that nothing refers to. Nothing is ever unlinked."`
	JSON   bool `name:"json" help:"Print one JSON object."`
}

// Run looks at everything, beside a running server too.
func (c *fsckCommand) Run(ctx context.Context) error {
	g, err := openGround(ctx, c.settings, false)
	if err != nil {
		return exit{2, err}
	}
	defer g.close()
	r, err := fsck.Check(ctx, g.db, g.blobs, fsck.Options{Deep: c.Deep, Repair: c.Repair})
	if err != nil {
		return exit{2, err}
	}
	if c.JSON {
		err = json.NewEncoder(os.Stdout).Encode(fsckJSON(r, c.Deep))
	} else {
		printFsck(r)
	}
	if err == nil && !r.Clean() {
		return exit{status: 1}
	}
	return err
}

func fsckJSON(r fsck.Report, deep bool) map[string]any {
	findings := []map[string]string{}
	for _, f := range r.Findings {
		findings = append(findings, map[string]string{"kind": f.Kind, "what": f.What})
	}
	return map[string]any{
		"clean": r.Clean(), "dangling_rows": r.DanglingRows, "missing_blobs": r.MissingBlobs, "orphan_blobs": r.OrphanBlobs,
		"corrupt_blobs": r.CorruptBlobs, "miscounted": r.Miscounted, "audit_breaks": r.AuditBreaks,
		"findings": findings, "repaired": orEmpty(r.Repaired), "not_repaired": orEmpty(r.Left), "young_files": r.Young,
		"checked": map[string]any{"questions": r.Checks, "blobs": r.Blobs, "files": r.Files, "bytes": r.Bytes, "audit_entries": r.Entries, "deep": deep},
	}
}

func printFsck(r fsck.Report) {
	for _, f := range r.Findings {
		fmt.Printf("%-10s  %s\n", f.Kind, f.What)
	}
	for _, s := range r.Repaired {
		fmt.Println("repaired   ", s)
	}
	for _, s := range r.Left {
		fmt.Println("not touched", s)
	}
	fmt.Printf("looked at %d rows of bytes, %d files (%d bytes), %d audit entries; asked %d questions\n", r.Blobs, r.Files, r.Bytes, r.Entries, r.Checks)
	if r.Young > 0 {
		fmt.Printf("%d files have no row yet and are younger than a day: uploads under way, or left by one that was cut off\n", r.Young)
	}
	if r.Clean() {
		fmt.Println("clean")
	} else {
		fmt.Printf("found: %d dangling rows, %d missing, %d orphan and %d corrupt blobs, %d wrong counters, %d breaks of the audit\n",
			r.DanglingRows, r.MissingBlobs, r.OrphanBlobs, r.CorruptBlobs, r.Miscounted, r.AuditBreaks)
	}
}

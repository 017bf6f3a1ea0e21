// Package fsck proves that nothing dangles, is missing, is left over, or was
// rewritten in the audit (C5, A1). It reads beside a running server, and its
// repair loses nothing: it never unlinks, it sets aside what nobody refers to.
package fsck

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/store"
)

// young is the age up to which a file without a row is an upload under way, and
// left alone.
const young = 24 * time.Hour

// kept is how long what repair set aside stays.
const kept = 30 * 24 * time.Hour

// most bounds how many findings of a kind are named; all are counted.
const most = 100

// Options says what to do beside looking.
type Options struct {
	Deep   bool // read every file and compare its digest
	Repair bool // set orphan files aside
}

// Report is what was found. Its counts are 0 where all is well.
type Report struct {
	DanglingRows int64
	MissingBlobs int64
	OrphanBlobs  int64 // files without a row, older than a day
	CorruptBlobs int64 // only looked for with Deep
	Miscounted   int64
	AuditBreaks  int64

	Findings []Finding
	Repaired []string // what was set aside
	Left     []string // what repair did not touch, and why, in words; only with Repair

	Young   int64 // files without a row that may be uploads under way: no finding
	Blobs   int64 // rows of files that were looked at
	Files   int64
	Bytes   int64
	Entries int64 // of the audit
	Checks  int64 // questions that were put to the database
}

// Finding is one thing that is not as it should be.
type Finding struct {
	Kind string // dangling, missing, orphan, corrupt, miscounted, audit
	What string
}

// Clean says whether nothing was found.
func (r Report) Clean() bool {
	return r.DanglingRows+r.MissingBlobs+r.OrphanBlobs+r.CorruptBlobs+r.Miscounted+r.AuditBreaks == 0
}

func (r *Report) add(count *int64, kind, format string, args ...any) {
	*count++
	if *count <= most {
		r.Findings = append(r.Findings, Finding{kind, fmt.Sprintf(format, args...)})
	}
}

// Check looks at everything.
func Check(ctx context.Context, db *store.DB, blobs *blob.Store, o Options) (Report, error) {
	var r Report
	for _, look := range []func(context.Context, *store.DB, *blob.Store, Options) error{r.rows, r.missing, r.orphans, r.audit} {
		if err := look(ctx, db, blobs, o); err != nil {
			return r, err
		}
	}
	if o.Repair {
		r.leave()
	}
	return r, nil
}

// leave says what repair does not do: each of these would lose something, or needs
// somebody who knows what was right.
func (r *Report) leave() {
	for _, x := range []struct {
		count int64
		what  string
		why   string
	}{
		{r.DanglingRows, "dangling rows", "they are evidence of what went wrong; nothing is removed that a person has not looked at"},
		{r.MissingBlobs, "missing files", "bring them back from a backup (cullet restore-backup into another folder) to where their rows say"},
		{r.CorruptBlobs, "corrupt files", "replace them from a backup; the damaged ones are left as they are"},
		{r.Miscounted, "wrong counters", "they are shown numbers only, and tell where something went wrong"},
		{r.AuditBreaks, "breaks of the audit", "a chain that was mended would prove nothing"},
		{r.Young, "files without a row that are younger than a day", "they may be uploads under way"},
	} {
		if x.count > 0 {
			r.Left = append(r.Left, fmt.Sprintf("%d %s: %s", x.count, x.what, x.why))
		}
	}
}

// rows asks the database for what dangles and what is miscounted.
func (r *Report) rows(ctx context.Context, db *store.DB, _ *blob.Store, _ Options) error {
	return db.View(ctx, func(tx *store.Tx) error {
		dangling, err := tx.FindDangling(ctx)
		if err != nil {
			return err
		}
		for _, f := range dangling {
			r.add(&r.DanglingRows, "dangling", "%s: %s", f.Check, f.What)
		}
		miscounted, err := tx.FindMiscounted(ctx)
		for _, f := range miscounted {
			r.add(&r.Miscounted, "miscounted", "%s: %s", f.Check, f.What)
		}
		r.Checks = int64(store.Checks())
		return err
	})
}

// missing looks for the file of every row. A row that is gone by the time its
// file is missed was purged meanwhile.
func (r *Report) missing(ctx context.Context, db *store.DB, blobs *blob.Store, o Options) error {
	for after := ""; ; {
		var some []cullet.Blob
		err := db.View(ctx, func(tx *store.Tx) (err error) {
			some, err = tx.ListBlobs(ctx, after, 500)
			return err
		})
		if err != nil || len(some) == 0 {
			return err
		}
		for _, b := range some {
			if err := r.file(ctx, db, blobs, b, o.Deep); err != nil {
				return err
			}
		}
		after = some[len(some)-1].ID
	}
}

func (r *Report) file(ctx context.Context, db *store.DB, blobs *blob.Store, b cullet.Blob, deep bool) error {
	r.Blobs++
	f, n, err := blobs.Open(ctx, b.Path)
	if errors.Is(err, blob.ErrNotFound) {
		var still bool
		err := db.View(ctx, func(tx *store.Tx) (err error) {
			still, err = tx.HasBlob(ctx, b.Path)
			return err
		})
		if still {
			r.add(&r.MissingBlobs, "missing", "%s (%s)", b.Path, b.ID)
		}
		return err
	}
	if err != nil {
		return err
	}
	f.Close()
	if n != b.Bytes {
		r.add(&r.CorruptBlobs, "corrupt", "%s has %d bytes instead of %d", b.Path, n, b.Bytes)
		return nil
	}
	if !deep {
		return nil
	}
	digest, err := blobs.Digest(ctx, b.Path)
	if err == nil && digest != b.Digest {
		r.add(&r.CorruptBlobs, "corrupt", "%s has the digest %s", b.Path, digest)
	}
	if errors.Is(err, blob.ErrNotFound) {
		return nil
	}
	return err
}

// orphans looks for the row of every file.
func (r *Report) orphans(ctx context.Context, db *store.DB, blobs *blob.Store, o Options) error {
	now := db.Clock().Now()
	var some []blob.Info
	flush := func() error {
		defer func() { some = some[:0] }()
		return r.files(ctx, db, blobs, some, now, o.Repair)
	}
	err := blobs.List(ctx, func(i blob.Info) error {
		r.Files++
		r.Bytes += i.Bytes
		if some = append(some, i); len(some) == 200 {
			return flush()
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := flush(); err != nil || !o.Repair {
		return err
	}
	_, err = blobs.SweepQuarantine(ctx, now.Add(-kept))
	return err
}

func (r *Report) files(ctx context.Context, db *store.DB, blobs *blob.Store, some []blob.Info, now time.Time, repair bool) error {
	if len(some) == 0 {
		return nil
	}
	paths := make([]string, len(some))
	for n, i := range some {
		paths[n] = i.Path
	}
	var known map[string]bool
	err := db.View(ctx, func(tx *store.Tx) (err error) {
		known, err = tx.KnownPaths(ctx, paths)
		return err
	})
	if err != nil {
		return err
	}
	for _, i := range some {
		switch {
		case known[i.Path]:
		case now.Sub(i.ModTime) < young:
			r.Young++
		default:
			if err := r.orphan(ctx, blobs, i, repair); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Report) orphan(ctx context.Context, blobs *blob.Store, i blob.Info, repair bool) error {
	f, _, err := blobs.Open(ctx, i.Path)
	if errors.Is(err, blob.ErrNotFound) {
		return nil // a purge unlinked it after it was listed
	} else if err != nil {
		return err
	}
	f.Close()
	r.add(&r.OrphanBlobs, "orphan", "%s (%d bytes, of %s)", i.Path, i.Bytes, i.ModTime.UTC().Format(time.RFC3339))
	if !repair {
		return nil
	}
	// It has no row, and is not one that a purge has yet to unlink (KnownPaths), so no
	// snapshot of a backup that is under way refers to it.
	if err := blobs.Quarantine(ctx, i.Path); err != nil {
		return err
	}
	r.Repaired = append(r.Repaired, "set aside "+i.Path)
	return nil
}

// audit follows each workspace's chain from its first entry to its head.
func (r *Report) audit(ctx context.Context, db *store.DB, _ *blob.Store, _ Options) error {
	var workspaces []cullet.Workspace
	err := db.View(ctx, func(tx *store.Tx) (err error) {
		workspaces, err = tx.ListWorkspaces(ctx)
		return err
	})
	if err != nil {
		return err
	}
	for _, w := range workspaces {
		if err := r.chain(ctx, db, w); err != nil {
			return err
		}
	}
	return nil
}

func (r *Report) chain(ctx context.Context, db *store.DB, w cullet.Workspace) error {
	var last cullet.AuditEntry
	var headSeq int64
	var headHash string
	// The head is read first: entries that come while the chain is followed are not asked for.
	err := db.View(ctx, func(tx *store.Tx) (err error) {
		headSeq, headHash, err = tx.AuditHead(ctx, w.ID)
		return err
	})
	for more := true; more && err == nil && last.Seq < headSeq; {
		more = false
		var some []cullet.AuditEntry
		err = db.View(ctx, func(tx *store.Tx) (err error) {
			some, err = tx.ListAudit(ctx, w.ID, last.Seq, 500)
			return err
		})
		for _, e := range some {
			if e.Seq > headSeq {
				break
			}
			more = true
			if e.Seq != last.Seq+1 || e.Prev != last.Hash || e.Hash != e.ChainHash() {
				r.add(&r.AuditBreaks, "audit", "entry %d of %s does not follow from the one before, or was changed", e.Seq, w.Slug)
			}
			r.Entries++
			last = e
		}
	}
	if err == nil && (last.Seq != headSeq || last.Hash != headHash) {
		r.add(&r.AuditBreaks, "audit", "the chain of %s ends at entry %d instead of %d", w.Slug, last.Seq, headSeq)
	}
	return err
}

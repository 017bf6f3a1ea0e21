package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/cullet-vision/cullet"
)

// This file sees below what is active: it proves that nothing dangles and that
// what is counted is what is there.

// Finding is a row that should not be as it is.
type Finding struct {
	Check string // name of the check
	What  string // which row, and what is wrong with it
}

// check is one question to the database; each row of its answer is a finding.
type check struct {
	name string
	sql  string // one text column
}

// danglingChecks find rows that refer to what is not there, or that nothing leads to.
var danglingChecks = []check{
	{"trash item without its project", `SELECT t.id FROM trash_items t LEFT JOIN projects r ON r.id = t.target_id
		WHERE t.type = 'project' AND t.state = 'trashed' AND (r.id IS NULL OR COALESCE(r.trash_item_id, '') <> t.id)`},
	{"trash item without its version", `SELECT t.id FROM trash_items t LEFT JOIN versions r ON r.id = t.target_id
		WHERE t.type = 'version' AND t.state = 'trashed' AND (r.id IS NULL OR COALESCE(r.trash_item_id, '') <> t.id)`},
	{"trash item without its workflow", `SELECT t.id FROM trash_items t LEFT JOIN workflows r ON r.id = t.target_id
		WHERE t.type = 'workflow' AND t.state = 'trashed' AND (r.id IS NULL OR COALESCE(r.trash_item_id, '') <> t.id)`},
	{"trash item that belongs to no project", `SELECT t.id FROM trash_items t WHERE t.project_id <> '' AND t.state = 'trashed'
		AND NOT EXISTS (SELECT 1 FROM projects p WHERE p.id = t.project_id)`},
	{"item that goes with a parent that is gone", `SELECT t.id FROM trash_items t WHERE t.purged_with <> ''
		AND NOT EXISTS (SELECT 1 FROM trash_items p WHERE p.id = t.purged_with)`},
	{"project without counters", `SELECT p.id FROM projects p WHERE p.trash_item_id IS NULL AND NOT EXISTS (SELECT 1 FROM project_counts c WHERE c.project_id = p.id)`},
	{"annotation of no image and no version", `SELECT a.id FROM annotations a WHERE NOT EXISTS (SELECT 1 FROM images i WHERE i.id = a.image_id)
		AND NOT EXISTS (SELECT 1 FROM version_images v WHERE v.revision_id = a.id)
		AND NOT EXISTS (SELECT 1 FROM trash_items t WHERE t.target_id = a.project_id AND t.state = 'purging')`},
	{"ready export without bytes", `SELECT e.id FROM exports e WHERE e.state = 'ready' AND e.blob_id IS NULL`},
	{"bytes that nothing refers to", `SELECT blobs.id FROM blobs WHERE ` + unreferenced + ` AND NOT EXISTS (SELECT 1 FROM blob_candidates c WHERE c.blob_id = blobs.id)`},
	{"candidate of an item that is gone", `SELECT c.blob_id FROM blob_candidates c WHERE NOT EXISTS (SELECT 1 FROM trash_items t WHERE t.id = c.item_id)`},
	{"training below what is not there", `SELECT t.id FROM trainings t WHERE NOT EXISTS (SELECT 1 FROM versions v WHERE v.id = t.version_id AND v.project_id = t.project_id)`},
	{"open meter of a training that is not in flight", `SELECT l.id FROM ledger l LEFT JOIN trainings t ON t.id = l.training_id
		WHERE l.closed_at = 0 AND (t.id IS NULL OR t.state NOT IN ` + inFlight + `)`},
	{"training in flight in Trash", `SELECT t.id FROM trainings t JOIN versions v ON v.id = t.version_id JOIN projects p ON p.id = t.project_id
		WHERE t.state IN ` + inFlight + ` AND (t.trash_item_id IS NOT NULL OR v.trash_item_id IS NOT NULL OR p.trash_item_id IS NOT NULL)`},
	{"generation in Trash", `SELECT v.id FROM versions v JOIN projects p ON p.id = v.project_id
		WHERE v.state = 'generating' AND (v.trash_item_id IS NOT NULL OR p.trash_item_id IS NOT NULL)`},
}

// counterChecks find kept numbers that are not those of what is there. What is
// being purged is left out: it goes piece by piece.
var counterChecks = []check{
	{"images of a project", `SELECT c.project_id FROM project_counts c WHERE ` + notPurging + `
		AND c.images <> (SELECT COUNT(*) FROM images i WHERE i.project_id = c.project_id AND i.trash_item_id IS NULL)`},
	{"unannotated images of a project", `SELECT c.project_id FROM project_counts c WHERE ` + notPurging + `
		AND c.unannotated <> (SELECT COUNT(*) FROM images i WHERE i.project_id = c.project_id AND i.trash_item_id IS NULL AND i.revision_id IS NULL)`},
	{"annotations of a project", `SELECT c.project_id FROM project_counts c WHERE ` + notPurging + `
		AND c.annotations <> (SELECT COALESCE(SUM(i.annotations), 0) FROM images i WHERE i.project_id = c.project_id AND i.trash_item_id IS NULL)`},
	{"splits of a project", `SELECT c.project_id FROM project_counts c WHERE ` + notPurging + ` AND c.images <> c.train + c.valid + c.test`},
	{"train split of a project", `SELECT c.project_id FROM project_counts c WHERE ` + notPurging + `
		AND c.train <> (SELECT COUNT(*) FROM images i WHERE i.project_id = c.project_id AND i.trash_item_id IS NULL AND i.split = 'train')`},
	{"bytes of a project", `SELECT c.project_id FROM project_counts c WHERE ` + notPurging + ` AND NOT EXISTS (SELECT 1 FROM trash_items t WHERE t.project_id = c.project_id AND t.state = 'purging')
		AND c.bytes <> (SELECT COALESCE(SUM(i.bytes + b.bytes), 0) FROM images i JOIN blobs b ON b.id = i.thumb_id WHERE i.project_id = c.project_id)
			+ (SELECT COALESCE(SUM(v.bytes), 0) FROM versions v WHERE v.project_id = c.project_id)
			+ (SELECT COALESCE(SUM(e.bytes), 0) FROM exports e JOIN versions v ON v.id = e.version_id WHERE v.project_id = c.project_id)
			+ (SELECT COALESCE(SUM(f.bytes), 0) FROM model_files f JOIN models m ON m.id = f.model_id WHERE m.project_id = c.project_id)`},
	{"versions of a project", `SELECT c.project_id FROM project_counts c WHERE ` + notPurging + `
		AND c.versions <> (SELECT COUNT(*) FROM versions v WHERE v.project_id = c.project_id AND v.trash_item_id IS NULL)`},
	{"version numbers of a project", `SELECT v.id FROM versions v JOIN project_counts c ON c.project_id = v.project_id WHERE v.number >= c.next_version`},
	{"classes of a project", `SELECT c.project_id FROM project_counts c WHERE ` + notPurging + `
		AND c.annotations <> (SELECT COALESCE(SUM(k.count), 0) FROM classes k WHERE k.project_id = c.project_id)`},
	{"images of a version", `SELECT v.id FROM versions v WHERE v.state = 'ready' AND NOT EXISTS (SELECT 1 FROM trash_items t WHERE t.state = 'purging' AND t.target_id IN (v.id, v.project_id))
		AND (v.images <> (SELECT COUNT(*) FROM version_images i WHERE i.version_id = v.id) OR v.images <> v.train + v.valid + v.test)`},
	{"images of a batch", `SELECT b.id FROM batches b WHERE NOT EXISTS (SELECT 1 FROM trash_items t WHERE t.target_id = b.project_id AND t.state = 'purging')
		AND b.images <> (SELECT COUNT(*) FROM images i WHERE i.batch_id = b.id)`},
	{"items in Trash", `SELECT c.workspace_id FROM trash_counts c WHERE c.items <> (SELECT COUNT(*) FROM trash_items t WHERE t.workspace_id = c.workspace_id AND t.type = c.type)`},
	{"bytes in Trash", `SELECT c.workspace_id FROM trash_counts c WHERE c.bytes <> (SELECT COALESCE(SUM(t.bytes), 0) FROM trash_items t WHERE t.workspace_id = c.workspace_id AND t.type = c.type)`},
	{"credits of a training", `SELECT t.id FROM trainings t WHERE t.micro_credits <> (SELECT COALESCE(SUM(l.micro_credits), 0) FROM ledger l WHERE l.training_id = t.id AND l.closed_at > 0)`},
}

const notPurging = `NOT EXISTS (SELECT 1 FROM trash_items t WHERE t.target_id = c.project_id AND t.state = 'purging')`

// FindDangling returns rows that refer to what is not there.
func (tx *Tx) FindDangling(ctx context.Context) ([]Finding, error) {
	return tx.ask(ctx, danglingChecks)
}

// FindMiscounted returns kept numbers that are not those of what is there.
func (tx *Tx) FindMiscounted(ctx context.Context) ([]Finding, error) {
	return tx.ask(ctx, counterChecks)
}

func (tx *Tx) ask(ctx context.Context, checks []check) (all []Finding, err error) {
	for _, c := range checks {
		ids, err := queryAll(ctx, tx, scanText, c.sql)
		if err != nil {
			return nil, fmt.Errorf("checking %s: %w", c.name, err)
		}
		for _, id := range ids {
			all = append(all, Finding{c.name, id})
		}
	}
	return all, nil
}

// Checks is how many questions fsck asks the database.
func Checks() int { return len(danglingChecks) + len(counterChecks) }

// ListBlobs returns up to limit rows of bytes after the given id, in order.
func (tx *Tx) ListBlobs(ctx context.Context, after string, limit int) ([]cullet.Blob, error) {
	return queryAll(ctx, tx, scanBlob, `SELECT `+blobColumns+` FROM blobs WHERE id > $1 ORDER BY id LIMIT $2`, after, limit)
}

// KnownPaths returns which of the files a row refers to, or will be unlinked by a
// purge that is under way.
func (tx *Tx) KnownPaths(ctx context.Context, paths []string) (map[string]bool, error) {
	q := newQuery(`SELECT path FROM blobs WHERE path IN (`)
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(paths)), ", ")
	args := make([]any, len(paths))
	for n, p := range paths {
		args[n] = p
	}
	q.add(marks+`) UNION ALL SELECT path FROM blob_unlinks WHERE path IN (`, args...)
	q.add(marks+`)`, args...)
	found, err := queryAll(ctx, tx, scanText, q.text(), q.args...)
	known := map[string]bool{}
	for _, p := range found {
		known[p] = true
	}
	return known, err
}

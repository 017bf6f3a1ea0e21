package store

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/cullet-vision/cullet"
)

const versionColumns = `v.id, v.workspace_id, v.project_id, v.project_slug, v.number, v.name, v.state, v.preprocessing, v.augmentation,
	v.frozen_seq, v.images, v.expected, v.train, v.valid, v.test, v.bytes, v.at_seq, v.problem, v.created_at, v.created_by`

func scanVersion(r row) (v cullet.Version, err error) {
	return v, r.Scan(&v.ID, &v.Workspace, &v.Project, &v.ProjectSlug, &v.Number, &v.Name, &v.State, &v.Preprocessing, &v.Augmentation,
		&v.FrozenSeq, &v.Images, &v.Expected, &v.Train, &v.Valid, &v.Test, &v.Bytes, &v.Cursor, &v.Problem, instant{&v.CreatedAt}, &v.CreatedBy)
}

// AddVersion keeps a new version.
func (tx *Tx) AddVersion(ctx context.Context, v cullet.Version) error {
	_, err := tx.exec(ctx, `INSERT INTO versions (id, workspace_id, project_id, number, name, state, preprocessing, augmentation, frozen_seq, expected, created_at, created_by, beat_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $11)`,
		v.ID, v.Workspace, v.Project, v.Number, v.Name, v.State, v.Preprocessing, v.Augmentation, v.FrozenSeq, v.Expected, micros(v.CreatedAt), v.CreatedBy)
	return err
}

// GetVersion returns the active version of the project with the number, or ErrNoRow.
func (tx *Tx) GetVersion(ctx context.Context, project string, number int64) (cullet.Version, error) {
	return queryOne(ctx, tx, scanVersion, `SELECT `+versionColumns+` FROM active_versions v WHERE v.project_id = $1 AND v.number = $2`, project, number)
}

// GetVersionByID returns the active version with the id, or ErrNoRow.
func (tx *Tx) GetVersionByID(ctx context.Context, id string) (cullet.Version, error) {
	return queryOne(ctx, tx, scanVersion, `SELECT `+versionColumns+` FROM active_versions v WHERE v.id = $1`, id)
}

// ListVersions returns the active versions of a project, newest first.
func (tx *Tx) ListVersions(ctx context.Context, project string) ([]cullet.Version, error) {
	return queryAll(ctx, tx, scanVersion, `SELECT `+versionColumns+` FROM active_versions v WHERE v.project_id = $1 ORDER BY v.number DESC`, project)
}

// GeneratingVersions returns active versions of a workspace whose images are being
// frozen, oldest first.
func (tx *Tx) GeneratingVersions(ctx context.Context, workspace string, limit int) ([]cullet.Version, error) {
	return queryAll(ctx, tx, scanVersion, `SELECT `+versionColumns+` FROM active_versions v
		WHERE v.state = $1 AND v.workspace_id = $2 ORDER BY v.created_at, v.id LIMIT $3`, cullet.Generating, workspace, limit)
}

// VersionsWith returns the numbers of active versions that hold a frozen copy of
// the image that has the place seq in its project, newest first.
func (tx *Tx) VersionsWith(ctx context.Context, project, image string, seq int64) ([]int64, error) {
	return queryAll(ctx, tx, scanInt, `SELECT v.number FROM active_versions v
		JOIN active_version_images i ON i.version_id = v.id AND i.seq = $3 WHERE v.project_id = $1 AND i.image_id = $2 ORDER BY v.number DESC`,
		project, image, seq)
}

// SetVersionState moves an active version from one state to another, or is
// ErrNoRow where it is in neither.
func (tx *Tx) SetVersionState(ctx context.Context, id string, from, to cullet.VersionState, problem string) error {
	return tx.execOne(ctx, `UPDATE versions SET state = $3, problem = $4, beat_at = $5 WHERE id = $1 AND state = $2`, id, from, to, problem, micros(tx.Now))
}

// Frozen is what a batch of a generation added.
type Frozen struct {
	Images int64
	Bytes  int64
	Train  int64
	Valid  int64
	Test   int64
	Last   int64 // seq of its last image; 0: there was none left
}

// FreezeImages copies up to limit images of the project into the version: those
// after its cursor that were there when it was frozen, each with the annotation
// that it had then. Revisions are append-only, so the past is still there.
func (tx *Tx) FreezeImages(ctx context.Context, v cullet.Version, limit int) (Frozen, error) {
	last, err := queryOne(ctx, tx, scanInt, `SELECT COALESCE(MAX(seq), 0) FROM (SELECT i.seq FROM active_images i
		WHERE i.project_id = $1 AND i.seq > $2 AND i.seq <= $3 ORDER BY i.seq LIMIT $4) AS batch`,
		v.Project, v.Cursor, v.FrozenSeq, limit)
	if err != nil || last == 0 {
		return Frozen{}, err
	}
	_, err = tx.exec(ctx, `INSERT INTO version_images (version_id, seq, image_id, name, blob_id, format, bytes, width, height, split, revision_id, image_created_at)
		SELECT $1, i.seq, i.id, i.name, i.blob_id, i.format, i.bytes, i.width, i.height, i.split,
			(SELECT a.id FROM active_annotations a WHERE a.image_id = i.id AND a.seq <= $4 AND NOT a.prediction ORDER BY a.seq DESC LIMIT 1), i.created_at
		FROM active_images i WHERE i.project_id = $2 AND i.seq > $3 AND i.seq <= $5`,
		v.ID, v.Project, v.Cursor, v.FrozenSeq, last)
	if err != nil {
		return Frozen{}, err
	}
	f, err := queryOne(ctx, tx, func(r row) (f Frozen, err error) {
		return f, r.Scan(&f.Images, &f.Bytes, &f.Train, &f.Valid, &f.Test)
	}, `SELECT COUNT(*), CAST(COALESCE(SUM(bytes), 0) AS BIGINT),
		COUNT(CASE WHEN split = 'train' THEN 1 END), COUNT(CASE WHEN split = 'valid' THEN 1 END), COUNT(CASE WHEN split = 'test' THEN 1 END)
		FROM active_version_images WHERE version_id = $1 AND seq > $2`, v.ID, v.Cursor)
	if err != nil {
		return Frozen{}, err
	}
	f.Last = last
	return f, tx.execOne(ctx, `UPDATE versions SET images = images + $3, bytes = bytes + $4, train = train + $5, valid = valid + $6, test = test + $7, at_seq = $8, beat_at = $9
		WHERE id = $1 AND state = $2`, v.ID, cullet.Generating, f.Images, f.Bytes, f.Train, f.Valid, f.Test, f.Last, micros(tx.Now))
}

// VersionImages returns up to limit frozen images of an active version after the
// given place, in order, with their shapes.
func (tx *Tx) VersionImages(ctx context.Context, version string, after int64, limit int) ([]cullet.VersionImage, error) {
	return queryAll(ctx, tx, func(r row) (i cullet.VersionImage, err error) {
		var shapes string
		err = r.Scan(&i.Version, &i.Seq, &i.Image, &i.Name, &i.Blob, &i.Path, &i.Format, &i.Bytes, &i.Width, &i.Height, &i.Split,
			maybe{&i.Revision}, instant{&i.Created}, maybe{&shapes})
		if err == nil {
			i.Shapes, err = unpackShapes(shapes)
		}
		return i, err
	}, `SELECT v.version_id, v.seq, v.image_id, v.name, v.blob_id, b.path, v.format, v.bytes, v.width, v.height, v.split,
			v.revision_id, v.image_created_at, a.shapes
		FROM active_version_images v JOIN blobs b ON b.id = v.blob_id LEFT JOIN active_annotations a ON a.id = v.revision_id
		WHERE v.version_id = $1 AND v.seq > $2 ORDER BY v.seq LIMIT $3`, version, after, limit)
}

// Exports.

const exportColumns = `e.id, e.workspace_id, e.version_id, e.format, e.state, e.images, e.blob_id, b.path, e.bytes, e.problem, e.created_at`

const fromActiveExports = ` FROM active_exports e LEFT JOIN blobs b ON b.id = e.blob_id `

func scanExport(r row) (e cullet.Export, err error) {
	return e, r.Scan(&e.ID, &e.Workspace, &e.Version, &e.Format, &e.State, &e.Images, maybe{&e.Blob}, maybe{&e.Path}, &e.Bytes, &e.Problem, instant{&e.CreatedAt})
}

// GetExport returns the active version's export in a format, or ErrNoRow.
func (tx *Tx) GetExport(ctx context.Context, version, format string) (cullet.Export, error) {
	return queryOne(ctx, tx, scanExport, `SELECT `+exportColumns+fromActiveExports+`WHERE e.version_id = $1 AND e.format = $2`, version, format)
}

// GetExportByID returns the active export with the id, or ErrNoRow.
func (tx *Tx) GetExportByID(ctx context.Context, id string) (cullet.Export, error) {
	return queryOne(ctx, tx, scanExport, `SELECT `+exportColumns+fromActiveExports+`WHERE e.id = $1`, id)
}

// ListExports returns the exports of an active version.
func (tx *Tx) ListExports(ctx context.Context, version string) ([]cullet.Export, error) {
	return queryAll(ctx, tx, scanExport, `SELECT `+exportColumns+fromActiveExports+`WHERE e.version_id = $1 ORDER BY e.format`, version)
}

// RunningExports returns active exports of a workspace that are being written,
// oldest first.
func (tx *Tx) RunningExports(ctx context.Context, workspace string, limit int) ([]cullet.Export, error) {
	return queryAll(ctx, tx, scanExport, `SELECT `+exportColumns+fromActiveExports+`WHERE e.state = $1 AND e.workspace_id = $2
		ORDER BY e.created_at, e.id LIMIT $3`, cullet.ExportRunning, workspace, limit)
}

// ExportsOf returns the formats that are ready, by version id, of a project.
func (tx *Tx) ExportsOf(ctx context.Context, project string) (map[string][]string, error) {
	type ready struct{ version, format string }
	all, err := queryAll(ctx, tx, func(r row) (e ready, err error) { return e, r.Scan(&e.version, &e.format) },
		`SELECT e.version_id, e.format FROM active_exports e JOIN active_versions v ON v.id = e.version_id
		WHERE v.project_id = $1 AND e.state = $2 ORDER BY e.format`, project, cullet.ExportReady)
	by := map[string][]string{}
	for _, e := range all {
		by[e.version] = append(by[e.version], e.format)
	}
	return by, err
}

// AddExport keeps a new export.
func (tx *Tx) AddExport(ctx context.Context, e cullet.Export) error {
	_, err := tx.exec(ctx, `INSERT INTO exports (id, workspace_id, version_id, format, state, created_at, beat_at) VALUES ($1, $2, $3, $4, $5, $6, $6)`,
		e.ID, e.Workspace, e.Version, e.Format, e.State, micros(e.CreatedAt))
	return err
}

// ClaimExport gives a running export to one run of the job, unless another run
// gave a sign since the given time. ErrNoRow: it did, or the export is over.
func (tx *Tx) ClaimExport(ctx context.Context, id, run string, since time.Time) error {
	return tx.execOne(ctx, `UPDATE exports SET run = $2, beat_at = $3, images = 0 WHERE id = $1 AND state = $4 AND (run = '' OR beat_at < $5)`,
		id, run, micros(tx.Now), cullet.ExportRunning, micros(since))
}

// MarkExport keeps how many images a run has written, which is also its sign of
// life. ErrNoRow: the export is not this run's any more.
func (tx *Tx) MarkExport(ctx context.Context, id, run string, images int64) error {
	return tx.execOne(ctx, `UPDATE exports SET images = $3, beat_at = $4 WHERE id = $1 AND run = $2 AND state = $5`,
		id, run, images, micros(tx.Now), cullet.ExportRunning)
}

// EndExport moves a run's export to its end, with its bytes where it is ready.
func (tx *Tx) EndExport(ctx context.Context, e cullet.Export, run string) error {
	return tx.execOne(ctx, `UPDATE exports SET state = $3, blob_id = $4, bytes = $5, problem = $6 WHERE id = $1 AND run = $2 AND state = $7`,
		e.ID, run, e.State, orNull(e.Blob), e.Bytes, e.Problem, cullet.ExportRunning)
}

// RestartExport begins an export again that failed.
func (tx *Tx) RestartExport(ctx context.Context, id string) error {
	return tx.execOne(ctx, `UPDATE exports SET state = $2, images = 0, problem = '', run = '', tries = 0, beat_at = $4 WHERE id = $1 AND state = $3`,
		id, cullet.ExportRunning, cullet.ExportFailed, micros(tx.Now))
}

// TakeSilent returns the ids of active versions that are being generated and of
// exports that are being written, both without a sign of life since the given
// time, and takes them from the runs that had them. An export that a run had is
// counted as tried once more; one that still waits for its first run is not.
func (tx *Tx) TakeSilent(ctx context.Context, since time.Time) (versions, exports []string, err error) {
	versions, err = queryAll(ctx, tx, scanText, `UPDATE versions SET beat_at = $3
		WHERE id IN (SELECT id FROM active_versions WHERE state = $1 AND beat_at < $2) RETURNING id`,
		cullet.Generating, micros(since), micros(tx.Now))
	if err != nil {
		return nil, nil, err
	}
	exports, err = queryAll(ctx, tx, scanText, `UPDATE exports SET beat_at = $3, run = '', tries = tries + CASE WHEN run = '' THEN 0 ELSE 1 END
		WHERE id IN (SELECT id FROM active_exports WHERE state = $1 AND beat_at < $2) RETURNING id`,
		cullet.ExportRunning, micros(since), micros(tx.Now))
	return versions, exports, err
}

// FailSilent ends active exports whose runs were lost that often, the last without a
// sign of life since the given time, as failed.
func (tx *Tx) FailSilent(ctx context.Context, since time.Time, runs int, problem string) error {
	_, err := tx.exec(ctx, `UPDATE exports SET state = $4, problem = $5
		WHERE id IN (SELECT id FROM active_exports WHERE state = $1 AND beat_at < $2 AND run <> '' AND tries >= $3)`,
		cullet.ExportRunning, micros(since), runs-1, cullet.ExportFailed, problem)
	return err
}

// VersionClasses returns the names of the classes in a version's annotations,
// sorted. It keeps the names alone, whatever the number of annotations.
func (tx *Tx) VersionClasses(ctx context.Context, version string) ([]string, error) {
	names := map[string]bool{}
	_, err := queryAll(ctx, tx, func(r row) (none struct{}, err error) {
		var text string
		if err := r.Scan(&text); err != nil {
			return none, err
		}
		shapes, err := unpackShapes(text)
		for _, s := range shapes {
			names[s.Class] = true
		}
		return none, err
	}, `SELECT a.shapes FROM active_version_images v JOIN active_annotations a ON a.id = v.revision_id WHERE v.version_id = $1`, version)
	return slices.Sorted(maps.Keys(names)), err
}

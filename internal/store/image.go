package store

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/cullet-vision/cullet"
)

// Blobs.

const blobColumns = `id, digest, bytes, path, created_at`

func scanBlob(r row) (b cullet.Blob, err error) {
	return b, r.Scan(&b.ID, &b.Digest, &b.Bytes, &b.Path, instant{&b.CreatedAt})
}

// AddBlob keeps a stored file and returns the row for its bytes: the new one, or
// the one that was there already, in which case b's own file is not needed.
//
// C4: no lock is held against the collector. Where it removes the row that this
// found, the reference the caller adds next fails its foreign key, and Update
// runs the whole again.
func (tx *Tx) AddBlob(ctx context.Context, b cullet.Blob) (cullet.Blob, error) {
	_, err := tx.exec(ctx, `INSERT INTO blobs (`+blobColumns+`) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (digest) DO NOTHING`,
		b.ID, b.Digest, b.Bytes, b.Path, micros(b.CreatedAt))
	if err != nil {
		return b, err
	}
	found, err := queryOne(ctx, tx, scanBlob, `SELECT `+blobColumns+` FROM blobs WHERE digest = $1`, b.Digest)
	if errors.Is(err, ErrNoRow) {
		err = errAgain // the collector removed it between the two statements
	}
	return found, err
}

// Batches.

// EnsureBatch returns the id of the project's batch with the name, and makes it
// where there is none.
func (tx *Tx) EnsureBatch(ctx context.Context, b cullet.Batch) (string, error) {
	_, err := tx.exec(ctx, `INSERT INTO batches (id, project_id, name, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT (project_id, name) DO NOTHING`,
		b.ID, b.Project, b.Name, micros(b.CreatedAt))
	if err != nil {
		return "", err
	}
	return queryOne(ctx, tx, scanText, `SELECT id FROM active_batches WHERE project_id = $1 AND name = $2`, b.Project, b.Name)
}

// ListBatches returns batches of an active project, newest first.
func (tx *Tx) ListBatches(ctx context.Context, project string, limit int) ([]cullet.Batch, error) {
	return queryAll(ctx, tx, func(r row) (b cullet.Batch, err error) {
		return b, r.Scan(&b.ID, &b.Project, &b.Name, &b.Images, instant{&b.CreatedAt})
	}, `SELECT id, project_id, name, images, created_at FROM active_batches WHERE project_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2`,
		project, limit)
}

// CountBatch adds to the number of a batch's images.
func (tx *Tx) CountBatch(ctx context.Context, id string, delta int64) error {
	return tx.execOne(ctx, `UPDATE batches SET images = images + $2 WHERE id = $1`, id, delta)
}

// Images.

const imageColumns = `i.id, i.workspace_id, i.project_id, i.name, i.digest, i.blob_id, i.thumb_id, i.format, i.bytes, i.width, i.height,
	i.split, i.batch_id, i.tags, i.metadata, i.revision_id, i.annotations, i.seq, i.created_at`

func scanImage(r row) (i cullet.Image, err error) {
	var tags string
	err = r.Scan(&i.ID, &i.Workspace, &i.Project, &i.Name, &i.Digest, &i.Blob, &i.Thumb, &i.Format, &i.Bytes, &i.Width, &i.Height,
		&i.Split, &i.Batch, &tags, &i.Metadata, maybe{&i.Revision}, &i.Annotations, &i.Seq, instant{&i.CreatedAt})
	if err == nil {
		err = json.Unmarshal([]byte(tags), &i.Tags)
	}
	return i, err
}

// AddImage keeps a new image. Its bytes must be new among the project's active ones.
func (tx *Tx) AddImage(ctx context.Context, i cullet.Image) error {
	_, err := tx.exec(ctx, `INSERT INTO images (id, workspace_id, project_id, name, digest, blob_id, thumb_id, format, bytes, width, height,
		split, batch_id, tags, metadata, revision_id, annotations, seq, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)`,
		i.ID, i.Workspace, i.Project, i.Name, i.Digest, i.Blob, i.Thumb, i.Format, i.Bytes, i.Width, i.Height,
		i.Split, i.Batch, toJSON(i.Tags), i.Metadata, orNull(i.Revision), i.Annotations, i.Seq, micros(i.CreatedAt))
	return err
}

// GetImage returns an active image of the project, or ErrNoRow.
func (tx *Tx) GetImage(ctx context.Context, project, id string) (cullet.Image, error) {
	return queryOne(ctx, tx, scanImage, `SELECT `+imageColumns+` FROM active_images i WHERE i.project_id = $1 AND i.id = $2`, project, id)
}

// GetImageByDigest returns the project's active image with these bytes, or
// ErrNoRow. A twin in Trash does not count (D10).
func (tx *Tx) GetImageByDigest(ctx context.Context, project, digest string) (cullet.Image, error) {
	return queryOne(ctx, tx, scanImage, `SELECT `+imageColumns+` FROM active_images i WHERE i.project_id = $1 AND i.digest = $2`, project, digest)
}

// GetImageFile returns where an active image's bytes, or those of its thumbnail,
// are, or ErrNoRow.
func (tx *Tx) GetImageFile(ctx context.Context, id string, thumb bool) (cullet.Blob, error) {
	column := "blob_id"
	if thumb {
		column = "thumb_id"
	}
	return queryOne(ctx, tx, scanBlob, `SELECT b.id, b.digest, b.bytes, b.path, b.created_at
		FROM active_images i JOIN blobs b ON b.id = i.`+column+` WHERE i.id = $1`, id)
}

// MarkImage keeps an image's tags and metadata.
func (tx *Tx) MarkImage(ctx context.Context, id string, tags []string, metadata string) error {
	return tx.execOne(ctx, `UPDATE images SET tags = $2, metadata = $3 WHERE id = $1`, id, toJSON(tags), metadata)
}

// ImageFilter chooses images of a project.
type ImageFilter struct {
	Name      string // a part of the file name
	Tag       string
	Class     string // of the present annotation
	Batch     string
	Split     cullet.Split
	Annotated *bool
	After     int64 // seq of the last image of the page before; 0 begins
	Before    int64 // seq of the first image of the page after; 0: not set
	Offset    int   // for clients that count; keyset is cheaper
	Limit     int
}

func (f ImageFilter) apply(q *query) {
	if f.Name != "" {
		q.and(`LOWER(i.name) LIKE ? ESCAPE '\'`, contains(f.Name))
	}
	if f.Tag != "" {
		q.and(`i.tags LIKE ? ESCAPE '\'`, "%"+escapeLike(toJSON(f.Tag))+"%")
	}
	if f.Class != "" {
		q.and(`EXISTS (SELECT 1 FROM active_annotations a WHERE a.id = i.revision_id AND a.shapes LIKE ? ESCAPE '\')`,
			"%"+escapeLike(`"c":`+toJSON(f.Class))+"%")
	}
	if f.Batch != "" {
		q.and(`i.batch_id = ?`, f.Batch)
	}
	if f.Split != "" {
		q.and(`i.split = ?`, f.Split)
	}
	if f.Annotated != nil && *f.Annotated {
		q.and(`i.revision_id IS NOT NULL`)
	} else if f.Annotated != nil {
		q.and(`i.revision_id IS NULL`)
	}
}

// FindImages returns images of a project in their order of arrival.
func (tx *Tx) FindImages(ctx context.Context, project string, f ImageFilter) ([]cullet.Image, error) {
	q := newQuery(`SELECT `+imageColumns+` FROM active_images i WHERE i.project_id = $1`, project)
	f.apply(q)
	if f.Before > 0 {
		q.and(`i.seq < ?`, f.Before)
		q.add(` ORDER BY i.seq DESC LIMIT ?`, f.Limit)
	} else {
		q.and(`i.seq > ?`, f.After)
		q.add(` ORDER BY i.seq LIMIT ? OFFSET ?`, f.Limit, f.Offset)
	}
	return queryAll(ctx, tx, scanImage, q.text(), q.args...)
}

// CountImages counts the images of a project that the filter chooses.
func (tx *Tx) CountImages(ctx context.Context, project string, f ImageFilter) (int64, error) {
	q := newQuery(`SELECT COUNT(*) FROM active_images i WHERE i.project_id = $1`, project)
	f.apply(q)
	return queryOne(ctx, tx, scanInt, q.text(), q.args...)
}

// Annotations.

// shapeRow is how a shape is kept.
type shapeRow struct {
	Class  string       `json:"c"`
	Kind   string       `json:"k"`
	Box    [4]float64   `json:"b"` // centre x, centre y, width, height, pixels
	Points [][2]float64 `json:"p,omitempty"`
}

func packShapes(shapes []cullet.Shape) string {
	rows := make([]shapeRow, len(shapes))
	for n, s := range shapes {
		rows[n] = shapeRow{Class: s.Class, Kind: string(s.Kind), Box: [4]float64{s.X, s.Y, s.W, s.H}}
		for _, p := range s.Points {
			rows[n].Points = append(rows[n].Points, [2]float64{p.X, p.Y})
		}
	}
	return toJSON(rows)
}

func unpackShapes(text string) ([]cullet.Shape, error) {
	if text == "" {
		return nil, nil
	}
	var rows []shapeRow
	if err := json.Unmarshal([]byte(text), &rows); err != nil {
		return nil, err
	}
	shapes := make([]cullet.Shape, len(rows))
	for n, r := range rows {
		shapes[n] = cullet.Shape{Class: r.Class, Kind: cullet.ShapeKind(r.Kind), X: r.Box[0], Y: r.Box[1], W: r.Box[2], H: r.Box[3]}
		for _, p := range r.Points {
			shapes[n].Points = append(shapes[n].Points, cullet.Point{X: p[0], Y: p[1]})
		}
	}
	return shapes, nil
}

const revisionColumns = `id, project_id, image_id, number, seq, shapes, job, prediction, author, created_at`

func scanRevision(r row) (v cullet.Revision, err error) {
	var shapes string
	err = r.Scan(&v.ID, &v.Project, &v.Image, &v.Number, &v.Seq, &shapes, &v.Job, &v.Prediction, &v.Author, instant{&v.CreatedAt})
	if err == nil {
		v.Shapes, err = unpackShapes(shapes)
	}
	return v, err
}

// AddRevision appends a revision of an image's annotation (D11). It becomes the
// present one, unless it is a prediction.
func (tx *Tx) AddRevision(ctx context.Context, v cullet.Revision) error {
	_, err := tx.exec(ctx, `INSERT INTO annotations (`+revisionColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		v.ID, v.Project, v.Image, v.Number, v.Seq, packShapes(v.Shapes), v.Job, v.Prediction, v.Author, micros(v.CreatedAt))
	if err != nil || v.Prediction {
		return err
	}
	return tx.execOne(ctx, `UPDATE images SET revision_id = $2, annotations = $3 WHERE id = $1`, v.Image, v.ID, len(v.Shapes))
}

// LastRevision is the number of the newest revision of an image, 0 without one.
func (tx *Tx) LastRevision(ctx context.Context, image string) (int64, error) {
	return queryOne(ctx, tx, scanInt, `SELECT COALESCE(MAX(number), 0) FROM active_annotations WHERE image_id = $1`, image)
}

// GetRevision returns a revision, or ErrNoRow.
func (tx *Tx) GetRevision(ctx context.Context, id string) (cullet.Revision, error) {
	return queryOne(ctx, tx, scanRevision, `SELECT `+revisionColumns+` FROM active_annotations WHERE id = $1`, id)
}

// ShapesOf returns the present shapes of images of a project by image id, for
// images between two places in its order of changes, both included.
func (tx *Tx) ShapesOf(ctx context.Context, project string, from, to int64) (map[string][]cullet.Shape, error) {
	type shapesOf struct {
		image  string
		shapes []cullet.Shape
	}
	all, err := queryAll(ctx, tx, func(r row) (s shapesOf, err error) {
		var text string
		if err = r.Scan(&s.image, &text); err == nil {
			s.shapes, err = unpackShapes(text)
		}
		return s, err
	}, `SELECT i.id, a.shapes FROM active_images i JOIN active_annotations a ON a.id = i.revision_id
		WHERE i.project_id = $1 AND i.seq >= $2 AND i.seq <= $3`, project, from, to)
	by := map[string][]cullet.Shape{}
	for _, s := range all {
		by[s.image] = s.shapes
	}
	return by, err
}

// HasBlob says whether a row refers to the file at the path.
func (tx *Tx) HasBlob(ctx context.Context, path string) (bool, error) {
	return queryOne(ctx, tx, scanBool, `SELECT EXISTS (SELECT 1 FROM blobs WHERE path = $1)`, path)
}

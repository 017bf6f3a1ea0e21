// Package upload is where bytes come in: checked, digested, kept once, with one
// image row each.
//
// Invariants: the bytes are on the disk before a row refers to them, and where no
// row does in the end, their file goes again. Uploading the same bytes twice into
// a project is one image, so a client may repeat an upload whose answer it lost.
package upload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/dataset"
	"github.com/cullet-vision/cullet/internal/failpoint"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/upload/picture"
)

// Intake takes images in.
type Intake struct {
	DB       *store.DB
	Blobs    *blob.Store
	MaxBytes int64 // of one image
	Limits   picture.Limits
}

// DefaultMaxBytes is the largest image unless the operator says otherwise.
const DefaultMaxBytes = 64 << 20

// DefaultBatch is the batch of an upload that names none: the SDK's own.
const DefaultBatch = "Pip Package Upload"

// thumbEdge is the longer side of a thumbnail, in pixels.
const thumbEdge = 400

// limits of what comes beside the bytes
const (
	maxTags     = 100
	maxTag      = 100
	maxMetadata = 16 << 10
)

// NewImage is what comes with an image's bytes.
type NewImage struct {
	Name     string // file name; folders before it are cut off
	Split    string
	Batch    string
	Tags     []string
	Metadata string // JSON object of text, numbers and booleans
}

// Taken is the image that an upload became.
type Taken struct {
	Image     string
	Duplicate bool // the project had it already; its tags and metadata were added
}

// Image takes one image into an active project. Errors: NotFound for the project,
// Invalid for what is no whole image, TooLarge, Unavailable for a full disk. After
// an error nothing is left of it.
func (in *Intake) Image(ctx context.Context, by cullet.Actor, project string, n NewImage, body io.Reader) (Taken, error) {
	if err := by.Allow(cullet.ImageCreate); err != nil {
		return Taken{}, err
	}
	if _, _, err := n.check(); err != nil {
		return Taken{}, err
	}
	return in.Stream(ctx, by, project, body, func() (NewImage, error) { return n, nil })
}

// Stream is Image for a form in which fields follow the file: tell is called once
// the body was read to its end, and says what came with it.
func (in *Intake) Stream(ctx context.Context, by cullet.Actor, project string, body io.Reader, tell func() (NewImage, error)) (Taken, error) {
	if err := by.Allow(cullet.ImageCreate); err != nil {
		return Taken{}, err
	}
	// Before a byte is read: nobody waits for an upload into what is not there.
	err := in.DB.View(ctx, func(tx *store.Tx) error {
		_, err := dataset.Find(ctx, tx, by.Workspace, project)
		return err
	})
	if err != nil {
		return Taken{}, err
	}
	stored, err := in.Blobs.Put(ctx, body, in.MaxBytes)
	if err != nil {
		return Taken{}, err
	}
	defer in.release(stored)
	n, err := tell()
	if err != nil {
		return Taken{}, err
	}
	n, split, err := n.check()
	if err != nil {
		return Taken{}, err
	}
	pic, small, err := in.look(ctx, stored)
	if err != nil {
		return Taken{}, err
	}
	thumb, err := in.Blobs.Put(ctx, strings.NewReader(string(small)), int64(len(small)))
	if err != nil {
		return Taken{}, err
	}
	defer in.release(thumb)
	var t Taken
	err = in.DB.Update(failpoint.In(ctx, "upload"), func(tx *store.Tx) error {
		t, err = in.keep(ctx, tx, by, project, n, split, pic, stored, thumb)
		return err
	})
	return t, err
}

func (n NewImage) check() (NewImage, cullet.Split, error) {
	n.Name = path.Base(strings.ReplaceAll(n.Name, `\`, "/"))
	if n.Name == "." || n.Name == "/" {
		n.Name = ""
	}
	if n.Batch == "" {
		n.Batch = DefaultBatch
	}
	if n.Metadata == "" {
		n.Metadata = "{}"
	}
	split, err := cullet.ParseSplit(n.Split)
	err = errors.Join(cullet.CheckName("image name", n.Name), cullet.CheckName("batch name", n.Batch), err,
		checkTags(n.Tags), checkMetadata(n.Metadata))
	return n, split, err
}

func checkTags(tags []string) error {
	if len(tags) > maxTags {
		return cullet.E(cullet.Invalid, "there are %d tags; %d is the most", len(tags), maxTags)
	}
	for _, t := range tags {
		if err := errors.Join(cullet.CheckName("tag", t), cullet.CheckText("tag", t, maxTag)); err != nil {
			return err
		}
	}
	return nil
}

func checkMetadata(text string) error {
	if err := cullet.CheckText("metadata", text, maxMetadata); err != nil {
		return err
	}
	var m map[string]any
	if json.Unmarshal([]byte(text), &m) != nil || m == nil {
		return cullet.E(cullet.Invalid, "metadata must be a JSON object")
	}
	for k, v := range m {
		switch v.(type) {
		case string, float64, bool:
		default:
			return cullet.E(cullet.Invalid, "metadata %.40q must be text, a number or a boolean", k)
		}
	}
	return nil
}

// look decodes the stored image to its last pixel.
func (in *Intake) look(ctx context.Context, stored blob.Stored) (picture.Picture, []byte, error) {
	f, _, err := in.Blobs.Open(ctx, stored.Path)
	if err != nil {
		return picture.Picture{}, nil, err
	}
	defer f.Close()
	return picture.Read(ctx, f, in.Limits, thumbEdge)
}

func (in *Intake) keep(ctx context.Context, tx *store.Tx, by cullet.Actor, project string, n NewImage, split cullet.Split,
	pic picture.Picture, stored, thumb blob.Stored) (Taken, error) {
	p, err := dataset.Find(ctx, tx, by.Workspace, project)
	if err != nil {
		return Taken{}, err
	}
	if p, err = tx.ShareProject(ctx, p.ID); errors.Is(err, store.ErrNoRow) {
		return Taken{}, cullet.E(cullet.NotFound, "there is no project %q in this workspace", project)
	} else if err != nil {
		return Taken{}, err
	}
	if twin, err := tx.GetImageByDigest(ctx, p.ID, stored.Digest); err == nil {
		return Taken{twin.ID, true}, addMarks(ctx, tx, p, twin, n)
	} else if !errors.Is(err, store.ErrNoRow) {
		return Taken{}, err
	}
	bytes, err := tx.AddBlob(ctx, row(tx, stored))
	if err != nil {
		return Taken{}, err
	}
	small, err := tx.AddBlob(ctx, row(tx, thumb))
	if err != nil {
		return Taken{}, err
	}
	d := cullet.ProjectCounts{Images: 1, Unannotated: 1, Bytes: stored.Bytes + thumb.Bytes}
	switch split {
	case cullet.Train:
		d.Train = 1
	case cullet.Valid:
		d.Valid = 1
	case cullet.Test:
		d.Test = 1
	}
	seq, err := tx.CountProject(ctx, p.ID, d)
	if err != nil {
		return Taken{}, err
	}
	batch, err := tx.EnsureBatch(ctx, cullet.Batch{ID: cullet.NewID(cullet.BatchID), Project: p.ID, Name: n.Batch, CreatedAt: tx.Now})
	if err != nil {
		return Taken{}, err
	}
	i := cullet.Image{ID: cullet.NewID(cullet.ImageID), Workspace: p.Workspace, Project: p.ID, Name: n.Name, Digest: stored.Digest,
		Blob: bytes.ID, Thumb: small.ID, Format: pic.Format, Bytes: stored.Bytes, Width: pic.Width, Height: pic.Height,
		Split: split, Batch: batch, Tags: slices.Compact(slices.Clone(n.Tags)), Metadata: n.Metadata, Seq: seq, CreatedAt: tx.Now}
	if i.Tags == nil {
		i.Tags = []string{}
	}
	if err := errors.Join(tx.AddImage(ctx, i), tx.CountBatch(ctx, batch, 1)); err != nil {
		return Taken{}, err
	}
	return Taken{Image: i.ID}, nil
}

func row(tx *store.Tx, s blob.Stored) cullet.Blob {
	return cullet.Blob{ID: cullet.NewID(cullet.BlobID), Digest: s.Digest, Bytes: s.Bytes, Path: s.Path, CreatedAt: tx.Now}
}

// addMarks adds tags and metadata to an image that was there already; its split
// and batch stay.
func addMarks(ctx context.Context, tx *store.Tx, p cullet.Project, i cullet.Image, n NewImage) error {
	if len(n.Tags) == 0 && n.Metadata == "{}" {
		return nil
	}
	// The row of counters puts changes in order: what is read behind it, nobody else
	// adds to at this moment.
	if _, err := tx.CountProject(ctx, p.ID, cullet.ProjectCounts{}); err != nil {
		return err
	}
	i, err := tx.GetImage(ctx, p.ID, i.ID)
	if err != nil {
		return err
	}
	tags := slices.Clone(i.Tags)
	for _, t := range n.Tags {
		if !slices.Contains(tags, t) {
			tags = append(tags, t)
		}
	}
	var meta, more map[string]any
	if err := errors.Join(json.Unmarshal([]byte(i.Metadata), &meta), json.Unmarshal([]byte(n.Metadata), &more)); err != nil {
		return fmt.Errorf("reading the metadata of %s: %w", i.ID, err)
	}
	if len(tags) == len(i.Tags) && len(more) == 0 {
		return nil
	}
	for k, v := range more {
		meta[k] = v
	}
	text, err := json.Marshal(meta)
	if err != nil {
		return err
	}
	if len(tags) > maxTags {
		return cullet.E(cullet.Invalid, "with those that the image has already there are %d tags; %d is the most", len(tags), maxTags)
	}
	if len(text) > maxMetadata {
		return cullet.E(cullet.Invalid, "with that which the image has already there are %d bytes of metadata; %d is the most", len(text), maxMetadata)
	}
	return tx.MarkImage(ctx, i.ID, tags, string(text))
}

// release ends an upload's hold on a stored file: it stays where a row refers to it,
// and goes where the upload was refused, or the bytes were there already.
func (in *Intake) release(s blob.Stored) {
	Release(context.Background(), in.DB, in.Blobs, s)
}

// Release removes a stored file that no row refers to, or, where one does, tells
// the blob store that it is kept. In doubt it does neither: Recover looks again.
func Release(ctx context.Context, db *store.DB, blobs *blob.Store, s blob.Stored) {
	_ = settle(ctx, db, blobs, s.Path)
}

// settle removes no file that had a row once: where that was purged since, the file
// is the purge's to unlink, which waits for a backup that may still need it (C6). A
// file that never had a row is in no backup's snapshot.
func settle(ctx context.Context, db *store.DB, blobs *blob.Store, path string) error {
	var known map[string]bool
	failpoint.Pass("upload.settle")
	err := db.View(ctx, func(tx *store.Tx) (err error) {
		known, err = tx.KnownPaths(ctx, []string{path})
		return err
	})
	switch {
	case err != nil:
		return err
	case known[path]:
		return blobs.Settle(ctx, path)
	}
	return blobs.Remove(ctx, path)
}

// Recover settles what servers left that were killed between storing bytes and
// keeping their row: files put before the given time. It must be older than any
// upload that may still be under way.
func Recover(ctx context.Context, db *store.DB, blobs *blob.Store, before time.Time) error {
	return blobs.Unsettled(ctx, before, func(path string) error { return settle(ctx, db, blobs, path) })
}

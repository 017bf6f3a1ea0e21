package dataset

import (
	"context"
	"errors"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/dataset/format"
	"github.com/cullet-vision/cullet/internal/store"
)

// NewAnnotation is one image's annotation as a client sends it.
type NewAnnotation struct {
	Name       string            // file name; its ending says the format
	Text       string            // the file
	Labelmap   map[string]string // names of class indices, for formats without names
	Job        string            // name of the annotation job
	Overwrite  bool              // replace the present annotation
	Prediction bool              // said by a model: kept beside the present one
}

// Annotate saves a new revision of an image's annotation; the one before is kept
// (D11). Errors: Invalid for text that is no annotation, Conflict where there is
// one already and Overwrite is not set.
func (c *Catalog) Annotate(ctx context.Context, by cullet.Actor, project, image string, n NewAnnotation) (cullet.Revision, error) {
	if err := by.Allow(cullet.AnnotationUpdate); err != nil {
		return cullet.Revision{}, err
	}
	if err := cullet.CheckText("job name", n.Job, 500); err != nil {
		return cullet.Revision{}, err
	}
	var p cullet.Project
	var i cullet.Image
	err := c.DB.View(ctx, func(tx *store.Tx) (err error) {
		if p, err = Find(ctx, tx, by.Workspace, project); err != nil {
			return err
		}
		i, err = findImage(ctx, tx, p, image)
		return err
	})
	if err != nil {
		return cullet.Revision{}, err
	}
	shapes, err := format.Read(format.Input{Name: n.Name, Text: n.Text, Labelmap: n.Labelmap, Image: i.Name,
		Width: i.Width, Height: i.Height, Type: p.Type})
	if err != nil {
		return cullet.Revision{}, err
	}
	return c.SaveShapes(ctx, by, p.ID, image, shapes, n)
}

// SaveShapes saves shapes as a new revision of an image's annotation.
func (c *Catalog) SaveShapes(ctx context.Context, by cullet.Actor, project, image string, shapes []cullet.Shape, n NewAnnotation) (r cullet.Revision, err error) {
	if err := by.Allow(cullet.AnnotationUpdate); err != nil {
		return r, err
	}
	err = c.DB.Update(ctx, func(tx *store.Tx) error {
		p, err := tx.ShareProject(ctx, project)
		if errors.Is(err, store.ErrNoRow) {
			return cullet.E(cullet.NotFound, "there is no project %q in this workspace", brief(project))
		} else if err != nil {
			return err
		}
		// The counters are taken first: two saves of one image wait for each other here.
		seq, err := tx.CountProject(ctx, p.ID, cullet.ProjectCounts{})
		if err != nil {
			return err
		}
		i, err := findImage(ctx, tx, p, image)
		if err != nil {
			return err
		}
		if i.Revision != "" && !n.Overwrite && !n.Prediction {
			return cullet.E(cullet.Conflict, "Image was already annotated. Send overwrite=true to replace its annotation.")
		}
		number, err := tx.LastRevision(ctx, i.ID)
		if err != nil {
			return err
		}
		r = cullet.Revision{ID: cullet.NewID(cullet.RevisionID), Project: p.ID, Image: i.ID, Number: number + 1, Seq: seq,
			Shapes: shapes, Job: n.Job, Prediction: n.Prediction, Author: by.ID, CreatedAt: tx.Now}
		before, err := shapesBefore(ctx, tx, i)
		if err != nil {
			return err
		}
		if err := tx.AddRevision(ctx, r); err != nil || n.Prediction {
			return err
		}
		return count(ctx, tx, p, i, before, shapes)
	})
	return r, err
}

func shapesBefore(ctx context.Context, tx *store.Tx, i cullet.Image) ([]cullet.Shape, error) {
	if i.Revision == "" {
		return nil, nil
	}
	r, err := tx.GetRevision(ctx, i.Revision)
	return r.Shapes, err
}

// count brings the project's counters and its classes up to date.
func count(ctx context.Context, tx *store.Tx, p cullet.Project, i cullet.Image, before, after []cullet.Shape) error {
	d := cullet.ProjectCounts{Annotations: int64(len(after) - len(before))}
	if i.Revision == "" {
		d.Unannotated = -1
	}
	if _, err := tx.CountProject(ctx, p.ID, d); err != nil {
		return err
	}
	delta := map[string]int64{}
	var order []string // of appearance, so that classes get their places and locks in one order
	for _, s := range after {
		if _, seen := delta[s.Class]; !seen {
			order = append(order, s.Class)
		}
		delta[s.Class]++
	}
	for _, s := range before {
		if _, seen := delta[s.Class]; !seen {
			order = append(order, s.Class)
		}
		delta[s.Class]--
	}
	for _, class := range order {
		if err := tx.CountClass(ctx, p.ID, class, delta[class]); err != nil {
			return err
		}
	}
	return nil
}

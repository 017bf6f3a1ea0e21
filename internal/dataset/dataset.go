// Package dataset is what a workspace holds before any of it is frozen: its
// projects and folders, their images, annotations and classes.
package dataset

import (
	"context"
	"errors"
	"strings"
	"unicode"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/store"
)

// Catalog is where projects are made and found.
type Catalog struct {
	DB *store.DB
}

// Find returns the active project that a client names by its slug or id, or a
// NotFound that names it. What is in Trash is not found (D3).
func Find(ctx context.Context, tx *store.Tx, workspace, ref string) (cullet.Project, error) {
	p, err := tx.GetProjectBySlug(ctx, workspace, ref)
	if errors.Is(err, store.ErrNoRow) && strings.HasPrefix(ref, cullet.ProjectID+"_") {
		p, err = tx.GetProject(ctx, ref)
	}
	if errors.Is(err, store.ErrNoRow) || err == nil && p.Workspace != workspace {
		return cullet.Project{}, cullet.E(cullet.NotFound, "there is no project %q in this workspace", brief(ref))
	}
	return p, err
}

// brief keeps what a client sent short enough to be said back.
func brief(s string) string {
	if r := []rune(strings.ToValidUTF8(s, "\uFFFD")); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// NewProject is what a project is made of.
type NewProject struct {
	Name    string
	Type    string // as clients send it
	License string
	Group   string // what its annotations are of; "": the name
}

// CreateProject makes a project. Its slug comes from its name; where another
// active project has it, a number is added. The slug of a project in Trash is
// free (D7).
func (c *Catalog) CreateProject(ctx context.Context, by cullet.Actor, n NewProject) (cullet.Project, error) {
	if err := by.Allow(cullet.ProjectCreate); err != nil {
		return cullet.Project{}, err
	}
	typ, multi, err := cullet.ParseProjectType(n.Type)
	if err != nil {
		return cullet.Project{}, err
	}
	if err := errors.Join(cullet.CheckName("project name", n.Name), cullet.CheckText("license", n.License, 200),
		cullet.CheckText("annotation group", n.Group, 200)); err != nil {
		return cullet.Project{}, err
	}
	base, err := slugOf(n.Name, "project", cullet.CheckNewProjectSlug)
	if err != nil {
		return cullet.Project{}, err
	}
	if n.Group == "" {
		n.Group = n.Name
	}
	var p cullet.Project
	err = c.DB.Update(ctx, func(tx *store.Tx) error {
		taken, err := tx.SlugsLike(ctx, cullet.TrashProject, by.Workspace, base)
		if err != nil {
			return err
		}
		p = cullet.Project{ID: cullet.NewID(cullet.ProjectID), Workspace: by.Workspace,
			Slug: cullet.FreeSlug(base, func(s string) bool { return taken[s] }), Name: n.Name, Type: typ,
			Multilabel: multi, License: n.License, Group: n.Group, CreatedAt: tx.Now, UpdatedAt: tx.Now}
		return tx.AddProject(ctx, p)
	})
	return p, err
}

// slugOf makes a slug of a name. A name in another script gets one made up; a
// name without any letter or digit is refused.
func slugOf(name, what string, check func(string) error) (string, error) {
	slug := cullet.Slugify(name)
	if slug == "" {
		if !strings.ContainsFunc(name, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
			return "", cullet.E(cullet.Invalid, "the %s name %q has no letter or digit to make a slug of", what, brief(name))
		}
		slug = what + "-" + cullet.RandomText(8)
	}
	return slug, check(slug)
}

// Detail is a project with what is told with it.
type Detail struct {
	cullet.Project
	Classes []cullet.Class
}

// Project returns one project with its classes.
func (c *Catalog) Project(ctx context.Context, by cullet.Actor, ref string) (d Detail, err error) {
	if err := by.Allow(cullet.ProjectRead); err != nil {
		return d, err
	}
	err = c.DB.View(ctx, func(tx *store.Tx) error {
		if d.Project, err = Find(ctx, tx, by.Workspace, ref); err != nil {
			return err
		}
		d.Classes, err = tx.ListClasses(ctx, d.ID)
		return err
	})
	return d, err
}

// Projects returns all projects of the workspace, newest first.
func (c *Catalog) Projects(ctx context.Context, by cullet.Actor) (all []Detail, err error) {
	if err := by.Allow(cullet.ProjectRead); err != nil {
		return nil, err
	}
	err = c.DB.View(ctx, func(tx *store.Tx) error {
		projects, err := tx.ListProjects(ctx, by.Workspace)
		if err != nil {
			return err
		}
		classes, err := tx.ClassesOf(ctx, by.Workspace)
		all = make([]Detail, len(projects))
		for n, p := range projects {
			all[n] = Detail{p, classes[p.ID]}
		}
		return err
	})
	return all, err
}

// FindProjects returns one page of projects.
func (c *Catalog) FindProjects(ctx context.Context, by cullet.Actor, f store.ProjectFilter) (page []cullet.Project, err error) {
	if err := by.Allow(cullet.ProjectRead); err != nil {
		return nil, err
	}
	err = c.DB.View(ctx, func(tx *store.Tx) error {
		page, err = tx.FindProjects(ctx, by.Workspace, f)
		return err
	})
	return page, err
}

// Image is an image with what is told with it.
type Image struct {
	cullet.Image
	Shapes []cullet.Shape
}

// Image returns one image of a project with its present annotation.
func (c *Catalog) Image(ctx context.Context, by cullet.Actor, project, id string) (i Image, p cullet.Project, err error) {
	if err := by.Allow(cullet.ImageRead); err != nil {
		return i, p, err
	}
	err = c.DB.View(ctx, func(tx *store.Tx) error {
		if p, err = Find(ctx, tx, by.Workspace, project); err != nil {
			return err
		}
		if i.Image, err = findImage(ctx, tx, p, id); err != nil || i.Revision == "" {
			return err
		}
		r, err := tx.GetRevision(ctx, i.Revision)
		i.Shapes = r.Shapes
		return err
	})
	return i, p, err
}

func findImage(ctx context.Context, tx *store.Tx, p cullet.Project, id string) (cullet.Image, error) {
	i, err := tx.GetImage(ctx, p.ID, id)
	if errors.Is(err, store.ErrNoRow) {
		err = cullet.E(cullet.NotFound, "there is no image %q in project %s", brief(id), p.Slug)
	}
	return i, err
}

// FindImages returns images of a project that the filter chooses, with their
// shapes, and how many there are in all.
func (c *Catalog) FindImages(ctx context.Context, by cullet.Actor, project string, f store.ImageFilter) (found []Image, total int64, err error) {
	if err := by.Allow(cullet.ImageRead); err != nil {
		return nil, 0, err
	}
	err = c.DB.View(ctx, func(tx *store.Tx) error {
		p, err := Find(ctx, tx, by.Workspace, project)
		if err != nil {
			return err
		}
		images, err := tx.FindImages(ctx, p.ID, f)
		if err != nil {
			return err
		}
		if total, err = tx.CountImages(ctx, p.ID, f); err != nil || len(images) == 0 {
			return err
		}
		from, to := images[0].Seq, images[0].Seq
		for _, i := range images {
			from, to = min(from, i.Seq), max(to, i.Seq)
		}
		found = found[:0]
		if to-from > 8*int64(len(images)) { // far apart: most of what lies between was not asked for
			for _, i := range images {
				r := cullet.Revision{}
				if i.Revision != "" {
					if r, err = tx.GetRevision(ctx, i.Revision); err != nil {
						return err
					}
				}
				found = append(found, Image{i, r.Shapes})
			}
			return nil
		}
		shapes, err := tx.ShapesOf(ctx, p.ID, from, to)
		for _, i := range images {
			found = append(found, Image{i, shapes[i.ID]})
		}
		return err
	})
	return found, total, err
}

// File says where an active image's bytes, or those of its thumbnail, are. It is
// asked at every download, so that a link dies with its project (D3).
func (c *Catalog) File(ctx context.Context, id string, thumb bool) (b cullet.Blob, err error) {
	err = c.DB.View(ctx, func(tx *store.Tx) error {
		b, err = tx.GetImageFile(ctx, id, thumb)
		return err
	})
	if errors.Is(err, store.ErrNoRow) {
		err = cullet.E(cullet.NotFound, "there is no image %q", brief(id))
	}
	return b, err
}

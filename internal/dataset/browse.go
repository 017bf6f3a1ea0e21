package dataset

import (
	"context"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/store"
)

// This file is what a person who looks around is shown beside a list.

// Covers returns, by project id, the id of the image that stands for each of the
// projects: its first one. A project without images has none.
func (c *Catalog) Covers(ctx context.Context, by cullet.Actor, projects []cullet.Project) (covers map[string]string, err error) {
	if err := by.Allow(cullet.ImageRead); err != nil {
		return nil, err
	}
	err = c.DB.View(ctx, func(tx *store.Tx) error {
		covers = map[string]string{}
		for _, p := range projects {
			if p.Counts.Images == 0 || p.Workspace != by.Workspace {
				continue
			}
			first, err := tx.FindImages(ctx, p.ID, store.ImageFilter{Limit: 1})
			if err != nil {
				return err
			}
			if len(first) > 0 {
				covers[p.ID] = first[0].ID
			}
		}
		return nil
	})
	return covers, err
}

// FolderNames lists the workspace's folders by name, without what is in them.
func (c *Catalog) FolderNames(ctx context.Context, by cullet.Actor) (all []cullet.Folder, err error) {
	if err := by.Allow(cullet.ProjectRead); err != nil {
		return nil, err
	}
	err = c.DB.View(ctx, func(tx *store.Tx) error {
		all, err = tx.ListFolders(ctx, by.Workspace)
		return err
	})
	return all, err
}

// mostBatches is how many batches a list of them shows.
const mostBatches = 200

// Batches returns the batches of a project, newest first.
func (c *Catalog) Batches(ctx context.Context, by cullet.Actor, project string) (all []cullet.Batch, err error) {
	if err := by.Allow(cullet.ImageRead); err != nil {
		return nil, err
	}
	err = c.DB.View(ctx, func(tx *store.Tx) error {
		p, err := Find(ctx, tx, by.Workspace, project)
		if err != nil {
			return err
		}
		all, err = tx.ListBatches(ctx, p.ID, mostBatches)
		return err
	})
	return all, err
}

// ImageFile returns an active image of a project and where its bytes, or those of
// its thumbnail, are. It is asked at every download (D3).
func (c *Catalog) ImageFile(ctx context.Context, by cullet.Actor, project, id string, thumb bool) (i cullet.Image, b cullet.Blob, err error) {
	if err := by.Allow(cullet.ImageRead); err != nil {
		return i, b, err
	}
	err = c.DB.View(ctx, func(tx *store.Tx) error {
		p, err := Find(ctx, tx, by.Workspace, project)
		if err != nil {
			return err
		}
		if i, err = findImage(ctx, tx, p, id); err != nil {
			return err
		}
		b, err = tx.GetImageFile(ctx, id, thumb)
		return err
	})
	return i, b, err
}

// Beside returns the id of the first image that the filter chooses after or before
// a place in the project's order, "" for none.
func (c *Catalog) Beside(ctx context.Context, by cullet.Actor, project string, f store.ImageFilter) (id string, err error) {
	if err := by.Allow(cullet.ImageRead); err != nil {
		return "", err
	}
	err = c.DB.View(ctx, func(tx *store.Tx) error {
		p, err := Find(ctx, tx, by.Workspace, project)
		if err != nil {
			return err
		}
		f.Limit, id = 1, ""
		found, err := tx.FindImages(ctx, p.ID, f)
		if len(found) > 0 {
			id = found[0].ID
		}
		return err
	})
	return id, err
}

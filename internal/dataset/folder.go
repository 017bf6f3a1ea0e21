package dataset

import (
	"context"
	"errors"
	"strings"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/store"
)

// Folder is a folder with the projects in it.
type Folder struct {
	cullet.Folder
	Projects []cullet.Project
}

// Folders lists the workspace's folders by name, with their active projects.
func (c *Catalog) Folders(ctx context.Context, by cullet.Actor) (all []Folder, err error) {
	if err := by.Allow(cullet.ProjectRead); err != nil {
		return nil, err
	}
	err = c.DB.View(ctx, func(tx *store.Tx) error {
		folders, err := tx.ListFolders(ctx, by.Workspace)
		if err != nil {
			return err
		}
		projects, err := tx.ListProjects(ctx, by.Workspace)
		all = nil
		for _, f := range folders {
			folder := Folder{Folder: f}
			for _, p := range projects {
				if p.Folder == f.ID {
					folder.Projects = append(folder.Projects, p)
				}
			}
			all = append(all, folder)
		}
		return err
	})
	return all, err
}

// CreateFolder makes a folder and moves projects into it.
func (c *Catalog) CreateFolder(ctx context.Context, by cullet.Actor, name, parent string, projects []string) (f cullet.Folder, err error) {
	if err := errors.Join(by.Allow(cullet.FolderUpdate), cullet.CheckName("folder name", name)); err != nil {
		return f, err
	}
	err = c.DB.Update(ctx, func(tx *store.Tx) error {
		if parent != "" {
			if _, err := tx.ShareFolder(ctx, by.Workspace, parent); err != nil {
				return noFolder(err, parent)
			}
		}
		f = cullet.Folder{ID: cullet.NewID(cullet.FolderID), Workspace: by.Workspace, Name: name, Parent: parent, CreatedAt: tx.Now}
		if err := tx.AddFolder(ctx, f); err != nil {
			return err
		}
		return moveAll(ctx, tx, by, projects, f.ID)
	})
	return f, err
}

func noFolder(err error, id string) error {
	if errors.Is(err, store.ErrNoRow) {
		err = cullet.E(cullet.NotFound, "there is no folder %q in this workspace", brief(id))
	}
	return err
}

// moveAll moves projects, each named by slug, workspace/slug or id.
func moveAll(ctx context.Context, tx *store.Tx, by cullet.Actor, refs []string, folder string) error {
	for _, ref := range refs {
		_, slug, found := strings.Cut(ref, "/")
		if !found {
			slug = ref
		}
		p, err := Find(ctx, tx, by.Workspace, slug)
		if err != nil {
			return err
		}
		if err := tx.MoveToFolder(ctx, p.ID, folder); errors.Is(err, store.ErrNoRow) {
			return cullet.E(cullet.NotFound, "there is no project %q in this workspace", brief(slug)) // moved to Trash a moment ago
		} else if err != nil {
			return err
		}
	}
	return nil
}

// RenameFolder changes a folder's name.
func (c *Catalog) RenameFolder(ctx context.Context, by cullet.Actor, id, name string) error {
	if err := errors.Join(by.Allow(cullet.FolderUpdate), cullet.CheckName("folder name", name)); err != nil {
		return err
	}
	return c.DB.Update(ctx, func(tx *store.Tx) error {
		return noFolder(tx.RenameFolder(ctx, by.Workspace, id, name), id)
	})
}

// RemoveFolder removes a folder for good; what was in it moves to the root.
func (c *Catalog) RemoveFolder(ctx context.Context, by cullet.Actor, id string) error {
	if err := by.Allow(cullet.FolderUpdate); err != nil {
		return err
	}
	return c.DB.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.TakeFolder(ctx, by.Workspace, id); err != nil {
			return noFolder(err, id)
		}
		return tx.RemoveFolder(ctx, by.Workspace, id)
	})
}

// MoveProjects moves projects into a folder, or out of it to the root.
func (c *Catalog) MoveProjects(ctx context.Context, by cullet.Actor, folder string, projects []string, in bool) error {
	if err := by.Allow(cullet.FolderUpdate); err != nil {
		return err
	}
	return c.DB.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.ShareFolder(ctx, by.Workspace, folder); err != nil {
			return noFolder(err, folder)
		}
		to := folder
		if !in {
			to = ""
		}
		return moveAll(ctx, tx, by, projects, to)
	})
}

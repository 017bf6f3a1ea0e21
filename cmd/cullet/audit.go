package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/trail"
)

type auditCommand struct {
	settings
	Workspace string `help:"Slug of the workspace (default: the only one)." placeholder:"SLUG"`
}

// Run writes the audit of a workspace to stdout, as JSON lines (docs/audit.md).
func (c *auditCommand) Run(ctx context.Context) error {
	g, err := openGround(ctx, c.settings, false)
	if err != nil {
		return err
	}
	defer g.close()
	w, err := g.workspace(ctx, c.Workspace)
	if err != nil {
		return err
	}
	return (&trail.Trail{DB: g.db}).Export(ctx, cullet.SystemActor(w.ID, "Operator", cullet.ByServer), os.Stdout)
}

// workspace returns the one with the slug, or the only one there is.
func (g *ground) workspace(ctx context.Context, slug string) (w cullet.Workspace, err error) {
	if slug == "" {
		all, err := g.workspaces(ctx)
		if err == nil && len(all) != 1 {
			err = fmt.Errorf("there are %d workspaces; say which one with --workspace", len(all))
		}
		if err != nil {
			return w, err
		}
		return all[0], nil
	}
	err = g.db.View(ctx, func(tx *store.Tx) error {
		w, err = tx.GetWorkspace(ctx, slug)
		return err
	})
	if errors.Is(err, store.ErrNoRow) {
		err = fmt.Errorf("there is no workspace %q", slug)
	}
	return w, err
}

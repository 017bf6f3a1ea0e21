package version

import (
	"context"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/dataset"
	"github.com/cullet-vision/cullet/internal/store"
)

// RunningExport is an export that is being written, with its version.
type RunningExport struct {
	cullet.Export
	Of cullet.Version
}

// Work is what is being made of a workspace's versions at this moment.
type Work struct {
	Versions []cullet.Version // whose images are being frozen
	Exports  []RunningExport
}

// mostRunning is how much of each kind Running returns.
const mostRunning = 50

// Running returns what is being made in the workspace at this moment.
func (p *Press) Running(ctx context.Context, by cullet.Actor) (w Work, err error) {
	if err := by.Allow(cullet.VersionRead); err != nil {
		return w, err
	}
	err = p.DB.View(ctx, func(tx *store.Tx) error {
		w = Work{}
		if w.Versions, err = tx.GeneratingVersions(ctx, by.Workspace, mostRunning); err != nil {
			return err
		}
		exports, err := tx.RunningExports(ctx, by.Workspace, mostRunning)
		if err != nil {
			return err
		}
		for _, e := range exports {
			v, err := tx.GetVersionByID(ctx, e.Version)
			if err != nil {
				return err
			}
			w.Exports = append(w.Exports, RunningExport{e, v})
		}
		return nil
	})
	return w, err
}

// Containing returns the numbers of a project's versions that hold a frozen copy
// of an image, newest first.
func (p *Press) Containing(ctx context.Context, by cullet.Actor, project string, image cullet.Image) (numbers []int64, err error) {
	if err := by.Allow(cullet.VersionRead); err != nil {
		return nil, err
	}
	err = p.DB.View(ctx, func(tx *store.Tx) error {
		found, err := dataset.Find(ctx, tx, by.Workspace, project)
		if err != nil {
			return err
		}
		numbers, err = tx.VersionsWith(ctx, found.ID, image.ID, image.Seq)
		return err
	})
	return numbers, err
}

package trash

import (
	"context"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/store"
)

// MostLeaving is how many items a Status names that are being deleted permanently.
const MostLeaving = 20

// Status is how a workspace's Trash stands, at one instant: what lies there, what is being
// deleted permanently, and what waits for what.
type Status struct {
	store.TrashStatus
	At      time.Time
	Leaving []store.LeavingItem // up to MostLeaving, those with a problem first
	More    int64               // that are being deleted permanently too
	Files   store.UnlinkStatus
	Watch   cullet.ClockWatch // what it waits for, where it does (C6)
	Backup  bool              // one is under way: no file is removed before it ends
}

// Status says how the Trash stands. It changes nothing.
func (b *Bin) Status(ctx context.Context, by cullet.Actor) (s Status, err error) {
	if err := by.Allow(cullet.ProjectRead); err != nil {
		return s, err
	}
	err = b.DB.View(ctx, func(tx *store.Tx) error {
		s = Status{At: tx.Now}
		all, err := tx.TrashStatus(ctx, by.Workspace)
		if err != nil {
			return err
		}
		s.TrashStatus = all[0]
		if s.Leaving, err = tx.LeavingItems(ctx, by.Workspace, MostLeaving); err != nil {
			return err
		}
		s.More = s.Cleanup.Items + s.Ordered.Items - int64(len(s.Leaving))
		if s.Files, err = tx.UnlinkStatus(ctx, by.Workspace); err != nil {
			return err
		}
		if s.Backup, err = tx.BackupRunning(ctx); err != nil {
			return err
		}
		s.Watch, err = tx.ClockWatch(ctx)
		return err
	})
	return s, err
}

package backup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/store"
)

// hold takes the lease that keeps files from being unlinked, before the snapshot of
// the rows is taken (see purge.Engine), and renews it until release is called. The
// context that it returns ends where the lease is lost.
//
// The lease saves the backup from failing, not from being wrong: whatever happens to
// it, a file that is gone before it was copied ends the backup, without a manifest.
func (s Source) hold(ctx context.Context) (held context.Context, release func(), err error) {
	id := cullet.NewID("b")
	if err := s.DB.Update(ctx, func(tx *store.Tx) error { return tx.AddBackup(ctx, id) }); err != nil {
		return nil, nil, fmt.Errorf("taking the lease of the backup: %w", err)
	}
	held, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	tick := s.DB.Clock().NewTicker(store.BackupLease / 6) // from the lease's own beginning on
	go func() {
		defer close(ended)
		defer tick.Stop()
		if err := s.renew(held, id, tick); err != nil {
			cancel(err)
		}
	}()
	return held, func() {
		cancel(nil)
		<-ended
		end, stop := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer stop()
		if err := s.DB.Update(end, func(tx *store.Tx) error { return tx.RemoveBackup(end, id) }); err != nil {
			s.Log.Warn("the lease of the backup could not be given back; it ends by itself", "err", err)
		}
	}, nil
}

func (s Source) renew(ctx context.Context, id string, tick cullet.Ticker) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C():
		}
		err := s.DB.Update(ctx, func(tx *store.Tx) error { return tx.RenewBackup(ctx, id) })
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, store.ErrNoRow):
			return cullet.E(cullet.Conflict, "the backup's lease ran out (was this machine asleep, or its clock moved?), so files may be gone that it needs; start it again: what is copied is not copied again")
		case err != nil: // tried again: some renewals may fail before the lease ends
			s.Log.Warn("the lease of the backup could not be renewed; it is tried again", "err", err)
		}
	}
}

// causeOf is why a context ended, where it did, else err.
func causeOf(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

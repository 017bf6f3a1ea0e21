package store

import (
	"context"
	"strings"
	"time"

	"github.com/cullet-vision/cullet"
)

// A backup holds a lease: as long as it is renewed, files wait to be unlinked.

// BackupLease is how long a backup that was killed holds files, at most.
const BackupLease = 60 * time.Second

// AddBackup begins a backup's lease, and forgets those that ran out.
func (tx *Tx) AddBackup(ctx context.Context, id string) error {
	if _, err := tx.exec(ctx, `DELETE FROM backups WHERE until <= $1`, micros(tx.Now)); err != nil {
		return err
	}
	_, err := tx.exec(ctx, `INSERT INTO backups (id, started_at, until) VALUES ($1, $2, $3)`, id, micros(tx.Now), micros(tx.Now.Add(BackupLease)))
	return err
}

// RenewBackup renews a backup's lease; ErrNoRow: it ran out, and files may be gone.
func (tx *Tx) RenewBackup(ctx context.Context, id string) error {
	return tx.execOne(ctx, `UPDATE backups SET until = $2 WHERE id = $1 AND until > $3`, id, micros(tx.Now.Add(BackupLease)), micros(tx.Now))
}

// RemoveBackup ends a backup's lease.
func (tx *Tx) RemoveBackup(ctx context.Context, id string) error {
	_, err := tx.exec(ctx, `DELETE FROM backups WHERE id = $1`, id)
	return err
}

// BackupRunning says whether a backup holds a lease. One that would end far later
// than a lease taken now was left by a clock that went back, and holds nothing; the
// clocks of two machines may differ by some leases, though.
func (tx *Tx) BackupRunning(ctx context.Context) (bool, error) {
	const apart = 10
	n, err := queryOne(ctx, tx, scanInt, `SELECT COUNT(*) FROM backups WHERE until > $1 AND until <= $2`,
		micros(tx.Now), micros(tx.Now.Add(apart*BackupLease)))
	return n > 0, err
}

// What is done to a database that was filled from a backup, so that it harms
// neither what is in it nor the server it was taken from, which may live on.

// Restored counts, by workspace, what a restore put an end to.
type Restored struct {
	Orders, Trainings, Generations, Exports map[string]int64
}

// EndUnfinished ends all that was under way when the backup was taken: nobody here
// works on it, and where somebody does it is the other server. Trainings are charged
// to their last heartbeat. Items whose purge has begun go on: half of them is gone.
func (tx *Tx) EndUnfinished(ctx context.Context, why string) (r Restored, err error) {
	_, err = tx.exec(ctx, `UPDATE purge_order_items SET result = $1, reason = $2 WHERE result = ''
		AND order_id IN (SELECT id FROM purge_orders WHERE state IN ('scheduled', 'running'))`, ResultKept, "stopped: "+why)
	if err != nil {
		return r, err
	}
	_, err = tx.exec(ctx, `UPDATE rescue_items SET result = $1, reason = $2 WHERE result = ''`, RescueLeft, "stopped: "+why)
	if err != nil {
		return r, err
	}
	_, err = tx.exec(ctx, `UPDATE rescues SET state = $1, ended_at = $2 WHERE ended_at = 0`, RescueFinished, micros(tx.Now))
	if err != nil {
		return r, err
	}
	for _, end := range []struct {
		count     *map[string]int64
		statement string
		args      []any
	}{
		{&r.Orders, `UPDATE purge_orders SET state = $1, stopped_by = $2, ended_at = $3 WHERE state IN ('scheduled', 'running') RETURNING workspace_id`,
			[]any{OrderStopped, "the restore of a backup", micros(tx.Now)}},
		{&r.Trainings, `UPDATE trainings SET state = $1, detail = $2, ended_at = $3, lease_until = 0 WHERE state IN ` + inFlight + ` RETURNING workspace_id`,
			[]any{cullet.TrainCancelled, "cancelled: " + why, micros(tx.Now)}},
		{&r.Generations, `UPDATE versions SET state = $1, problem = $2 WHERE state = $3 RETURNING workspace_id`,
			[]any{cullet.Interrupted, "interrupted: " + why + "; it can be started again", cullet.Generating}},
		{&r.Exports, `UPDATE exports SET state = $1, problem = $2, run = '' WHERE state = $3 RETURNING workspace_id`,
			[]any{cullet.ExportFailed, why + " while this export was being written; ask for it again", cullet.ExportRunning}},
	} {
		ended, err := queryAll(ctx, tx, scanText, end.statement, end.args...)
		if err != nil {
			return r, err
		}
		*end.count = map[string]int64{}
		for _, workspace := range ended {
			(*end.count)[workspace]++
		}
	}
	open, err := queryAll(ctx, tx, scanInterval, `SELECT `+intervalColumns+` FROM ledger WHERE closed_at = 0`)
	if err != nil {
		return r, err
	}
	for _, i := range open {
		if _, err := tx.CloseInterval(ctx, i, i.RenewedAt); err != nil {
			return r, err
		}
	}
	return r, tx.ReleaseLeases(ctx)
}

// WaitAfterRestore has cleanup begin with a wait: of what became due meanwhile nothing
// goes before its end, unless a person lifts it (C6).
func (tx *Tx) WaitAfterRestore(ctx context.Context, grace time.Duration) error {
	return tx.SetClockWatch(ctx, cullet.ClockWatch{SeenAt: tx.Now, Wait: cullet.NewID(cullet.WaitID), Why: cullet.BackupIsFresh,
		Began: tx.Now, Until: tx.Now.Add(grace)})
}

// CountAnew forgets what was counted in the background: that was on the other server.
func (tx *Tx) CountAnew(ctx context.Context) error {
	_, err := tx.exec(ctx, `UPDATE trash_items SET freeable_bytes = 0, shared_bytes = 0, counted_at = 0, counted_epoch = 0 WHERE counted_at > 0`)
	return err
}

// What says that a restore into this database has not come to its end.
const unfinished = "restoring"

// MarkUnfinished keeps that a restore is under way, and which.
func (tx *Tx) MarkUnfinished(ctx context.Context, mark string) error {
	_, err := tx.exec(ctx, `INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, unfinished, mark)
	return err
}

// Unfinished returns which restore has not come to its end, "" where none.
func (tx *Tx) Unfinished(ctx context.Context) (string, error) {
	all, err := queryAll(ctx, tx, scanText, `SELECT value FROM secrets WHERE name = $1`, unfinished)
	return strings.Join(all, ""), err
}

// ClearUnfinished says that the restore has come to its end.
func (tx *Tx) ClearUnfinished(ctx context.Context) error {
	_, err := tx.exec(ctx, `DELETE FROM secrets WHERE name = $1`, unfinished)
	return err
}

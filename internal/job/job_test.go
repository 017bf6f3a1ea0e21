package job_test

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"testing"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/job"
	"github.com/cullet-vision/cullet/internal/store"
)

var (
	ctx   = context.Background()
	quiet = slog.New(slog.NewTextHandler(io.Discard, nil))
)

// TestServersStartTogether: several processes may be the first ones on a database.
func TestServersStartTogether(t *testing.T) {
	for _, name := range cullettest.Databases() {
		if name == "sqlite" {
			continue // one process has its file
		}
		for range 3 {
			d := cullettest.NewDatabase(t, name)
			var all sync.WaitGroup
			for range 3 {
				db := d.Open(t, cullet.SystemClock{})
				all.Go(func() {
					if _, err := job.New(ctx, db, 4, quiet); err != nil {
						t.Errorf("starting beside others: %v", err)
					}
				})
			}
			all.Wait()
		}
	}
}

// TestEnqueueOnce: what waits for a worker gets no second job, whatever else waits.
func TestEnqueueOnce(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		db := d.Open(t, cullet.SystemClock{})
		e, err := job.New(ctx, db, 0, quiet)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			err := db.Update(ctx, func(tx *store.Tx) error { return e.EnqueueOnce(ctx, tx, job.Export, []string{"a", "b"}) })
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Update(ctx, func(tx *store.Tx) error { return e.EnqueueOnce(ctx, tx, job.Generate, []string{"a"}) }); err != nil {
			t.Fatal(err)
		}
		var n int
		if err := db.Conn().Reader.QueryRowContext(ctx, `SELECT COUNT(*) FROM river_job`).Scan(&n); err != nil || n != 3 {
			t.Errorf("%d jobs, %v; want 3", n, err)
		}
		// One that runs may be one whose worker was killed.
		if _, err := db.Conn().Writer.ExecContext(ctx, `UPDATE river_job SET state = 'running', attempted_at = created_at`); err != nil {
			t.Fatal(err)
		}
		if err := db.Update(ctx, func(tx *store.Tx) error { return e.EnqueueOnce(ctx, tx, job.Export, []string{"a"}) }); err != nil {
			t.Fatal(err)
		}
		if err := db.Conn().Reader.QueryRowContext(ctx, `SELECT COUNT(*) FROM river_job`).Scan(&n); err != nil || n != 4 {
			t.Errorf("%d jobs, %v; want 4", n, err)
		}
	})
}

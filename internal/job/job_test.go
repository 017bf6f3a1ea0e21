package job_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
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

// TestFailureIsLogged: a job that fails is done again by itself, and an operator
// can see why it goes on for so long: the disk is full, say.
func TestFailureIsLogged(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		db := d.Open(t, cullet.SystemClock{})
		var log bytes.Buffer
		e, err := job.New(ctx, db, 1, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		again := make(chan struct{})
		tries := 0
		e.Handle(job.Generate, func(context.Context, string) (bool, error) {
			if tries++; tries == 1 {
				return false, errors.New("the disk is full")
			}
			close(again)
			return false, nil
		})
		if err := db.Update(ctx, func(tx *store.Tx) error { return e.Enqueue(ctx, tx, job.Generate, "v_1") }); err != nil {
			t.Fatal(err)
		}
		if err := e.Start(ctx); err != nil {
			t.Fatal(err)
		}
		<-again
		if err := e.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(log.String(), "the disk is full") || !strings.Contains(log.String(), "v_1") {
			t.Errorf("the log says %q", log.String())
		}
	})
}

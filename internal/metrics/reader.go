package metrics

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/job"
	"github.com/cullet-vision/cullet/internal/store"
)

// How long numbers of the database are kept: at least as long as keep, and so long that
// reading them takes no more than a part of the time, however full the Trash is. What is
// read ends after patience.
const (
	keep     = 10 * time.Second
	part     = 20
	patience = 20 * time.Second
)

// numbers are what one look into the database found.
type numbers struct {
	at      time.Time
	trash   []store.TrashStatus
	unlinks store.UnlinkStatus
	watch   cullet.ClockWatch
	backup  bool
	queue   []store.QueueStatus
	jobs    map[string]int64
}

// reader collects what the database tells, when somebody asks.
type reader struct {
	Source

	mu    sync.Mutex
	last  *numbers // nil: read anew
	until time.Time
	took  time.Duration
}

// Describe lists what Collect sends.
func (r *reader) Describe(to chan<- *prometheus.Desc) {
	for _, d := range descriptions {
		to <- d
	}
}

// Collect sends the numbers, or that they cannot be read.
func (r *reader) Collect(to chan<- prometheus.Metric) {
	n, took, err := r.numbers()
	s := sender{to}
	if err != nil {
		r.Log.Error("the numbers of the metrics could not be read", "err", err)
		s.gauge(readOK, 0)
		return
	}
	s.gauge(readOK, 1)
	s.gauge(readTook, took.Seconds())
	n.send(s)
}

// numbers reads them, or returns those read lately. Who asks meanwhile waits.
func (r *reader) numbers() (*numbers, time.Duration, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	clock := r.DB.Clock()
	now := clock.Now()
	if r.last != nil && now.Before(r.until) && !now.Before(r.last.at) {
		return r.last, r.took, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r.last = nil // of a database that does not answer nothing is told
	n, err := read(ctx, r.DB)
	if err != nil {
		return nil, 0, err
	}
	r.last, r.took = n, clock.Now().Sub(now)
	r.until = now.Add(max(keep, part*r.took))
	return n, r.took, nil
}

// read reads all of them in one view.
func read(ctx context.Context, db *store.DB) (*numbers, error) {
	var n *numbers
	err := db.View(ctx, func(tx *store.Tx) (err error) {
		n = &numbers{at: tx.Now}
		if n.trash, err = tx.TrashStatus(ctx, ""); err != nil {
			return err
		}
		if n.unlinks, err = tx.UnlinkStatus(ctx, ""); err != nil {
			return err
		}
		if n.watch, err = tx.ClockWatch(ctx); err != nil {
			return err
		}
		if n.backup, err = tx.BackupRunning(ctx); err != nil {
			return err
		}
		if n.queue, err = tx.QueueStatus(ctx); err != nil {
			return err
		}
		n.jobs, err = job.Count(ctx, tx)
		return err
	})
	return n, err
}

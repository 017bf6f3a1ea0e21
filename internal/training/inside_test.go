package training

import (
	"context"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/training/supervise"
)

// Claimed is a claim without a process, for tests of what happens around one.
type Claimed struct{ *run }

// ClaimForTest claims the next training.
func (w *Worker) ClaimForTest(ctx context.Context) (Claimed, error) {
	t, err := w.claim(ctx)
	return Claimed{&run{Worker: w, t: t, dir: w.Dir, poked: make(chan struct{}, 1)}}, err
}

// Lost ends or gives back what was lost, as each round of the worker does.
func (w *Worker) Lost(ctx context.Context) error { return w.lost(ctx) }

// Begin says that the process runs.
func (c Claimed) Begin(ctx context.Context) error { return c.begin(ctx) }

// Hear takes a metric as the supervisor tells it.
func (c Claimed) Hear(body string) {
	c.heard(supervise.Event{Kind: supervise.Metrics, Metrics: []byte(body)})
}

// Flush writes metrics down, and says how many could not be.
func (c Claimed) Flush(ctx context.Context) int { c.flush(ctx); return len(c.pending) }

// Pending is how many metrics wait to be written down, and their bytes.
func (c Claimed) Pending() (n, bytes int) {
	for _, m := range c.pending {
		bytes += len(m.Body)
	}
	return len(c.pending), bytes
}

// Export has the dataset exported.
func (c Claimed) Export(ctx context.Context) (cullet.Export, error) { return c.export(ctx) }

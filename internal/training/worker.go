package training

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/training/supervise"
	"github.com/cullet-vision/cullet/internal/version"
)

// Worker takes queued trainings and runs them, each under a supervisor process,
// for as long as its lease on them holds.
type Worker struct {
	DB       *store.DB
	Trainers []Trainer
	Blobs    *blob.Store
	Press    *version.Press
	Dir      string // working folders of trainings are made below it
	Exe      string // the program that supervises; "": this one
	Capacity int    // trainings at once
	Log      *slog.Logger

	name    string
	mu      sync.Mutex
	running map[string]*run // by training id
	wake    chan struct{}
	ended   sync.WaitGroup
}

// pause is how often the queue is looked at when nobody says that it changed, and
// how soon at the latest a running training finds out that it is over (D4).
const pause = 500 * time.Millisecond

// stopGrace is how long a trainer that was told to stop may take for its model.
const stopGrace = 60 * time.Second

// Ready completes a worker whose fields are set, and returns it.
func (w *Worker) Ready() *Worker {
	w.name = cullet.NewID("w")
	w.running = map[string]*run{}
	w.wake = make(chan struct{}, 1)
	return w
}

// Wake has the worker look at the queue and at what it runs at once.
func (w *Worker) Wake() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Run works until the context ends; then it gives back what it runs, to be taken
// by another worker, and returns when no process of it is left.
func (w *Worker) Run(ctx context.Context) {
	w.clear(ctx)
	tick := w.DB.Clock().NewTicker(pause)
	defer tick.Stop()
	for ctx.Err() == nil {
		if err := w.round(ctx); err != nil && ctx.Err() == nil {
			w.Log.Error("the queue of trainings could not be looked at; trying again", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-tick.C():
		case <-w.wake:
		}
	}
	w.ended.Wait()
}

// round ends what was lost, looks after what runs, and takes what fits.
func (w *Worker) round(ctx context.Context) error {
	for _, r := range w.all() {
		r.poke()
	}
	if err := w.lost(ctx); err != nil {
		return err
	}
	for len(w.all()) < w.Capacity {
		t, err := w.claim(ctx)
		if errors.Is(err, store.ErrNoRow) {
			return nil
		} else if err != nil {
			return err
		}
		w.start(ctx, t)
	}
	return nil
}

func (w *Worker) all() []*run {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]*run, 0, len(w.running))
	for _, r := range w.running {
		all = append(all, r)
	}
	return all
}

// claim takes the training that has waited longest; ErrNoRow: there is none.
func (w *Worker) claim(ctx context.Context) (t cullet.Training, err error) {
	names := make([]string, len(w.Trainers))
	for n, trainer := range w.Trainers {
		names[n] = trainer.Name
	}
	if len(names) == 0 {
		return t, store.ErrNoRow
	}
	// Looked for without a lock: most looks find nothing, and need no writer.
	err = w.DB.View(ctx, func(tx *store.Tx) error {
		t, err = tx.NextQueued(ctx, names)
		return err
	})
	if err != nil {
		return t, err
	}
	err = w.DB.Update(ctx, func(tx *store.Tx) error {
		if t, err = tx.NextQueued(ctx, names); err != nil {
			return err
		}
		if _, err := tx.ShareVersion(ctx, t.Project, t.Version); err != nil {
			return err // moved to Trash at this moment
		}
		token := cullet.NewSecret("claim")
		if _, err := move(ctx, tx, t, cullet.TrainClaim, store.TrainingMove{Worker: w.name, Token: token, LeaseUntil: tx.Now.Add(cullet.LeaseTime)}); err != nil {
			return err
		}
		t, err = tx.GetTraining(ctx, t.ID)
		return err
	})
	if cullet.CodeOf(err) == cullet.Conflict {
		return t, store.ErrNoRow // another worker was faster
	}
	return t, err
}

// lost gives trainings back whose worker gave no sign for a lease: they are begun
// again as often as their trainer says, else they have failed. Either way they are
// charged to the last sign.
func (w *Worker) lost(ctx context.Context) error {
	var lost []cullet.Training
	err := w.DB.View(ctx, func(tx *store.Tx) (err error) {
		lost, err = tx.LostTrainings(ctx)
		return err
	})
	if err != nil {
		return err
	}
	for _, t := range lost {
		err := w.DB.Update(ctx, func(tx *store.Tx) error {
			now, err := tx.GetTraining(ctx, t.ID)
			if errors.Is(err, store.ErrNoRow) || err == nil && (now.Token != t.Token || !now.LeaseUntil.Before(tx.Now)) {
				return nil
			} else if err != nil {
				return err
			}
			event, detail := cullet.TrainLose, fmt.Sprintf("its worker gave no sign since %s; it is begun again", now.LeaseUntil.Add(-cullet.LeaseTime).Format(time.RFC3339))
			if now.Attempt > now.Retry {
				event, detail = cullet.TrainFail, fmt.Sprintf("its worker gave no sign since %s", now.LeaseUntil.Add(-cullet.LeaseTime).Format(time.RFC3339))
			}
			_, err = move(ctx, tx, now, event, store.TrainingMove{Detail: detail})
			return err
		})
		if err != nil && cullet.CodeOf(err) != cullet.Conflict {
			return err
		}
		w.Log.Warn("a training lost its worker", "training", t.ID, "worker", t.Worker, "attempt", t.Attempt)
	}
	return nil
}

func (w *Worker) trainer(name string) Trainer {
	for _, t := range w.Trainers {
		if t.Name == name {
			return t
		}
	}
	return Trainer{}
}

// clear removes what an earlier worker left on this machine: processes of
// trainings that are over or have another claim, and their folders. What belongs
// to another server, whose trainings we do not know, is left alone.
func (w *Worker) clear(ctx context.Context) {
	marks, err := supervise.Marked()
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		w.Log.Warn("processes of earlier trainings could not be looked for", "err", err)
	}
	for _, m := range marks {
		if known, current := w.holds(ctx, m.Training, m.Token); !known || current {
			continue
		}
		if n, err := supervise.KillMarked(ctx, m.Token); err != nil {
			w.Log.Error("processes of an earlier training could not be ended", "training", m.Training, "err", err)
		} else if n > 0 {
			w.Log.Info("processes of an earlier training were ended", "training", m.Training, "processes", n)
		}
	}
	folders, _ := os.ReadDir(w.Dir)
	for _, f := range folders {
		id, token, _ := splitFolder(f.Name())
		if _, current := w.holds(ctx, id, token); !current {
			if err := os.RemoveAll(filepath.Join(w.Dir, f.Name())); err != nil {
				w.Log.Warn("the folder of an earlier training could not be removed", "folder", f.Name(), "err", err)
			}
		}
	}
}

// holds says whether the training is one of ours, and whether the claim with the
// token still holds it.
func (w *Worker) holds(ctx context.Context, id, token string) (known, current bool) {
	err := w.DB.View(ctx, func(tx *store.Tx) error {
		t, err := tx.FindTraining(ctx, id)
		if errors.Is(err, store.ErrNoRow) {
			return nil
		}
		known, current = err == nil, err == nil && t.Token == token && !t.State.Ended() && tx.Now.Before(t.LeaseUntil)
		return err
	})
	return known && err == nil, current || err != nil
}

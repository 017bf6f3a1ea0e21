package training_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/training"
	"github.com/cullet-vision/cullet/internal/training/supervise"
)

var ctx = context.Background()

// TestMain lets the test binary be the supervisor of the trainings it starts.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == supervise.Subcommand {
		os.Exit(supervise.Main(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// yard is a World with a worker that runs shell scripts as trainers, on the
// machine's own clock: real processes keep no other.
type yard struct {
	*cullettest.World
	project cullet.Project
	dir     string
}

// The trainers of the tests, by model type.
var scripts = map[string]string{
	"good":  `echo '{"epoch":1,"epochs":2,"loss":0.5}'; ls "$CULLET_DATASET" > "$CULLET_OUTPUT/weights.txt"; cat "$CULLET_RECIPE" >> "$CULLET_OUTPUT/weights.txt"`,
	"bad":   `echo "no memory left" >&2; exit 3`,
	"empty": `exit 0`,
	"long":  `trap 'echo best > "$CULLET_OUTPUT/w"; exit 0' TERM; echo '{"epoch":1}'; while :; do sleep 0.05; done`,
	"env":   `env > "$CULLET_OUTPUT/env.txt"`,
}

func newYard(t *testing.T, d cullettest.Database) *yard {
	t.Helper()
	w := cullettest.WorldOn(t, d, cullettest.NewClock())
	// Real time, from here on, for everything that the worker touches.
	w.DB = d.Open(t, cullet.SystemClock{})
	w.Press.DB, w.Queue.DB, w.Bin.DB, w.Catalog.DB, w.Intake.DB = w.DB, w.DB, w.DB, w.DB, w.DB
	w.Queue.Trainers = nil
	for name, script := range scripts {
		w.Queue.Trainers = append(w.Queue.Trainers, training.Trainer{Name: name, ModelTypes: []string{name}, Command: []string{"sh", "-c", script}, CreditsPerHour: 3600})
	}
	y := &yard{World: w, project: w.Project(t, "belt"), dir: t.TempDir()}
	w.Annotate(t, y.project.ID, w.Image(t, y.project.ID, 1), "jar")
	w.Version(t, y.project.ID)
	w.Export(t, y.project.ID, 1, "yolov5pytorch")
	return y
}

// work runs a worker until the returned function is called, which waits for its end.
func (y *yard) work(t *testing.T) (stop func()) {
	t.Helper()
	w := (&training.Worker{DB: y.DB, Trainers: y.Queue.Trainers, Blobs: y.Blobs, Press: y.Press, Dir: y.dir, Capacity: 2,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil))}).Ready()
	y.Queue.Changed, y.Bin.Cancelled = w.Wake, w.Wake
	working, cancel := context.WithCancel(ctx)
	var ended sync.WaitGroup
	ended.Go(func() { w.Run(working) })
	stop = func() { cancel(); ended.Wait() }
	t.Cleanup(stop)
	return stop
}

func (y *yard) start(t *testing.T, modelType string) string {
	t.Helper()
	tr, err := y.Queue.Start(ctx, y.By, "belt", 1, training.NewTraining{ModelType: modelType, Epochs: 2})
	if err != nil {
		t.Fatal(err)
	}
	return tr.ID
}

// until waits until the training is in one of the states.
func (y *yard) until(t *testing.T, id string, states ...cullet.TrainingState) training.Detail {
	t.Helper()
	clock := cullet.SystemClock{}
	for end := clock.After(time.Minute); ; {
		d, err := y.Queue.Get(ctx, y.By, "belt", 1, id)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range states {
			if d.State == s {
				return d
			}
		}
		select {
		case <-end:
			t.Fatalf("training %s is %s (%s), want %v", id, d.State, d.Detail, states)
		case <-clock.After(20 * time.Millisecond):
		}
	}
}

// bills returns the training's intervals and fails where one is open though it ended.
func (y *yard) bills(t *testing.T, id string) (mine []cullet.Interval) {
	t.Helper()
	all, err := y.Queue.Ledger(ctx, y.By)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		if i.Training == id {
			mine = append(mine, i)
		}
	}
	return mine
}

// processes counts what lives of a training on this machine.
func processes(t *testing.T, id string) (n int) {
	t.Helper()
	marks, err := supervise.Marked()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range marks {
		if m.Training == id {
			n++
		}
	}
	return n
}

func TestTrainingsEndAsTheyShould(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		y := newYard(t, d)
		stop := y.work(t)
		good, bad, empty, env := y.start(t, "good"), y.start(t, "bad"), y.start(t, "empty"), y.start(t, "env")
		if got := y.until(t, good, cullet.TrainFinished); len(got.Models) != 1 || got.Epoch != 1 || got.Progress != 0.5 {
			t.Errorf("a good trainer left %+v, epoch %d, progress %v", got.Models, got.Epoch, got.Progress)
		}
		if got := y.until(t, bad, cullet.TrainFailed); !strings.Contains(got.Detail, "exit status 3") || !strings.Contains(got.Detail, "no memory left") {
			t.Errorf("a bad trainer's detail: %q", got.Detail)
		}
		if got := y.until(t, empty, cullet.TrainFailed); !strings.Contains(got.Detail, "CULLET_OUTPUT") {
			t.Errorf("a trainer that leaves nothing: %q", got.Detail)
		}
		y.until(t, env, cullet.TrainFinished)
		for _, id := range []string{good, bad, empty, env} {
			if bills := y.bills(t, id); len(bills) != 1 || bills[0].ClosedAt.IsZero() {
				t.Errorf("training %s is billed %+v, want one closed interval", id, bills)
			}
		}
		stop() // a folder goes after its training has ended
		if left, err := filepath.Glob(y.dir + "/*"); err != nil || len(left) > 0 {
			t.Errorf("folders are left: %v, %v", left, err)
		}
		y.Check(t)
	})
}

// TestStopKeepsTheModelAndCancelDoesNot: both end the processes and the meter.
func TestStopKeepsTheModelAndCancelDoesNot(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		y := newYard(t, d)
		y.work(t)
		stopped, cancelled := y.start(t, "long"), y.start(t, "long")
		for _, id := range []string{stopped, cancelled} {
			y.until(t, id, cullet.TrainRunning)
		}
		if _, err := y.Queue.Stop(ctx, y.By, "belt", 1, stopped); err != nil {
			t.Fatal(err)
		}
		if _, err := y.Queue.Cancel(ctx, y.By, "belt", 1, cancelled); err != nil {
			t.Fatal(err)
		}
		if got := y.until(t, stopped, cullet.TrainStopped); len(got.Models) != 1 {
			t.Errorf("a stopped training left %d models, want its best", len(got.Models))
		}
		if got := y.until(t, cancelled, cullet.TrainCancelled); len(got.Models) != 0 {
			t.Errorf("a cancelled training left %d models", len(got.Models))
		}
		clock := cullet.SystemClock{}
		for end := clock.After(5 * time.Second); processes(t, stopped)+processes(t, cancelled) > 0; {
			select {
			case <-end:
				t.Fatal("D4: processes live 5 s after the end")
			case <-clock.After(20 * time.Millisecond):
			}
		}
		if _, err := y.Queue.Cancel(ctx, y.By, "belt", 1, stopped); cullet.CodeOf(err) != cullet.Conflict {
			t.Errorf("cancelling what has ended: %v, want a conflict", err)
		}
		if _, err := y.Queue.Stop(ctx, y.By, "belt", 1, stopped); err != nil {
			t.Errorf("stopping what has ended: %v, want nothing", err)
		}
		y.Check(t)
	})
}

// TestD4OneWinner ends trainings in several ways in the same instant: by their own
// end, by a stop, by a cancel and by a deletion. Each has one end and one bill.
func TestD4OneWinner(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		y := newYard(t, d)
		y.work(t)
		for range 6 {
			ids := []string{y.start(t, "good"), y.start(t, "long")}
			y.until(t, ids[1], cullet.TrainRunning, cullet.TrainStarting, cullet.TrainQueued)
			var acts sync.WaitGroup
			for _, act := range []func() error{
				func() error { _, err := y.Queue.Cancel(ctx, y.By, "belt", 1, ids[0]); return err },
				func() error { _, err := y.Queue.Cancel(ctx, y.By, "belt", 1, ids[1]); return err },
				func() error { _, err := y.Queue.Stop(ctx, y.By, "belt", 1, ids[1]); return err },
				func() error { _, err := y.Bin.DeleteVersion(ctx, y.By, "belt", 1); return err },
			} {
				acts.Go(func() {
					if err := act(); err != nil && cullet.CodeOf(err) != cullet.Conflict && cullet.CodeOf(err) != cullet.NotFound {
						t.Errorf("who comes second: %v", err)
					}
				})
			}
			acts.Wait()
			y.restore(t)
			for _, id := range ids {
				got := y.until(t, id, cullet.TrainFinished, cullet.TrainStopped, cullet.TrainCancelled, cullet.TrainFailed)
				if n := len(y.bills(t, id)); n > 1 {
					t.Errorf("D4: training %s (%s) is billed %d times", id, got.State, n)
				}
				if bills := y.bills(t, id); len(bills) == 1 && bills[0].ClosedAt.IsZero() {
					t.Errorf("D4: the meter of %s runs on after it is %s", id, got.State)
				}
			}
			y.Check(t)
		}
	})
}

func (y *yard) restore(t *testing.T) {
	t.Helper()
	items, err := y.Bin.List(ctx, y.By)
	if err != nil || len(items) != 1 {
		t.Fatalf("%d items in Trash, %v", len(items), err)
	}
	if _, err := y.Bin.RestoreItem(ctx, y.By, items[0].ID, ""); err != nil {
		t.Fatal(err)
	}
}

// TestShutdownGivesBack: a worker that stops gives its training to the next one,
// charged to that moment; one that gave no sign for a lease loses it, charged to
// its last sign, and after the trainer's retries it has failed.
func TestShutdownGivesBack(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		y := newYard(t, d)
		stop := y.work(t)
		id := y.start(t, "long")
		y.until(t, id, cullet.TrainRunning)
		stop()
		if n := processes(t, id); n > 0 {
			t.Errorf("%d processes live after their worker ended", n)
		}
		if got := y.until(t, id, cullet.TrainQueued); !strings.Contains(got.Detail, "shut down") {
			t.Errorf("given back with %q", got.Detail)
		}
		if bills := y.bills(t, id); len(bills) != 1 || bills[0].ClosedAt.IsZero() {
			t.Errorf("given back with the bills %+v", bills)
		}
		y.claim(t, id) // a worker of another machine takes it and is never seen again
		y.work(t)
		got := y.until(t, id, cullet.TrainFailed)
		if !strings.Contains(got.Detail, "gave no sign") {
			t.Errorf("lost with %q", got.Detail)
		}
		bills := y.bills(t, id)
		if len(bills) != 2 || !bills[0].ClosedAt.Equal(bills[0].RenewedAt) { // theirs, which was opened first
			t.Errorf("decided 5: a lost worker is charged to its last sign: %+v", bills)
		}
		y.Check(t)
	})
}

// claim takes a queued training with a lease that ran out long ago.
func (y *yard) claim(t *testing.T, id string) {
	t.Helper()
	err := y.DB.Update(ctx, func(tx *store.Tx) error {
		tr, err := tx.GetTraining(ctx, id)
		if err != nil {
			return err
		}
		long := tx.Now.Add(-time.Hour)
		if err := tx.MoveTraining(ctx, tr, store.TrainingMove{To: cullet.TrainStarting, Worker: "elsewhere", Token: "theirs", LeaseUntil: long}); err != nil {
			return err
		}
		return tx.AddInterval(ctx, cullet.Interval{ID: cullet.NewID(cullet.IntervalID), Workspace: tr.Workspace, Training: id,
			OpenedAt: long.Add(-time.Minute), RenewedAt: long, Rate: tr.Rate})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestNobodyIsBilledPastALease: a machine that slept past its lease cannot renew it.
func TestNobodyIsBilledPastALease(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := cullettest.WorldOn(t, d, cullettest.NewClock())
		p := w.Project(t, "belt")
		w.Image(t, p.ID, 1)
		w.Version(t, p.ID)
		tr, err := w.Queue.Start(ctx, w.By, "belt", 1, training.NewTraining{ModelType: "test-model"})
		if err != nil {
			t.Fatal(err)
		}
		renew := func() error {
			return w.DB.Update(ctx, func(tx *store.Tx) error {
				_, err := tx.RenewTraining(ctx, tr.ID, "token", tx.Now.Add(cullet.LeaseTime))
				return err
			})
		}
		err = w.DB.Update(ctx, func(tx *store.Tx) error {
			m := store.TrainingMove{To: cullet.TrainRunning, Worker: "w", Token: "token", LeaseUntil: tx.Now.Add(cullet.LeaseTime)}
			if err := tx.MoveTraining(ctx, tr, m); err != nil {
				return err
			}
			return tx.AddInterval(ctx, cullet.Interval{ID: cullet.NewID(cullet.IntervalID), Workspace: tr.Workspace, Training: tr.ID, OpenedAt: tx.Now, RenewedAt: tx.Now, Rate: tr.Rate})
		})
		if err != nil {
			t.Fatal(err)
		}
		w.Clock.Advance(8 * time.Second)
		if err := renew(); err != nil {
			t.Fatalf("within the lease: %v", err)
		}
		w.Clock.Advance(time.Hour)
		if err := renew(); !errors.Is(err, store.ErrNoRow) {
			t.Errorf("a lease that ran out an hour ago was renewed: %v", err)
		}
		if _, err := w.Queue.Cancel(ctx, w.By, "belt", 1, tr.ID); err != nil {
			t.Fatal(err)
		}
		all, err := w.Queue.Ledger(ctx, w.By)
		if err != nil || len(all) != 1 || all[0].MicroCredits != 8000 {
			t.Errorf("charged %+v, %v; want the 8 s to its last sign", all, err)
		}
	})
}

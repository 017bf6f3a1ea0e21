package training_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/training"
	"github.com/cullet-vision/cullet/internal/trash"
)

// claimed is a training of a World that a worker has just claimed.
func claimed(t *testing.T, w *cullettest.World) (training.Claimed, cullet.Project, cullet.Training) {
	t.Helper()
	p := w.Project(t, "one")
	w.Image(t, p.ID, 1)
	tr, err := w.Queue.Start(ctx, w.By, p.ID, w.Version(t, p.ID).Number, training.NewTraining{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := idle(t, w).ClaimForTest(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return c, p, tr
}

// idle is a worker that does nothing by itself.
func idle(t *testing.T, w *cullettest.World) *training.Worker {
	return (&training.Worker{DB: w.DB, Trainers: w.Queue.Trainers, Blobs: w.Blobs, Press: w.Press, Dir: t.TempDir(), Capacity: 1,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil))}).Ready()
}

// TestOneBadMetricSpoilsNoOther: what a database could not keep is mended before.
func TestOneBadMetricSpoilsNoOther(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := cullettest.WorldOn(t, d, cullettest.NewClock())
		c, _, tr := claimed(t, w)
		if err := c.Begin(ctx); err != nil {
			t.Fatal(err)
		}
		for _, body := range []string{"{\"name\":\"caf\xe9\"}", `{"name":"a\u0000b"}`, `{"path":"C:\\u0000"}`, `{"a":"\\\u0000"}`, `{"epoch":3,"epochs":4}`} {
			c.Hear(body)
		}
		if n := c.Flush(ctx); n != 0 {
			t.Fatalf("%d metrics were not written down", n)
		}
		got, err := w.Queue.Metrics(ctx, w.By, tr.ID, 100)
		if err != nil {
			t.Fatal(err)
		}
		var bodies []string
		for _, m := range got {
			if !json.Valid([]byte(m.Body)) {
				t.Errorf("%q is no JSON any more", m.Body)
			}
			bodies = append(bodies, m.Body)
		}
		want := []string{"{\"name\":\"caf\uFFFD\"}", `{"name":"a\uFFFDb"}`, `{"path":"C:\\u0000"}`, `{"a":"\\\uFFFD"}`, `{"epoch":3,"epochs":4}`}
		if !slices.Equal(bodies, want) {
			t.Errorf("kept: %q, want %q", bodies, want)
		}
	})
}

// TestMetricsThatWaitAreBounded: by number, by bytes together, and each by itself.
func TestMetricsThatWaitAreBounded(t *testing.T) {
	w := cullettest.NewWorld(t, "sqlite")
	c, _, _ := claimed(t, w)
	metric := func(bytes int) string { return `{"a":"` + strings.Repeat("x", bytes-8) + `"}` }
	c.Hear(metric(64<<10 + 1))
	if n, _ := c.Pending(); n != 0 {
		t.Error("a metric of more than 64 KiB is kept")
	}
	for range 100 {
		c.Hear(metric(64 << 10))
	}
	if n, bytes := c.Pending(); n != 64 || bytes != 4<<20 {
		t.Errorf("%d metrics of %d bytes wait, want 64 of 4 MiB", n, bytes)
	}
	for range 3000 {
		c.Hear(`{}`)
	}
	if n, bytes := c.Pending(); n != 1000 || bytes != 2000 {
		t.Errorf("%d metrics of %d bytes wait, want 1000 of 2", n, bytes)
	}
}

// TestAnOldFailureOfTheExport does not fail the training: the export is begun again.
func TestAnOldFailureOfTheExport(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := cullettest.WorldOn(t, d, cullettest.NewClock())
		p := w.Project(t, "one")
		w.Image(t, p.ID, 1)
		v := w.Version(t, p.ID)
		e, err := w.Press.Export(ctx, w.By, p.ID, v.Number, training.FormatFor("test-model"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Bin.DeleteProject(ctx, w.By, p.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Bin.Restore(ctx, w.By, trash.Request{Type: cullet.TrashProject, ID: p.ID}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Queue.Start(ctx, w.By, p.ID, v.Number, training.NewTraining{}); err != nil {
			t.Fatal(err)
		}
		c, err := idle(t, w).ClaimForTest(ctx)
		if err != nil {
			t.Fatal(err)
		}
		type answer struct {
			e   cullet.Export
			err error
		}
		done := make(chan answer, 1)
		go func() { e, err := c.Export(ctx); done <- answer{e, err} }()
		for {
			// The job, which no engine runs here: until it was begun again there is none.
			if _, err := w.Press.Write(ctx, e.ID); err != nil {
				t.Fatal(err)
			}
			w.Clock.Advance(time.Second)
			select {
			case got := <-done:
				if got.err != nil || got.e.State != cullet.ExportReady {
					t.Errorf("the export is %s, %v; want ready", got.e.State, got.err)
				}
				return
			case <-cullet.SystemClock{}.After(10 * time.Millisecond):
			}
		}
	})
}

// TestALostTrainingIsBegunAgain as often as its trainer said when it was asked for,
// whatever the worker that finds it lost knows of trainers.
func TestALostTrainingIsBegunAgain(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := cullettest.WorldOn(t, d, cullettest.NewClock())
		c, p, _ := claimed(t, w)
		stranger := idle(t, w)
		stranger.Trainers = nil
		for n, want := range []cullet.TrainingState{cullet.TrainQueued, cullet.TrainFailed} { // Retry is 1
			if err := c.Begin(ctx); err != nil {
				t.Fatal(err)
			}
			w.Clock.Advance(time.Minute)
			if err := stranger.Lost(ctx); err != nil {
				t.Fatal(err)
			}
			got, err := w.Queue.Get(ctx, w.By, p.ID, 1, "")
			if err != nil || got.State != want || got.Retry != 1 {
				t.Fatalf("lost %d times it is %s, retry %d, %v; want %s", n+1, got.State, got.Retry, err, want)
			}
			if want == cullet.TrainQueued {
				if c, err = idle(t, w).ClaimForTest(ctx); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

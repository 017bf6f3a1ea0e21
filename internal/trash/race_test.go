package trash_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/blob/memblob"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/dataset"
	"github.com/cullet-vision/cullet/internal/trash"
	"github.com/cullet-vision/cullet/internal/upload"
	"github.com/cullet-vision/cullet/internal/version"
)

var noSettings = version.Settings{}

// TestR6OneWinner: of many who do the same at once, one gets it done and the rest
// get a clear refusal.
func TestR6OneWinner(t *testing.T) {
	each(t, func(t *testing.T, w *cullettest.World) {
		const many = 8
		p := w.Project(t, "contested")
		for round := range 5 {
			won := compete(t, many, func() error { _, err := w.Bin.DeleteProject(ctx, w.By, p.ID); return err })
			if won != 1 {
				t.Fatalf("R6: round %d: %d of %d deletions won", round, won, many)
			}
			won = compete(t, many, func() error {
				_, err := w.Bin.Restore(ctx, w.By, trash.Request{Type: cullet.TrashProject, ID: p.ID})
				return err
			})
			if won != 1 {
				t.Fatalf("R6: round %d: %d of %d restores won", round, won, many)
			}
		}
		w.Check(t)
	})
}

// compete runs act at once many times and counts who won; the others must get a
// clear answer.
func compete(t *testing.T, many int, act func() error) (won int) {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range many {
		wg.Go(func() {
			err := act()
			mu.Lock()
			defer mu.Unlock()
			switch code := cullet.CodeOf(err); {
			case err == nil:
				won++
			case code != cullet.NotFound && code != cullet.Conflict:
				t.Errorf("R6: who comes second gets %s: %v", code, err)
			}
		})
	}
	wg.Wait()
	return won
}

// TestR6Everything lets clients delete, restore, create under the same slug,
// upload, annotate, generate and train at once; afterwards all that is kept agrees.
func TestR6Everything(t *testing.T) {
	each(t, func(t *testing.T, w *cullettest.World) {
		const clients, turns = 6, 25
		var wg sync.WaitGroup
		var mu sync.Mutex
		ids := []string{w.Project(t, "shared").ID}
		some := func(n int) string {
			mu.Lock()
			defer mu.Unlock()
			return ids[n%len(ids)]
		}
		for c := range clients {
			wg.Go(func() {
				for n := range turns {
					id := some(c*7 + n)
					var err error
					switch (c + n) % 6 {
					case 0:
						_, err = w.Bin.DeleteProject(ctx, w.By, id)
					case 1:
						_, err = w.Bin.Restore(ctx, w.By, trash.Request{Type: cullet.TrashProject, ID: id})
					case 2:
						_, err = w.Intake.Image(ctx, w.By, id, upload.NewImage{Name: "a.png"}, bytes.NewReader(cullettest.PNG(n%5)))
					case 3:
						var p cullet.Project
						if p, err = w.Catalog.CreateProject(ctx, w.By, dataset.NewProject{Name: "shared", Type: "object-detection"}); err == nil {
							mu.Lock()
							ids = append(ids, p.ID)
							mu.Unlock()
						}
					case 4:
						var v cullet.Version
						if v, err = w.Press.Generate(ctx, w.By, id, noSettings); err == nil {
							_, err = w.Press.Freeze(ctx, v.ID)
						}
					case 5:
						_, err = w.Bin.DeleteVersion(ctx, w.By, id, 1)
					}
					switch cullet.CodeOf(err) {
					case "", cullet.NotFound, cullet.Conflict, cullet.Invalid:
					default:
						t.Errorf("R6: client %d, turn %d: %v", c, n, err)
					}
				}
			})
		}
		done := make(chan struct{})
		go func() { wg.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(2 * time.Minute):
			t.Fatal("R6: the clients hold each other up")
		}
		slugs := map[string]bool{}
		projects, err := w.Catalog.Projects(ctx, w.By)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range projects {
			if slugs[p.Slug] {
				t.Errorf("D7: two active projects have the slug %s", p.Slug)
			}
			slugs[p.Slug] = true
		}
		w.Check(t)
		t.Logf("%d projects at the end", len(ids))
	})
}

// TestWritersBelowOneProject: who uploads and annotates in one project waits for
// each other, and no two ever wait in a circle.
func TestWritersBelowOneProject(t *testing.T) {
	each(t, func(t *testing.T, w *cullettest.World) {
		p := w.Project(t, "busy")
		before := w.DB.Retried()
		var wg sync.WaitGroup
		for c := range 8 {
			wg.Go(func() {
				for n := range 8 {
					taken, err := w.Intake.Image(ctx, w.By, p.ID, upload.NewImage{Name: "a.png"}, bytes.NewReader(cullettest.PNG(100*c+n)))
					if err != nil {
						t.Error(err)
						return
					}
					shapes := []cullet.Shape{cullet.BoxAround([]string{"jar", "bottle"}[n%2], 1, 1, 2, 2)}
					if _, err := w.Catalog.SaveShapes(ctx, w.By, p.ID, taken.Image, shapes, dataset.NewAnnotation{}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if n := w.DB.Retried() - before; n > 0 {
			t.Errorf("%d transactions got in each other's way", n)
		}
		w.Check(t)
	})
}

// TestR6VersionsAndSlugs: of many who restore one version, or one project under
// different slugs, one wins and the others get a clear answer.
func TestR6VersionsAndSlugs(t *testing.T) {
	each(t, func(t *testing.T, w *cullettest.World) {
		p := w.Project(t, "contested")
		w.Image(t, p.ID, 1)
		w.Version(t, p.ID)
		for range 3 {
			if _, err := w.Bin.DeleteVersion(ctx, w.By, p.ID, 1); err != nil {
				t.Fatal(err)
			}
			if won := compete(t, 6, func() error {
				_, err := w.Bin.Restore(ctx, w.By, trash.Request{Type: cullet.TrashVersion, ID: "1", Parent: p.ID})
				return err
			}); won != 1 {
				t.Errorf("R6: %d restores of the version won", won)
			}
			if _, err := w.Bin.DeleteProject(ctx, w.By, p.ID); err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex
			n := 0
			if won := compete(t, 6, func() error {
				mu.Lock()
				n++
				slug := fmt.Sprintf("slug-%d", n)
				mu.Unlock()
				_, err := w.Bin.Restore(ctx, w.By, trash.Request{Type: cullet.TrashProject, ID: p.ID, NewSlug: slug})
				return err
			}); won != 1 {
				t.Errorf("R6: %d restores of the project won", won)
			}
		}
		w.Check(t)
	})
}

// TestDeletionIsNotStarved: however many work below a project, its deletion comes
// to its turn.
func TestDeletionIsNotStarved(t *testing.T) {
	each(t, func(t *testing.T, w *cullettest.World) {
		p := w.Project(t, "busy")
		image := w.Image(t, p.ID, 1)
		stop := make(chan struct{})
		var savers sync.WaitGroup
		for range 8 {
			savers.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					_, err := w.Catalog.SaveShapes(ctx, w.By, p.ID, image, nil, dataset.NewAnnotation{Overwrite: true})
					if err != nil && cullet.CodeOf(err) != cullet.NotFound {
						t.Error(err)
						return
					}
				}
			})
		}
		for range 3 {
			deadline, cancel := context.WithTimeout(ctx, 20*time.Second)
			_, err := w.Bin.DeleteProject(deadline, w.By, p.ID)
			cancel()
			if err != nil {
				t.Errorf("the deletion waits for ever: %v", err)
				break
			}
			if _, err := w.Bin.Restore(ctx, w.By, trash.Request{Type: cullet.TrashProject, ID: p.ID}); err != nil {
				t.Error(err)
			}
		}
		close(stop)
		savers.Wait()
	})
}

// interrupting is a blob driver that acts once, at the first byte of a blob.
type interrupting struct {
	blob.Driver
	once sync.Once
	act  func()
}

func (i *interrupting) Create(ctx context.Context, name string) (blob.Draft, error) {
	i.once.Do(i.act)
	return i.Driver.Create(ctx, name)
}

// TestD4ExportInterrupted: an export whose version is deleted and restored while
// it is written leaves nothing behind, and can be asked for again.
func TestD4ExportInterrupted(t *testing.T) {
	each(t, func(t *testing.T, w *cullettest.World) {
		p := w.Project(t, "a")
		w.Image(t, p.ID, 1)
		w.Version(t, p.ID)
		plain := *w.Press
		driver := &interrupting{Driver: memblob.New(), act: func() {
			if _, err := w.Bin.DeleteVersion(ctx, w.By, p.ID, 1); err != nil {
				t.Error(err)
			}
			if _, err := w.Bin.Restore(ctx, w.By, trash.Request{Type: cullet.TrashVersion, ID: "1", Parent: p.ID}); err != nil {
				t.Error(err)
			}
		}}
		images := w.Blobs
		w.Press.Blobs = blob.New(&both{driver, images}, w.Clock)
		e, err := w.Press.Export(ctx, w.By, p.ID, 1, "coco")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Press.Write(ctx, e.ID); err != nil {
			t.Fatal(err)
		}
		w.Check(t)
		left := 0
		if err := w.Press.Blobs.List(ctx, func(blob.Info) error { left++; return nil }); err != nil || left > 0 {
			t.Errorf("C5: %d files of the interrupted export are left, %v", left, err)
		}
		w.Press = &plain
		_, _ = w.Press.Export(ctx, w.By, p.ID, 1, "coco") // tells the interruption once, and begins anew
		if e := w.Export(t, p.ID, 1, "coco"); e.State != cullet.ExportReady {
			t.Errorf("R1: the export asked for again is %s", e.State)
		}
		w.Check(t)
	})
}

// both writes to its own driver and reads images from another store.
type both struct {
	*interrupting
	images *blob.Store
}

func (b *both) Open(ctx context.Context, name string) (io.ReadSeekCloser, int64, error) {
	return b.images.Open(ctx, name)
}

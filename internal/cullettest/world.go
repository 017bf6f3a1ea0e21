package cullettest

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/access"
	"github.com/cullet-vision/cullet/internal/account"
	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/blob/memblob"
	"github.com/cullet-vision/cullet/internal/dataset"
	"github.com/cullet-vision/cullet/internal/fsck"
	"github.com/cullet-vision/cullet/internal/job"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/training"
	"github.com/cullet-vision/cullet/internal/trash"
	"github.com/cullet-vision/cullet/internal/upload"
	"github.com/cullet-vision/cullet/internal/version"
	"github.com/cullet-vision/cullet/internal/workflow"
)

// T is what the factories need of a test; a *rapid.T has it too.
type T interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// World is a workspace with everything that acts on it, on one database, with a
// clock that stands still. No job runs by itself: tests call Freeze and Write.
type World struct {
	Clock   *Clock
	DB      *store.DB
	Blobs   *blob.Store
	Access  *access.Desk
	Catalog *dataset.Catalog
	Intake  *upload.Intake
	Press   *version.Press
	Queue   *training.Queue
	Shelf   *workflow.Shelf
	Bin     *trash.Bin
	Book    *account.Book

	Workspace cullet.Workspace
	Owner     cullet.Person
	Secret    string       // of the workspace's first key
	By        cullet.Actor // that key
}

// Password is what the owner of every World signs in with.
const Password = "correct horse battery"

// NewWorld makes one on a new database of the given name.
func NewWorld(t testing.TB, database string) *World {
	t.Helper()
	return WorldOn(t, NewDatabase(t, database), NewClock())
}

// WorldOn makes one on the database and clock.
func WorldOn(t testing.TB, d Database, clock *Clock) *World {
	t.Helper()
	ctx := context.Background()
	db := d.Open(t, clock)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	jobs, err := job.New(ctx, db, 0, log)
	if err != nil {
		t.Fatal(err)
	}
	w := furnish(db, clock, memblob.New(), jobs, log)
	o, err := w.Access.Open(ctx, access.NewWorkspace{Name: "Acme", Email: "ann@example.com", Person: "Ann", Password: Password})
	if err != nil {
		t.Fatal(err)
	}
	w.Workspace, w.Owner, w.Secret = o.Workspace, o.Owner, o.Secret
	if w.By, _, err = w.Access.Key(ctx, o.Secret); err != nil {
		t.Fatal(err)
	}
	return w
}

// furnish puts everything that acts on a workspace over a database and a blob driver.
func furnish(db *store.DB, clock *Clock, driver blob.Driver, jobs *job.Engine, log *slog.Logger) *World {
	w := &World{Clock: clock, DB: db, Blobs: blob.New(driver, clock)}
	w.Access = &access.Desk{DB: db}
	w.Catalog = &dataset.Catalog{DB: db}
	w.Intake = &upload.Intake{DB: db, Blobs: w.Blobs, MaxBytes: upload.DefaultMaxBytes}
	w.Press = &version.Press{DB: db, Blobs: w.Blobs, Jobs: jobs, Log: log, URL: "http://cullet.test"}
	w.Queue = &training.Queue{DB: db, Trainers: []training.Trainer{{Name: "test", ModelTypes: []string{"test-model"}, CreditsPerHour: 3.6, Retry: 1}}}
	w.Shelf = &workflow.Shelf{DB: db}
	w.Bin = &trash.Bin{DB: db, Retention: cullet.DefaultRetention, Jobs: jobs}
	w.Book = account.NewBook(db, log)
	return w
}

// Another is another workspace in the same place, by the same people's server.
func (w *World) Another(t testing.TB, name string) *World {
	t.Helper()
	o, err := w.Access.Open(context.Background(), access.NewWorkspace{Name: name, Email: strings.ToLower(name) + "@example.com", Person: name, Password: Password})
	if err != nil {
		t.Fatal(err)
	}
	other := *w
	other.Workspace, other.Owner, other.Secret = o.Workspace, o.Owner, o.Secret
	if other.By, _, err = w.Access.Key(context.Background(), o.Secret); err != nil {
		t.Fatal(err)
	}
	return &other
}

// Person is the owner, signed in to the web app.
func (w *World) Person() cullet.Actor {
	return cullet.Actor{Workspace: w.Workspace.ID, ID: w.Owner.ID, Name: w.Owner.Name, Means: cullet.ByWeb, Role: cullet.Owner, Session: "session", Address: "127.0.0.1"}
}

// Project makes a project of the name.
func (w *World) Project(t T, name string) cullet.Project {
	t.Helper()
	p, err := w.Catalog.CreateProject(context.Background(), w.By, dataset.NewProject{Name: name, Type: "object-detection", License: "MIT", Group: "things"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// PNG is a small picture; each number is another one.
func PNG(n int) []byte {
	m := image.NewNRGBA(image.Rect(0, 0, 16, 12))
	for x := range 16 {
		for y := range 12 {
			m.Set(x, y, color.NRGBA{uint8(n), uint8(n >> 8), uint8(16*x + y), 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// Image uploads the picture of the number into a project.
func (w *World) Image(t T, project string, n int) string {
	t.Helper()
	taken, err := w.Intake.Image(context.Background(), w.By, project, upload.NewImage{Name: fmt.Sprintf("%d.png", n)}, bytes.NewReader(PNG(n)))
	if err != nil {
		t.Fatal(err)
	}
	return taken.Image
}

// Annotate puts a box of the class on an image.
func (w *World) Annotate(t T, project, image, class string) {
	t.Helper()
	p, err := w.Catalog.Project(context.Background(), w.By, project)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Catalog.SaveShapes(context.Background(), w.By, p.ID, image, []cullet.Shape{cullet.BoxAround(class, 1, 2, 5, 6)}, dataset.NewAnnotation{Overwrite: true})
	if err != nil {
		t.Fatal(err)
	}
}

// Version generates a version of a project to its end.
func (w *World) Version(t T, project string) cullet.Version {
	t.Helper()
	v, err := w.Press.Generate(context.Background(), w.By, project, version.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Press.Freeze(context.Background(), v.ID); err != nil {
		t.Fatal(err)
	}
	d, err := w.Press.Version(context.Background(), w.By, project, v.Number)
	if err != nil {
		t.Fatal(err)
	}
	return d.Version
}

// Export writes an export of a version to its end.
func (w *World) Export(t T, project string, number int64, format string) cullet.Export {
	t.Helper()
	e, err := w.Press.Export(context.Background(), w.By, project, number, format)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Press.Write(context.Background(), e.ID); err != nil {
		t.Fatal(err)
	}
	if e, err = w.Press.Export(context.Background(), w.By, project, number, format); err != nil {
		t.Fatal(err)
	}
	return e
}

// Workflow makes a workflow of the name.
func (w *World) Workflow(t T, name string) cullet.Workflow {
	t.Helper()
	f, err := w.Shelf.Create(context.Background(), w.By, workflow.Draft{Name: name, Config: `{"specification":{}}`})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Check runs fsck and fails the test with what it finds.
func (w *World) Check(t T) fsck.Report {
	t.Helper()
	r, err := fsck.Check(context.Background(), w.DB, w.Blobs, fsck.Options{Deep: true})
	if err != nil {
		t.Fatalf("fsck: %v", err)
	}
	if !r.Clean() {
		t.Fatalf("fsck found: %+v", r.Findings)
	}
	return r
}

// Fill adds images to a project by rows alone, in one statement: all share the
// bytes of one.
func (w *World) Fill(t T, project string, images int) {
	t.Helper()
	ctx := context.Background()
	first := w.Image(t, project, 1<<15)
	for _, statement := range []string{
		`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $2)
			INSERT INTO images (id, workspace_id, project_id, name, digest, blob_id, thumb_id, format, bytes, width, height, split, batch_id, tags, metadata, seq, created_at)
			SELECT s.id || '-' || n.i, s.workspace_id, s.project_id, s.name, s.digest || '-' || n.i, s.blob_id, s.thumb_id, s.format, s.bytes, s.width, s.height,
				s.split, s.batch_id, s.tags, s.metadata, s.seq + n.i, s.created_at FROM images s, n WHERE s.id = $1`,
		`UPDATE batches SET images = images + $2 WHERE id = (SELECT batch_id FROM images WHERE id = $1)`,
		`UPDATE project_counts SET images = images + $2, unannotated = unannotated + $2, train = train + $2, seq = seq + $2,
				bytes = bytes + $2 * (SELECT i.bytes + b.bytes FROM images i JOIN blobs b ON b.id = i.thumb_id WHERE i.id = $1)
			WHERE project_id = (SELECT project_id FROM images WHERE id = $1)`,
	} {
		if _, err := w.DB.Conn().Writer.ExecContext(ctx, statement, first, images); err != nil {
			t.Fatal(err)
		}
	}
}

// Pass lets time go by, as if cleanup had looked at the clock all the while.
func (w *World) Pass(t T, d time.Duration) {
	t.Helper()
	w.Clock.Advance(d)
	err := w.DB.Update(context.Background(), func(tx *store.Tx) error {
		watch, err := tx.ClockWatch(context.Background())
		if err != nil {
			return err
		}
		watch.SeenAt = tx.Now
		return tx.SetClockWatch(context.Background(), watch)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Day is a day.
const Day = 24 * time.Hour

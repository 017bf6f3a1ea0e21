package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/blob/memblob"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/fsck"
	"github.com/cullet-vision/cullet/internal/purge"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/training"
	"github.com/cullet-vision/cullet/internal/trash"
	"github.com/cullet-vision/cullet/internal/version"
)

var ctx = context.Background()

func source(w *cullettest.World) Source {
	return Source{DB: w.DB, Blobs: w.Blobs, Log: slog.New(slog.DiscardHandler)}
}

func newFolder(t *testing.T, clock cullet.Clock) Folder {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "backups")
	if err := Prepare(dir); err != nil {
		t.Fatal(err)
	}
	return Folder{Dir: dir, Blobs: blob.New(memblob.New(), clock)}
}

func newEngine(db *store.DB, blobs *blob.Store) *purge.Engine {
	return purge.NewEngine(db, blobs, time.Minute, slog.New(slog.DiscardHandler))
}

func update(t *testing.T, db *store.DB, fn func(tx *store.Tx) error) {
	t.Helper()
	if err := db.Update(ctx, fn); err != nil {
		t.Fatal(err)
	}
}

func view[T any](t *testing.T, db *store.DB, fn func(tx *store.Tx) (T, error)) (v T) {
	t.Helper()
	err := db.View(ctx, func(tx *store.Tx) (err error) {
		v, err = fn(tx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// inhabited is a World that has some of everything.
type inhabited struct {
	*cullettest.World
	training cullet.Training
	beat     time.Time // the training's last sign of life
	order    store.Order
	ordered  cullet.TrashItem
	overdue  cullet.TrashItem
	purging  cullet.TrashItem
}

func inhabit(t *testing.T, d cullettest.Database) *inhabited {
	t.Helper()
	w := &inhabited{World: cullettest.WorldOn(t, d, cullettest.NewClock())}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	parent := ""
	for n := range 5 { // each in the one before: a folder's id says nothing of its depth
		f, err := w.Catalog.CreateFolder(ctx, w.By, fmt.Sprint("Folder ", n), parent, nil)
		must(err)
		parent = f.ID
	}
	belt := w.Project(t, "Belt <&> \u2028 \U0001F37E \"quoted\"\\")
	for n := range 6 {
		i := w.Image(t, belt.ID, n)
		if n%2 == 0 {
			w.Annotate(t, belt.ID, i, "flask \u00fc")
		}
	}
	v := w.Version(t, belt.ID)
	w.Export(t, belt.ID, v.Number, "coco")
	w.model(t, belt, v)

	due := &trash.Bin{DB: w.DB, Retention: time.Second}
	trashed := func(bin *trash.Bin, name string) cullet.TrashItem {
		p := w.Project(t, name)
		for n := range 4 {
			w.Image(t, p.ID, 100*len(name)+n)
		}
		w.Image(t, p.ID, 1) // shared with the belt
		item, err := bin.DeleteProject(ctx, w.By, p.ID)
		must(err)
		return item
	}
	w.purging = trashed(due, "Purging")
	w.Clock.Advance(2 * time.Second)
	must(newEngine(w.DB, w.Blobs).BeginDue(ctx))
	update(t, w.DB, func(tx *store.Tx) error {
		_, err := tx.SweepRows(ctx, w.purging, 5) // all its images, of which one is shared
		return err
	})
	w.overdue = trashed(due, "Overdue thing")
	w.ordered = trashed(w.Bin, "Ordered")
	second := w.Version(t, belt.ID)
	_, err := w.Bin.DeleteVersion(ctx, w.By, belt.ID, second.Number)
	must(err)
	update(t, w.DB, func(tx *store.Tx) error {
		hook := cullet.Webhook{ID: "wh_1", Workspace: w.Workspace.ID, URL: "https://example.com/hook", Secret: "s", Choices: []string{"trash.moved"},
			CreatedBy: w.Owner.ID, CreatedByName: w.Owner.Name, CreatedAt: tx.Now}
		return errors.Join(tx.AddWebhook(ctx, hook), tx.PutAway(ctx, w.Workspace.ID, w.Owner.ID, tx.Now))
	})
	w.Workflow(t, "Kept")
	_, err = w.Bin.DeleteWorkflow(ctx, w.By, w.Workflow(t, "Thrown").ID)
	must(err)

	_, err = w.Bin.Rescue(ctx, w.By, trash.RescueFilter{Means: cullet.ByKey, Types: []cullet.Trashable{cullet.TrashWorkflow}}, false)
	must(err)
	_, err = w.Press.Generate(ctx, w.By, belt.ID, version.Settings{}) // generating
	must(err)
	_, err = w.Press.Export(ctx, w.By, belt.ID, v.Number, "yolov5pytorch") // running
	must(err)
	w.train(t, belt, v)

	desk := &purge.Desk{DB: w.DB, Bin: w.Bin, Access: w.Access}
	plan, err := desk.Prepare(ctx, w.Person(), w.Workspace.Slug, purge.Choice{Items: []string{w.ordered.ID}})
	must(err)
	w.order, err = desk.Order(ctx, w.Person(), purge.Confirmation{Token: plan.Token, Typed: plan.Typed, Password: cullettest.Password})
	must(err)
	return w
}

// train leaves a training running, whose worker gave its last sign four seconds after
// it began, and that is two seconds ago.
func (w *inhabited) train(t *testing.T, p cullet.Project, v cullet.Version) {
	t.Helper()
	tr, err := w.Queue.Start(ctx, w.By, p.ID, v.Number, training.NewTraining{})
	if err != nil {
		t.Fatal(err)
	}
	w.training = tr
	update(t, w.DB, func(tx *store.Tx) error {
		move := store.TrainingMove{To: cullet.TrainRunning, Worker: "w", Token: "token", LeaseUntil: tx.Now.Add(cullet.LeaseTime)}
		return errors.Join(tx.MoveTraining(ctx, tr, move), tx.AddInterval(ctx, cullet.Interval{ID: cullet.NewID(cullet.IntervalID),
			Workspace: tr.Workspace, Training: tr.ID, OpenedAt: tx.Now, RenewedAt: tx.Now, Rate: tr.Rate}))
	})
	w.Clock.Advance(4 * time.Second)
	w.beat = w.Clock.Now()
	update(t, w.DB, func(tx *store.Tx) error {
		_, err := tx.RenewTraining(ctx, tr.ID, "token", tx.Now.Add(cullet.LeaseTime))
		return errors.Join(err, tx.ReportTraining(ctx, tr.ID, "token", 3, 0.1+0.2), tx.AddMetrics(ctx, []cullet.Metric{{Training: tr.ID, Seq: 1, At: tx.Now, Body: `{"loss":0.1}`}}))
	})
	w.Clock.Advance(2 * time.Second)
}

// model leaves what a training that ended left.
func (w *inhabited) model(t *testing.T, p cullet.Project, v cullet.Version) {
	t.Helper()
	s, err := w.Blobs.Put(ctx, strings.NewReader("weights"), blob.NoLimit)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := w.Queue.Start(ctx, w.By, p.ID, v.Number, training.NewTraining{})
	if err != nil {
		t.Fatal(err)
	}
	update(t, w.DB, func(tx *store.Tx) error {
		b, err := tx.AddBlob(ctx, cullet.Blob{ID: cullet.NewID(cullet.BlobID), Digest: s.Digest, Bytes: s.Bytes, Path: s.Path, CreatedAt: tx.Now})
		if err != nil {
			return err
		}
		_, err = tx.CountProject(ctx, p.ID, cullet.ProjectCounts{Bytes: s.Bytes})
		return errors.Join(err, tx.MoveTraining(ctx, tr, store.TrainingMove{To: cullet.TrainFinished}),
			tx.AddModel(ctx, cullet.Model{ID: cullet.NewID("m"), Workspace: p.Workspace, Project: p.ID, Version: v.ID, Training: tr.ID,
				Slug: "belt-1", Type: "test-model", Metrics: "{}", CreatedAt: tx.Now, Files: []cullet.ModelFile{{Name: "w.bin", Blob: b.ID, Bytes: s.Bytes}}}))
	})
}

// rows returns all rows that a backup holds, as text, each table's sorted.
func rows(t *testing.T, db *store.DB) map[string][]string {
	t.Helper()
	return view(t, db, func(tx *store.Tx) (map[string][]string, error) {
		tables, err := tx.Tables(ctx)
		if err != nil {
			return nil, err
		}
		all := map[string][]string{}
		for _, table := range tables {
			all[table.Name] = nil
			err := tx.DumpTable(ctx, table, func(row []any) error {
				all[table.Name] = append(all[table.Name], fmt.Sprintf("%#v", row))
				return nil
			})
			if err != nil {
				return nil, err
			}
			slices.Sort(all[table.Name])
		}
		return all, nil
	})
}

// contents returns the bytes of all files that rows refer to, by path.
func contents(t *testing.T, db *store.DB, blobs *blob.Store) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, b := range view(t, db, func(tx *store.Tx) ([]cullet.Blob, error) { return tx.ListBlobs(ctx, "", 1000) }) {
		f, _, err := blobs.Open(ctx, b.Path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		all[b.Path] = string(text)
	}
	return all
}

// restored is a server that was made from a backup.
type restored struct {
	db    *store.DB
	blobs *blob.Store
}

// restore does what the command does, up to where nobody may harm anybody, and calls
// looks between filling and settling.
func restore(t *testing.T, s *Snapshot, database string, clock cullet.Clock, look func(restored)) (restored, error) {
	t.Helper()
	if err := s.Check(ctx); err != nil {
		return restored{}, err
	}
	r := restored{cullettest.NewDatabase(t, database).Open(t, clock), blob.New(memblob.New(), clock)}
	if err := s.Files(ctx, r.blobs); err != nil {
		return r, err
	}
	if err := s.Fill(ctx, r.db, "a mark"); err != nil {
		return r, err
	}
	if look != nil {
		look(r)
	}
	return r, s.Settle(ctx, r.db, 24*time.Hour, "another mark")
}

func (r restored) check(t *testing.T) {
	t.Helper()
	found, err := fsck.Check(ctx, r.db, r.blobs, fsck.Options{Deep: true})
	if err != nil || !found.Clean() || found.Young+found.OrphanBlobs != 0 || found.Files != found.Blobs {
		t.Fatalf("fsck of what was restored: %+v, %v", found, err)
	}
}

// TestRoundTrip takes a server that has some of everything from each database to each
// other, by folder and by file: row for row, byte for byte.
func TestRoundTrip(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := inhabit(t, d)
		was := rows(t, w.DB)
		bytes := contents(t, w.DB, w.Blobs)
		for _, table := range store.Dumped() {
			if len(was[table]) == 0 && table != "blob_unlinks" {
				t.Errorf("the world has no %s: nothing is proven of them", table)
			}
		}
		folder := newFolder(t, w.Clock)
		result, err := source(w.World).ToFolder(ctx, folder, 0)
		if err != nil {
			t.Fatal(err)
		}
		if int(result.Blobs) != len(bytes) || result.Copied != result.Blobs || result.Workspaces[0] != "acme" {
			t.Errorf("the backup says %+v, of %d files", result, len(bytes))
		}
		file := filepath.Join(t.TempDir(), "b.tar")
		if _, err := source(w.World).ToFile(ctx, file); err != nil {
			t.Fatal(err)
		}
		if left, _ := filepath.Glob(file + "*"); len(left) != 1 {
			t.Errorf("beside the file lies %v", left)
		}
		for _, database := range cullettest.Databases() {
			for from, open := range map[string]func() (*Snapshot, error){
				"folder": func() (*Snapshot, error) { return folder.Open("") },
				"file":   func() (*Snapshot, error) { return OpenFile(file) },
			} {
				t.Run(from+" to "+database, func(t *testing.T) {
					s, err := open()
					if err != nil {
						t.Fatal(err)
					}
					defer s.Close()
					clock := cullettest.NewClock()
					clock.Advance(time.Hour)
					r, err := restore(t, s, database, clock, func(r restored) {
						for table, got := range rows(t, r.db) {
							if !slices.Equal(got, was[table]) {
								t.Errorf("%s: there were\n%s\nthere are\n%s", table, strings.Join(was[table], "\n"), strings.Join(got, "\n"))
							}
						}
						if got := contents(t, r.db, r.blobs); !maps.Equal(got, bytes) {
							t.Errorf("%d files came back, or other ones than the %d there were", len(got), len(bytes))
						}
					})
					if err != nil {
						t.Fatal(err)
					}
					r.check(t)
					w.harmless(t, r, clock)
				})
			}
		}
	})
}

// live has cleanup look at the clock all the time that passes, so that none of it is a jump.
func live(t *testing.T, engine *purge.Engine, clock *cullettest.Clock, d time.Duration) {
	t.Helper()
	for ; d > 0; d -= 30 * time.Minute {
		clock.Advance(30 * time.Minute)
		if err := engine.Round(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// harmless holds a restored server against what it must not do: run what the other
// may still run, charge for it, or delete what became due meanwhile (C6).
func (w *inhabited) harmless(t *testing.T, r restored, clock *cullettest.Clock) {
	t.Helper()
	if mark := view(t, r.db, func(tx *store.Tx) (string, error) { return tx.Unfinished(ctx) }); mark != "another mark" {
		t.Errorf("the restore is marked as %q", mark)
	}
	tr := view(t, r.db, func(tx *store.Tx) (cullet.Training, error) { return tx.GetTraining(ctx, w.training.ID) })
	if want := cullet.Charge(w.beat.Add(-4*time.Second), w.beat, tr.Rate); tr.State != cullet.TrainCancelled || tr.MicroCredits != want || want == 0 ||
		!strings.Contains(tr.Detail, "restored from a backup") {
		t.Errorf("the training in flight is %s (%s), charged %d, want cancelled and %d", tr.State, tr.Detail, tr.MicroCredits, want)
	}
	for _, l := range view(t, r.db, func(tx *store.Tx) ([]cullet.Interval, error) { return tx.ListLedger(ctx, w.Workspace.ID) }) {
		if !l.ClosedAt.Equal(w.beat) {
			t.Errorf("the meter is closed at %v instead of the last heartbeat %v", l.ClosedAt, w.beat)
		}
	}
	versions := view(t, r.db, func(tx *store.Tx) ([]cullet.Version, error) { return tx.GeneratingVersions(ctx, w.Workspace.ID, 9) })
	exports := view(t, r.db, func(tx *store.Tx) ([]cullet.Export, error) { return tx.RunningExports(ctx, w.Workspace.ID, 9) })
	if len(versions)+len(exports) != 0 {
		t.Errorf("%d generations and %d exports are under way that nobody does", len(versions), len(exports))
	}
	audit := view(t, r.db, func(tx *store.Tx) ([]cullet.AuditEntry, error) {
		return tx.AuditOf(ctx, w.Workspace.ID, w.Workspace.ID)
	})
	last := audit[len(audit)-1]
	if last.Act != cullet.ActRestoredBackup || last.Detail["snapshot"] == "" || last.Detail["trainings"] != "1" || last.Detail["orders"] != "1" ||
		last.Detail["generations"] != "1" || last.Detail["exports"] != "1" {
		t.Errorf("A1: the audit ends with %+v", last)
	}

	engine := newEngine(r.db, r.blobs)
	state := func(item cullet.TrashItem) cullet.TrashState {
		all := view(t, r.db, func(tx *store.Tx) ([]cullet.TrashItem, error) { return tx.ListTrash(ctx, w.Workspace.ID) })
		for _, i := range all {
			if i.ID == item.ID {
				return i.State
			}
		}
		return ""
	}
	watch := view(t, r.db, func(tx *store.Tx) (cullet.ClockWatch, error) { return tx.ClockWatch(ctx) })
	if watch.Why != cullet.BackupIsFresh || !watch.Until.Equal(clock.Now().Add(24*time.Hour)) || !watch.TrustedAt.IsZero() {
		t.Errorf("C6: cleanup's watch is %+v", watch)
	}
	if got := state(w.purging); got != cullet.Purging {
		t.Errorf("what was being purged is %q", got)
	}
	if err := engine.Round(ctx); err != nil {
		t.Fatal(err)
	}
	live(t, engine, clock, 23*time.Hour)
	for _, item := range []*cullet.TrashItem{&w.purging, &w.overdue, &w.ordered} {
		want := cullet.Trashed
		if item == &w.purging {
			want = ""
		}
		if got := state(*item); got != want {
			t.Errorf("C6: within the grace %s is %q, want %q", item.Name, got, want)
		}
	}
	o := view(t, r.db, func(tx *store.Tx) (store.Order, error) { return tx.GetOrder(ctx, w.Workspace.ID, w.order.ID) })
	items := view(t, r.db, func(tx *store.Tx) ([]store.OrderItem, error) { return tx.ListOrderItems(ctx, o.ID) })
	if o.State != store.OrderStopped || items[0].Result != store.ResultKept || items[0].Reason != "stopped: the server was restored from a backup" {
		t.Errorf("the order is %s, its item %s (%s)", o.State, items[0].Result, items[0].Reason)
	}
	rescues := view(t, r.db, func(tx *store.Tx) ([]store.Rescue, error) { return tx.ListRescues(ctx, w.Workspace.ID, 9) })
	for _, x := range rescues {
		left := view(t, r.db, func(tx *store.Tx) ([]store.RescueItem, error) { return tx.ListRescueItems(ctx, x.ID, 9) })
		if x.State != store.RescueFinished || x.EndedAt.IsZero() || len(left) == 0 || left[0].Result != store.RescueLeft {
			t.Errorf("a rescue goes on that the other server may still do: %+v, %+v", x, left)
		}
	}
	if len(rescues) != 1 {
		t.Errorf("%d rescues", len(rescues))
	}
	live(t, engine, clock, 2*time.Hour)
	if got := state(w.overdue); got != "" {
		t.Errorf("C2: after the grace what is due is %q", got)
	}
	r.check(t)
}

// TestEveryTable finds every table of a server, the job engine's and the migrations'
// too, in a backup or left out for a reason.
func TestEveryTable(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := cullettest.WorldOn(t, d, cullettest.NewClock())
		there, err := store.ListTables(ctx, w.DB.Conn().Reader, w.DB.Conn().Dialect)
		if err != nil || len(there) < 30 {
			t.Fatalf("%d tables, %v", len(there), err)
		}
		for _, name := range there {
			dumped, why := slices.Contains(store.Dumped(), name), store.LeftOut(name)
			if dumped == (why != "") {
				t.Errorf("the table %s: in a backup %v, left out because %q; it has to be either", name, dumped, why)
			}
		}
		for _, name := range store.Dumped() {
			if !slices.Contains(there, name) {
				t.Errorf("there is no table %s", name)
			}
		}
	})
}

// TestOlderSchema restores a backup of an earlier release: it is filled as it was, and
// migrated then.
func TestOlderSchema(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		clock := cullettest.NewClock()
		w := cullettest.WorldOn(t, d, clock)
		old := earlier(t, d.Name, clock)
		update(t, old, func(tx *store.Tx) error {
			_, err := tx.SQL().ExecContext(ctx, `INSERT INTO workspaces (id, slug, name, created_at) VALUES ('ws', 'old', 'Old', 5)`)
			if err != nil {
				return err
			}
			_, err = tx.SQL().ExecContext(ctx, `INSERT INTO audit_heads (workspace_id, seq, hash) VALUES ('ws', 0, '')`)
			return err
		})
		f := newFolder(t, clock)
		dir := filepath.Join(f.snapshots(), "old")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		dump, err := os.Create(filepath.Join(dir, dumpName))
		if err != nil {
			t.Fatal(err)
		}
		m, err := Source{DB: old, Blobs: w.Blobs}.snapshot(ctx, dump)
		if err != nil || m.Schema != 1 {
			t.Fatalf("schema %d, %v", m.Schema, err)
		}
		sealed, err := m.seal()
		if err := errors.Join(err, writeWhole(filepath.Join(dir, manifestName), sealed)); err != nil {
			t.Fatal(err)
		}
		s, err := f.Open("old")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Fill(ctx, w.DB, ""); cullet.CodeOf(err) != cullet.Conflict {
			t.Errorf("filling a database of the newest schema: %v, want a conflict", err)
		}
		into := earlier(t, d.Name, clock)
		if err := errors.Join(s.Check(ctx), s.Fill(ctx, into, ""), into.Migrate(ctx), s.Settle(ctx, into, time.Hour, "")); err != nil {
			t.Fatal(err)
		}
		got := view(t, into, func(tx *store.Tx) (cullet.Workspace, error) { return tx.GetWorkspace(ctx, "old") })
		if schema := view(t, into, func(tx *store.Tx) (int64, error) { return tx.SchemaVersion(ctx) }); schema != store.LatestSchema() || got.Name != "Old" {
			t.Errorf("schema %d, workspace %+v", schema, got)
		}
	})
}

// earlier opens a new database whose schema is that of the first release.
func earlier(t *testing.T, name string, clock cullet.Clock) *store.DB {
	t.Helper()
	conn := cullettest.NewDatabase(t, name).Connect(t)
	db, err := store.OpenAt(ctx, conn, clock, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

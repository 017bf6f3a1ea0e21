package purge_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/purge"
	"github.com/cullet-vision/cullet/internal/store"
)

// TestC1NeverEarly: not a microsecond before the date.
func TestC1NeverEarly(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		item := b.trashed(t, "a")
		b.Pass(t, 30*cullettest.Day-time.Microsecond)
		b.round(t)
		if b.gone(t, item) {
			t.Fatal("C1: purged a microsecond early")
		}
		b.Pass(t, time.Microsecond)
		if err := b.engine.BeginDue(ctx); err != nil {
			t.Fatal(err)
		}
		b.round(t)
		if !b.gone(t, item) {
			t.Error("C2: not purged at its date")
		}
	})
}

// TestC2Automatic: the loop purges what is due within an interval, without anybody
// asking, and two servers do it once.
func TestC2Automatic(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		item := b.trashed(t, "a")
		b.Pass(t, 30*cullettest.Day-time.Minute)
		running, stop := context.WithCancel(ctx)
		var servers sync.WaitGroup
		for _, e := range []*purge.Engine{b.engine, newEngine(b.World)} {
			servers.Go(func() { e.Run(running) })
		}
		defer servers.Wait()
		defer stop()
		// The clock goes to the date and one interval more, and not further.
		for range 60 {
			b.Clock.Advance(2 * time.Second)
		}
		for n := 0; !b.gone(t, item); n++ {
			if n == 600 {
				t.Fatalf("C2: not purged at %v, due at %v", b.Clock.Now(), item.EffectiveAt)
			}
			<-cullet.SystemClock{}.After(50 * time.Millisecond) // the loops work by themselves
			b.Clock.Advance(0)
		}
		if got := strings.Join(b.acts(t, item.ID), ", "); got != "delete by key default, purge-began by Cleanup, purged by Cleanup" {
			t.Errorf("C2: %s; want each once", got)
		}
	})
}

// TestC3Resumed: what a killed worker began is ended by another once its lease ran out,
// not before; and no batch holds the lock for long: each takes a bounded number of rows.
func TestC3Resumed(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		p := b.Project(t, "big")
		b.Fill(t, p.ID, 2500)
		item, err := b.Bin.DeleteProject(ctx, b.By, p.ID)
		if err != nil {
			t.Fatal(err)
		}
		b.Pass(t, 31*cullettest.Day)
		mortal, kill := context.WithCancel(ctx)
		most, rows, statements := int64(0), int64(0), 0
		b.DB.Watch(func(statement string, n int64) {
			if strings.HasPrefix(statement, "UPDATE trash_items SET lease_owner") {
				most, rows = max(most, rows), 0 // a batch begins
			}
			rows += n
			if statements++; statements == 60 {
				kill()
			}
		})
		if err := b.engine.Round(mortal); err == nil {
			t.Fatal("the purge ended before it was killed")
		}
		b.DB.Watch(nil)
		kill()
		if most > 5500 {
			t.Errorf("C3: a batch removes %d rows", most)
		}
		if _, err := b.Bin.RestoreItem(ctx, b.By, item.ID, ""); cullet.CodeOf(err) != cullet.Conflict {
			t.Errorf("R5: what is being purged is restored: %v", err)
		}
		other := newEngine(b.World)
		if err := other.Round(ctx); err != nil {
			t.Fatal(err)
		}
		if b.gone(t, item) {
			t.Fatal("C3: another worker took the item while the first holds it")
		}
		b.Clock.Advance(11 * time.Second)
		if err := other.Round(ctx); err != nil {
			t.Fatal(err)
		}
		if !b.gone(t, item) {
			t.Error("C3: not resumed after the lease ran out")
		}
		if r := b.Check(t); r.Files != 0 || r.Blobs != 0 {
			t.Errorf("C5: %d files and %d rows of files are left", r.Files, r.Blobs)
		}
	})
}

// TestC4SharedBytesSurvive: what another project, active or in Trash, refers to stays,
// and goes with the last of them.
func TestC4SharedBytesSurvive(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		a := b.trashed(t, "a") // picture 1 is in all of them
		b.Pass(t, cullettest.Day)
		second := b.trashed(t, "bb")
		p := b.Project(t, "lives")
		b.Image(t, p.ID, 1)
		b.Pass(t, 29*cullettest.Day)
		b.round(t)
		if !b.gone(t, a) || b.gone(t, second) {
			t.Fatal("C2")
		}
		if r := b.Check(t); r.MissingBlobs != 0 || r.Files != 4 {
			t.Errorf("C4: %d missing, %d files; want 0 and the 4 of bb and lives", r.MissingBlobs, r.Files)
		}
		b.Pass(t, cullettest.Day)
		b.round(t)
		if r := b.Check(t); !b.gone(t, second) || r.Files != 2 {
			t.Errorf("C4: %d files are left, want the 2 of lives", r.Files)
		}
		if _, err := b.Bin.DeleteProject(ctx, b.By, p.ID); err != nil {
			t.Fatal(err)
		}
		b.Pass(t, 30*cullettest.Day)
		b.round(t)
		if r := b.Check(t); r.Files != 0 || r.Blobs != 0 {
			t.Errorf("C5: %d files and %d rows of files are left", r.Files, r.Blobs)
		}
	})
}

// TestC5NothingLeaks: after a purge no row of the item is left in any table, but its
// audit entries, its ledger and its used-up numbers.
func TestC5NothingLeaks(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		before := b.count(t)
		p := b.Project(t, "a")
		b.Annotate(t, p.ID, b.Image(t, p.ID, 1), "jar")
		v := b.Version(t, p.ID)
		b.Export(t, p.ID, v.Number, "coco")
		item, err := b.Bin.DeleteProject(ctx, b.By, p.ID)
		if err != nil {
			t.Fatal(err)
		}
		b.Pass(t, 30*cullettest.Day)
		b.round(t)
		if !b.gone(t, item) {
			t.Fatal("C2")
		}
		for table, n := range b.count(t) {
			if n != before[table] && table != "audit" && !strings.HasPrefix(table, "river") && table != "sqlite_sequence" {
				t.Errorf("C5: %s has %d rows after the purge, %d before there was a project", table, n, before[table])
			}
		}
	})
}

// count counts the rows of every table.
func (b *bench) count(t *testing.T) map[string]int64 {
	t.Helper()
	conn := b.DB.Conn()
	list := `SELECT name FROM sqlite_master WHERE type = 'table'`
	if conn.Dialect.Name() == "postgres" {
		list = `SELECT tablename FROM pg_tables WHERE schemaname = 'public'`
	}
	rows, err := conn.Writer.QueryContext(ctx, list)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		t.Fatal(err)
	}
	all := map[string]int64{}
	for _, name := range names {
		var n int64
		if err := conn.Writer.QueryRowContext(ctx, `SELECT COUNT(*) FROM `+name).Scan(&n); err != nil {
			t.Fatal(err)
		}
		all[name] = n
	}
	if len(all) < 30 {
		t.Fatalf("%d tables", len(all))
	}
	return all
}

// TestR5OnlyFromTrash: neither what is being purged, nor what is gone, comes back, and
// the answers say so.
func TestR5OnlyFromTrash(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		item := b.trashed(t, "a")
		b.begin(t, item)
		var purged *cullet.BeingPurged
		if _, err := b.Bin.RestoreItem(ctx, b.By, item.ID, ""); !errors.As(err, &purged) {
			t.Errorf("R5: restoring what is being purged: %v", err)
		}
		b.round(t)
		if _, err := b.Bin.RestoreItem(ctx, b.By, item.ID, ""); cullet.CodeOf(err) != cullet.Conflict || !strings.Contains(err.Error(), "deleted permanently") {
			t.Errorf("R5: restoring what is gone: %v", err)
		}
		b.Check(t)
	})
}

// TestP3HonestProgress: what the report says was done grows to what there was, never
// back, and its end says what was freed.
func TestP3HonestProgress(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		p := b.Project(t, "big")
		b.Fill(t, p.ID, 1500)
		item, err := b.Bin.DeleteProject(ctx, b.By, p.ID)
		if err != nil {
			t.Fatal(err)
		}
		b.trashed(t, "rest")
		bytes := b.Check(t).Bytes
		person := b.Person()
		o := b.order(t, person, b.prepare(t, person, purge.Choice{Items: ids(item)}))
		b.Clock.Advance(10 * time.Second)
		last, looks := int64(0), 0
		for statements := 25; ; statements += 25 {
			mortal, kill := context.WithCancel(ctx)
			n := 0
			b.DB.Watch(func(string, int64) {
				if n++; n == statements {
					kill()
				}
			})
			err := b.engine.Round(mortal)
			b.DB.Watch(nil)
			kill()
			r := b.report(t, o)
			if r.Sums.Rows < last || r.Rows > 0 && r.Sums.Rows > r.Rows {
				t.Fatalf("P3: %d rows are done after %d, of %d", r.Sums.Rows, last, r.Rows)
			}
			if last = r.Sums.Rows; last > 0 && r.EndedAt.IsZero() {
				looks++
			}
			if err == nil {
				break
			}
		}
		b.round(t)
		r := b.report(t, o)
		if looks == 0 || r.State != store.OrderFinished || r.Deleted != 1 || r.Sums.Rows < 1500 || r.Sums.BytesFreed != bytes-b.Check(t).Bytes {
			t.Errorf("P3: %d looks on the way, then %s, %d deleted, %d rows, %d bytes freed; %d bytes were there, %d are left",
				looks, r.State, r.Deleted, r.Sums.Rows, r.Sums.BytesFreed, bytes, b.Check(t).Bytes)
		}
	})
}

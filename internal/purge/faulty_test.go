package purge_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/fsck"
)

// broken makes a bench whose blob store can be broken, with a project that stays.
func broken(b *bench, t *testing.T) *cullettest.Faulty {
	t.Helper()
	f := cullettest.NewFaulty()
	b.Blobs = blob.New(f, b.Clock)
	b.Intake.Blobs, b.engine = b.Blobs, newEngine(b.World)
	keep := b.Project(t, "keep")
	for n := 1; n <= 3; n++ {
		b.Image(t, keep.ID, n)
	}
	return f
}

// fsck looks deep, and wants so many orphans and nothing else.
func (b *bench) fsck(t *testing.T, what string, orphans int64, o fsck.Options) fsck.Report {
	t.Helper()
	o.Deep = true
	r, err := fsck.Check(ctx, b.DB, b.Blobs, o)
	if err != nil || r.OrphanBlobs != orphans || int64(len(r.Findings)) != orphans {
		t.Errorf("%s: fsck wants %d orphans, and found %v, %v", what, orphans, r.Findings, err)
	}
	return r
}

// TestFaultyRemove breaks each removal of a file that a purge makes, in each way,
// once: the purge ends, or waits, says so, and ends five minutes later. What a lie
// left is found by fsck, since it is older than a day, and set aside; nothing else is
// touched (C4, C5, C11).
func TestFaultyRemove(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		f := broken(b, t)
		var kept int64
		for _, op := range []cullettest.Op{cullettest.OpRemove, cullettest.OpSettle} {
			for _, fault := range []cullettest.Fault{cullettest.Fails, cullettest.Forgets, cullettest.Lies} {
				for nth := 1; nth <= 4; nth++ { // two pictures and two thumbnails
					what := fmt.Sprintf("%s %d %s", op, nth, fault)
					kept = b.fsck(t, what+", before", 0, fsck.Options{}).Files
					p := b.Project(t, what)
					for _, n := range []int{1, 2, 100 + nth, 200 + nth} { // the first two are shared
						b.Image(t, p.ID, n)
					}
					item, err := b.Bin.DeleteProject(ctx, b.By, p.ID)
					if err != nil {
						t.Fatal(err)
					}
					b.Pass(t, 31*cullettest.Day)
					f.Break(op, nth, fault)
					b.round(t)
					if !f.Broke() {
						t.Fatalf("%s: the purge makes no such call", what)
					}
					if !b.gone(t, item) {
						t.Errorf("C5: %s: the item is still there", what)
					}
					said, lied := b.result(t, item.ID), fault == cullettest.Lies
					if lied != (said == "ok") {
						t.Errorf("C11: %s: it is told as %q", what, said)
					}
					orphans := int64(0)
					if lied && op == cullettest.OpRemove {
						orphans = 1 // older than a day: no upload that is under way
					}
					b.fsck(t, what, orphans, fsck.Options{}) // what is tried again is no finding
					b.Clock.Advance(5 * time.Minute)
					b.round(t)
					r := b.fsck(t, what+", repaired", orphans, fsck.Options{Repair: true})
					if int64(len(r.Repaired)) != orphans || orphans > 0 && f.Left(blob.Quarantined) == 0 {
						t.Errorf("C5: %s: set aside is %v", what, r.Repaired)
					}
					if r := b.fsck(t, what+", at the end", 0, fsck.Options{}); r.Files != kept || r.Young != 0 {
						t.Errorf("C4, C5: %s: %d files are left, want %d", what, r.Files, kept)
					}
				}
			}
		}
	})
}

// result is what the audit says of how the item ended.
func (b *bench) result(t *testing.T, item string) string {
	t.Helper()
	all, err := b.Bin.History(ctx, b.By, item)
	if err != nil || len(all) == 0 || all[len(all)-1].Act != cullet.ActPurged {
		t.Fatalf("A1: the item's last entry is not that it was purged: %+v, %v", all, err)
	}
	return all[len(all)-1].Result
}

// TestSlowRemove: while a file takes for ever to go, others work beside it; the
// worker loses its lease, another ends the item, and the first, let go, ends
// nothing twice (C2, C3).
func TestSlowRemove(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		f := broken(b, t)
		item := b.trashed(t, "doomed")
		b.Pass(t, 31*cullettest.Day)
		f.Break(cullettest.OpRemove, 1, cullettest.Slow)
		ended := make(chan error, 1)
		go func() { ended <- b.engine.Round(ctx) }()
		on := <-f.Waiting
		// Nothing of it holds a lock.
		p := b.Project(t, "beside")
		b.Image(t, p.ID, 300)
		again, err := b.Bin.DeleteProject(ctx, b.By, p.ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Bin.RestoreItem(ctx, b.By, again.ID, ""); err != nil {
			t.Fatal(err)
		}
		other := newEngine(b.World)
		if err := other.Round(ctx); err != nil {
			t.Fatal(err)
		}
		if b.gone(t, item) {
			t.Error("C2: another worker took an item that is held")
		}
		b.Clock.Advance(11 * time.Second) // longer than a lease
		if err := other.Round(ctx); err != nil {
			t.Fatal(err)
		}
		if !b.gone(t, item) {
			t.Error("C3: nobody took over from the slow worker")
		}
		close(on)
		if err := <-ended; err != nil {
			t.Errorf("the slow worker: %v", err)
		}
		if got := fmt.Sprint(b.acts(t, item.ID)); got != "[delete by key default purge-began by Cleanup purged by Cleanup]" {
			t.Errorf("A1: %s", got)
		}
		if r := b.fsck(t, "at the end", 0, fsck.Options{}); r.Files != r.Blobs {
			t.Errorf("C5: %d files for %d rows", r.Files, r.Blobs)
		}
	})
}

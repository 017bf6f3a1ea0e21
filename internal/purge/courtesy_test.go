package purge_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/store"
)

// TestPurgeGivesWay: 60 images go in one batch while nobody else writes, and in several
// while somebody does. What the purge writes itself is not somebody else's.
func TestPurgeGivesWay(t *testing.T) {
	eachBench(t, func(t *testing.T, b *bench) {
		for _, beside := range []bool{false, true} {
			p := b.Project(t, fmt.Sprint("large ", beside))
			for n := range 60 {
				b.Image(t, p.ID, n)
			}
			if _, err := b.Bin.DeleteProject(ctx, b.By, p.ID); err != nil {
				t.Fatal(err)
			}
			b.Pass(t, 31*cullettest.Day)
			batches := atomic.Int64{}
			b.DB.Watch(func(statement string, _ int64) {
				if strings.HasPrefix(statement, "UPDATE trash_items SET done_rows") {
					batches.Add(1)
				}
			})
			if beside {
				b.besideWrites(t, func() { b.round(t) })
			} else {
				b.untilQuiet(t)
				b.round(t)
				if b.DB.Wanted() {
					t.Error("the purge takes itself for somebody else")
				}
			}
			b.DB.Watch(nil)
			if n := batches.Load(); n < 1 || (n > 1) != beside {
				t.Errorf("somebody writes beside it: %v; it took %d batches", beside, n)
			}
		}
	})
}

// besideWrites runs fn while somebody writes all the time.
func (b *bench) besideWrites(t *testing.T, fn func()) {
	t.Helper()
	begun, end, ended := make(chan bool), make(chan bool), make(chan error)
	go func() {
		for n := 0; ; n++ {
			err := b.DB.Update(ctx, func(*store.Tx) error { return nil })
			if n == 0 {
				close(begun)
			}
			select {
			case <-end:
				ended <- err
				return
			default:
			}
		}
	}()
	<-begun
	fn()
	close(end)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// untilQuiet waits until nobody has written for a while.
func (b *bench) untilQuiet(t *testing.T) {
	t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	most := time.After(30 * time.Second)
	for b.DB.Wanted() {
		select {
		case <-look.C:
		case <-most:
			t.Fatal("somebody still writes")
		}
	}
}

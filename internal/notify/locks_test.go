package notify_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/notify"
)

// TestWebhooksAreLockedLast: who changes a webhook and who tells it of something never
// wait for each other in a circle, which PostgreSQL ends after a second.
func TestWebhooksAreLockedLast(t *testing.T) {
	t.Parallel()
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := newTown(t, d)
		h := w.hook("http://receiver.test/")
		var all sync.WaitGroup
		for n := range 3 {
			slug := fmt.Sprint("p", n)
			w.Project(t, slug)
			all.Go(func() {
				for range 8 {
					item, err := w.Bin.DeleteProject(ctx, w.By, slug)
					if err == nil {
						_, err = w.Bin.RestoreItem(ctx, w.By, item.ID, "")
					}
					if err != nil {
						t.Error(err)
					}
				}
			})
			all.Go(func() {
				for range 8 {
					_, err := w.desk.Test(ctx, w.Person(), h.ID)
					if err == nil {
						err = w.desk.Change(ctx, w.Person(), h.ID, notify.Wish{URL: h.URL, Choices: cullet.Choices()})
					}
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		if n := w.DB.Retried(); n > 0 {
			t.Errorf("%d transactions got in each other's way", n)
		}
	})
}

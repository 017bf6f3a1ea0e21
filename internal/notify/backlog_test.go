package notify_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/notify"
)

// TestBacklogOfChangedWebhook: while much is on its way, a webhook that is removed,
// switched off or sent elsewhere gets no more than what is being sent at that moment.
func TestBacklogOfChangedWebhook(t *testing.T) {
	t.Parallel()
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		for name, change := range map[string]func(w *town, id, elsewhere string) error{
			"removed": func(w *town, id, _ string) error { return w.desk.Remove(ctx, w.Person(), id) },
			"switched off": func(w *town, id, elsewhere string) error {
				return w.desk.Change(ctx, w.Person(), id, notify.Wish{URL: elsewhere, Choices: cullet.Choices(), Disabled: true})
			},
			"elsewhere": func(w *town, id, elsewhere string) error {
				return w.desk.Change(ctx, w.Person(), id, notify.Wish{URL: elsewhere, Choices: cullet.Choices()})
			},
		} {
			t.Run(name, func(t *testing.T) {
				w := newTown(t, cullettest.NewDatabase(t, d.Name))
				var first, second atomic.Int64
				other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { second.Add(1) }))
				defer other.Close()
				id := ""
				old := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
					if first.Add(1) == 8 {
						if err := change(w, id, other.URL); err != nil {
							t.Error(err)
						}
					}
				}))
				defer old.Close()
				id = w.hook(old.URL).ID
				for n := range 30 {
					w.Project(t, fmt.Sprint("p", n))
					w.trash(fmt.Sprint("p", n))
				}
				w.send()
				want := int64(0)
				if name == "elsewhere" {
					want = 22
				}
				if first.Load() != 8 || second.Load() != want {
					t.Errorf("the old address got %d and the new one %d, want 8 and %d", first.Load(), second.Load(), want)
				}
			})
		}
	})
}

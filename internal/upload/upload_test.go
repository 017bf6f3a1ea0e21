package upload_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/upload"
)

var ctx = context.Background()

// TestMarksOfADuplicate: what uploads of the same bytes say is added up, also at
// once, up to the limits that one upload has.
func TestMarksOfADuplicate(t *testing.T) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		w := cullettest.WorldOn(t, d, cullettest.NewClock())
		p := w.Project(t, "one")
		image := w.Image(t, p.ID, 3)
		again := func(tags []string, metadata string) error {
			got, err := w.Intake.Image(ctx, w.By, p.ID, upload.NewImage{Name: "a.png", Tags: tags, Metadata: metadata}, bytes.NewReader(cullettest.PNG(3)))
			if err == nil && (got.Image != image || !got.Duplicate) {
				t.Errorf("the same bytes are %+v, want image %s", got, image)
			}
			return err
		}
		var all sync.WaitGroup
		for n := range 12 {
			all.Go(func() {
				if err := again([]string{fmt.Sprint("t", n)}, fmt.Sprintf(`{"k%d":%d}`, n, n)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		i, _, err := w.Catalog.Image(ctx, w.By, p.ID, image)
		if err != nil || len(i.Tags) != 12 || strings.Count(i.Metadata, `"k`) != 12 {
			t.Errorf("of 12 tags and 12 values %v and %s are kept; %v", i.Tags, i.Metadata, err)
		}
		var more []string
		for n := range 89 {
			more = append(more, fmt.Sprint("more", n))
		}
		if err := again(more, ""); cullet.CodeOf(err) != cullet.Invalid || !strings.Contains(err.Error(), "100 is the most") {
			t.Errorf("101 tags in all: %v, want invalid", err)
		}
		if err := again(nil, fmt.Sprintf(`{"big":%q}`, strings.Repeat("x", 16<<10-20))); cullet.CodeOf(err) != cullet.Invalid || !strings.Contains(err.Error(), "16384 is the most") {
			t.Errorf("too much metadata in all: %v, want invalid", err)
		}
		if err := again(more[1:], `{"k0":1}`); err != nil {
			t.Errorf("100 tags in all: %v", err)
		}
		w.Check(t)
	})
}

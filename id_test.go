package cullet_test

import (
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
)

// TestNewID: ids are never the same, and those that are made later come later.
func TestNewID(t *testing.T) {
	shape := regexp.MustCompile(`^img_[a-km-np-z2-9]{20}$`)
	const many = 20_000
	seen := map[string]bool{}
	for range many {
		id := cullet.NewID(cullet.ImageID)
		if !shape.MatchString(id) {
			t.Fatalf("%q is no id", id)
		}
		seen[id] = true
	}
	if len(seen) != many {
		t.Errorf("%d of %d ids are different", len(seen), many)
	}
	var order []string
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for range 50 {
		order = append(order, cullet.NewID(cullet.ImageID))
		<-tick.C
	}
	if !slices.IsSorted(order) {
		t.Errorf("ids that were made one after the other: %v", order)
	}
}

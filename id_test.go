package cullet

import (
	"regexp"
	"testing"
	"time"
)

// TestNewID: ids are never the same, and those that are made later come later.
func TestNewID(t *testing.T) {
	shape := regexp.MustCompile(`^img_[a-km-np-z2-9]{20}$`)
	const many = 20_000
	seen := map[string]bool{}
	for range many {
		id := NewID(ImageID)
		if !shape.MatchString(id) {
			t.Fatalf("%q is no id", id)
		}
		seen[id] = true
	}
	if len(seen) != many {
		t.Errorf("%d of %d ids are different", len(seen), many)
	}
	last := ""
	for _, step := range []time.Duration{time.Millisecond, time.Second, time.Hour, 24 * 365 * time.Hour} {
		at := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
		for range 100 {
			id := newID(ImageID, at)
			if step == time.Millisecond && last != "" && id <= last {
				t.Fatalf("%s comes after %s", id, last)
			}
			last = id
			at = at.Add(step)
			if later := newID(ImageID, at); later <= id {
				t.Fatalf("an id of %v later is %s, after %s", step, later, id)
			}
		}
		last = ""
	}
}

// TestRandomText: it has the length that was asked for, and is never the same.
func TestRandomText(t *testing.T) {
	seen := map[string]bool{}
	for length := 8; length < 24; length++ {
		for range 200 {
			s := RandomText(length)
			if len(s) != length || seen[s] || regexp.MustCompile(`[^a-km-np-z2-9]`).MatchString(s) {
				t.Fatalf("%d characters are %q, seen %v", length, s, seen[s])
			}
			seen[s] = true
		}
	}
}

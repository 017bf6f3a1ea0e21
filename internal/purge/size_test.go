package purge

import (
	"testing"
	"time"
)

// TestBatchSize: a batch is as long as it may be, whether somebody else writes or not.
func TestBatchSize(t *testing.T) {
	const row = 100 * time.Microsecond
	for _, wanted := range []bool{false, true} {
		most := map[bool]time.Duration{false: 30 * time.Millisecond, true: 3 * time.Millisecond}[wanted]
		for _, begin := range []int{10, 2000} {
			b := batchSize{alone: begin, wanted: begin}
			for range 20 {
				n := b.limit(wanted)
				b.took(time.Duration(n)*row, int64(n), wanted)
			}
			if d := time.Duration(b.limit(wanted)) * row; d > most || d < most/4 {
				t.Errorf("wanted %v, from %d rows: a batch takes %v, want at most %v and not much less", wanted, begin, d, most)
			}
		}
	}
	b := batchSize{alone: 500, wanted: 50}
	b.took(time.Second, 50, true)
	b.took(0, 20, false) // fewer rows than it might have been tell nothing
	if b.limit(false) != 500 || b.limit(true) != 25 {
		t.Errorf("%+v", b)
	}
}

package job

import (
	"testing"
	"time"

	"github.com/riverqueue/river"
)

// TestTimeouts: each kind has one that ends, and the engine waits longer than that
// before it takes a job for lost.
func TestTimeouts(t *testing.T) {
	for _, k := range []Kind{Generate, Export} {
		got := (&worker{}).Timeout(&river.Job[task]{Args: task{What: k}})
		if got < 10*time.Minute || got > longest {
			t.Errorf("a job of kind %s may take %s, want 10 minutes to %s", k, got, longest)
		}
	}
	if timeouts[Export] < time.Hour {
		t.Errorf("an export may take %s; a large dataset takes hours", timeouts[Export])
	}
}

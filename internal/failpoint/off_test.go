//go:build !failpoints

package failpoint_test

import (
	"context"
	"os/exec"
	"strings"
	"testing"

	"github.com/cullet-vision/cullet/internal/failpoint"
)

// TestCostsNothing: in a binary that people run, every function is inlined, which
// leaves nothing of an empty one, and none of them allocates.
func TestCostsNothing(t *testing.T) {
	out, err := exec.Command("go", "build", "-gcflags=-m", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for _, f := range []string{"At", "Pass", "In", "Of", "Act.At", "Act.Pass"} {
		if !strings.Contains(string(out), "can inline "+f+"\n") {
			t.Errorf("the compiler does not inline %s", f)
		}
	}
	ctx := context.Background()
	n := testing.AllocsPerRun(100, func() {
		if failpoint.At("here") != nil || failpoint.Of(failpoint.In(ctx, "act")).At("step") != nil {
			t.Error("it failed")
		}
	})
	if n != 0 || failpoint.Enabled {
		t.Errorf("%v allocations, enabled %v", n, failpoint.Enabled)
	}
}

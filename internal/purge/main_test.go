package purge_test

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/cullet-vision/cullet/internal/cullettest"
)

// shards is how many run side by side, each on a database of its own.
var shards = 1

// TestMain settles how many histories are driven on each database, half of them by one
// client and half by several at once: some in the run that is made all day, fewer with
// the race detector, under which each takes twenty times as long. CULLET_HISTORIES says
// another number, as make check and make soak do.
func TestMain(m *testing.M) {
	flag.Parse()
	number := 40
	if raceDetector {
		number = 16
	}
	if asked, err := strconv.Atoi(os.Getenv("CULLET_HISTORIES")); err == nil && asked > 0 {
		number = asked
	}
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given {
		if number >= 200 {
			shards = 4
		}
		if err := flag.Lookup("rapid.checks").Value.Set(strconv.Itoa((number/2 + shards - 1) / shards)); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// eachHistory drives histories on each database, from a new world each.
func eachHistory(t *testing.T, run func(t *rapid.T, h *history)) {
	cullettest.Each(t, func(t *testing.T, d cullettest.Database) {
		for n := range shards {
			t.Run(fmt.Sprint(n+1), func(t *testing.T) {
				t.Parallel()
				stage := cullettest.NewStage(t, cullettest.NewDatabase(t, d.Name))
				rapid.Check(t, func(t *rapid.T) { run(t, begin(t, stage)) })
			})
		}
	})
}

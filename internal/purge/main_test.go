package purge_test

import (
	"flag"
	"os"
	"testing"
)

// TestMain settles how many histories are driven: some in the run that is made all
// day, fewer with the race detector, under which each takes twenty times as long,
// and thousands in the soak. A number that was asked for stands, as in make check.
func TestMain(m *testing.M) {
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "rapid.checks" })
	number := "25"
	switch {
	case asked:
		number = ""
	case os.Getenv("CULLET_SOAK") != "":
		number = "5000"
	case raceDetector:
		number = "12"
	}
	if number != "" {
		if err := flag.Lookup("rapid.checks").Value.Set(number); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

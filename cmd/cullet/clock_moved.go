//go:build failpoints

package main

import (
	"os"
	"strings"
	"time"

	"github.com/cullet-vision/cullet"
)

// movedClock is the machine's clock, moved by the duration that a file holds at the
// moment: the only way in which anybody can see a server live through a jump of its
// clock without moving the machine's (C6).
type movedClock struct {
	cullet.SystemClock
	file string
}

// Now is the machine's time, moved. It has no monotonic reading: like a clock that was set.
func (c movedClock) Now() time.Time {
	b, err := os.ReadFile(c.file)
	if err != nil {
		return c.SystemClock.Now()
	}
	by, err := time.ParseDuration(strings.TrimSpace(string(b)))
	if err != nil {
		panic("CULLET_MOVED_CLOCK: " + err.Error())
	}
	return c.SystemClock.Now().Round(0).Add(by)
}

func init() {
	if file := os.Getenv("CULLET_MOVED_CLOCK"); file != "" {
		systemClock = movedClock{file: file}
	}
}

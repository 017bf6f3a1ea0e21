//go:build unix && !linux

package supervise

import (
	"time"

	"golang.org/x/sys/unix"
)

// bootTime is the time since the machine started; every process of the machine
// reads the same clock. On macOS it runs on during sleep.
func bootTime() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return time.Duration(ts.Nano())
}

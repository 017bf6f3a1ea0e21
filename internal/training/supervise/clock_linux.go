package supervise

import (
	"time"

	"golang.org/x/sys/unix"
)

// bootTime is the time since the machine started, sleep included. Every process
// of the machine reads the same clock, and nobody can set it.
func bootTime() time.Duration {
	var ts unix.Timespec
	// It cannot fail: CLOCK_BOOTTIME is older than every Linux that Go runs on.
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return time.Duration(ts.Nano())
}

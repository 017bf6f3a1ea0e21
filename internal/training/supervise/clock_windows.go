package supervise

import (
	"time"

	"golang.org/x/sys/windows"
)

// bootTime is the time since the machine started, sleep included.
func bootTime() time.Duration { return windows.DurationSinceBoot() }

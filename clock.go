package cullet

import "time"

// Clock is the time that everything is handed. Tests hand in one that stands
// still, jumps a year, or goes back (C6).
type Clock interface {
	// Now is the wall clock's time. It may go back.
	Now() time.Time
	// NewTicker ticks every d until stopped; ticks that nobody takes are dropped.
	NewTicker(d time.Duration) Ticker
	// After sends once, when d has passed.
	After(d time.Duration) <-chan time.Time
}

// Ticker is what a Clock ticks with.
type Ticker interface {
	C() <-chan time.Time
	Stop()
}

// SystemClock is the machine's own clock.
type SystemClock struct{}

// Now returns the machine's time, with its monotonic reading.
func (SystemClock) Now() time.Time { return time.Now() }

// NewTicker returns a time.Ticker.
func (SystemClock) NewTicker(d time.Duration) Ticker { return systemTicker{time.NewTicker(d)} }

// After is time.After.
func (SystemClock) After(d time.Duration) <-chan time.Time { return time.After(d) }

type systemTicker struct{ t *time.Ticker }

func (t systemTicker) C() <-chan time.Time { return t.t.C }
func (t systemTicker) Stop()               { t.t.Stop() }

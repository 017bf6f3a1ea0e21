// Package cullettest is for tests alone: a clock that stands still, databases
// that are made and thrown away, factories for what is in them.
package cullettest

import (
	"sync"
	"time"

	"github.com/cullet-vision/cullet"
)

// Clock is a clock that moves only when told to, forwards or back.
type Clock struct {
	mu      sync.Mutex
	now     time.Time
	waiting []*waiter
}

type waiter struct {
	at    time.Time
	every time.Duration // 0: once
	c     chan time.Time
}

// Start is when a new Clock stands.
var Start = time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC)

// NewClock returns a clock that stands at Start.
func NewClock() *Clock { return &Clock{now: Start} }

// Now is the time it was set to.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves it, backwards too, and wakes who waited for a time now past.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	var still []*waiter
	for _, w := range c.waiting {
		if w.at.After(c.now) {
			still = append(still, w)
			continue
		}
		select {
		case w.c <- c.now:
		default:
		}
		if w.every > 0 {
			w.at = c.now.Add(w.every)
			still = append(still, w)
		}
	}
	c.waiting = still
}

// Set has it stand at a time, whoever waits.
func (c *Clock) Set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

// After sends once the clock was moved by d.
func (c *Clock) After(d time.Duration) <-chan time.Time { return c.wait(d, 0).c }

// NewTicker ticks when the clock is moved past a multiple of d.
func (c *Clock) NewTicker(d time.Duration) cullet.Ticker { return ticker{c, c.wait(d, d)} }

func (c *Clock) wait(d, every time.Duration) *waiter {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := &waiter{at: c.now.Add(d), every: every, c: make(chan time.Time, 1)}
	if d <= 0 {
		w.c <- c.now
		return w
	}
	c.waiting = append(c.waiting, w)
	return w
}

type ticker struct {
	clock *Clock
	w     *waiter
}

func (t ticker) C() <-chan time.Time { return t.w.c }

func (t ticker) Stop() {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	for n, w := range t.clock.waiting {
		if w == t.w {
			t.clock.waiting = append(t.clock.waiting[:n:n], t.clock.waiting[n+1:]...)
			return
		}
	}
}

package supervise

import (
	"sync/atomic"
	"time"
)

// lease is the supervisor's own view of how long it may go on. All instants are
// of bootTime's clock, which worker and supervisor share.
type lease struct {
	term  time.Duration
	taken atomic.Int64 // when the latest renewal was taken
	late  bool         // the last look found the lease over
}

func newLease(term, taken, now time.Duration) *lease {
	l := &lease{term: term}
	l.taken.Store(int64(min(taken, now)))
	return l
}

// renew moves the deadline on, never back: a renewal may arrive after a later
// one. One that claims to be of the future counts from now.
func (l *lease) renew(taken, now time.Duration) {
	taken = min(taken, now)
	for {
		old := l.taken.Load()
		if int64(taken) <= old || l.taken.CompareAndSwap(old, int64(taken)) {
			return
		}
	}
}

// deadline is when killing must begin, a twentieth before the lease ends (S2).
func (l *lease) deadline() time.Duration {
	return time.Duration(l.taken.Load()) + l.term - l.term/20
}

// over says whether the deadline passed, at the second look that finds it so:
// after a time in which this process did not run (the machine slept or was
// overloaded), renewals that came in time may still wait in the pipe, and get
// read between two looks.
func (l *lease) over(now time.Duration) bool {
	if now < l.deadline() {
		l.late = false
		return false
	}
	wasLate := l.late
	l.late = true
	return wasLate
}

// look is how often to ask whether the lease is over.
func (l *lease) look() time.Duration {
	return min(max(l.term/40, 5*time.Millisecond), 100*time.Millisecond)
}

package store

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/cullet-vision/cullet"
)

// others is who writes, in this process, for somebody that waits for the answer.
type others struct {
	now  atomic.Int64              // that wait or write
	last atomic.Pointer[time.Time] // when the last of them ended: the machine's time, and monotonic
}

// lately is how long after one of them more are expected.
const lately = 300 * time.Millisecond

type inBackground struct{}

// Background marks the context of work that nobody waits for, so that its
// transactions do not count as somebody else's.
func Background(ctx context.Context) context.Context {
	return context.WithValue(ctx, inBackground{}, true)
}

// came counts somebody that wants to write, until they are told that it is done.
func (o *others) came(ctx context.Context) (done func()) {
	if ctx.Value(inBackground{}) != nil {
		return func() {}
	}
	o.now.Add(1)
	return func() {
		now := cullet.SystemClock{}.Now()
		o.last.Store(&now)
		o.now.Add(-1)
	}
}

// Wanted says whether somebody who waits for the answer writes now, or did a moment
// ago, through this process: of others, which a PostgreSQL may have, it does not know.
// Work in the background then takes the database in small bites only.
func (db *DB) Wanted() bool {
	last := db.asked.last.Load()
	return db.asked.now.Load() > 0 || last != nil && time.Since(*last) < lately
}

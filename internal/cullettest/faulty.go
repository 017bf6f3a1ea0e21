package cullettest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/blob/memblob"
)

// Faulty is a blob driver that does one thing wrong, once.
type Faulty struct {
	inner blob.Driver

	mu    sync.Mutex
	op    Op
	left  int // calls of op until it goes wrong; 0: nothing does
	fault Fault

	// Waiting gets a channel from a slow operation; closing it lets the operation go on.
	Waiting chan chan struct{}
}

// Op is an operation of a blob driver.
type Op string

// The operations that go wrong.
const (
	OpCreate Op = "create"
	OpWrite  Op = "write"
	OpCommit Op = "commit"
	OpOpen   Op = "open"
	OpRemove Op = "remove" // of an object
	OpSettle Op = "settle" // removal of a mark in Pending
	OpList   Op = "list"
)

// Fault is what goes wrong.
type Fault string

// The faults there are.
const (
	Fails     Fault = "fails"           // says no, and did nothing
	Full      Fault = "is full"         // says that there is no room, and did nothing
	Forgets   Fault = "did it, says no" // like an answer that is lost on the way
	Lies      Fault = "says yes, did nothing"
	Truncates Fault = "keeps half"  // of what is committed
	Flips     Fault = "flips a bit" // of what is committed
	Slow      Fault = "is slow"     // waits until it is let go
)

// ErrFaulty is what a Faulty store fails with.
var ErrFaulty = errors.New("the store is out of order")

// NewFaulty makes a driver in memory that is in order until Break.
func NewFaulty() *Faulty { return &Faulty{inner: memblob.New(), Waiting: make(chan chan struct{}, 1)} }

// Break has the nth call of the operation from now on go wrong, and no other.
func (f *Faulty) Break(op Op, nth int, fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.op, f.left, f.fault = op, nth, fault
}

// Broke says whether it did.
func (f *Faulty) Broke() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.left == 0
}

// call does the operation, or what goes wrong instead.
func (f *Faulty) call(op Op, do func() error) error {
	f.mu.Lock()
	fault := Fault("")
	if f.op == op && f.left > 0 {
		if f.left--; f.left == 0 {
			fault = f.fault
		}
	}
	f.mu.Unlock()
	switch fault {
	case Fails:
		return fmt.Errorf("%s: %w", op, ErrFaulty)
	case Full:
		return fmt.Errorf("%s: %w", op, blob.ErrFull)
	case Forgets:
		_ = do() // what it says is not heard
		return fmt.Errorf("%s: %w", op, ErrFaulty)
	case Lies:
		return nil
	case Slow:
		on := make(chan struct{})
		f.Waiting <- on
		<-on
	}
	return do()
}

// Create begins a draft.
func (f *Faulty) Create(ctx context.Context, name string) (d blob.Draft, err error) {
	err = f.call(OpCreate, func() error {
		inner, err := f.inner.Create(ctx, name)
		d = &faultyDraft{Draft: inner, f: f}
		return err
	})
	if err != nil && d != nil {
		_ = d.Discard() // nobody has the draft that could do it
	}
	return d, err
}

type faultyDraft struct {
	blob.Draft
	f    *Faulty
	held []byte // written, and handed on at the end
}

func (d *faultyDraft) Write(p []byte) (int, error) {
	err := d.f.call(OpWrite, func() error {
		d.held = append(d.held, p...)
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// Commit hands on what was written, or what a fault leaves of it.
func (d *faultyDraft) Commit(ctx context.Context, name string, now time.Time) error {
	d.f.mu.Lock()
	if d.f.op == OpCommit && d.f.left == 1 && len(d.held) > 0 {
		switch d.f.fault {
		case Truncates:
			d.held = d.held[:len(d.held)/2]
		case Flips:
			d.held[len(d.held)/2] ^= 1
		}
	}
	d.f.mu.Unlock()
	done := false
	err := d.f.call(OpCommit, func() error {
		done = true
		if _, err := d.Draft.Write(d.held); err != nil {
			return err
		}
		return d.Draft.Commit(ctx, name, now)
	})
	if !done {
		err = errors.Join(err, d.Draft.Discard())
	}
	return err
}

// Open opens an object.
func (f *Faulty) Open(ctx context.Context, name string) (r io.ReadSeekCloser, n int64, err error) {
	err = f.call(OpOpen, func() error {
		r, n, err = f.inner.Open(ctx, name)
		return err
	})
	return r, n, err
}

// Remove removes.
func (f *Faulty) Remove(ctx context.Context, area blob.Area, name string) error {
	do := func() error { return f.inner.Remove(ctx, area, name) }
	switch area {
	case blob.Objects:
		return f.call(OpRemove, do)
	case blob.Pending:
		return f.call(OpSettle, do)
	}
	return do()
}

// List lists.
func (f *Faulty) List(ctx context.Context, area blob.Area, fn func(blob.Info) error) error {
	return f.call(OpList, func() error { return f.inner.List(ctx, area, fn) })
}

// Quarantine moves an object out of the way.
func (f *Faulty) Quarantine(ctx context.Context, name, to string) error {
	return f.inner.Quarantine(ctx, name, to)
}

// Left counts what is in an area.
func (f *Faulty) Left(area blob.Area) (n int) {
	_ = f.inner.List(context.Background(), area, func(blob.Info) error { n++; return nil })
	return n
}

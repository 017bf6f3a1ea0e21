package supervise

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// reporter writes events to the worker, one a line. Its callers may be held up
// by a worker that does not read; giveUp frees them.
type reporter struct {
	mu     sync.Mutex
	w      *os.File
	gaveUp atomic.Bool
}

// send writes one event. Where the worker cannot be reached the event is lost:
// the supervisor hears of a dead worker from the control pipe.
func (r *reporter) send(e Event) {
	line, err := json.Marshal(e)
	if err != nil {
		panic(err) // our own type: cannot fail
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.gaveUp.Load() {
		_, _ = r.w.Write(append(line, '\n'))
	}
}

// giveUp lets output go on flowing for a moment longer, then drops it, so that
// a worker that is frozen or gone does not keep the supervisor.
func (r *reporter) giveUp(after time.Duration) {
	// Where files have no deadlines (Windows) the caller's patience ends it.
	_ = r.w.SetWriteDeadline(clock.Now().Add(after))
}

// last writes the exit, also after giveUp, if there is room for it. An output
// event may have been cut off in the middle: the exit begins a line of its own.
func (r *reporter) last(e Exit) {
	line, err := json.Marshal(Event{Kind: Exited, Exit: &e})
	if err != nil {
		panic(err) // our own type: cannot fail
	}
	r.gaveUp.Store(true)
	r.giveUp(lastWordTimeout)
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = r.w.Write(append(append([]byte{'\n'}, line...), '\n'))
}

const lastWordTimeout = 200 * time.Millisecond

// output makes an event of a line that the trainer wrote.
func (r *reporter) output(stream Stream, line []byte, cut bool) {
	if stream == Stdout && !cut && isObject(line) {
		r.send(Event{Kind: Metrics, Metrics: line})
		return
	}
	r.send(Event{Kind: Log, Line: string(shown(line)), Stream: stream, Cut: cut})
}

func isObject(line []byte) bool {
	line = bytes.TrimSpace(line)
	return len(line) > 0 && line[0] == '{' && json.Valid(line)
}

// shown is what a terminal shows of a line: nothing of what a carriage return
// overwrote.
func shown(line []byte) []byte {
	line = bytes.TrimRight(line, "\r")
	return line[bytes.LastIndexByte(line, '\r')+1:]
}

// lineCutter cuts a stream into lines of at most MaxLineBytes; the rest of a
// longer line is dropped. The bytes it hands to emit are valid until it returns.
type lineCutter struct {
	line []byte
	cut  bool
	emit func(line []byte, cut bool)
}

func (c *lineCutter) feed(p []byte) {
	for {
		before, after, found := bytes.Cut(p, []byte{'\n'})
		room := MaxLineBytes - len(c.line)
		if len(before) > room {
			before, c.cut = before[:room], true
		}
		c.line = append(c.line, before...)
		if !found {
			return
		}
		c.flush()
		p = after
	}
}

// end emits what the stream ended with, if that was no line break.
func (c *lineCutter) end() {
	if len(c.line) > 0 {
		c.flush()
	}
}

func (c *lineCutter) flush() {
	c.emit(c.line, c.cut)
	if cap(c.line) > 64<<10 {
		c.line = nil // one huge line is no reason to keep its memory
	}
	c.line, c.cut = c.line[:0], false
}

// output carries the trainer's two streams to the worker.
type output struct {
	report *reporter
	out    *os.File // read ends of the trainer's pipes
	err    *os.File
	done   chan struct{} // closed when all that will be read was reported
}

// start begins to carry.
func (o *output) start() {
	o.done = make(chan struct{})
	var both sync.WaitGroup
	both.Go(func() { o.carry(o.out, Stdout) })
	both.Go(func() { o.carry(o.err, Stderr) })
	go func() {
		both.Wait()
		close(o.done)
	}()
}

// finish makes the carrying end once the pipes are empty, for when the trainer
// is gone: somebody who is not below the supervisor may still hold them open.
// It says false where files have no deadlines (Windows).
func (o *output) finish() bool {
	longAgo := time.Unix(1, 0)
	for _, r := range []*os.File{o.out, o.err} {
		// os.ErrClosed is good: that one has been read to its end.
		if errors.Is(r.SetReadDeadline(longAgo), os.ErrNoDeadline) {
			return false
		}
	}
	return true
}

func (o *output) carry(r *os.File, stream Stream) {
	defer r.Close()
	c := lineCutter{emit: func(line []byte, cut bool) { o.report.output(stream, line, cut) }}
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		c.feed(buf[:n])
		if os.IsTimeout(err) {
			drain(r, buf, c.feed)
		}
		if err != nil {
			c.end()
			return
		}
	}
}

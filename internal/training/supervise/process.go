package supervise

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"
)

const (
	startTimeout  = 10 * time.Second // from Start until the trainer runs; a supervisor needs milliseconds
	orderTimeout  = time.Second      // for a supervisor that does not empty its pipe
	insistAfter   = 2 * time.Second  // from Kill until the worker kills what is left itself
	insistTimeout = 10 * time.Second // how long it tries to
)

// ErrEnded is returned by Renew when there is no supervisor to renew a lease of.
var ErrEnded = errors.New("the training has ended")

// Process is a training that runs under its supervisor, seen from the worker.
// All methods may be called at once and again.
type Process struct {
	token  string
	cmd    *exec.Cmd // the supervisor
	stderr head      // of the supervisor, which has nothing to say unless it crashes
	in     *bufio.Scanner
	pipe   *os.File // what in reads from

	sending sync.Mutex
	orders  *os.File // a supervisor that sees it closed kills all

	events chan Event
	killed sync.Once
	hurry  chan struct{} // closed by Kill: drop output rather than wait for who reads Events
	exit   Exit          // set when done is closed
	done   chan struct{}
}

// Start starts the training and returns once its command runs. Where that
// cannot be started the error says why, and nothing of it is left. exe is the
// binary that calls Main when its first argument is Subcommand; empty is the
// one that is running now, even if its file was replaced since.
//
// The caller must read Events until it is closed, and Renew in time.
func Start(exe string, spec Spec) (*Process, error) {
	if err := spec.check(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(spec.Dir); spec.Dir != "" && err != nil {
		return nil, fmt.Errorf("start trainer: its folder: %w", err)
	}
	if spec.Token == "" {
		spec.Token = rand.Text()
	}
	p := &Process{
		token:  spec.Token,
		events: make(chan Event, 16),
		hurry:  make(chan struct{}),
		done:   make(chan struct{}),
	}
	first := launch{Spec: spec, LeaseTaken: bootTime() - spec.LeaseAge}
	if err := p.startSupervisor(exe, spec); err != nil {
		return nil, fmt.Errorf("start supervisor: %w", err)
	}
	started, err := p.startTrainer(first)
	if err != nil {
		p.abandon()
		return nil, fmt.Errorf("start trainer: %w", err)
	}
	go p.follow(started)
	return p, nil
}

// startSupervisor starts the second generation, connected by two pipes.
func (p *Process) startSupervisor(exe string, spec Spec) error {
	if exe == "" {
		exe = ownBinary()
	}
	theirIn, orders, err := os.Pipe()
	if err != nil {
		return err
	}
	defer theirIn.Close()
	pipe, theirOut, err := os.Pipe()
	if err != nil {
		_ = orders.Close()
		return err
	}
	defer theirOut.Close()
	p.cmd = &exec.Cmd{
		Path: exe, Args: []string{"cullet", Subcommand, spec.ID},
		Dir: spec.Dir, Env: append(spec.supervisorEnv(), systemEnv()...),
		Stdin: theirIn, Stdout: theirOut, Stderr: &p.stderr,
		SysProcAttr: ownSessionAttr(),
		WaitDelay:   time.Second, // for a stderr that somebody else holds open
	}
	if err := p.cmd.Start(); err != nil {
		_ = orders.Close()
		_ = pipe.Close()
		return err
	}
	p.orders, p.pipe, p.in = orders, pipe, bufio.NewScanner(pipe)
	// A byte of a line may become six in JSON.
	p.in.Buffer(make([]byte, 0, 4<<10), 6*MaxLineBytes+(4<<10))
	return nil
}

// startTrainer hands over what to run, and returns the first event if it is good.
func (p *Process) startTrainer(first launch) (Event, error) {
	_ = p.pipe.SetReadDeadline(clock.Now().Add(startTimeout))
	if err := p.send(first, startTimeout); err != nil {
		return Event{}, fmt.Errorf("hand it to the supervisor: %w%s", err, p.stderr.quote())
	}
	e, ok := p.next()
	switch {
	case !ok:
		why := p.in.Err()
		if why == nil {
			why = errors.New("it ended")
		}
		return e, fmt.Errorf("no word from the supervisor: %w%s", why, p.stderr.quote())
	case e.Kind != Started:
		return e, errors.New(e.Exit.Error)
	}
	_ = p.pipe.SetReadDeadline(time.Time{})
	return e, nil
}

// abandon ends what did not start.
func (p *Process) abandon() {
	_ = p.orders.Close()
	_ = p.cmd.Process.Kill()
	_ = p.pipe.Close()
	_ = p.cmd.Wait()
	_ = p.killMarked()
}

// send writes one line to the supervisor, which reads at once unless it is
// frozen or gone.
func (p *Process) send(line any, timeout time.Duration) error {
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	p.sending.Lock()
	defer p.sending.Unlock()
	_ = p.orders.SetWriteDeadline(clock.Now().Add(timeout))
	_, err = p.orders.Write(append(text, '\n'))
	return err
}

// next reads an event; false at the end.
func (p *Process) next() (e Event, ok bool) {
	for p.in.Scan() {
		e = Event{}
		if json.Unmarshal(p.in.Bytes(), &e) == nil && (e.Kind != Exited || e.Exit != nil) {
			return e, true
		}
		// Else half an event, cut off when the supervisor gave up on us, or the
		// empty line that it puts before the exit.
	}
	return e, false
}

// follow hands on events until the supervisor is gone, and sees to it that all
// else is.
func (p *Process) follow(started Event) {
	p.deliver(started)
	exit := Exit{Why: WhyLost, Code: -1}
	for e, ok := p.next(); ok; e, ok = p.next() {
		if e.Kind == Exited {
			exit = *e.Exit
			continue
		}
		p.deliver(e)
	}
	_ = p.orders.Close()
	_ = p.pipe.Close()
	_ = p.cmd.Wait()
	if exit.Why == WhyLost {
		exit.Error = "the supervisor ended unexpectedly: " + p.cmd.ProcessState.String() + p.stderr.quote()
		if err := p.killMarked(); err != nil {
			exit.Error += "; " + err.Error()
		}
	}
	p.finish(exit)
}

// finish says how it ended, to Wait first: it must not depend on who reads Events.
func (p *Process) finish(exit Exit) {
	select {
	case <-p.hurry:
		if exit.Why == WhyLost {
			exit.Why = WhyKilled // a supervisor that did not obey was killed too
		}
	default:
	}
	p.exit = exit
	close(p.done)
	defer close(p.events)
	for e := (Event{Kind: Exited, Exit: &exit}); ; {
		select {
		case p.events <- e:
			return
		case <-p.hurry:
		}
		// Nobody may be reading: the exit takes the place of the oldest output.
		select {
		case p.events <- e:
			return
		case <-p.events:
		default:
		}
	}
}

// deliver hands on one event, and after Kill drops it rather than wait.
func (p *Process) deliver(e Event) {
	select {
	case p.events <- e:
		return
	default:
	}
	select {
	case p.events <- e:
	case <-p.hurry:
	}
}

// Events are what happens to the training: Started first, Exited last, then it
// is closed. While nobody reads them the trainer's output waits, and in the end
// the trainer does; after Kill output that nobody waits for is dropped.
func (p *Process) Events() <-chan Event { return p.events }

// Renew moves the deadline to a lease after it was taken. age is how long ago
// that was: the time since before the statement was sent that renewed the
// lease in the database. It returns ErrEnded when the supervisor is gone, and
// an error when it does not listen; the lease then goes on as it was.
func (p *Process) Renew(age time.Duration) error {
	err := p.send(order{Op: opRenew, LeaseTaken: bootTime() - age}, orderTimeout)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return ErrEnded
	}
	return err
}

// Stop asks the trainer to end early and keep what it has: SIGTERM to its
// process group, and the end of everything after Spec.StopGrace. The lease must
// be renewed meanwhile. (Windows has no such signal: the grace just passes.)
func (p *Process) Stop() {
	// An error means that the end is near anyway: see Kill, and the lease.
	_ = p.send(order{Op: opStop}, orderTimeout)
}

// Kill ends all processes of the training at once, and does not wait for it:
// Wait does. Where the supervisor does not obey within 2 s, because the trainer
// froze it, all that bears the mark is killed, the supervisor too.
func (p *Process) Kill() {
	p.killed.Do(func() {
		close(p.hurry)
		go p.kill()
	})
}

func (p *Process) kill() {
	wakeUp(p.cmd.Process)
	if err := p.send(order{Op: opKill}, orderTimeout); err != nil {
		_ = p.orders.Close() // to the supervisor that is the same
	}
	select {
	case <-p.done:
	case <-clock.After(insistAfter):
		_ = p.killMarked()
	}
}

// killMarked kills what bears our mark, where it can be found.
func (p *Process) killMarked() error {
	ctx, cancel := context.WithTimeout(context.Background(), insistTimeout)
	defer cancel()
	_, err := KillMarked(ctx, p.token)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// Wait waits until nothing of the training is left, and says how it ended.
func (p *Process) Wait() Exit {
	<-p.done
	return p.exit
}

// Done is closed when Wait would return.
func (p *Process) Done() <-chan struct{} { return p.done }

// Token is what KillMarked finds the training by.
func (p *Process) Token() string { return p.token }

// head keeps the beginning of what is written to it: a crash begins with its
// reason, and goes on with stacks that nobody needs here.
type head struct {
	mu   sync.Mutex
	text []byte
}

func (h *head) Write(b []byte) (int, error) {
	const most = 2 << 10
	h.mu.Lock()
	defer h.mu.Unlock()
	h.text = append(h.text, b[:min(len(b), most-len(h.text))]...)
	return len(b), nil
}

// quote is the text as the end of an error message.
func (h *head) quote() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.text) == 0 {
		return ""
	}
	return ": " + string(bytes.TrimSpace(h.text))
}

package supervise

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Main is the supervisor's process. The binary calls it, before anything else
// and in its main goroutine, when its first argument is Subcommand: args are
// those after it (for people who list processes; they are not looked at), the
// files are the process's own. What it returns is the exit status. Nothing but
// Start should run it: without a Spec on stdin it says so and returns 2.
func Main(args []string, stdin, stdout, stderr *os.File) int {
	// The kernel kills the trainer when the thread that started it ends.
	runtime.LockOSThread()
	saveThreads()
	var from launch
	orders := json.NewDecoder(pollable(stdin))
	if err := orders.Decode(&from); err != nil || from.check() != nil {
		fmt.Fprintln(stderr, "cullet supervise is for the worker to call: it reads what to run from its standard input")
		return 2
	}
	s := &supervisor{
		spec:   from.Spec,
		report: &reporter{w: pollable(stdout)},
		lease:  newLease(from.Lease, from.LeaseTaken, bootTime()),
		orders: make(chan order, 4),
		asked:  make(chan os.Signal, 1),
	}
	go s.listen(orders)
	s.report.last(s.run())
	return 0
}

// saveThreads sees to it that this process never needs a new thread: when a
// trainer has used up the processes that the user or container may have, the
// Go runtime would die of a thread it does not get, and the supervisor with it.
func saveThreads() {
	runtime.GOMAXPROCS(2)
	var together, ended sync.WaitGroup
	const spare = 8
	together.Add(spare)
	for range spare {
		ended.Go(func() {
			runtime.LockOSThread() // a thread of its own, which goes idle afterwards
			defer runtime.UnlockOSThread()
			together.Done()
			together.Wait()
		})
	}
	ended.Wait()
}

// supervisor is the state of Main.
type supervisor struct {
	spec   Spec
	family *family
	report *reporter
	output *output
	lease  *lease
	orders chan order     // stop and kill; closed when the worker is gone
	asked  chan os.Signal // SIGTERM and SIGINT: the same as stop
}

// listen reads what the worker orders. Renewals take effect here, so that they
// are in time whatever else goes on.
func (s *supervisor) listen(in *json.Decoder) {
	defer close(s.orders)
	for {
		var o order
		if err := in.Decode(&o); err != nil {
			return // the pipe is closed, or its other end is not our worker
		}
		if o.Op == opRenew {
			s.lease.renew(o.LeaseTaken, bootTime())
			continue
		}
		s.orders <- o
	}
}

// run is the life of a training, from start until nothing is left of it.
func (s *supervisor) run() Exit {
	s.takeSignals()
	if err := s.start(); err != nil {
		return Exit{Why: WhyNotStarted, Code: -1, Error: err.Error()}
	}
	s.report.send(Event{Kind: Started, PID: s.family.pid})
	s.output.start()
	look := clock.NewTicker(s.lease.look())
	defer look.Stop()
	why, forced := s.watch(look.C())
	s.killAll()
	s.flush(look.C())
	code, sig := s.family.status()
	return Exit{Why: why, Code: code, Signal: sig, Forced: forced}
}

// killAll leaves nothing below us. Whom it cannot kill it tells the worker, but
// does not wait for the worker to listen (S3).
func (s *supervisor) killAll() {
	lingering := make(chan []int, 1)
	defer close(lingering)
	go func() {
		for left := range lingering {
			s.report.send(Event{Kind: Lingering, Left: left})
		}
	}()
	s.family.killAll(func(left []int) {
		select {
		case lingering <- left:
		default:
		}
	})
}

// takeSignals keeps signals from ending the supervisor. A service manager sends
// SIGTERM to every process of a service: that is a stop. They are caught, not
// ignored, because a trainer would inherit ignored ones.
func (s *supervisor) takeSignals() {
	signal.Notify(s.asked, os.Interrupt, syscall.SIGTERM)
	signal.Notify(make(chan os.Signal, 1), deafTo...)
}

// start starts the trainer.
func (s *supervisor) start() (err error) {
	if s.family, err = newFamily(); err != nil {
		return err
	}
	path, err := exec.LookPath(s.spec.Command[0])
	if err != nil {
		return err
	}
	files, err := s.trainerFiles()
	if err != nil {
		return err
	}
	defer closeAll(files)
	return s.family.start(path, s.spec.Command, &os.ProcAttr{Env: s.spec.trainerEnv(), Files: files})
}

// trainerFiles opens the trainer's standard files, and output at their other ends.
func (s *supervisor) trainerFiles() ([]*os.File, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	errR, errW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s.output = &output{report: s.report, out: outR, err: errR}
	return []*os.File{null, outW, errW}, nil
}

func closeAll[C io.Closer](files []C) {
	for _, f := range files {
		_ = f.Close()
	}
}

// watch waits until the trainer has ended or has to. forced is whether it has to.
func (s *supervisor) watch(look <-chan time.Time) (why Why, forced bool) {
	why = WhyExited
	var grace <-chan time.Time
	stop := func() {
		if grace == nil {
			why, grace = WhyStopped, clock.After(s.spec.StopGrace)
			s.family.terminate()
		}
	}
	for {
		select {
		case <-s.family.wake:
			if s.family.reap() {
				return why, false
			}
		case o, open := <-s.orders:
			switch {
			case !open:
				return WhyPipeClosed, true
			case o.Op == opKill:
				return WhyKilled, true
			case o.Op == opStop:
				stop()
			}
		case <-s.asked:
			stop()
		case <-look:
			if s.lease.over(bootTime()) {
				return WhyLease, true
			}
		case <-grace:
			return WhyStopped, true
		}
	}
}

// flush waits until the worker has all of the trainer's output, for as long as
// the worker shows that it is there.
func (s *supervisor) flush(look <-chan time.Time) {
	const patience = 500 * time.Millisecond
	var late <-chan time.Time
	giveUp := func() {
		if late == nil {
			late = clock.After(2 * patience)
			s.report.giveUp(patience)
		}
	}
	if !s.output.finish() {
		giveUp()
	}
	orders := s.orders
	for {
		select {
		case <-s.output.done:
			return
		case <-late:
			return
		case _, open := <-orders:
			if !open {
				orders = nil
				giveUp()
			}
		case <-look:
			if s.lease.over(bootTime()) {
				giveUp()
			}
		}
	}
}

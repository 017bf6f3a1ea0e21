//go:build unix && !linux

package supervise

import (
	"os"
	"syscall"
	"time"
)

// deafTo are signals that do nothing to a supervisor.
var deafTo = []os.Signal{syscall.SIGHUP, syscall.SIGPIPE, syscall.SIGQUIT}

// family is the trainer's process group, which is the best to be had without a
// subreaper: who leaves it is not found.
type family struct {
	pid   int
	wake  chan struct{} // closed when the trainer has ended
	ended *os.ProcessState
}

func newFamily() (*family, error) { return &family{wake: make(chan struct{})}, nil }

// start starts the trainer in a session, and so a process group, of its own.
func (f *family) start(path string, argv []string, attr *os.ProcAttr) error {
	attr.Sys = &syscall.SysProcAttr{Setsid: true}
	p, err := os.StartProcess(path, argv, attr)
	if err != nil {
		return err
	}
	f.pid = p.Pid
	go func() {
		f.ended, _ = p.Wait()
		close(f.wake)
	}()
	return nil
}

// terminate asks the trainer's process group to end.
func (f *family) terminate() { _ = syscall.Kill(-f.pid, syscall.SIGTERM) }

// reap says whether the trainer has ended; it is called after wake.
func (f *family) reap() bool { return true }

// status is the trainer's exit status, or -1 and the signal that ended it.
func (f *family) status() (code, sig int) {
	if f.ended == nil {
		return -1, 0
	}
	if status, ok := f.ended.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return -1, int(status.Signal())
	}
	return f.ended.ExitCode(), 0
}

// killAll returns when the trainer has ended and nobody can be signalled in its
// process group.
func (f *family) killAll(lingering func(left []int)) {
	report := clock.NewTicker(5 * time.Second)
	defer report.Stop()
	for syscall.Kill(-f.pid, syscall.SIGKILL) == nil {
		select {
		case <-clock.After(5 * time.Millisecond):
		case <-report.C():
			lingering([]int{f.pid})
		}
	}
	<-f.wake
}

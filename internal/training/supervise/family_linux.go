package supervise

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// deafTo are signals that do nothing to a supervisor.
var deafTo = []os.Signal{unix.SIGHUP, unix.SIGPIPE, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2}

// family is the trainer and all that descends from it. One goroutine, locked to
// its thread, calls all methods: a child is then never reaped between being
// listed and being signalled, so its number stays its own (S5).
type family struct {
	pid   int
	wake  chan os.Signal   // a child may have ended
	ended *unix.WaitStatus // of the trainer, once it was reaped
	kin   []string         // files that list our children
}

// newFamily makes this process the one that nothing below it can escape (S1).
func newFamily() (*family, error) {
	if err := ownSession(); err != nil {
		return nil, err
	}
	closeOnExec()
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become the parent of orphans: %w", err)
	}
	if self, err := os.Readlink("/proc/self"); err != nil || self != strconv.Itoa(os.Getpid()) {
		return nil, errors.New("/proc is not mounted, or shows other processes than ours: a training cannot be supervised")
	}
	f := &family{wake: make(chan os.Signal, 1)}
	// The kernel lists children by the thread whose they are: what we start
	// belongs to this thread, orphans go to the first.
	for _, thread := range slices.Compact([]int{os.Getpid(), unix.Gettid()}) {
		f.kin = append(f.kin, fmt.Sprintf("/proc/self/task/%d/children", thread))
	}
	signal.Notify(f.wake, unix.SIGCHLD)
	return f, nil
}

// ownSession makes sure that no stranger is in our session. Start has seen to it.
func ownSession() error {
	if sid, err := unix.Getsid(0); err == nil && sid == os.Getpid() {
		return nil
	}
	if _, err := unix.Setsid(); err != nil {
		return fmt.Errorf("open a session: %w", err)
	}
	return nil
}

// closeOnExec keeps files from the trainer that we inherited ourselves: Go opens
// none so, but whoever started the worker may have (S4).
func closeOnExec() {
	if unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return
	}
	// A kernel before 5.11.
	files, _ := os.ReadDir("/proc/self/fd")
	for _, f := range files {
		if fd, err := strconv.Atoi(f.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
}

// start starts the trainer in a session, and so a process group, of its own:
// it cannot join our group, and the kernel's scheduler weighs the two apart.
func (f *family) start(path string, argv []string, attr *os.ProcAttr) error {
	attr.Sys = &unix.SysProcAttr{Setsid: true, Pdeathsig: unix.SIGKILL}
	p, err := os.StartProcess(path, argv, attr)
	if err != nil {
		return err
	}
	f.pid = p.Pid
	return p.Release() // we reap it ourselves
}

// terminate asks the trainer's process group to end.
func (f *family) terminate() { f.signalGroup(unix.SIGTERM) }

// signalGroup signals the trainer's group, as long as the trainer is there to
// keep the group's number from being another's.
func (f *family) signalGroup(sig unix.Signal) {
	if f.ended == nil {
		_ = unix.Kill(-f.pid, sig)
	}
}

// reap takes in all that have ended and says whether the trainer is among them.
func (f *family) reap() bool {
	f.reapAll()
	return f.ended != nil
}

// reapAll takes in all that have ended and says whether any child is left.
func (f *family) reapAll() bool {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG|unix.WALL, nil)
		switch {
		case err == unix.EINTR:
		case err != nil: // ECHILD
			return false
		case pid == 0:
			return true
		case pid == f.pid && f.ended == nil:
			f.ended = &status
		}
	}
}

// status is the trainer's exit status, or -1 and the signal that ended it.
func (f *family) status() (code, sig int) {
	switch {
	case f.ended == nil:
		return -1, 0
	case f.ended.Signaled():
		return -1, int(f.ended.Signal())
	}
	return f.ended.ExitStatus(), 0
}

// killAll returns when nothing is left below us (S1), however long that takes.
// lingering is told every few seconds who withstands.
func (f *family) killAll(lingering func(left []int)) {
	defer takePrecedence()()
	const tell = 5 * time.Second
	told := bootTime()
	frozen := make(frozenSet)
	for pause := time.Millisecond; f.reapAll(); pause = min(2*pause, 20*time.Millisecond) {
		f.signalGroup(unix.SIGSTOP)
		all := frozen.freeze(f.descendants)
		f.signalGroup(unix.SIGKILL)
		killEach(all)
		f.chase()
		if now := bootTime(); now-told > tell {
			told = now
			lingering(pids(f.descendants()))
		}
		// A timer of Go's would be another thread's to fire, and that one has
		// no precedence.
		ts := unix.NsecToTimespec(int64(pause))
		_ = unix.Nanosleep(&ts, nil)
	}
}

// takePrecedence puts this thread, and none of the trainer's, before all others
// while it kills: its share of a processor would be small among thousands, and
// the kernel may hand out shares by session. Only root can; others do without.
// Meanwhile garbage is collected late, because that waits for other threads;
// what it returns puts that right.
func takePrecedence() (restore func()) {
	err := unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_RR, Priority: 1, Flags: unix.SCHED_FLAG_RESET_ON_FORK}, 0)
	if err != nil {
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, -20)
	}
	percent, limit := debug.SetGCPercent(-1), debug.SetMemoryLimit(64<<20)
	return func() {
		debug.SetMemoryLimit(limit)
		debug.SetGCPercent(percent)
	}
}

// chase kills our own children over and over while new ones turn up. That is
// quick enough for a family of which each member lives only to start the next:
// it is never where the slow walk through /proc has just seen it, but every
// orphan becomes our child.
func (f *family) chase() {
	const most, enough = 5000, 50 // rounds in all; rounds without a new child
	hit := make(map[int]bool)
	for round, last := 0, 0; round < most && round-last < enough; round++ {
		if !f.reapAll() {
			return
		}
		for _, list := range f.kin {
			for _, pid := range childrenIn(list) {
				_ = unix.Kill(pid, unix.SIGKILL)
				if !hit[pid] {
					hit[pid], last = true, round
				}
			}
		}
	}
}

// descendants lists who is below us, as far as /proc shows it.
func (f *family) descendants() []process {
	self := os.Getpid()
	return below(processes(), func(p process) bool { return p.parent == self })
}

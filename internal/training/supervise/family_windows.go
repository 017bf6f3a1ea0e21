package supervise

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// deafTo are signals that do nothing to a supervisor.
var deafTo = []os.Signal{syscall.SIGHUP}

// family is a job object, which holds what the trainer starts and dies with the
// supervisor. What the trainer started before it was put in is not found.
type family struct {
	pid   int
	wake  chan struct{} // closed when the trainer has ended
	ended *os.ProcessState
	job   windows.Handle
}

func newFamily() (*family, error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return nil, err
	}
	limits := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{}
	limits.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits)))
	return &family{wake: make(chan struct{}), job: job}, err
}

// start starts the trainer and puts it into the job.
func (f *family) start(path string, argv []string, attr *os.ProcAttr) error {
	p, err := os.StartProcess(path, argv, attr)
	if err != nil {
		return err
	}
	f.pid = p.Pid
	if err := f.adopt(); err != nil {
		_ = p.Kill()
		return err
	}
	go func() {
		f.ended, _ = p.Wait()
		close(f.wake)
	}()
	return nil
}

// adopt puts the trainer into the job.
func (f *family) adopt() error {
	const access = windows.PROCESS_SET_QUOTA | windows.PROCESS_TERMINATE
	h, err := windows.OpenProcess(access, false, uint32(f.pid))
	if err != nil {
		return err
	}
	defer windows.CloseHandle(h)
	return windows.AssignProcessToJobObject(f.job, h)
}

// terminate does nothing: there is no signal that asks a process to end.
func (f *family) terminate() {}

// reap says whether the trainer has ended; it is called after wake.
func (f *family) reap() bool { return true }

// status is the trainer's exit status.
func (f *family) status() (code, sig int) {
	if f.ended == nil {
		return -1, 0
	}
	return f.ended.ExitCode(), 0
}

// killAll kills what is in the job.
func (f *family) killAll(func(left []int)) {
	_ = windows.TerminateJobObject(f.job, 1)
	<-f.wake
}

package supervise

import (
	"os"
	"syscall"
)

// ownSessionAttr keeps a Ctrl-C that is meant for the worker from the supervisor.
func ownSessionAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

// systemEnv is what the system itself needs a process to have.
func systemEnv() []string { return []string{"SYSTEMROOT=" + os.Getenv("SYSTEMROOT")} }

// wakeUp does nothing: processes are not stopped by signals here.
func wakeUp(*os.Process) {}

// pollable is the file itself: pipes have no deadlines here.
func pollable(f *os.File) *os.File { return f }

// drain is never needed: without deadlines a reader reads to the end.
func drain(*os.File, []byte, func([]byte)) {}

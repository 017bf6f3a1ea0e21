//go:build unix

package supervise

import (
	"os"
	"syscall"
	"time"
)

// ownSessionAttr starts the supervisor in a session of its own: no terminal and
// no group kill aimed at the worker reaches it.
func ownSessionAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// systemEnv is what the system itself needs a process to have.
func systemEnv() []string { return nil }

// wakeUp continues a process that was stopped.
func wakeUp(p *os.Process) { _ = p.Signal(syscall.SIGCONT) }

// pollable is the same file, if it is a pipe with deadlines, and with reads that
// occupy no thread. f must stay open and is not used any more.
func pollable(f *os.File) *os.File {
	if err := syscall.SetNonblock(int(f.Fd()), true); err != nil {
		return f
	}
	return os.NewFile(f.Fd(), f.Name())
}

// drain feeds what is in the pipe r now, without waiting for more. A stranger
// who still writes is not listened to for longer than a pipe can hold.
func drain(r *os.File, buf []byte, feed func([]byte)) {
	if r.SetReadDeadline(time.Time{}) != nil {
		return
	}
	raw, err := r.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Read(func(fd uintptr) bool {
		const most = 1 << 20
		for total := 0; total < most; {
			n, err := syscall.Read(int(fd), buf)
			if err == syscall.EINTR {
				continue
			}
			if n <= 0 {
				break
			}
			feed(buf[:n])
			total += n
		}
		return true
	})
}

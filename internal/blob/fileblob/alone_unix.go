//go:build unix

package fileblob

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// Alone takes a place among the processes that use the folder, until this one
// ends, and says whether it is the only one: then whatever is pending or half
// written was left by the dead.
func (d *Driver) Alone() (bool, error) {
	f, err := os.OpenFile(filepath.Clean(d.dir)+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return false, err
	}
	d.lock = f // kept open: the place is held by it
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
		return true, nil
	} else if !errors.Is(err, syscall.EWOULDBLOCK) {
		return false, err
	}
	return false, syscall.Flock(int(f.Fd()), syscall.LOCK_SH)
}

// Share lets others in, after what the dead left was cleared.
func (d *Driver) Share() error {
	return syscall.Flock(int(d.lock.Fd()), syscall.LOCK_SH)
}

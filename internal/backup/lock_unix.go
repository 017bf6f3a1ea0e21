//go:build unix

package backup

import (
	"errors"
	"os"
	"syscall"

	"github.com/cullet-vision/cullet"
)

// Lock keeps other backups and restores off until it is undone, or this process
// ends in whatever way. The file stays.
func Lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close() // nothing was written
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, cullet.E(cullet.Conflict, "another backup or restore is using %s at this moment; wait until it has ended", path)
		}
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}

//go:build !linux

package supervise

import "os"

// ownBinary is the binary that runs.
func ownBinary() string {
	exe, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return exe
}

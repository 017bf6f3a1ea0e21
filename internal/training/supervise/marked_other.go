//go:build !linux

package supervise

import (
	"context"
	"errors"
)

// Marked is for Linux: elsewhere the environment of other processes cannot be
// read, and the error is errors.ErrUnsupported.
func Marked() ([]Mark, error) { return nil, errors.ErrUnsupported }

// KillMarked is for Linux: elsewhere the environment of other processes cannot
// be read, and the error is errors.ErrUnsupported.
func KillMarked(context.Context, string) (killed int, err error) { return 0, errors.ErrUnsupported }

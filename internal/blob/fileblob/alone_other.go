//go:build !unix

package fileblob

// Alone cannot be known here: what the dead left is cleared by its age.
func (d *Driver) Alone() (bool, error) { return false, nil }

// Share lets others in.
func (d *Driver) Share() error { return nil }

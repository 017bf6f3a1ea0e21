package export

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// spoolMemory is how much of a spool stays in memory, in bytes.
const spoolMemory = 128 << 10

// spool keeps what is written until it is wanted: in memory while it is little,
// then in a file without a name, which the system removes with the process.
type spool struct {
	dir  string
	buf  []byte // what is not in the file yet
	file *os.File
	n    int64
}

func (s *spool) Write(p []byte) (int, error) {
	if len(s.buf)+len(p) > spoolMemory {
		if err := s.flush(); err != nil {
			return 0, err
		}
	}
	if len(p) > spoolMemory {
		if _, err := s.file.Write(p); err != nil {
			return 0, fmt.Errorf("spool: %w", err)
		}
	} else {
		s.buf = append(s.buf, p...)
	}
	s.n += int64(len(p))
	return len(p), nil
}

func (s *spool) flush() error {
	if s.file == nil {
		f, err := os.CreateTemp(s.dir, "cullet-export-*")
		if err != nil {
			return fmt.Errorf("spool: %w", err)
		}
		s.file = f
		if err := os.Remove(f.Name()); err != nil {
			return fmt.Errorf("spool: %w", err)
		}
	}
	if _, err := s.file.Write(s.buf); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	s.buf = s.buf[:0]
	return nil
}

// WriteTo writes all that was kept, from the first byte.
func (s *spool) WriteTo(w io.Writer) (int64, error) {
	n := int64(0)
	if s.file != nil {
		if _, err := s.file.Seek(0, io.SeekStart); err != nil {
			return 0, fmt.Errorf("spool: %w", err)
		}
		var err error
		if n, err = io.Copy(w, s.file); err != nil {
			return n, err
		}
	}
	m, err := w.Write(s.buf)
	return n + int64(m), err
}

// reset empties the spool for another use.
func (s *spool) reset() error {
	s.buf, s.n = s.buf[:0], 0
	if s.file == nil {
		return nil
	}
	_, err := s.file.Seek(0, io.SeekStart)
	return errors.Join(err, s.file.Truncate(0))
}

func (s *spool) close() {
	if s.file != nil {
		_ = s.file.Close() // it has no name, and nobody wants what is in it
	}
}

// Package picture reads the images that come in: what they are, how large, and
// whether they are whole. It trusts nothing that a file says of itself.
//
// Invariants:
//   - A picture that Read accepts has been decoded from its first to its last
//     pixel (of an animation: the first frame, and the rest of the file walked).
//   - No pixel memory is allocated before the header's numbers were checked
//     against Limits, and all decodes together hold a bounded amount of it.
//   - Whatever the bytes, the answer is a Picture or a refusal with the code
//     invalid or too_large that says what is wrong. Only an error of the reader
//     itself, or of the context, comes back as it is.
package picture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"io"

	"github.com/cullet-vision/cullet"
)

// Limits says what is too much. The zero value takes the defaults.
type Limits struct {
	Pixels int64 // width × height, 0: DefaultPixels
	Edge   int   // the longer side, 0: DefaultEdge
}

// The limits where none are set.
const (
	DefaultPixels = 100_000_000
	DefaultEdge   = 32_768
)

// maxMemory is the most that one decode may take, in bytes, whatever the limits
// say: a progressive JPEG needs five times the memory of a plain one.
const maxMemory = 1 << 30

// Picture is what is known of an image file.
type Picture struct {
	Format      string // jpeg, png, gif, webp, bmp or tiff
	Width       int    // pixels, as shown: after the EXIF orientation
	Height      int
	Orientation int // 1 to 8 as in EXIF; 1: as stored, or nothing is said
}

// Formats lists what Read accepts.
func Formats() []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.name
	}
	return names
}

// Read reads r from its beginning and checks all of it. With an edge above 0 it
// also returns a JPEG of the picture as shown, on white, at most edge pixels
// wide and high and never larger than the picture. Both come out of one decode;
// it waits, as long as ctx lets it, while too many others decode.
func Read(ctx context.Context, r io.ReadSeeker, lim Limits, edge int) (p Picture, thumb []byte, err error) {
	src, err := newSource(r)
	if err != nil {
		return Picture{}, nil, err
	}
	k, err := sniff(src)
	if err != nil {
		return Picture{}, nil, err
	}
	// The decoders are not ours: one that panics met a file that is no image.
	defer func() {
		if fault := recover(); fault != nil {
			p, thumb, err = Picture{}, nil, src.refuse(k, fmt.Errorf("the decoder panicked: %v", fault))
		}
	}()
	found, err := k.scan(src.reader())
	if err != nil {
		return Picture{}, nil, src.refuse(k, err)
	}
	c, err := k.config(src.reader())
	if err != nil {
		return Picture{}, nil, src.refuse(k, err)
	}
	memory, err := lim.check(k, c, found)
	if err != nil {
		return Picture{}, nil, err
	}
	leave, err := decodes.enter(ctx, memory)
	if err != nil {
		return Picture{}, nil, fmt.Errorf("wait to read the image: %w", err)
	}
	defer leave()
	m, err := k.decode(src.reader())
	if err != nil {
		return Picture{}, nil, src.refuse(k, err)
	}
	if b := m.Bounds(); b.Dx() != c.Width || b.Dy() != c.Height {
		return Picture{}, nil, src.refuse(k, errors.New("it holds another number of pixels than its header says"))
	}
	p = Picture{Format: k.name, Width: c.Width, Height: c.Height, Orientation: found.orientation}
	if p.Orientation >= 5 { // lies on its side
		p.Width, p.Height = p.Height, p.Width
	}
	if edge > 0 {
		thumb, err = thumbnail(m, found.orientation, edge)
	}
	return p, thumb, err
}

// Inspect is Read without a thumbnail and without a way to stop waiting.
func Inspect(r io.ReadSeeker, lim Limits) (Picture, error) {
	p, _, err := Read(context.Background(), r, lim, 0)
	return p, err
}

// Thumbnail is Read for the thumbnail alone, within the default limits.
func Thumbnail(r io.ReadSeeker, edge int) ([]byte, error) {
	_, thumb, err := Read(context.Background(), r, Limits{}, max(1, edge))
	return thumb, err
}

// check refuses what is too large by its header, and says about how many bytes
// decoding it will take.
func (l Limits) check(k *kind, c image.Config, f found) (memory int64, err error) {
	if l.Pixels <= 0 {
		l.Pixels = DefaultPixels
	}
	if l.Edge <= 0 {
		l.Edge = DefaultEdge
	}
	switch {
	case c.Width <= 0 || c.Height <= 0:
		return 0, cullet.E(cullet.Invalid, "the image has no pixels: its %s header says %d x %d", k.name, c.Width, c.Height)
	case c.Width > l.Edge || c.Height > l.Edge:
		return 0, cullet.E(cullet.TooLarge, "the image is %d x %d pixels; no side may be longer than %d", c.Width, c.Height, l.Edge)
	case int64(c.Width) > l.Pixels/int64(c.Height):
		return 0, cullet.E(cullet.TooLarge, "the image is %d x %d pixels, %d in all; %d is the most",
			c.Width, c.Height, int64(c.Width)*int64(c.Height), l.Pixels)
	}
	memory = int64(c.Width) * int64(c.Height) * k.bytesPerPixel(c, f)
	if memory > maxMemory {
		return 0, cullet.E(cullet.TooLarge, "the image is %d x %d pixels of a kind of %s that takes %d MB to read; make it smaller, or save it as a plain jpeg",
			c.Width, c.Height, k.name, memory>>20)
	}
	return memory, nil
}

// sniff tells the format by its first bytes; names lie.
func sniff(src *source) (*kind, error) {
	var buf [64]byte
	n, err := src.ReadAt(buf[:], 0)
	if src.err != nil {
		return nil, src.refuse(nil, err)
	}
	head := buf[:n]
	for i := range kinds {
		if kinds[i].is(head) {
			return &kinds[i], nil
		}
	}
	switch {
	case n == 0:
		return nil, cullet.E(cullet.Invalid, "the image is empty: no byte came")
	case n >= 12 && string(head[4:8]) == "ftyp" && heif(head):
		return nil, cullet.E(cullet.Invalid, "heic and avif images are not read here; send the image as one of %v", Formats())
	}
	return nil, cullet.E(cullet.Invalid, "the file is no image that is read here; send one of %v", Formats())
}

// heif says whether one of the brands of an ISO media file is that of a still
// image: heic and avif share the container of videos.
func heif(head []byte) bool {
	end := min(len(head), int(head[2])<<8|int(head[3]))
	for i := 8; i+4 <= end; i += 4 {
		switch string(head[i : i+4]) {
		case "heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1", "avif", "avis":
			return true
		}
	}
	return false
}

// source reads the caller's reader at any place and remembers whether it failed:
// a disk that fails says nothing about the image.
type source struct {
	r    io.ReadSeeker
	at   io.ReaderAt // r, where it can
	size int64
	err  error
}

func newSource(r io.ReadSeeker) (*source, error) {
	size, err := r.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, fmt.Errorf("read the image: %w", err)
	}
	at, _ := r.(io.ReaderAt)
	return &source{r: r, at: at, size: size}, nil
}

// ReadAt is not for use at once, which no decoder does.
func (s *source) ReadAt(p []byte, off int64) (n int, err error) {
	if s.at != nil {
		n, err = s.at.ReadAt(p, off)
	} else if _, err = s.r.Seek(off, io.SeekStart); err == nil {
		if n, err = io.ReadFull(s.r, p); err == io.ErrUnexpectedEOF {
			err = io.EOF
		}
	}
	if err != nil && err != io.EOF && s.err == nil {
		s.err = err
	}
	return n, err
}

func (s *source) reader() *io.SectionReader { return io.NewSectionReader(s, 0, s.size) }

// refuse says in words why an image is refused. An error of the caller's reader
// is no fault of the image and is returned as it is.
func (s *source) refuse(k *kind, err error) error {
	var kept *cullet.Error
	switch {
	case s.err != nil:
		return fmt.Errorf("read the image: %w", s.err)
	case errors.As(err, &kept):
		return err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &cullet.Error{Code: cullet.Invalid, Err: err,
			Message: fmt.Sprintf("the image is truncated: its %s data ends too early", k.name)}
	case k.unsupported(err):
		return &cullet.Error{Code: cullet.Invalid, Err: err,
			Message: fmt.Sprintf("the image is a kind of %s that is not read here (%.100v); save it again as a plain jpeg or png", k.name, err)}
	}
	return &cullet.Error{Code: cullet.Invalid, Err: err,
		Message: fmt.Sprintf("the image is damaged: its %s data cannot be read (%.100v)", k.name, err)}
}

func hasPrefix(magic ...string) func([]byte) bool {
	return func(head []byte) bool {
		for _, m := range magic {
			if bytes.HasPrefix(head, []byte(m)) {
				return true
			}
		}
		return false
	}
}

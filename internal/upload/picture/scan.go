package picture

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// maxScans is the most scans of a progressive JPEG. Encoders make about ten; each
// costs a pass over all pixels, however few bytes it has.
const maxScans = 200

// maxChunks is the most chunks that are looked at; each costs a read.
const maxChunks = 1000

// maxExif is the most bytes of EXIF that are looked at.
const maxExif = 1 << 20

// scanJPEG walks from marker to marker up to the end of the image. What cameras
// append behind it is nobody's concern.
func scanJPEG(r *io.SectionReader) (found, error) {
	f := found{orientation: 1}
	br := bufio.NewReaderSize(r, 32<<10)
	if _, err := br.Discard(2); err != nil {
		return f, err
	}
	scans, exif := 0, false
	for {
		marker, err := nextMarker(br)
		if err != nil {
			return f, err
		}
		if marker == 0xd9 { // end of image
			return f, nil
		}
		if marker == 0x01 || marker >= 0xd0 && marker <= 0xd7 {
			continue // has no segment
		}
		segment, err := segmentOf(br, marker == 0xe1 && !exif || marker >= 0xc0 && marker <= 0xcf)
		switch {
		case err != nil:
			return f, err
		case marker == 0xe1 && bytes.HasPrefix(segment, []byte("Exif\x00\x00")):
			f.orientation, exif = orientationOf(bytes.NewReader(segment[6:])), true
		case marker == 0xc2 && len(segment) > 5:
			f.progressive, f.channels = true, int(segment[5])
		case (marker == 0xc0 || marker == 0xc1) && len(segment) > 5:
			f.channels = int(segment[5])
		case marker == 0xda:
			if scans++; scans > maxScans {
				return f, fmt.Errorf("it has more than %d scans", maxScans)
			}
		}
	}
}

// nextMarker skips to the next marker, over the coded data of a scan, in which a
// zero follows each 0xff that is none.
func nextMarker(br *bufio.Reader) (byte, error) {
	for {
		_, err := br.ReadSlice(0xff)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return 0, err
		}
		b, err := br.ReadByte()
		for b == 0xff && err == nil { // fill bytes
			b, err = br.ReadByte()
		}
		if err != nil || b != 0 {
			return b, err
		}
	}
}

// segmentOf passes a segment, and returns it where it is wanted.
func segmentOf(br *bufio.Reader, wanted bool) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(br, size[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(size[:])) - 2
	if n < 0 {
		return nil, errors.New("a segment is shorter than its own length")
	}
	if !wanted {
		_, err := br.Discard(n)
		return nil, err
	}
	segment := make([]byte, n) // at most 64 KB
	_, err := io.ReadFull(br, segment)
	return segment, err
}

// scanPNG looks for EXIF before the pixels. The decoder itself checks the rest,
// checksums and end included.
func scanPNG(r *io.SectionReader) (found, error) {
	f := found{orientation: 1}
	at := int64(8)
	for range maxChunks {
		var head [8]byte
		if _, err := r.ReadAt(head[:], at); err != nil {
			return f, err
		}
		n := int64(binary.BigEndian.Uint32(head[:4]))
		switch string(head[4:]) {
		case "eXIf":
			f.orientation = orientationOf(io.NewSectionReader(r, at+8, min(n, maxExif)))
			return f, nil
		case "IDAT", "IEND":
			return f, nil
		}
		at += 8 + n + 4
	}
	return f, fmt.Errorf("there are %d chunks before its pixels", maxChunks)
}

// scanGIF walks over all blocks: only the first frame is decoded, and a file
// that breaks off behind it is as truncated as any.
func scanGIF(r *io.SectionReader) (found, error) {
	f := found{orientation: 1}
	br := bufio.NewReaderSize(r, 32<<10)
	var head [13]byte
	if _, err := io.ReadFull(br, head[:]); err != nil {
		return f, err
	}
	if err := skipColors(br, head[10]); err != nil {
		return f, err
	}
	for {
		b, err := br.ReadByte()
		if err != nil {
			return f, err
		}
		switch b {
		case 0x3b: // trailer
			return f, nil
		case 0x21: // extension: its label, then blocks
			_, err = br.Discard(1)
		case 0x2c: // image: place and size, colours, size of a code, then blocks
			var frame [9]byte
			if _, err = io.ReadFull(br, frame[:]); err == nil {
				err = skipColors(br, frame[8])
			}
			if err == nil {
				_, err = br.Discard(1)
			}
		default:
			err = fmt.Errorf("there is no block of kind 0x%02x", b)
		}
		if err == nil {
			err = skipBlocks(br)
		}
		if err != nil {
			return f, err
		}
	}
}

func skipColors(br *bufio.Reader, flags byte) error {
	if flags&0x80 == 0 {
		return nil
	}
	_, err := br.Discard(3 << (flags&7 + 1))
	return err
}

func skipBlocks(br *bufio.Reader) error {
	for {
		n, err := br.ReadByte()
		if err != nil || n == 0 {
			return err
		}
		if _, err := br.Discard(int(n)); err != nil {
			return err
		}
	}
}

// scanWebP checks every chunk's length against the file before the decoder
// allocates what a length says, and finds EXIF and animations.
func scanWebP(r *io.SectionReader) (found, error) {
	f := found{orientation: 1}
	var head [8]byte
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return f, err
	}
	end := 8 + int64(binary.LittleEndian.Uint32(head[4:]))
	if end > r.Size() {
		return f, io.ErrUnexpectedEOF
	}
	at := int64(12)
	for range maxChunks {
		if at+8 > end {
			return f, nil
		}
		if _, err := r.ReadAt(head[:], at); err != nil {
			return f, err
		}
		n := int64(binary.LittleEndian.Uint32(head[4:]))
		if at+8+n > end {
			return f, errors.New("a chunk is longer than the file says it is")
		}
		switch string(head[:4]) {
		case "ANIM", "ANMF":
			return f, errAnimated
		case "EXIF":
			f.orientation = orientationOf(webpExif(io.NewSectionReader(r, at+8, min(n, maxExif))))
		}
		at += 8 + n + n%2
	}
	return f, fmt.Errorf("it has more than %d chunks", maxChunks)
}

// webpExif skips the six bytes that some writers leave before the EXIF header.
func webpExif(r *io.SectionReader) io.ReaderAt {
	var head [6]byte
	if _, err := r.ReadAt(head[:], 0); err == nil && string(head[:]) == "Exif\x00\x00" {
		return io.NewSectionReader(r, 6, r.Size()-6)
	}
	return r
}

func scanBMP(*io.SectionReader) (found, error) { return found{orientation: 1}, nil }

// scanTIFF looks at the first directory, which is that of the picture: for the
// orientation, whose form EXIF took over, and whether all it points at is there.
func scanTIFF(r *io.SectionReader) (found, error) {
	f, whole := found{orientation: orientationOf(r)}, true
	eachTag(r, func(t tag) bool {
		whole = t.end <= r.Size()
		return whole
	})
	if !whole {
		return f, io.ErrUnexpectedEOF
	}
	return f, nil
}

// orientationOf finds the orientation in a TIFF header, as EXIF has one. Whatever
// is wrong in there means "as stored": an image is not refused for a camera's bad
// note about it.
func orientationOf(r io.ReaderAt) int {
	orientation := 1
	eachTag(r, func(t tag) bool {
		if t.id != 0x0112 {
			return true
		}
		if t.short >= 1 && t.short <= 8 {
			orientation = int(t.short)
		}
		return false
	})
	return orientation
}

// tag is an entry of a TIFF directory.
type tag struct {
	id    uint16
	short uint16 // its value, 0 where it is not one of two bytes
	end   int64  // where its values end in the file, 0 where they are in the entry
}

// tagSizes are the bytes of a value, by type.
var tagSizes = [...]int64{0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8}

// eachTag calls fn for the entries of the first directory while it returns true,
// and ends where they cannot be read.
func eachTag(r io.ReaderAt, fn func(tag) bool) {
	var head [8]byte
	if n, _ := r.ReadAt(head[:], 0); n < len(head) {
		return
	}
	var order binary.ByteOrder = binary.LittleEndian
	switch string(head[:4]) {
	case "II*\x00":
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return
	}
	at := int64(order.Uint32(head[4:]))
	var count [2]byte
	if n, _ := r.ReadAt(count[:], at); n < len(count) {
		return
	}
	for i := range int64(min(order.Uint16(count[:]), maxChunks)) {
		var e [12]byte
		if n, _ := r.ReadAt(e[:], at+2+12*i); n < len(e) {
			return
		}
		t := tag{id: order.Uint16(e[:])}
		kind, values := order.Uint16(e[2:]), int64(order.Uint32(e[4:]))
		if kind == 3 && values == 1 {
			t.short = order.Uint16(e[8:])
		}
		if int(kind) < len(tagSizes) && tagSizes[kind]*values > 4 {
			t.end = int64(order.Uint32(e[8:])) + tagSizes[kind]*values
		}
		if !fn(t) {
			return
		}
	}
}

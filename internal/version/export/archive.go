package export

import (
	"bufio"
	"compress/flate"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"math"
	"time"
)

// archive writes a zip to a stream. archive/zip keeps every member's header in
// memory until the end, some 350 bytes each; here the directory is spooled. And
// every size and checksum is known before its header is written, so that readers
// that cannot seek understand the zip too.
//
// The form is PKWARE's APPNOTE 6.3.10, with the zip64 fields where a number
// needs them.
type archive struct {
	ctx        context.Context
	out        *bufio.Writer
	at         int64  // bytes written
	day, clock uint16 // of all members, as MS-DOS has them
	members    int64
	directory  spool
	packed     spool // the deflated text of one member
	deflate    *flate.Writer
	image      []byte // the bytes of one image
}

// The methods of a member.
const (
	store   = 0
	deflate = 8
)

// wholeImage is the largest image that is read once, in bytes; larger ones are
// read twice, first for their checksum.
const wholeImage = 8 << 20

func newArchive(ctx context.Context, w io.Writer, at time.Time, temp string) *archive {
	at = at.UTC()
	if at.Year() < 1980 || at.Year() > 2107 { // what the form can say
		at = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return &archive{
		ctx:       ctx,
		out:       bufio.NewWriterSize(w, 128<<10),
		day:       uint16(at.Day() | int(at.Month())<<5 | (at.Year()-1980)<<9),
		clock:     uint16(at.Second()/2 | at.Minute()<<5 | at.Hour()<<11),
		directory: spool{dir: temp},
		packed:    spool{dir: temp},
	}
}

func (a *archive) discard() {
	a.directory.close()
	a.packed.close()
}

// stored adds a member as it is.
func (a *archive) stored(name string, r io.ReadSeeker) error {
	n, err := a.fill(r)
	if err != nil {
		return err
	}
	if n < wholeImage {
		if err := a.header(name, store, crc32.ChecksumIEEE(a.image[:n]), int64(n), int64(n)); err != nil {
			return err
		}
		return a.write(a.image[:n])
	}
	return a.storedLarge(name, r)
}

// fill reads r into the image buffer, up to the whole of it.
func (a *archive) fill(r io.Reader) (n int, err error) {
	for n < wholeImage {
		if n == len(a.image) {
			a.image = append(a.image, make([]byte, min(wholeImage-n, max(256<<10, n)))...)
		}
		m, err := r.Read(a.image[n:])
		n += m
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (a *archive) storedLarge(name string, r io.ReadSeeker) error {
	sum, n, err := a.pass(r, io.Discard)
	if err != nil {
		return err
	}
	if err := a.header(name, store, sum, n, n); err != nil {
		return err
	}
	again, m, err := a.pass(r, a.out)
	a.at += m
	if err == nil && (again != sum || m != n) {
		err = errors.New("its bytes changed while they were read")
	}
	return err
}

// pass copies r from its beginning and sums it up.
func (a *archive) pass(r io.ReadSeeker, w io.Writer) (sum uint32, n int64, err error) {
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return 0, 0, err
	}
	for {
		if err := a.ctx.Err(); err != nil {
			return sum, n, err
		}
		m, err := r.Read(a.image)
		sum = crc32.Update(sum, crc32.IEEETable, a.image[:m])
		n += int64(m)
		if _, err := w.Write(a.image[:m]); err != nil {
			return sum, n, err
		}
		if err == io.EOF {
			return sum, n, nil
		}
		if err != nil {
			return sum, n, err
		}
	}
}

// text adds a deflated member with what write writes.
func (a *archive) text(name string, write func(io.Writer) error) error {
	if err := a.packed.reset(); err != nil {
		return err
	}
	if a.deflate == nil {
		a.deflate, _ = flate.NewWriter(&a.packed, flate.BestSpeed) // fails for unknown levels only
	} else {
		a.deflate.Reset(&a.packed)
	}
	c := &counter{ctx: a.ctx, w: a.deflate, sum: crc32.NewIEEE()}
	if err := write(c); err != nil {
		return err
	}
	if err := a.deflate.Close(); err != nil {
		return err
	}
	if err := a.header(name, deflate, c.sum.Sum32(), a.packed.n, c.n); err != nil {
		return err
	}
	n, err := a.packed.WriteTo(a.out)
	a.at += n
	return err
}

// counter sums up what passes it.
type counter struct {
	ctx context.Context
	w   io.Writer
	sum hash.Hash32
	n   int64
}

func (c *counter) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	c.sum.Write(p) // a hash never fails
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// The flags of each member: its name is UTF-8. The systems that made it: Unix,
// for the permissions.
const (
	flagUTF8    = 0x800
	versionOld  = 20
	versionBig  = 45 // zip64
	madeByUnix  = 3 << 8
	regularFile = 0o100644 << 16
)

// header writes what comes before a member's bytes, and notes the member for the
// directory.
func (a *archive) header(name string, method uint16, sum uint32, packed, size int64) error {
	if len(name) > math.MaxUint16 {
		return fmt.Errorf("the member name %.60q… is too long", name)
	}
	le := binary.LittleEndian
	var both, big []byte // the zip64 fields: of the header, of the directory
	packed32, size32, at32 := clamp(packed), clamp(size), clamp(a.at)
	if packed32 == math.MaxUint32 || size32 == math.MaxUint32 {
		packed32, size32 = math.MaxUint32, math.MaxUint32 // the header has both or none
		both = le.AppendUint64(le.AppendUint64(nil, uint64(size)), uint64(packed))
		big = both
	}
	if at32 == math.MaxUint32 {
		big = le.AppendUint64(big[:len(big):len(big)], uint64(a.at))
	}
	common := func(b []byte, extra []byte) []byte {
		version := uint16(versionOld)
		if len(big) > 0 {
			version = versionBig
		}
		b = le.AppendUint16(b, version)
		b = le.AppendUint16(b, flagUTF8)
		b = le.AppendUint16(b, method)
		b = le.AppendUint16(b, a.clock)
		b = le.AppendUint16(b, a.day)
		b = le.AppendUint32(b, sum)
		b = le.AppendUint32(b, packed32)
		b = le.AppendUint32(b, size32)
		b = le.AppendUint16(b, uint16(len(name)))
		return le.AppendUint16(b, uint16(len(extra)))
	}
	entry := le.AppendUint32(nil, 0x02014b50)
	entry = le.AppendUint16(entry, madeByUnix|versionBig)
	entry = common(entry, zip64(big))
	entry = le.AppendUint16(entry, 0) // comment
	entry = le.AppendUint16(entry, 0) // disk
	entry = le.AppendUint16(entry, 0) // internal attributes
	entry = le.AppendUint32(entry, regularFile)
	entry = le.AppendUint32(entry, at32)
	entry = append(append(entry, name...), zip64(big)...)
	if _, err := a.directory.Write(entry); err != nil {
		return err
	}
	a.members++
	local := common(le.AppendUint32(nil, 0x04034b50), zip64(both))
	return a.write(append(append(local, name...), zip64(both)...))
}

// zip64 is the extra field for numbers of 64 bits, or nothing where there are none.
func zip64(fields []byte) []byte {
	if len(fields) == 0 {
		return nil
	}
	b := binary.LittleEndian.AppendUint16([]byte{1, 0}, uint16(len(fields)))
	return append(b, fields...)
}

// clamp is n, or all ones: "see the zip64 field".
func clamp(n int64) uint32 { return uint32(min(n, math.MaxUint32)) }

// close writes the directory and the end.
func (a *archive) close() error {
	le := binary.LittleEndian
	start, size, members := a.at, a.directory.n, a.members
	n, err := a.directory.WriteTo(a.out)
	a.at += n
	if err != nil {
		return err
	}
	var end []byte
	if members >= math.MaxUint16 || size >= math.MaxUint32 || start >= math.MaxUint32 {
		end = le.AppendUint32(end, 0x06064b50)
		end = le.AppendUint64(end, 44) // bytes that follow
		end = le.AppendUint16(end, madeByUnix|versionBig)
		end = le.AppendUint16(end, versionBig)
		end = le.AppendUint64(end, 0) // this disk, the directory's disk
		for _, v := range []int64{members, members, size, start} {
			end = le.AppendUint64(end, uint64(v))
		}
		end = le.AppendUint32(end, 0x07064b50)
		end = le.AppendUint32(end, 0)
		end = le.AppendUint64(end, uint64(start+size)) // where the record above is
		end = le.AppendUint32(end, 1)
	}
	end = le.AppendUint32(end, 0x06054b50)
	end = le.AppendUint32(end, 0) // this disk, the directory's disk
	for range 2 {
		end = le.AppendUint16(end, uint16(min(members, math.MaxUint16)))
	}
	end = le.AppendUint32(end, clamp(size))
	end = le.AppendUint32(end, clamp(start))
	end = le.AppendUint16(end, 0) // comment
	if err := a.write(end); err != nil {
		return err
	}
	return a.out.Flush()
}

func (a *archive) write(p []byte) error {
	n, err := a.out.Write(p)
	a.at += int64(n)
	return err
}

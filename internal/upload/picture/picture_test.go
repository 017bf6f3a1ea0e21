package picture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"github.com/cullet-vision/cullet"
)

// corners is a picture with a colour in each quarter.
func corners(w, h int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.NRGBA{220, 20, 20, 255} // red, upper left
			switch {
			case y < h/2 && x >= w/2:
				c = color.NRGBA{20, 200, 20, 255} // green, upper right
			case y >= h/2 && x < w/2:
				c = color.NRGBA{20, 20, 220, 255} // blue, lower left
			case y >= h/2:
				c = color.NRGBA{250, 250, 250, 255} // white, lower right
			}
			m.SetNRGBA(x, y, c)
		}
	}
	return m
}

func encoded(t testing.TB, format string, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	var err error
	switch format {
	case "jpeg":
		err = jpeg.Encode(&b, m, &jpeg.Options{Quality: 90})
	case "png":
		err = png.Encode(&b, m)
	case "gif":
		err = gif.Encode(&b, m, nil)
	case "bmp":
		err = bmp.Encode(&b, m)
	case "tiff":
		err = tiff.Encode(&b, m, &tiff.Options{Compression: tiff.Deflate, Predictor: true})
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRead(t *testing.T) {
	t.Parallel()
	type row struct {
		name string
		data []byte
		want Picture
	}
	rows := []row{ // written by Pillow, 48 x 32 as stored
		{"exif6.jpg", nil, Picture{"jpeg", 32, 48, 6}},
		{"progressive.jpg", nil, Picture{"jpeg", 48, 32, 1}},
		{"cmyk.jpg", nil, Picture{"jpeg", 48, 32, 1}},
		{"exif3.png", nil, Picture{"png", 48, 32, 3}},
		{"interlaced.gif", nil, Picture{"gif", 48, 32, 1}},
		{"animated.gif", nil, Picture{"gif", 48, 32, 1}},
		{"lossy.webp", nil, Picture{"webp", 48, 32, 1}},
		{"lossless.webp", nil, Picture{"webp", 48, 32, 1}},
		{"alpha.webp", nil, Picture{"webp", 48, 32, 1}},
		{"exif8.webp", nil, Picture{"webp", 32, 48, 8}},
		{"lzw.tiff", nil, Picture{"tiff", 32, 48, 6}},
	}
	for i := range rows {
		rows[i].data = testdata(t, rows[i].name)
	}
	for _, format := range []string{"jpeg", "png", "gif", "bmp", "tiff"} {
		for _, size := range []image.Point{{1, 1}, {1, 300}, {300, 1}, {64, 48}} {
			rows = append(rows, row{format, encoded(t, format, corners(size.X, size.Y)), Picture{format, size.X, size.Y, 1}})
		}
	}
	for _, r := range rows {
		got, thumb, err := Read(t.Context(), bytes.NewReader(r.data), Limits{}, 40)
		if err != nil || got != r.want {
			t.Errorf("%s: Read = %+v, %v, want %+v", r.name, got, err, r.want)
			continue
		}
		c, err := jpeg.DecodeConfig(bytes.NewReader(thumb))
		w, h := fit(got.Width, got.Height, 40)
		if err != nil || c.Width != w || c.Height != h {
			t.Errorf("%s: thumbnail of %d x %d, %v, want %d x %d", r.name, c.Width, c.Height, err, w, h)
		}
		// The same through a reader that can only read and seek.
		if got, err := Inspect(struct{ io.ReadSeeker }{bytes.NewReader(r.data)}, Limits{}); err != nil || got != r.want {
			t.Errorf("%s: Inspect of a plain reader = %+v, %v", r.name, got, err)
		}
	}
}

// A camera on its side writes a picture that lies, and a note. The picture's size
// is that of what people see and draw boxes on.
func TestOrientation(t *testing.T) {
	t.Parallel()
	plain := encoded(t, "jpeg", corners(64, 32))
	for orientation, want := range map[int]string{ // upper left, upper right, lower left, lower right
		0: "RGBW", 1: "RGBW", 2: "GRWB", 3: "WBGR", 4: "BWRG", 5: "RBGW", 6: "BRWG", 7: "WGBR", 8: "GWRB", 9: "RGBW",
	} {
		for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			data := withExif(plain, exif(order, uint16(orientation)))
			p, thumb, err := Read(t.Context(), bytes.NewReader(data), Limits{}, 64)
			if err != nil {
				t.Fatal(err)
			}
			wantW, wantH := 64, 32
			if orientation >= 5 && orientation <= 8 {
				wantW, wantH = 32, 64
			}
			if p.Width != wantW || p.Height != wantH {
				t.Errorf("orientation %d: %d x %d, want %d x %d", orientation, p.Width, p.Height, wantW, wantH)
			}
			m, err := jpeg.Decode(bytes.NewReader(thumb))
			if err != nil {
				t.Fatal(err)
			}
			w, h := m.Bounds().Dx(), m.Bounds().Dy()
			got := colorAt(m, w/4, h/4) + colorAt(m, w*3/4, h/4) + colorAt(m, w/4, h*3/4) + colorAt(m, w*3/4, h*3/4)
			if got != want || w != wantW || h != wantH {
				t.Errorf("orientation %d: thumbnail %d x %d shows %s, want %s", orientation, w, h, got, want)
			}
		}
	}
}

func colorAt(m image.Image, x, y int) string {
	r, g, b, _ := m.At(x, y).RGBA()
	switch {
	case r > 0xb000 && g > 0xb000 && b > 0xb000:
		return "W"
	case r > g && r > b:
		return "R"
	case g > b:
		return "G"
	}
	return "B"
}

// exif makes a directory with a tag before the one that counts.
func exif(order binary.AppendByteOrder, orientation uint16) []byte {
	b := []byte("II*\x00")
	if order == binary.AppendByteOrder(binary.BigEndian) {
		b = []byte("MM\x00*")
	}
	b = order.AppendUint32(b, 10)
	b = append(b, "xx"...)
	b = order.AppendUint16(b, 2)
	for _, tag := range [][2]uint16{{0x0100, 7}, {0x0112, orientation}} {
		b = order.AppendUint16(b, tag[0])
		b = order.AppendUint16(b, 3)
		b = order.AppendUint32(b, 1)
		b = order.AppendUint16(b, tag[1])
		b = order.AppendUint16(b, 0)
	}
	return order.AppendUint32(b, 0)
}

func withExif(jpg, exif []byte) []byte {
	segment := append([]byte("Exif\x00\x00"), exif...)
	head := binary.BigEndian.AppendUint16([]byte{0xff, 0xd8, 0xff, 0xe1}, uint16(len(segment)+2))
	return append(append(head, segment...), jpg[2:]...)
}

// Whatever a camera wrote into its note, the image itself is good.
func TestBadExif(t *testing.T) {
	t.Parallel()
	plain, good := encoded(t, "jpeg", corners(8, 4)), exif(binary.LittleEndian, 6)
	for n := range good {
		cut := good[:n]
		if p, err := Inspect(bytes.NewReader(withExif(plain, cut)), Limits{}); err != nil || p.Orientation != 1 && n < len(good)-4 {
			t.Errorf("EXIF cut after %d bytes: %+v, %v, want it as stored", n, p, err)
		}
	}
	far := bytes.Clone(good)
	binary.LittleEndian.PutUint32(far[4:], 0xfffffff0)
	if p, err := Inspect(bytes.NewReader(withExif(plain, far)), Limits{}); err != nil || p.Orientation != 1 {
		t.Errorf("EXIF with its directory far away: %+v, %v", p, err)
	}
}

// Every file that lacks its end is refused, wherever it was cut.
func TestTruncated(t *testing.T) {
	t.Parallel()
	files := map[string][]byte{}
	for _, format := range []string{"jpeg", "png", "gif", "bmp", "tiff"} {
		files[format] = encoded(t, format, corners(24, 18))
	}
	for _, name := range []string{"progressive.jpg", "cmyk.jpg", "interlaced.gif", "animated.gif",
		"lossy.webp", "lossless.webp", "alpha.webp", "exif8.webp", "lzw.tiff"} {
		files[name] = testdata(t, name)
	}
	for name, data := range files {
		for n := range data {
			_, err := Inspect(bytes.NewReader(data[:n]), Limits{})
			if cullet.CodeOf(err) != cullet.Invalid {
				t.Errorf("%s: the first %d of %d bytes: %v, want invalid", name, n, len(data), err)
				break
			}
			if n == len(data)-1 && !strings.Contains(cullet.MessageOf(err), "truncated") {
				t.Errorf("%s without its last byte: %q, want it to say truncated", name, cullet.MessageOf(err))
			}
		}
	}
}

func TestNoImage(t *testing.T) {
	t.Parallel()
	heic := []byte("\x00\x00\x00\x1cftypheic\x00\x00\x00\x00mif1heic")
	avif := testdata(t, "x.avif")
	for name, r := range map[string]struct {
		data []byte
		says string
	}{
		"empty":         {nil, "empty"},
		"text":          {[]byte("this is text"), "is no image"},
		"html":          {[]byte("<html><img></html>"), "is no image"},
		"pdf":           {[]byte("%PDF-1.7 ..."), "is no image"},
		"video":         {[]byte("\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"), "is no image"},
		"heic":          {heic, "heic and avif images are not read here; send the image as one of [jpeg png gif webp bmp tiff]"},
		"avif":          {avif, "heic and avif"},
		"animated webp": {testdata(t, "animated.webp"), "animation"},
		"png of zeros":  {append([]byte("\x89PNG\r\n\x1a\n"), make([]byte, 100)...), "png data"},
		"no scan":       {[]byte("\xff\xd8\xff\xd9"), "jpeg data"},
	} {
		_, err := Inspect(bytes.NewReader(r.data), Limits{})
		if cullet.CodeOf(err) != cullet.Invalid || !strings.Contains(cullet.MessageOf(err), r.says) {
			t.Errorf("%s: %v, want invalid with %q", name, err, r.says)
		}
	}
}

// Bombs are refused by their header: a few bytes that would be gigabytes.
func TestBombs(t *testing.T) {
	t.Parallel()
	pngHead := func(w, h uint32) []byte {
		b := []byte("IHDR")
		b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, w), h)
		b = append(b, 8, 6, 0, 0, 0)
		out := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), b...)
		out = binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(b))
		return append(out, "\x00\x00\x00\x00IDAT\x35\xaf\x06\x1e"...)
	}
	bmpHead := encoded(t, "bmp", corners(2, 2))
	binary.LittleEndian.PutUint32(bmpHead[18:], 30_000)
	binary.LittleEndian.PutUint32(bmpHead[22:], 30_000)
	jpegHead := encoded(t, "jpeg", corners(2, 2))
	sof := bytes.Index(jpegHead, []byte{0xff, 0xc0})
	binary.BigEndian.PutUint16(jpegHead[sof+5:], 0xffff)
	binary.BigEndian.PutUint16(jpegHead[sof+7:], 0xffff)
	progressive := testdata(t, "progressive.jpg") // 90 MP are within the pixels, but 1.35 GB to read
	sof = bytes.Index(progressive, []byte{0xff, 0xc2})
	binary.BigEndian.PutUint16(progressive[sof+5:], 9_000)
	binary.BigEndian.PutUint16(progressive[sof+7:], 10_000)
	gifHead := append([]byte("GIF89a\xff\xff\xff\xff\x00\x00\x00"), 0x3b)
	vp8l := []byte("RIFF\x16\x00\x00\x00WEBPVP8L\x0a\x00\x00\x00\x2f\xff\xff\xff\x0f\x00\x00\x00\x00\x00")
	tiffHead := encoded(t, "tiff", corners(3, 3))
	for i := len(tiffHead) - 12; i > 0; i-- { // the width's and height's entries, at the end of the file
		if tag := binary.LittleEndian.Uint16(tiffHead[i:]); (tag == 0x100 || tag == 0x101) && tiffHead[i+3] == 0 && tiffHead[i+4] == 1 {
			binary.LittleEndian.PutUint16(tiffHead[i+8:], 60_000)
		}
	}
	for name, data := range map[string][]byte{
		"png": pngHead(50_000, 50_000), "png wide": pngHead(1<<31-1, 1), "png of 101 MP": pngHead(10_100, 10_000),
		"bmp": bmpHead, "jpeg": jpegHead, "progressive": progressive, "gif": gifHead, "webp": vp8l, "tiff": tiffHead,
	} {
		_, err := Inspect(bytes.NewReader(data), Limits{})
		if cullet.CodeOf(err) != cullet.TooLarge {
			t.Errorf("%s: %v, want too_large", name, err)
		}
	}
	if _, err := Inspect(bytes.NewReader(encoded(t, "png", corners(20, 10))), Limits{Pixels: 199}); cullet.CodeOf(err) != cullet.TooLarge {
		t.Errorf("200 pixels where 199 are the most: %v", err)
	}
	if _, err := Inspect(bytes.NewReader(encoded(t, "png", corners(20, 10))), Limits{Pixels: 200, Edge: 20}); err != nil {
		t.Errorf("200 pixels where 200 are the most: %v", err)
	}
	if _, err := Inspect(bytes.NewReader(encoded(t, "png", corners(20, 10))), Limits{Edge: 19}); cullet.CodeOf(err) != cullet.TooLarge {
		t.Errorf("a side of 20 where 19 is the most: %v", err)
	}
	// A chunk that claims two gigabytes would be allocated by the decoder.
	huge := testdata(t, "lossy.webp")
	binary.LittleEndian.PutUint32(huge[16:], 0x7fffffff)
	if _, err := Inspect(bytes.NewReader(huge), Limits{}); cullet.CodeOf(err) != cullet.Invalid {
		t.Errorf("a chunk of 2 GB: %v, want invalid", err)
	}
	// Thousands of scans that do nothing cost a pass each.
	one := testdata(t, "progressive.jpg")
	scan := []byte{0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 0}
	many := append(bytes.Clone(one[:len(one)-2]), bytes.Repeat(scan, 300)...)
	if _, err := Inspect(bytes.NewReader(append(many, 0xff, 0xd9)), Limits{}); cullet.CodeOf(err) != cullet.Invalid || !strings.Contains(err.Error(), "scans") {
		t.Errorf("300 scans: %v, want invalid", err)
	}
}

// Damage in the middle is found, or harmless, and never more than a refusal.
func TestDamaged(t *testing.T) {
	t.Parallel()
	refused := 0
	for _, format := range []string{"jpeg", "png", "gif", "bmp", "tiff", "lossy.webp", "lossless.webp", "progressive.jpg"} {
		data := []byte(nil)
		if strings.Contains(format, ".") {
			data = testdata(t, format)
		} else {
			data = encoded(t, format, corners(16, 12))
		}
		for i := range data {
			bad := bytes.Clone(data)
			bad[i] ^= 0xff
			if _, err := Inspect(bytes.NewReader(bad), Limits{Pixels: 1 << 16}); err != nil {
				refused++
				if code := cullet.CodeOf(err); code != cullet.Invalid && code != cullet.TooLarge {
					t.Errorf("%s with byte %d turned: %v", format, i, err)
				}
			}
		}
	}
	if refused < 500 {
		t.Errorf("only %d damaged files were refused", refused)
	}
}

// A disk that fails is no fault of the image, and a decoder's panic is.
func TestReaderFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is dead")
	data := encoded(t, "png", corners(100, 100))
	for _, after := range []int64{0, 20, 60} {
		r := io.MultiReader(io.LimitReader(bytes.NewReader(data), after), iotest.ErrReader(broken))
		_, err := Inspect(&seekless{r: r, size: int64(len(data))}, Limits{})
		if !errors.Is(err, broken) || cullet.CodeOf(err) != cullet.Internal {
			t.Errorf("the reader fails after %d bytes: %v, want its own error", after, err)
		}
	}
	panics := struct {
		io.ReadSeeker
		io.ReaderAt
	}{bytes.NewReader(data), readerAtFunc(func(p []byte, off int64) (int, error) {
		if off > 45 { // behind the header: the pixels are being decoded
			panic("index out of range")
		}
		return bytes.NewReader(data).ReadAt(p, off)
	})}
	if _, err := Inspect(panics, Limits{}); cullet.CodeOf(err) != cullet.Invalid {
		t.Errorf("a panic while decoding: %v, want invalid", err)
	}
	if len(decodes.turn) != 0 {
		t.Error("the panic left the gate shut")
	}
}

// seekless reads on wherever it is told to seek, which is enough to fail late.
type seekless struct {
	r    io.Reader
	size int64
}

func (s *seekless) Read(p []byte) (int, error) { return s.r.Read(p) }
func (s *seekless) Seek(int64, int) (int64, error) {
	return s.size, nil
}

type readerAtFunc func([]byte, int64) (int, error)

func (f readerAtFunc) ReadAt(p []byte, off int64) (int, error) { return f(p, off) }

func TestGate(t *testing.T) {
	t.Parallel()
	g := newGate(4)
	leave, err := g.enter(t.Context(), 100*gateUnit) // larger than all: takes all
	if err != nil || len(g.units) != 4 {
		t.Fatalf("enter = %v with %d units taken, want all 4", err, len(g.units))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.enter(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("enter of a full gate = %v, want cancelled", err)
	}
	leave()
	leave, err = g.enter(t.Context(), gateUnit) // two units
	if err != nil || len(g.units) != 2 {
		t.Fatalf("enter = %v with %d units taken, want 2", err, len(g.units))
	}
	done := make(chan func())
	go func() {
		leave, _ := g.enter(t.Context(), 3*gateUnit) // four: waits for the two
		done <- leave
	}()
	leave()
	(<-done)()
	if len(g.units) != 0 || len(g.turn) != 0 {
		t.Errorf("%d units are still taken", len(g.units))
	}
}

// A transparent picture's thumbnail is on white, not on black.
func TestThumbnailOnWhite(t *testing.T) {
	t.Parallel()
	for _, size := range []int{20, 100, 1000} {
		thumb, err := Thumbnail(bytes.NewReader(encoded(t, "png", image.NewNRGBA(image.Rect(0, 0, size, size)))), 50)
		if err != nil {
			t.Fatal(err)
		}
		m, err := jpeg.Decode(bytes.NewReader(thumb))
		if err != nil || colorAt(m, 5, 5) != "W" {
			t.Errorf("size %d: %v, at 5,5 %v", size, err, m.At(5, 5))
		}
	}
}

func FuzzRead(f *testing.F) {
	entries, err := os.ReadDir("testdata")
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			f.Add(testdata(f, e.Name()))
		}
	}
	for _, format := range []string{"jpeg", "png", "gif", "bmp", "tiff"} {
		f.Add(encoded(f, format, corners(8, 6)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, thumb, err := Read(t.Context(), bytes.NewReader(data), Limits{Pixels: 1 << 16, Edge: 4096}, 32)
		switch code := cullet.CodeOf(err); {
		case code == cullet.Invalid || code == cullet.TooLarge:
			return
		case err != nil:
			t.Fatalf("%v is no refusal", err)
		}
		if p.Width < 1 || p.Height < 1 || p.Width*p.Height > 1<<16 || p.Orientation < 1 || p.Orientation > 8 {
			t.Errorf("accepted as %+v", p)
		}
		if _, err := jpeg.Decode(bytes.NewReader(thumb)); err != nil {
			t.Errorf("its thumbnail: %v", err)
		}
	})
}

func FuzzOrientation(f *testing.F) {
	f.Add(exif(binary.LittleEndian, 6))
	f.Add(exif(binary.BigEndian, 3))
	f.Fuzz(func(t *testing.T, data []byte) {
		if o := orientationOf(bytes.NewReader(data)); o < 1 || o > 8 {
			t.Errorf("orientation %d", o)
		}
	})
}

func BenchmarkRead12MP(b *testing.B) {
	data := encoded(b, "jpeg", corners(4000, 3000))
	for b.Loop() {
		if _, _, err := Read(b.Context(), bytes.NewReader(data), Limits{}, 400); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead640x480(b *testing.B) {
	data := encoded(b, "jpeg", corners(640, 480))
	for b.Loop() {
		if _, _, err := Read(b.Context(), bytes.NewReader(data), Limits{}, 400); err != nil {
			b.Fatal(err)
		}
	}
}

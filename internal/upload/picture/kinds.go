package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/bmp"
	"golang.org/x/image/draw"
	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"
)

// kind is a format that is read. Formats are named here and nowhere else; the
// registry of package image would also take what other packages register.
type kind struct {
	name   string
	is     func(head []byte) bool
	scan   func(*io.SectionReader) (found, error) // walks the file without decoding it
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
}

// found is what a walk through a file tells.
type found struct {
	orientation int // 1 to 8
	progressive bool
	channels    int // of a JPEG
}

var kinds = []kind{
	{"jpeg", hasPrefix("\xff\xd8"), scanJPEG, jpeg.DecodeConfig, jpeg.Decode},
	{"png", hasPrefix("\x89PNG\r\n\x1a\n"), scanPNG, png.DecodeConfig, png.Decode},
	{"gif", hasPrefix("GIF87a", "GIF89a"), scanGIF, gif.DecodeConfig, decodeGIF},
	{"webp", isWebP, scanWebP, webp.DecodeConfig, webp.Decode},
	{"bmp", hasPrefix("BM"), scanBMP, bmp.DecodeConfig, bmp.Decode},
	{"tiff", hasPrefix("II*\x00", "MM\x00*"), scanTIFF, tiff.DecodeConfig, tiff.Decode},
}

func isWebP(head []byte) bool {
	return len(head) >= 12 && string(head[:4]) == "RIFF" && string(head[8:12]) == "WEBP"
}

// decodeGIF puts the first frame where it belongs on the canvas, which may be
// larger.
func decodeGIF(r io.Reader) (image.Image, error) {
	var head [10]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	canvas := image.Rect(0, 0, int(binary.LittleEndian.Uint16(head[6:])), int(binary.LittleEndian.Uint16(head[8:])))
	frame, err := gif.Decode(io.MultiReader(bytes.NewReader(head[:]), r))
	if err != nil || frame.Bounds() == canvas {
		return frame, err
	}
	m := image.NewRGBA(canvas)
	draw.Draw(m, frame.Bounds(), frame, frame.Bounds().Min, draw.Src)
	return m, nil
}

// errAnimated is what the WebP decoder cannot do.
var errAnimated = errors.New("an animation")

// unsupported says whether err means that the file is right, but of a kind that
// its decoder does not know.
func (k *kind) unsupported(err error) bool {
	var (
		j jpeg.UnsupportedError
		p png.UnsupportedError
		t tiff.UnsupportedError
	)
	return errors.As(err, &j) || errors.As(err, &p) || errors.As(err, &t) ||
		errors.Is(err, bmp.ErrUnsupported) || errors.Is(err, errAnimated)
}

// bytesPerPixel is about what a decode holds at its peak; never too little by
// much, since it is what keeps many at once within memory.
func (k *kind) bytesPerPixel(c image.Config, f found) int64 {
	if k.name == "jpeg" {
		n := int64(max(1, f.channels))
		if f.progressive {
			n *= 5 // a coefficient of four bytes beside each sample
		}
		return n
	}
	n := int64(4)
	switch c.ColorModel {
	case color.RGBA64Model, color.NRGBA64Model:
		n = 8
	case color.Gray16Model:
		n = 2
	case color.GrayModel:
		n = 1
	}
	if _, ok := c.ColorModel.(color.Palette); ok {
		n = 1
	}
	switch k.name {
	case "png":
		return n + (n+1)/2 // the last pass of an interlaced one is half of it again
	case "gif":
		return n + 4 // the canvas below its first frame
	case "webp", "tiff":
		return 2 * n // transforms; a strip that is the whole image
	}
	return n
}

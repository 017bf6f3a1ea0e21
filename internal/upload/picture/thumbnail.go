package picture

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/jpeg"

	"golang.org/x/image/draw"
)

// thumbnail draws m as shown, on white, at most edge pixels wide and high.
func thumbnail(m image.Image, orientation, edge int) ([]byte, error) {
	b := m.Bounds()
	w, h := fit(b.Dx(), b.Dy(), edge)
	// A good filter over all of a large image takes memory and seconds. Four
	// samples a side for each pixel of the thumbnail are as good to the eye.
	if 4*w < b.Dx() && 4*h < b.Dy() {
		rough := image.NewRGBA(image.Rect(0, 0, 4*w, 4*h))
		draw.ApproxBiLinear.Scale(rough, rough.Bounds(), m, b, draw.Src, nil)
		m, b = rough, rough.Bounds()
	}
	small := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(small, small.Bounds(), image.White, image.Point{}, draw.Src)
	if w == b.Dx() && h == b.Dy() {
		draw.Draw(small, small.Bounds(), m, b.Min, draw.Over)
	} else {
		draw.BiLinear.Scale(small, small.Bounds(), m, b, draw.Over, nil)
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, oriented(small, orientation), &jpeg.Options{Quality: 82}); err != nil {
		return nil, fmt.Errorf("encode the thumbnail: %w", err)
	}
	return out.Bytes(), nil
}

// fit scales down to the edge, keeping the form; no side becomes nothing.
func fit(w, h, edge int) (int, int) {
	long := max(w, h)
	if long <= edge {
		return w, h
	}
	scale := func(n int) int { return max(1, int((int64(n)*int64(edge)+int64(long)/2)/int64(long))) }
	return scale(w), scale(h)
}

// oriented turns and mirrors a picture as EXIF says (1 to 8), so that it stands
// as it was seen.
func oriented(m *image.RGBA, orientation int) *image.RGBA {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	if orientation >= 5 {
		w, h = h, w
	}
	if orientation <= 1 || orientation > 8 {
		return m
	}
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			var fx, fy int // where the pixel comes from
			switch orientation {
			case 2:
				fx, fy = w-1-x, y
			case 3:
				fx, fy = w-1-x, h-1-y
			case 4:
				fx, fy = x, h-1-y
			case 5:
				fx, fy = y, x
			case 6:
				fx, fy = y, w-1-x
			case 7:
				fx, fy = h-1-y, w-1-x
			case 8:
				fx, fy = h-1-y, x
			}
			copy(out.Pix[out.PixOffset(x, y):][:4], m.Pix[m.PixOffset(fx, fy):][:4])
		}
	}
	return out
}

// gate lets as many decodes in as fit into its memory together, in the order in
// which they came: one at a time takes its units, so that no two wait for each
// other's.
type gate struct {
	turn  chan struct{}
	units chan struct{}
}

// gateUnit is what one unit stands for, in bytes.
const gateUnit = 4 << 20

// decodes bounds all decodes of the process: 256 MB, or one that is larger.
var decodes = newGate(64)

func newGate(units int) gate {
	return gate{turn: make(chan struct{}, 1), units: make(chan struct{}, units)}
}

func (g gate) enter(ctx context.Context, memory int64) (leave func(), err error) {
	want := int(min(int64(cap(g.units)), 1+memory/gateUnit))
	select {
	case g.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-g.turn }()
	for have := range want {
		select {
		case g.units <- struct{}{}:
		case <-ctx.Done():
			g.leave(have)
			return nil, ctx.Err()
		}
	}
	return func() { g.leave(want) }, nil
}

func (g gate) leave(n int) {
	for range n {
		<-g.units
	}
}

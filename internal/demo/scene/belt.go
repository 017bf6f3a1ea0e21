package scene

import (
	"math"
	"math/rand/v2"
)

// belt is the ground: rubber with ribs across, between two steel rails.
type belt struct {
	top, bottom float64 // the inner edges of the rails
	colour      rgb
	rib         float64 // from one rib to the next, in pixels
	phase       float64
	wear        float64
}

func newBelt(r *rand.Rand) belt {
	colours := []rgb{{0.24, 0.27, 0.28}, {0.18, 0.27, 0.25}, {0.21, 0.25, 0.33}, {0.33, 0.31, 0.28}, {0.42, 0.44, 0.45}}
	return belt{
		top:    between(r, 14, 44),
		bottom: Height - between(r, 14, 44),
		colour: colours[r.IntN(len(colours))].times(between(r, 0.9, 1.25)),
		rib:    between(r, 90, 170),
		phase:  r.Float64(),
		wear:   between(r, 0.10, 0.28),
	}
}

func (b belt) draw(r *rand.Rand, l light) *canvas {
	c := &canvas{make([]rgb, Width*Height)}
	ox, oy := r.IntN(256), r.IntN(256)
	wear, surface := clouds(), rubber()
	var ribs, side [Width]float64
	for x := range Width {
		ribs[x] = b.ribs(float64(x), l)
		side[x] = 1.12 - 0.5*square((float64(x)-l.pool.x)/Width)
	}
	for y := range Height {
		fy := float64(y)
		up := 0.5 * square((fy-l.pool.y)/Height)
		if fy < b.top || fy > b.bottom {
			for x := range Width {
				*c.at(x, y) = b.rail(x, y, ox).times(side[x] - up)
			}
			continue
		}
		// The rails keep the light from what is next to them.
		near := 0.72 + 0.28*ease(0, 26, math.Min(fy-b.top, b.bottom-fy))
		for x := range Width {
			v := 1 + b.wear*2*(wear.at(x+ox, y+oy)-0.5) + surface.at(x+oy, y+ox)
			*c.at(x, y) = b.colour.times(v * (side[x] - up) * ribs[x] * near)
		}
	}
	b.dirt(r, c)
	return c
}

func square(v float64) float64 { return v * v }

// ribs is how a rib takes the light: one flank bright, the other dark.
func (b belt) ribs(x float64, l light) float64 {
	t := math.Mod(x/b.rib+b.phase, 1) * b.rib
	switch {
	case t < 3:
		return 1 + 0.35*(0.4-l.from.x)
	case t < 7:
		return 1.10
	case t < 11:
		return 1 - 0.30*(0.6-l.from.x*0.5)
	}
	return 1
}

// rail is brushed steel with a rounded edge.
func (b belt) rail(x, y, ox int) rgb {
	d := b.top - float64(y)
	if float64(y) > b.bottom {
		d = float64(y) - b.bottom
	}
	v := 0.50 + 0.10*(clouds().at(x/6+ox, y*9)-0.5) + 0.05*(grain().at(x/9, y)-0.5)
	v += 0.22*math.Exp(-square((d-6)/3)) - 0.30*math.Exp(-d/1.5) // the edge
	return grey(v).through(rgb{0.97, 1, 1.02})
}

// dirt is dust of glass, crumbs and scratches; nothing that a person would box.
func (b belt) dirt(r *rand.Rand, c *canvas) {
	for range 160 + r.IntN(240) {
		x, y := r.IntN(Width), int(b.top)+2+r.IntN(int(b.bottom-b.top)-4)
		p := c.at(x, y)
		if r.IntN(3) == 0 {
			*p = p.plus(glasses[r.IntN(len(glasses))].tint.times(between(r, 0.1, 0.5)))
		} else {
			*p = p.times(between(r, 0.5, 1.5))
		}
	}
	for range 3 + r.IntN(8) {
		at, n := point{r.Float64() * Width, between(r, b.top, b.bottom)}, between(r, 20, 140)
		a, bright := between(r, -0.25, 0.25), between(r, -0.18, 0.25)
		for i := range int(n) {
			q := at.plus(point{math.Cos(a), math.Sin(a)}.times(float64(i)))
			if x, y := int(q.x), int(q.y); x >= 0 && x < Width && q.y > b.top+1 && q.y < b.bottom-1 {
				p := c.at(x, y)
				*p = p.times(1 + bright*math.Sin(math.Pi*float64(i)/n))
			}
		}
	}
}

// castShadow darkens the ground beside a thing, and colours it with the light
// that comes through the glass and gathers behind it.
func castShadow(c *canvas, t thing, f *field, l light) {
	tint := t.made().tint
	through := tint.times(0.75)
	off := func(far float64) (dx, dy int) {
		return int(math.Round(l.from.x * far)), int(math.Round(l.from.y * far))
	}
	sx, sy := off(9)
	tx, ty := off(2)
	gx, gy := off(14)
	f.each(func(x, y int, _ float64) {
		shadow, touch := f.at(x+sx, y+sy), f.at(x+tx, y+ty)
		if shadow < -13 && touch < -6 {
			return
		}
		soft := ease(-13, 9, shadow)
		gathered := soft * ease(2, 12, f.at(x+gx, y+gy)) * 0.5
		shade := grey(1).mixed(through, 0.75*soft)
		px := c.at(x, y)
		*px = px.through(shade).times(1 - 0.45*ease(-6, 2, touch)).plus(tint.times(0.13 * gathered))
	})
}

// field is how far within a thing each pixel around it is (thing.inside), worked
// out once: shadows ask for it three times a pixel.
type field struct {
	x0, y0, w, h int
	d            []float32
}

// margin is how far around a thing its shadow reaches, in pixels.
const margin = 26

func fieldOf(t thing) *field {
	left, top, right, bottom := bounds(t)
	f := &field{x0: int(left) - margin, y0: int(top) - margin}
	f.w, f.h = int(right)+margin-f.x0+1, int(bottom)+margin-f.y0+1
	f.d = make([]float32, f.w*f.h)
	for i := range f.d {
		f.d[i] = float32(t.inside(middle(f.x0+i%f.w, f.y0+i/f.w)))
	}
	return f
}

// middle is that of a pixel.
func middle(x, y int) point { return point{float64(x) + 0.5, float64(y) + 0.5} }

func (f *field) at(x, y int) float64 {
	x, y = x-f.x0, y-f.y0
	if x < 0 || y < 0 || x >= f.w || y >= f.h {
		return -margin
	}
	return float64(f.d[y*f.w+x])
}

// each calls fn for the pixels of the field that are in the picture.
func (f *field) each(fn func(x, y int, d float64)) {
	for y := max(0, f.y0); y < min(Height, f.y0+f.h); y++ {
		for x := max(0, f.x0); x < min(Width, f.x0+f.w); x++ {
			fn(x, y, float64(f.d[(y-f.y0)*f.w+x-f.x0]))
		}
	}
}

// paint lays a thing's colour over m where its silhouette is, softened at the
// silhouette itself.
func (f *field) paint(m *canvas, colour func(p point, d float64) rgb) {
	f.each(func(x, y int, d float64) {
		if d > -0.5 {
			px := m.at(x, y)
			*px = px.mixed(colour(middle(x, y), d), min(1, d+0.5))
		}
	})
}

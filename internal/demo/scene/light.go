package scene

import (
	"image"
	"math"
	"math/rand/v2"
	"sync"
)

// rgb is light, 1 being white before the picture is developed.
type rgb struct{ r, g, b float32 }

func grey(v float64) rgb        { return rgb{float32(v), float32(v), float32(v)} }
func (c rgb) through(d rgb) rgb { return rgb{c.r * d.r, c.g * d.g, c.b * d.b} }
func (c rgb) plus(d rgb) rgb    { return rgb{c.r + d.r, c.g + d.g, c.b + d.b} }
func (c rgb) times(by float64) rgb {
	f := float32(by)
	return rgb{c.r * f, c.g * f, c.b * f}
}

func (c rgb) mixed(d rgb, part float64) rgb {
	f := float32(part)
	return rgb{c.r + (d.r-c.r)*f, c.g + (d.g-c.g)*f, c.b + (d.b-c.b)*f}
}

// glass is what a pane of it lets through, and how that falls with thickness.
type glass struct {
	tint rgb
	logs [3]float64
}

func glassOf(c rgb) glass {
	return glass{c, [3]float64{math.Log(float64(c.r)), math.Log(float64(c.g)), math.Log(float64(c.b))}}
}

// deep is what passes when the glass is thick times as thick.
func (g glass) deep(thick float64) rgb {
	return rgb{float32(math.Exp(thick * g.logs[0])), float32(math.Exp(thick * g.logs[1])), float32(math.Exp(thick * g.logs[2]))}
}

// light is the lamps over the belt, and the camera.
type light struct {
	from   point // unit vector on the belt towards the main lamp
	slant  float64
	warmth rgb
	power  float64
	pool   point // where it is brightest
	noise  float64
}

func lights(r *rand.Rand) light {
	a := -math.Pi/2 + between(r, -0.9, 0.9) // from above, to one side
	warm := between(r, -1, 1)
	return light{
		from:   point{math.Cos(a), math.Sin(a)},
		slant:  between(r, 0.38, 0.55),
		warmth: rgb{float32(1 + 0.05*warm), 1, float32(1 - 0.07*warm)},
		power:  between(r, 1.0, 1.22),
		pool:   point{between(r, 0.25, 0.75) * Width, between(r, 0.25, 0.6) * Height},
		noise:  between(r, 0.010, 0.022),
	}
}

// sky is what a surface mirrors whose normal is n (on the belt) and up: two long
// lamps with soft edges, and the dim hall between them. Where the surface turns
// by blur within a pixel, the edges are as much softer.
func (l light) sky(n point, up, blur float64) float64 {
	// The mirrored direction of a camera that looks straight down.
	d := n.times(2 * up)
	along := d.dot(point{-l.from.y, l.from.x})
	across := d.dot(l.from)
	e := 0.06 + blur
	main := ease(l.slant-0.10-e, l.slant-0.10+e, across) * (1 - ease(l.slant+0.13-e, l.slant+0.13+e, across)) *
		(1 - ease(0.65-e, 0.90+e, math.Abs(along)))
	fill := ease(-0.77-e, -0.77+e, across) * (1 - ease(-0.67-e, -0.67+e, across)) * (1 - ease(0.5-e, 0.8+e, math.Abs(along)))
	return 1.15*main + 0.40*fill + 0.10 + 0.06*across
}

// canvas is the picture before it is developed.
type canvas struct{ pix []rgb }

func (c *canvas) clone() *canvas { return &canvas{append([]rgb(nil), c.pix...)} }

func (c *canvas) at(x, y int) *rgb { return &c.pix[y*Width+x] }

// look takes the colour at a place, or at the picture's edge next to it.
func (c *canvas) look(p point) rgb {
	x := min(Width-1, max(0, int(p.x)))
	y := min(Height-1, max(0, int(p.y)))
	return c.pix[y*Width+x]
}

// develop gives the picture the camera's exposure, dark corners and grain.
func (c *canvas) develop(r *rand.Rand, l light) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, Width, Height))
	ox, oy := r.IntN(256), r.IntN(256)
	gain := l.warmth.times(l.power)
	var wide [Width]float64
	for x := range wide {
		wide[x] = square(float64(x)/Width - 0.5)
	}
	for y := range Height {
		high := square(float64(y)/Height - 0.5)
		for x := range Width {
			p := c.at(x, y).through(gain).times(1 - 0.45*(wide[x]+high))
			g := float32(l.noise * (grain().at(x+ox, y+oy) - 0.5))
			q := m.Pix[4*(y*Width+x):][:4]
			q[0], q[1], q[2], q[3] = tone(p.r+g), tone(p.g+g), tone(p.b+g), 255
		}
	}
	return m
}

// tone bends bright light instead of cutting it off.
func tone(v float32) uint8 {
	if v > 0.8 {
		v = 0.8 + 0.2*(1-1/(1+(v-0.8)*5))
	}
	return uint8(255*min(1, max(0, v)) + 0.5)
}

// tile is a square of noise that fits onto itself.
type tile [256 * 256]float32

func (t *tile) at(x, y int) float64 { return float64(t[(y&255)<<8|x&255]) }

// grain is white noise between 0 and 1; clouds is the same, smooth and in several
// sizes; rubber is the surface of a belt, around 0. All are the same for every
// picture, which looks at them elsewhere.
var (
	grain = sync.OnceValue(func() *tile {
		r := rand.New(rand.NewPCG(1, 2))
		t := new(tile)
		for i := range t {
			t[i] = float32(r.Float64()+r.Float64()+r.Float64()) / 3
		}
		return t
	})
	clouds = sync.OnceValue(func() *tile {
		r := rand.New(rand.NewPCG(3, 4))
		t := new(tile)
		for _, size := range []int{64, 32, 16, 8} {
			n := 256 / size
			knots := make([]float64, n*n)
			for i := range knots {
				knots[i] = r.Float64()
			}
			for y := range 256 {
				for x := range 256 {
					kx, ky := x/size, y/size
					fx, fy := ease(0, 1, float64(x%size)/float64(size)), ease(0, 1, float64(y%size)/float64(size))
					k := func(dx, dy int) float64 { return knots[(ky+dy)%n*n+(kx+dx)%n] }
					v := (k(0, 0)*(1-fx)+k(1, 0)*fx)*(1-fy) + (k(0, 1)*(1-fx)+k(1, 1)*fx)*fy
					t[y<<8|x] += float32(v * float64(size) / 120)
				}
			}
		}
		return t
	})
	rubber = sync.OnceValue(func() *tile {
		t := new(tile)
		for y := range 256 {
			for x := range 256 {
				t[y<<8|x] = float32(0.10*(clouds().at(x*5, y*5)-0.5) + 0.16*(grain().at(x, y)-0.5) +
					0.05*(clouds().at(x, y*7)-0.5)) // drawn along the way it runs
			}
		}
		return t
	})
)

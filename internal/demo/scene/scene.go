// Package scene draws what a camera over a glass recycler's belt sees: bottles,
// jars and shards, with the exact box of each. The demo and tests get real
// pictures from it without a download.
//
// A picture depends on its seed alone. Things never lie on one another, so that
// every box is that of the whole silhouette, cut off at the picture's edge.
package scene

import (
	"image"
	"math"
	"math/rand/v2"

	"github.com/cullet-vision/cullet"
)

// The size of every picture, in pixels.
const (
	Width  = 640
	Height = 480
)

// The classes.
const (
	Bottle = "bottle"
	Jar    = "jar"
	Shard  = "shard"
)

// Classes lists the classes that Draw gives.
func Classes() []string { return []string{Bottle, Jar, Shard} }

// Draw draws the picture of that seed, which is opaque, and says what is on it:
// from one thing to ten, as boxes within the picture. It may be called at once.
func Draw(seed int64) (*image.RGBA, []cullet.Shape) {
	r, l, b, things := stage(seed)
	under := b.draw(r, l)
	fields := make([]*field, len(things))
	for i, t := range things {
		fields[i] = fieldOf(t)
		castShadow(under, t, fields[i], l)
	}
	m := under.clone()
	shapes := make([]cullet.Shape, len(things))
	for i, t := range things {
		fields[i].paint(m, func(p point, d float64) rgb { return t.colour(under, l, p, d) })
		shapes[i] = boxOf(t)
	}
	return m.develop(r, l), shapes
}

// stage is everything about the picture of a seed but its pixels; what is still
// to be drawn at random comes from r.
func stage(seed int64) (r *rand.Rand, l light, b belt, things []thing) {
	r = rand.New(rand.NewPCG(uint64(seed), 0x63756c6c6574))
	l, b = lights(r), newBelt(r)
	return r, l, b, scatter(r, b)
}

// thing is one piece of glass on the belt.
type thing interface {
	class() string
	// outline is the silhouette, in pixels, in order around it.
	outline() []point
	// inside is how far within the silhouette a place is, in pixels; negative
	// outside. It is exact at the silhouette and good near it.
	inside(p point) float64
	// reach is a circle around the thing.
	reach() (centre point, radius float64)
	made() glass
	// colour is that of the thing at a place which is inside by d, seeing what lies
	// below it through the glass.
	colour(under *canvas, l light, p point, d float64) rgb
}

// boxOf is the box of what can be seen of a silhouette. It has edges on 64ths of
// a pixel, so that no sum of them is beyond the picture by rounding.
func boxOf(t thing) cullet.Shape {
	left, top, right, bottom := math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	corners := t.outline()
	for i, p := range corners {
		p, q, ok := within(p, corners[(i+1)%len(corners)])
		if ok {
			left, right = min(left, p.x, q.x), max(right, p.x, q.x)
			top, bottom = min(top, p.y, q.y), max(bottom, p.y, q.y)
		}
	}
	left, top = math.Floor(left*64)/64, math.Floor(top*64)/64
	right, bottom = math.Ceil(right*64)/64, math.Ceil(bottom*64)/64
	return cullet.BoxAround(t.class(), left, top, right-left, bottom-top)
}

// within cuts a line off at the picture's edges (Liang and Barsky, 1984).
func within(p, q point) (from, to point, ok bool) {
	d := q.minus(p)
	t0, t1 := 0.0, 1.0
	for _, e := range [][2]float64{{-d.x, p.x}, {d.x, Width - p.x}, {-d.y, p.y}, {d.y, Height - p.y}} {
		out, room := e[0], e[1]
		switch {
		case out == 0 && room < 0:
			return p, q, false
		case out < 0:
			t0 = max(t0, room/out)
		case out > 0:
			t1 = min(t1, room/out)
		}
	}
	onto := func(t float64) point {
		c := p.plus(d.times(t))
		return point{min(Width, max(0, c.x)), min(Height, max(0, c.y))}
	}
	return onto(t0), onto(t1), t0 <= t1
}

func bounds(t thing) (left, top, right, bottom float64) {
	left, top, right, bottom = math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	for _, p := range t.outline() {
		left, right = min(left, p.x), max(right, p.x)
		top, bottom = min(top, p.y), max(bottom, p.y)
	}
	return left, top, right, bottom
}

// scatter lays things onto the belt, the large ones first, where there is room.
func scatter(r *rand.Rand, b belt) []thing {
	var kinds []func(at point) thing
	for range 1 + r.IntN(3) {
		kinds = append(kinds, func(at point) thing { return newBottle(r, at) })
	}
	for range r.IntN(3) {
		kinds = append(kinds, func(at point) thing { return newJar(r, at) })
	}
	for range 1 + r.IntN(5) {
		kinds = append(kinds, func(at point) thing { return newShard(r, at) })
	}
	var things []thing
	for _, lay := range kinds {
		for range 60 {
			at := point{r.Float64() * Width, between(r, b.top, b.bottom)}
			if t := lay(at); fits(t, things, b) {
				things = append(things, t)
				break
			}
		}
	}
	if len(things) == 0 { // no seed is known for it: an empty belt has room
		things = append(things, newShard(r, point{Width / 2, Height / 2}))
	}
	return things
}

// fits says whether a thing lies between the rails, clear of the others, and with
// most of it in the picture.
func fits(t thing, others []thing, b belt) bool {
	left, top, right, bottom := bounds(t)
	if top < b.top+6 || bottom > b.bottom-6 {
		return false
	}
	if seen := (min(Width, right) - max(0, left)) / (right - left); seen < 0.7 {
		return false
	}
	c, reach := t.reach()
	for _, o := range others {
		oc, oreach := o.reach()
		if dist(c, oc) > reach+oreach+gap {
			continue
		}
		for _, p := range t.outline() {
			if o.inside(p) > -gap {
				return false
			}
		}
		for _, p := range o.outline() {
			if t.inside(p) > -gap {
				return false
			}
		}
	}
	return true
}

// gap is the least room between two things, in pixels.
const gap = 10

type point struct{ x, y float64 }

func (p point) plus(q point) point               { return point{p.x + q.x, p.y + q.y} }
func (p point) minus(q point) point              { return point{p.x - q.x, p.y - q.y} }
func (p point) times(f float64) point            { return point{p.x * f, p.y * f} }
func (p point) dot(q point) float64              { return p.x*q.x + p.y*q.y }
func dist(p, q point) float64                    { return math.Hypot(p.x-q.x, p.y-q.y) }
func between(r *rand.Rand, a, b float64) float64 { return a + r.Float64()*(b-a) }
func clamp01(v float64) float64                  { return min(1, max(0, v)) }

// ease goes from 0 at a to 1 at b, smoothly.
func ease(a, b, v float64) float64 {
	t := clamp01((v - a) / (b - a))
	return t * t * (3 - 2*t)
}

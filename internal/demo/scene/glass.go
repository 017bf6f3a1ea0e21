package scene

import (
	"math"
	"math/rand/v2"
	"slices"
)

// glasses are the colours that a belt carries: what each lets through.
var glasses = []glass{
	glassOf(rgb{0.24, 0.60, 0.30}), // green
	glassOf(rgb{0.66, 0.34, 0.10}), // brown
	glassOf(rgb{0.82, 0.92, 0.90}), // clear
	glassOf(rgb{0.50, 0.74, 0.46}), // light green
	glassOf(rgb{0.34, 0.54, 0.82}), // blue
}

// pane is what the camera sees of glass at one place: the ground through it, the
// light that it mirrors and the light that it gathers.
//
// n is the part of the surface's normal that lies on the belt, up the rest; thick
// is the way through the glass; bend how far away the ground seems; blur how much
// the normal turns within a pixel.
func pane(under *canvas, l light, p, n point, up, thick, bend, blur float64, g glass) rgb {
	ground := under.look(p.minus(n.times(bend)))
	through := g.deep(thick)
	c := ground.through(through)
	// Light that came in on the lamp's side leaves on the other.
	gathered := max(0, -n.dot(l.from))
	c = c.plus(through.times(0.17 + 0.75*gathered*gathered*up))
	// Flat to the eye, glass mirrors little; at a grazing angle nearly all.
	mirror := 0.05 + 0.95*square(square(1-up))
	sky := l.sky(n, up, blur)
	c = c.times(1 - 0.6*mirror).plus(grey(sky * (0.09 + 0.30*mirror)))
	return c.mixed(grey(1.1), 0.72*ease(0.25, 1.25, sky)) // a lamp
}

// vessel is a bottle or a jar that lies on the belt: a body turned around an axis.
type vessel struct {
	kind      string
	at        point // the middle of the axis
	axis, out point // unit vectors: along it towards the neck, and across
	length    float64
	profile   []float64 // radius, for each pixel from the bottom to the neck
	glass     glass
	label     rgb
	labelled  bool
	from, to  float64 // the label's place on the axis
	tear      float64
	lid       rgb
	lidFrom   float64 // where it begins; beyond the length: none
	ridges    float64 // of the lid, around it
}

func newVessel(r *rand.Rand, kind string, at point, length float64, radius func(t float64) float64) *vessel {
	a := r.Float64() * 2 * math.Pi
	v := &vessel{
		kind: kind, at: at, length: length,
		axis:  point{math.Cos(a), math.Sin(a)},
		out:   point{-math.Sin(a), math.Cos(a)},
		glass: glasses[r.IntN(len(glasses))],
	}
	for i := range int(length) + 2 {
		v.profile = append(v.profile, radius(min(1, float64(i)/length)))
	}
	v.lidFrom = length + 1
	return v
}

func newBottle(r *rand.Rand, at point) thing {
	length, half := between(r, 165, 235), between(r, 23, 31)
	shoulder, neck := between(r, 0.52, 0.64), between(r, 0.70, 0.78) // where each begins
	thin := between(r, 0.34, 0.42)
	v := newVessel(r, Bottle, at, length, func(t float64) float64 {
		w := 1 - (1-thin)*ease(shoulder, neck, t)
		w *= rounded(t*length, 9)
		if t > 0.945 { // the lip
			w = thin * 1.16
		}
		return half * w
	})
	if r.IntN(5) < 2 {
		paper := []rgb{{0.88, 0.86, 0.80}, {0.80, 0.20, 0.16}, {0.14, 0.28, 0.50}, {0.86, 0.72, 0.30}, {0.16, 0.36, 0.22}}
		v.labelled, v.label = true, paper[r.IntN(len(paper))]
		v.from, v.to = length*between(r, 0.12, 0.18), length*between(r, 0.40, 0.48)
		v.tear = between(r, 0.5, 6)
	}
	if r.IntN(3) == 0 {
		v.lid, v.lidFrom, v.ridges = metals[r.IntN(len(metals))], length*0.945, 11
	}
	return v
}

var metals = []rgb{{0.78, 0.64, 0.30}, {0.70, 0.72, 0.74}, {0.62, 0.14, 0.12}, {0.16, 0.20, 0.24}, {0.85, 0.86, 0.86}}

func newJar(r *rand.Rand, at point) thing {
	length, half := between(r, 105, 145), between(r, 38, 50)
	shoulder := between(r, 0.70, 0.76)
	v := newVessel(r, Jar, at, length, func(t float64) float64 {
		w := 1 - 0.16*ease(shoulder, shoulder+0.10, t)
		return half * w * rounded(t*length, 12) * min(1, 0.93+0.07*rounded((1-t)*length, 3))
	})
	v.glass = glasses[2]
	if r.IntN(4) == 0 {
		v.glass = glasses[r.IntN(len(glasses))]
	}
	if r.IntN(4) > 0 {
		v.lid, v.lidFrom, v.ridges = metals[r.IntN(len(metals))], length*0.86, 22
	}
	if r.IntN(3) == 0 {
		v.labelled, v.label = true, rgb{0.90, 0.87, 0.78}
		v.from, v.to, v.tear = length*0.16, length*0.60, between(r, 0.5, 4)
	}
	return v
}

// rounded takes off the corner at the end of a body: d is the way from the end.
func rounded(d, radius float64) float64 {
	if d >= radius {
		return 1
	}
	return 0.72 + 0.28*math.Sqrt(1-square(1-max(0, d)/radius))
}

func (v *vessel) class() string           { return v.kind }
func (v *vessel) made() glass             { return v.glass }
func (v *vessel) reach() (point, float64) { return v.at, v.length/2 + 12 }

// own turns a place into the vessel's own measures: along from its bottom, and
// across from its axis.
func (v *vessel) own(p point) (along, across float64) {
	d := p.minus(v.at)
	return d.dot(v.axis) + v.length/2, d.dot(v.out)
}

// radius is that of the body, and how it changes.
func (v *vessel) radius(along float64) (r, slope float64) {
	along = min(v.length, max(0, along))
	i := min(int(along), len(v.profile)-2)
	f := along - float64(i)
	here, next := v.profile[i], v.profile[i+1]
	before, after := v.profile[max(0, i-1)], v.profile[min(i+2, len(v.profile)-1)]
	slope = ((next-before)*(1-f) + (after-here)*f) / 2
	return here + f*(next-here), slope
}

func (v *vessel) outline() []point {
	var left, right []point
	for along := 0.0; ; along++ {
		along = min(along, v.length)
		r, _ := v.radius(along)
		on := v.at.plus(v.axis.times(along - v.length/2))
		left, right = append(left, on.plus(v.out.times(r))), append(right, on.minus(v.out.times(r)))
		if along == v.length {
			slices.Reverse(right)
			return append(left, right...)
		}
	}
}

func (v *vessel) inside(p point) float64 {
	along, across := v.own(p)
	r, slope := v.radius(along)
	side := (r - math.Abs(across)) / math.Sqrt(1+square(min(1.5, max(-1.5, slope))))
	end := min(along, v.length-along)
	if side < 0 && end < 0 {
		return -math.Hypot(side, end)
	}
	return min(side, end)
}

// colour is that of the vessel at a place in its silhouette.
func (v *vessel) colour(under *canvas, l light, p point, d float64) rgb {
	along, across := v.own(p)
	r, slope := v.radius(along)
	s := min(0.995, max(-0.995, across/r))
	up := math.Sqrt(1 - s*s)
	slope = min(1, max(-1, slope))
	norm := 1 / math.Sqrt(1+slope*slope)
	n := v.out.times(s * norm).minus(v.axis.times(slope * norm))
	up *= norm

	switch {
	case along > v.lidFrom:
		return v.lidColour(l, n, up, s, along)
	case v.onLabel(along, s):
		return v.labelColour(l, n, up, s, along)
	}
	thick := 0.55 + 0.30/math.Max(0.30, up)
	thick += 1.1 * (1 - ease(3, 10, along)) // the bottom is thick
	c := pane(under, l, p, n, up, thick, 16, 1.2/r, v.glass)
	// The wall's inner face shows as a line beside the outer one.
	wall := math.Exp(-square((math.Abs(s) - 0.87) / 0.035))
	c = c.times(1 - 0.30*wall)
	c = c.times(1 - 0.45*ease(0.93, 0.995, math.Abs(s)))
	// Where the bottom begins, and the lip.
	c = c.times(1 - 0.25*math.Exp(-square((along-11)/1.6)))
	c = c.plus(v.glass.tint.times(0.16 * math.Exp(-square((along-14)/1.8))))
	if v.kind == Bottle && v.lidFrom > v.length {
		c = c.times(1 - 0.35*math.Exp(-square((along-0.945*v.length)/1.2)))
	}
	if d < 1.6 { // light runs along the outermost edge
		c = c.plus(v.glass.tint.times(0.14 * (1 + n.dot(l.from))))
	}
	return c
}

func (v *vessel) onLabel(along, s float64) bool {
	if !v.labelled {
		return false
	}
	ragged := v.tear * (clouds().at(int(s*60)+int(v.length), int(v.at.x)) - 0.5) * 2
	return along > v.from+ragged*0.4 && along < v.to+ragged
}

func (v *vessel) labelColour(l light, n point, up, s, along float64) rgb {
	t := (along - v.from) / (v.to - v.from)
	c := v.label
	ink := rgb{0.95, 0.93, 0.88}
	if c.r+c.g+c.b > 1.9 {
		ink = rgb{0.20, 0.22, 0.26}
	}
	turn := math.Asin(s)
	switch {
	case t > 0.06 && t < 0.10, t > 0.90 && t < 0.94:
		c = c.mixed(ink, 0.8)
	case t > 0.35 && t < 0.62 && math.Abs(turn) < 0.75:
		// Something that looks like large letters from far away.
		if clouds().at(int(turn*90)+int(v.length*7), int(t*3)*40) > 0.5 {
			c = c.mixed(ink, 0.75)
		}
	case t > 0.70 && t < 0.80 && math.Abs(turn) < 0.5:
		if int(turn*60+100)%3 != 0 {
			c = c.mixed(ink, 0.45)
		}
	}
	diffuse := 0.30 + 0.50*up + 0.45*max(0, n.dot(l.from))*up
	return c.times(diffuse).plus(grey(0.05 * l.sky(n, up, 0.05)))
}

func (v *vessel) lidColour(l light, n point, up, s, along float64) rgb {
	ridge := 1 + 0.16*math.Sin(math.Asin(s)*v.ridges*2)
	edge := (along - v.lidFrom) / (v.length - v.lidFrom)
	if edge > 0.82 || edge < 0.10 {
		ridge = 1.12
	}
	if edge < 0.04 || math.Abs(edge-0.80) < 0.05 {
		ridge = 0.62
	}
	diffuse := 0.22 + 0.42*up + 0.40*max(0, n.dot(l.from))
	return v.lid.times(diffuse * ridge).plus(v.lid.mixed(grey(1), 0.5).times(0.55 * l.sky(n, up, 0.05) * ridge))
}

// shard is a broken piece of a wall.
type shard struct {
	at      point
	corners []point   // around it, clockwise on the screen
	sides   []point   // from each corner to the next
	inverse []float64 // 1 / the square of the side's length
	size    float64
	glass   glass
	curve   point // the way the wall it was part of is bent, as a unit vector
	bend    float64
	facet   float64
}

func newShard(r *rand.Rand, at point) thing {
	s := &shard{at: at, size: between(r, 22, 50), glass: glasses[r.IntN(len(glasses))], bend: between(r, 0.25, 0.6), facet: r.Float64() * 100}
	n := 4 + r.IntN(4)
	long, turn := between(r, 0.55, 1), r.Float64()*2*math.Pi
	a := r.Float64() * 2 * math.Pi
	s.curve = point{math.Cos(a), math.Sin(a)}
	var corners []point
	for i := range n {
		b := 2 * math.Pi * (float64(i) + between(r, -0.32, 0.32)) / float64(n)
		d := s.size * between(r, 0.62, 0.95)
		q := point{math.Cos(b) * d, math.Sin(b) * d * long}
		corners = append(corners, at.plus(point{q.x*math.Cos(turn) - q.y*math.Sin(turn), q.x*math.Sin(turn) + q.y*math.Cos(turn)}))
	}
	for i, a := range corners { // glass does not break straight
		ab := corners[(i+1)%n].minus(a)
		middle := a.plus(ab.times(between(r, 0.3, 0.7))).plus(point{ab.y, -ab.x}.times(between(r, -0.12, 0.14)))
		s.corners = append(s.corners, a, middle)
	}
	for i, a := range s.corners {
		ab := s.corners[(i+1)%len(s.corners)].minus(a)
		s.sides, s.inverse = append(s.sides, ab), append(s.inverse, 1/ab.dot(ab))
	}
	return s
}

func (s *shard) class() string           { return Shard }
func (s *shard) made() glass             { return s.glass }
func (s *shard) reach() (point, float64) { return s.at, s.size + 2 }
func (s *shard) outline() []point        { return s.corners }

func (s *shard) inside(p point) float64 {
	d, _ := s.edge(p)
	return d
}

// edge is the way to the nearest edge, negative outside, and which it is.
func (s *shard) edge(p point) (d float64, nearest int) {
	least := math.Inf(1)
	in := false
	for i, a := range s.corners {
		ab, ap := s.sides[i], p.minus(a)
		t := min(1, max(0, ap.dot(ab)*s.inverse[i]))
		q := ap.minus(ab.times(t))
		if e := q.dot(q); e < least {
			least, nearest = e, i
		}
		if (a.y > p.y) != (a.y+ab.y > p.y) && ap.x < ap.y*ab.x/ab.y {
			in = !in
		}
	}
	if !in {
		return -math.Sqrt(least), nearest
	}
	return math.Sqrt(least), nearest
}

func (s *shard) colour(under *canvas, l light, p point, d float64) rgb {
	_, nearest := s.edge(p)
	along := s.sides[nearest]
	outward := point{along.y, -along.x}.times(1 / math.Hypot(along.x, along.y))
	face := 2.5 + 3.5*clouds().at(int(s.facet)+nearest*37, int(s.facet*3)) // how wide the broken edge is

	// The wall is bent, and waves a little.
	q := p.minus(s.at)
	tilt := q.dot(s.curve)/s.size*s.bend + 0.10*(clouds().at(int(q.x*2+s.facet), int(q.y*2+s.facet))-0.5)
	n := s.curve.times(tilt)
	up := math.Sqrt(max(0.1, 1-tilt*tilt))
	c := pane(under, l, p, n, up, 0.8, 8, 0.02, s.glass)
	if d >= face {
		// Next to the broken edge, the wall's other side shows through.
		return c.plus(s.glass.tint.times(0.10 * math.Exp(-(d-face)/2.5)))
	}
	// A broken edge is steep: it mirrors the lamp, or is dark with the depth of the
	// glass behind it.
	lit := outward.dot(l.from)
	steep := s.glass.deep(1.8).times(0.20 + 0.45*max(0, -lit)).plus(s.glass.tint.mixed(grey(1), 0.5).times(0.75 * square(max(0, lit))))
	steep = steep.plus(grey(0.25 * max(0, lit) * square(clouds().at(int(p.x*6), int(p.y*6)))))
	c = c.mixed(steep, 0.85)
	if math.Abs(d-face) < 1.0 { // the ridge between them
		c = c.plus(s.glass.tint.mixed(grey(1), 0.6).times(0.30 * (0.5 + 0.5*lit)))
	}
	return c
}

package cullet

import (
	"math"
	"time"
)

// ShapeKind is what a shape is.
type ShapeKind string

// The kinds of shape.
const (
	Box     ShapeKind = "box"
	Polygon ShapeKind = "polygon"
	Label   ShapeKind = "label" // says something about the whole image
)

// Point is a place in an image, in pixels from its top left corner.
type Point struct{ X, Y float64 }

// Shape is one thing said about an image.
type Shape struct {
	Class  string
	Kind   ShapeKind
	X, Y   float64 // centre of the box around it, in pixels, origin top left
	W, H   float64 // size of that box, in pixels
	Points []Point // corners of a polygon, in pixels; nil else
}

// Revision is what an image's annotation was at one time. Revisions are
// append-only: saving makes a new one and keeps the one before (D11).
type Revision struct {
	ID         string
	Project    string
	Image      string
	Number     int64 // 1, 2, 3 … of the image
	Seq        int64 // place in the project's order of changes
	Shapes     []Shape
	Job        string // name of the annotation job, as the client gave it
	Prediction bool   // said by a model, not by a person
	Author     string // actor id
	CreatedAt  time.Time
}

// BoxAround makes a box shape from its top left corner and size.
func BoxAround(class string, left, top, w, h float64) Shape {
	return Shape{Class: class, Kind: Box, X: left + w/2, Y: top + h/2, W: w, H: h}
}

// PolygonOf makes a polygon with the box around it.
func PolygonOf(class string, points []Point) Shape {
	left, top, right, bottom := math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	for _, p := range points {
		left, right = math.Min(left, p.X), math.Max(right, p.X)
		top, bottom = math.Min(top, p.Y), math.Max(bottom, p.Y)
	}
	s := BoxAround(class, left, top, right-left, bottom-top)
	s.Kind, s.Points = Polygon, points
	return s
}

// Left is the x of the shape's box's left edge, in pixels.
func (s Shape) Left() float64 { return s.X - s.W/2 }

// Top is the y of the shape's box's upper edge, in pixels.
func (s Shape) Top() float64 { return s.Y - s.H/2 }

// Area is the shape's area in square pixels.
func (s Shape) Area() float64 {
	if s.Kind != Polygon {
		return s.W * s.H
	}
	sum := 0.0
	for i, p := range s.Points {
		q := s.Points[(i+1)%len(s.Points)]
		sum += p.X*q.Y - q.X*p.Y
	}
	return math.Abs(sum) / 2
}

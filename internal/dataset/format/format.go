// Package format reads the annotation of one image as clients send it: the text
// of a file, cut to that image by the SDK (contract/30, "Formats to detect").
//
// Invariants of what Read returns:
//   - Every box and every corner lies within the image, is finite, and has an
//     area. What sticks out is cut off at the image's edge; what has its middle
//     outside of the image was meant for another one and is refused.
//   - At most MaxShapes shapes, with names that cullet.CheckName accepts.
//   - Whatever the text, the answer is shapes or a refusal with the code invalid
//     that names the line or the field, or not_implemented for what the contract
//     knows and is not built here. It never panics.
package format

import (
	"encoding/json"
	"math"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/cullet-vision/cullet"
)

// Input is what a client sent about one image.
type Input struct {
	Name     string             // of the annotation file; for a bare label, the label
	Text     string             // the file
	Labelmap map[string]string  // class names by index, for YOLO; nil: none came
	Image    string             // name of the image
	Width    int                // of the image in pixels, as shown; above 0
	Height   int                //
	Type     cullet.ProjectType // of the project
}

// The limits of one image's annotation.
const (
	MaxBytes  = 10 << 20
	MaxShapes = 10_000
)

// notBuilt are the formats of the contract that are told from others only to be
// refused in words.
const (
	voc      = "Pascal VOC (.xml)"
	createML = "CreateML (.json with an array)"
	csv      = "CSV (.csv)"
	jsonl    = "JSONL (.jsonl)"
	labels   = "labels of the whole image"
)

// Read reads the annotation of one image. No shapes and no error means that
// somebody looked at the image and found nothing on it.
func Read(in Input) ([]cullet.Shape, error) {
	if len(in.Text) > MaxBytes {
		return nil, cullet.E(cullet.Invalid, "the annotation is %d bytes long; %d is the most for one image", len(in.Text), MaxBytes)
	}
	if !utf8.ValidString(in.Text) {
		return nil, cullet.E(cullet.Invalid, "the annotation is not valid UTF-8 text")
	}
	in.Text = strings.TrimPrefix(in.Text, "\ufeff")
	read, err := readerFor(in)
	if err != nil {
		return nil, err
	}
	switch in.Type {
	case cullet.Classification, cullet.TextImagePairs:
		return nil, cullet.E(cullet.Invalid, "the project is of type %s, and boxes and polygons say nothing there; send a label", in.Type)
	case cullet.KeypointDetection:
		return nil, cullet.E(cullet.NotImplemented, "annotations with keypoints are not read yet")
	}
	return read(in)
}

// readerFor finds the format by the name's ending, and by the text where the
// ending says nothing, or too little.
func readerFor(in Input) (func(Input) ([]cullet.Shape, error), error) {
	text := strings.TrimSpace(in.Text)
	switch strings.ToLower(path.Ext(in.Name)) {
	case ".json":
		if text == "" {
			return nil, cullet.E(cullet.Invalid, "the annotation is empty; a .json file holds an object with images and annotations (COCO)")
		}
		if text[0] != '[' {
			return readCOCO, nil
		}
		return nil, notBuilt(createML)
	case ".txt":
		return readYOLO, nil
	case ".xml":
		return nil, notBuilt(voc)
	case ".csv":
		return nil, notBuilt(csv)
	case ".jsonl":
		return nil, notBuilt(jsonl)
	}
	switch {
	case text == "":
		return nil, cullet.E(cullet.Invalid, "the annotation is empty; name the file .txt to say that nothing is on the image")
	case text[0] == '{':
		return readCOCO, nil
	case text[0] == '<':
		return nil, notBuilt(voc)
	case text[0] == '[' && json.Valid([]byte(text)):
		if strings.HasPrefix(strings.TrimSpace(text[1:]), "{") {
			return nil, notBuilt(createML)
		}
		return nil, notBuilt(labels)
	case looksLikeYOLO(text):
		return readYOLO, nil
	}
	return nil, notBuilt(labels)
}

func notBuilt(what string) error {
	return cullet.E(cullet.NotImplemented, "annotations as %s are not read yet; send COCO (.json) or YOLO (.txt)", what)
}

// canvas puts what a file says onto the image, or refuses it.
type canvas struct {
	w, h   float64
	shapes []cullet.Shape
}

func newCanvas(in Input) *canvas {
	return &canvas{w: float64(in.Width), h: float64(in.Height), shapes: []cullet.Shape{}}
}

// rounding is how far outside of the image a middle may lie, in pixels.
const rounding = 1

// far is larger than any image: numbers beyond it are noise, and their products
// could overflow.
const far = 1e7

// box adds a box. Its errors say what is wrong, not where.
func (c *canvas) box(class string, left, top, w, h float64) error {
	if !near(left, top, w, h) {
		return cullet.E(cullet.Invalid, "has a number that no image is large enough for")
	}
	if w <= 0 || h <= 0 {
		return cullet.E(cullet.Invalid, "is a box %v wide and %v high, and so has no area", w, h)
	}
	if err := c.middle(left+w/2, top+h/2); err != nil {
		return err
	}
	right, bottom := min(left+w, c.w), min(top+h, c.h)
	left, top = max(left, 0), max(top, 0)
	if right <= left || bottom <= top {
		return cullet.E(cullet.Invalid, "is a box with no area within the image")
	}
	return c.add(cullet.BoxAround(class, left, top, right-left, bottom-top))
}

// polygon adds a polygon.
func (c *canvas) polygon(class string, points []cullet.Point) error {
	for _, p := range points {
		if !near(p.X, p.Y) {
			return cullet.E(cullet.Invalid, "has a number that no image is large enough for")
		}
	}
	around := cullet.PolygonOf(class, points)
	if flat(around) {
		return cullet.E(cullet.Invalid, "is a polygon with no area")
	}
	if err := c.middle(around.X, around.Y); err != nil {
		return err
	}
	if around.Left() < 0 || around.Top() < 0 || around.Left()+around.W > c.w || around.Top()+around.H > c.h {
		around = cullet.PolygonOf(class, c.clip(points))
	}
	if len(around.Points) < 3 || flat(around) {
		return cullet.E(cullet.Invalid, "is a polygon with no area within the image")
	}
	return c.add(around)
}

func flat(s cullet.Shape) bool { return !(s.W > 0 && s.H > 0 && s.Area() > 0) }

func (c *canvas) middle(x, y float64) error {
	if x < -rounding || y < -rounding || x > c.w+rounding || y > c.h+rounding {
		return cullet.E(cullet.Invalid, "has its middle at (%.6g, %.6g), outside of the image, which is %v x %v", x, y, c.w, c.h)
	}
	return nil
}

func (c *canvas) add(s cullet.Shape) error {
	if len(c.shapes) == MaxShapes {
		return cullet.E(cullet.Invalid, "is one too many: %d shapes are the most for one image", MaxShapes)
	}
	if err := cullet.CheckName("class name", s.Class); err != nil {
		return cullet.E(cullet.Invalid, "has a class that cannot be kept: %s", cullet.MessageOf(err))
	}
	c.shapes = append(c.shapes, s)
	return nil
}

// clip cuts a polygon off at the image's four edges, one after the other
// (Sutherland and Hodgman, 1974).
func (c *canvas) clip(points []cullet.Point) []cullet.Point {
	edges := []struct {
		out  func(cullet.Point) float64 // how far outside; negative within
		snap func(*cullet.Point)        // onto the edge, to the last bit
	}{
		{func(p cullet.Point) float64 { return -p.X }, func(p *cullet.Point) { p.X = 0 }},
		{func(p cullet.Point) float64 { return p.X - c.w }, func(p *cullet.Point) { p.X = c.w }},
		{func(p cullet.Point) float64 { return -p.Y }, func(p *cullet.Point) { p.Y = 0 }},
		{func(p cullet.Point) float64 { return p.Y - c.h }, func(p *cullet.Point) { p.Y = c.h }},
	}
	for _, e := range edges {
		var kept []cullet.Point
		for i, p := range points {
			q := points[(i+1)%len(points)]
			op, oq := e.out(p), e.out(q)
			if op <= 0 {
				kept = append(kept, p)
			}
			if op < 0 && oq > 0 || op > 0 && oq < 0 {
				t := op / (op - oq)
				cut := cullet.Point{X: p.X + t*(q.X-p.X), Y: p.Y + t*(q.Y-p.Y)}
				e.snap(&cut)
				kept = append(kept, cut)
			}
		}
		if points = kept; len(points) == 0 {
			break
		}
	}
	return points
}

func near(values ...float64) bool {
	for _, v := range values {
		if math.IsNaN(v) || math.Abs(v) > far {
			return false
		}
	}
	return true
}

// at puts the place before what is wrong there.
func at(place string, err error) error {
	if err == nil {
		return nil
	}
	return &cullet.Error{Code: cullet.CodeOf(err), Message: place + " " + cullet.MessageOf(err)}
}

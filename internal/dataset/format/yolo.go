package format

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/cullet-vision/cullet"
)

// slack is how far beyond 1 a side may be by rounding.
const slack = 0.01

// readYOLO reads lines of "class cx cy w h" (a box) or "class x1 y1 x2 y2 x3 y3 …"
// (a polygon), all but the class as parts of the image's width and height. The
// class is an index into the labelmap. No line means that nothing is there.
func readYOLO(in Input) ([]cullet.Shape, error) {
	c := newCanvas(in)
	n := 0
	for line := range strings.SplitSeq(in.Text, "\n") {
		n++
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if err := yoloLine(c, in, fields); err != nil {
			return nil, at(fmt.Sprintf("line %d", n), err)
		}
	}
	return c.shapes, nil
}

func yoloLine(c *canvas, in Input, fields []string) error {
	class, err := yoloClass(in.Labelmap, fields[0])
	if err != nil {
		return err
	}
	v := make([]float64, len(fields)-1)
	for i, f := range fields[1:] {
		x, err := strconv.ParseFloat(f, 64)
		if err != nil || !near(x) {
			return cullet.E(cullet.Invalid, "has %.40q as value %d, which is no number between 0 and 1", f, i+2)
		}
		v[i] = x
	}
	switch {
	case len(v) == 4:
		if v[2] > 1+slack || v[3] > 1+slack {
			return cullet.E(cullet.Invalid, "has a box of %v by %v images; YOLO's numbers are parts of the image, between 0 and 1", v[2], v[3])
		}
		return c.box(class, (v[0]-v[2]/2)*c.w, (v[1]-v[3]/2)*c.h, v[2]*c.w, v[3]*c.h)
	case len(v) >= 6 && len(v)%2 == 0:
		points := make([]cullet.Point, len(v)/2)
		for i := range points {
			points[i] = cullet.Point{X: v[2*i] * c.w, Y: v[2*i+1] * c.h}
		}
		return c.polygon(class, points)
	}
	return cullet.E(cullet.Invalid, "has %d values; a box has 5 (class, centre x, centre y, width, height), a polygon the class and at least 3 pairs", len(fields))
}

// yoloClass finds the name of an index, which some tools write as "2.000000".
func yoloClass(labelmap map[string]string, field string) (string, error) {
	f, err := strconv.ParseFloat(field, 64)
	if err != nil || f != math.Trunc(f) || f < 0 || f > 1e9 {
		return "", cullet.E(cullet.Invalid, "begins with %.40q, which is no class index (0, 1, 2 …)", field)
	}
	if len(labelmap) == 0 {
		return "", cullet.E(cullet.Invalid, "has the class index %s, but no labelmap came with the annotation; send one that names each index", field)
	}
	name, ok := labelmap[strconv.Itoa(int(f))]
	if !ok {
		return "", cullet.E(cullet.Invalid, "has the class index %s, which the labelmap of %d classes does not name", field, len(labelmap))
	}
	return name, nil
}

// looksLikeYOLO says whether the first line is numbers only.
func looksLikeYOLO(text string) bool {
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	for _, f := range fields {
		if _, err := strconv.ParseFloat(f, 64); err != nil {
			return false
		}
	}
	return len(fields) >= 5
}

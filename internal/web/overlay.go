package web

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cullet-vision/cullet"
)

// overlay is what is drawn over a picture: its shapes, in the picture's pixels.
type overlay struct {
	W, H   int
	Text   string // size of the labels, in the picture's pixels
	Shapes []drawn
	Labels []drawn // that say something about the whole picture
	More   int     // shapes that are not drawn
}

// drawn is one shape as it is drawn.
type drawn struct {
	Class      string
	Hue        int // 0 to 11: which colour and dashes
	Kind       cullet.ShapeKind
	X, Y, W, H string
	Points     string
	TextX      string
	TextY      string
}

// hues is how many colours there are for classes.
const hues = 12

// hueOf gives each class of a project its colour, by its place.
func hueOf(classes []cullet.Class) func(string) int {
	place := map[string]int{}
	for n, c := range classes {
		place[c.Name] = n % hues
	}
	return func(class string) int { return place[class] }
}

// draw lays out up to most shapes over a picture of w by h pixels, in which lines
// of text fit below each other.
func draw(w, h int, shapes []cullet.Shape, hue func(string) int, most, lines int) overlay {
	text := float64(max(w, h)) / float64(lines)
	o := overlay{W: w, H: h, Text: px(text)}
	for n, s := range shapes {
		if n == most {
			o.More = len(shapes) - most
			break
		}
		d := drawn{Class: s.Class, Hue: hue(s.Class), Kind: s.Kind}
		if s.Kind == cullet.Label {
			o.Labels = append(o.Labels, d)
			continue
		}
		d.X, d.Y, d.W, d.H = px(s.Left()), px(s.Top()), px(s.W), px(s.H)
		d.TextX, d.TextY = d.X, px(max(s.Top()-text/4, text))
		if s.Kind == cullet.Polygon {
			points := make([]string, len(s.Points))
			for n, p := range s.Points {
				points[n] = px(p.X) + "," + px(p.Y)
			}
			d.Points = strings.Join(points, " ")
		}
		o.Shapes = append(o.Shapes, d)
	}
	return o
}

// px writes pixels, to the hundredth.
func px(f float64) string {
	return strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(f, 'f', 2, 64), "0"), ".")
}

// describe is a picture in words: its name and what is marked on it.
func describe(name string, shapes []cullet.Shape) string {
	if len(shapes) == 0 {
		return name + ": no annotation"
	}
	var order []string
	counts := map[string]int{}
	for _, s := range shapes {
		if counts[s.Class]++; counts[s.Class] == 1 {
			order = append(order, s.Class)
		}
	}
	slices.SortStableFunc(order, func(x, y string) int { return counts[y] - counts[x] })
	parts := make([]string, len(order))
	for n, class := range order {
		parts[n] = fmt.Sprintf("%d %s", counts[class], class)
	}
	return fmt.Sprintf("%s: %s: %s", name, count(len(shapes), "annotation"), strings.Join(parts, ", "))
}

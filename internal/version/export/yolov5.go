package export

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cullet-vision/cullet"
)

// yolov5 is a text a image with a line a shape, and data.yaml at the root.
type yolov5 struct{}

func (yolov5) Key() string  { return "yolov5pytorch" }
func (yolov5) Name() string { return "YOLOv5 PyTorch" }

func (yolov5) write(a *archive, d Dataset) error {
	if err := a.text("data.yaml", func(w io.Writer) error { return yoloData(w, d) }); err != nil {
		return err
	}
	index := d.classIndex(0)
	folder := func(s cullet.Split) string { return string(s) + "/images" }
	return d.images(a, folder, func(m cullet.VersionImage, name string) error {
		lines, err := yoloLines(m, index)
		if err != nil {
			return err
		}
		return a.text(string(m.Split)+"/labels/"+labelName(name), func(w io.Writer) error {
			_, err := io.WriteString(w, lines)
			return err
		})
	})
}

// yoloData writes data.yaml. The SDK puts the download's folder before train and
// val and strips their leading dots (Version.download, 1.7.3); without it,
// YOLOv5 and its successors look for "../x" beside the file itself when it is
// not above it. One value serves both.
func yoloData(w io.Writer, d Dataset) error {
	names := make([]string, len(d.Classes))
	for i, c := range d.Classes {
		names[i] = yamlText(c)
	}
	_, err := fmt.Fprintf(w, `train: ../train/images
val: ../valid/images
test: ../test/images

nc: %d
names: [%s]

roboflow:
  workspace: %s
  project: %s
  version: %d
  license: %s
  url: %s
`, len(names), strings.Join(names, ", "), yamlText(d.Workspace), yamlText(d.Project), d.Version, yamlText(d.License), yamlText(d.URL))
	return err
}

// yamlText quotes any text for YAML 1.1 and 1.2 alike: readers of 1.1 refuse
// some characters unless they are escaped, and read no pairs of surrogates.
func yamlText(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20, r >= 0x7f && r < 0xa0, r == 0x2028, r == 0x2029, r == 0xfeff, r == 0xfffe, r == 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		case r == utf8.RuneError:
			b.WriteRune(utf8.RuneError) // also for a byte that is no UTF-8
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// yoloLines are the lines of one image. Trainers take a file for polygons as soon
// as one line is (YOLOv5, utils/dataloaders.py), and would read a box in it as a
// polygon of two corners: there, boxes are written as their four corners.
func yoloLines(m cullet.VersionImage, index map[string]int) (string, error) {
	polygons := false
	for _, s := range m.Shapes {
		polygons = polygons || s.Kind == cullet.Polygon
	}
	w, h := float64(m.Width), float64(m.Height)
	var b []byte
	err := drawn(m, index, func(class int, s cullet.Shape) {
		b = strconv.AppendInt(b, int64(class), 10)
		switch {
		case s.Kind == cullet.Polygon:
			b = yoloPoints(b, s.Points, w, h)
		case polygons:
			l, t, r, u := s.Left(), s.Top(), s.Left()+s.W, s.Top()+s.H
			b = yoloPoints(b, []cullet.Point{{X: l, Y: t}, {X: r, Y: t}, {X: r, Y: u}, {X: l, Y: u}}, w, h)
		default:
			b = yoloNumber(b, s.X/w)
			b = yoloNumber(b, s.Y/h)
			b = yoloNumber(b, s.W/w)
			b = yoloNumber(b, s.H/h)
		}
		b = append(b, '\n')
	})
	return string(b), err
}

func yoloPoints(b []byte, points []cullet.Point, w, h float64) []byte {
	for _, p := range points {
		b = yoloNumber(b, p.X/w)
		b = yoloNumber(b, p.Y/h)
	}
	return b
}

// yoloNumber writes a part of the image, within it: some trainers drop a whole
// image for a number above 1.
func yoloNumber(b []byte, v float64) []byte {
	v = math.Round(min(1, max(0, v))*1e9) / 1e9
	return strconv.AppendFloat(append(b, ' '), v, 'f', -1, 64)
}

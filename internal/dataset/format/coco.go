package format

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path"
	"strings"

	"github.com/cullet-vision/cullet"
)

// cocoFake is the id of the one annotation that the SDK puts into the file of an
// image without any, so that the file is still told to be COCO
// (roboflow/util/folderparser.py, 1.7.3).
const cocoFake = "999999999"

type cocoFile struct {
	Images      []json.RawMessage `json:"images"`
	Categories  []json.RawMessage `json:"categories"`
	Annotations []json.RawMessage `json:"annotations"`
}

type cocoImage struct {
	ID       cocoID  `json:"id"`
	FileName string  `json:"file_name"`
	Width    float64 `json:"width"`
	Height   float64 `json:"height"`
}

type cocoCategory struct {
	ID   cocoID `json:"id"`
	Name string `json:"name"`
}

type cocoAnnotation struct {
	ID           cocoID          `json:"id"`
	ImageID      cocoID          `json:"image_id"`
	CategoryID   cocoID          `json:"category_id"`
	Box          []float64       `json:"bbox"` // left, top, width, height in pixels
	Segmentation json.RawMessage `json:"segmentation"`
}

// cocoID is a number in most files and a string in some; both name the same.
type cocoID string

func (id *cocoID) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*id = cocoID(s)
		return nil
	}
	var n json.Number
	if err := json.Unmarshal(b, &n); err != nil {
		return errors.New("an id is neither a number nor a string")
	}
	*id = cocoID(strings.TrimSuffix(n.String(), ".0"))
	return nil
}

// readCOCO reads the annotations of one image from a COCO file. The SDK cuts the
// file to that image; of a whole file, the image is found by its name.
func readCOCO(in Input) ([]cullet.Shape, error) {
	var f cocoFile
	if err := json.Unmarshal([]byte(in.Text), &f); err != nil {
		return nil, jsonError(in.Text, "", err)
	}
	if f.Images == nil || f.Annotations == nil {
		return nil, cullet.E(cullet.Invalid, "the annotation is no COCO file: it has no list named images, or none named annotations")
	}
	image, grow, err := cocoImageOf(in, f)
	if err != nil {
		return nil, err
	}
	classes, err := cocoClasses(f.Categories)
	if err != nil {
		return nil, err
	}
	c := newCanvas(in)
	for i, raw := range f.Annotations {
		place := fmt.Sprintf("annotations[%d]", i)
		var a cocoAnnotation
		if err := json.Unmarshal(raw, &a); err != nil {
			return nil, jsonError(string(raw), place, err)
		}
		if a.ImageID == cocoFake && a.ID == cocoFake {
			continue
		}
		if a.ImageID != image.ID {
			if len(f.Images) > 1 {
				continue // of another image
			}
			return nil, cullet.E(cullet.Invalid, "%s.image_id is %q, but the one image of the file has the id %q", place, a.ImageID, image.ID)
		}
		class, ok := classes[a.CategoryID]
		if !ok {
			return nil, cullet.E(cullet.Invalid, "%s.category_id is %q, and no category has that id", place, a.CategoryID)
		}
		if err := cocoShape(c, in.Type, class, a, grow); err != nil {
			return nil, at(place, err)
		}
	}
	return c.shapes, nil
}

// cocoImageOf finds the image's entry, and by what its pixels are to be
// multiplied: annotations are often made on a smaller copy.
func cocoImageOf(in Input, f cocoFile) (image cocoImage, grow cullet.Point, err error) {
	found := -1
	for i, raw := range f.Images {
		var m cocoImage
		if err := json.Unmarshal(raw, &m); err != nil {
			return image, grow, jsonError(string(raw), fmt.Sprintf("images[%d]", i), err)
		}
		if len(f.Images) == 1 || path.Base(m.FileName) == path.Base(in.Image) {
			if found >= 0 {
				return image, grow, cullet.E(cullet.Invalid, "images[%d] and images[%d] are both named %.100q; cut the file to one image", found, i, in.Image)
			}
			image, found = m, i
		}
	}
	if found < 0 {
		return image, grow, cullet.E(cullet.Invalid, "the COCO file says nothing of the image %.100q; it is about %d other ones", in.Image, len(f.Images))
	}
	if image.Width == 0 || image.Height == 0 { // not said
		return image, cullet.Point{X: 1, Y: 1}, nil
	}
	grow = cullet.Point{X: float64(in.Width) / image.Width, Y: float64(in.Height) / image.Height}
	uneven := 0.02 + 1/min(image.Width, image.Height) // of a copy whose size was rounded
	if !near(image.Width, image.Height) || image.Width < 0 || image.Height < 0 || math.Abs(grow.X/grow.Y-1) > uneven {
		return image, grow, cullet.E(cullet.Invalid, "images[%d] is said to be %v x %v pixels, but the image as shown is %d x %d; make the annotation on the image as it is shown (an EXIF orientation turns it)",
			found, image.Width, image.Height, in.Width, in.Height)
	}
	return image, grow, nil
}

func cocoClasses(raws []json.RawMessage) (map[cocoID]string, error) {
	classes := make(map[cocoID]string, len(raws))
	for i, raw := range raws {
		var c cocoCategory
		place := fmt.Sprintf("categories[%d]", i)
		if err := json.Unmarshal(raw, &c); err != nil {
			return nil, jsonError(string(raw), place, err)
		}
		if other, ok := classes[c.ID]; ok && other != c.Name {
			return nil, cullet.E(cullet.Invalid, "%s has the id %q of another category", place, c.ID)
		}
		classes[c.ID] = c.Name
	}
	return classes, nil
}

// cocoShape adds the shapes of one annotation: its polygons where there are any,
// else its box. Several polygons of one thing are several shapes, but in a
// project of boxes one box.
func cocoShape(c *canvas, kind cullet.ProjectType, class string, a cocoAnnotation, grow cullet.Point) error {
	polygons, err := cocoPolygons(a.Segmentation)
	if err != nil {
		return err
	}
	if len(polygons) > 1 && kind == cullet.ObjectDetection && len(a.Box) == 4 {
		polygons = nil
	}
	before := len(c.shapes)
	for i, flat := range polygons {
		if len(flat) == 0 {
			continue // some tools write [[]] for none
		}
		if len(flat) < 6 || len(flat)%2 != 0 {
			return cullet.E(cullet.Invalid, "has %d numbers as segmentation[%d]; a polygon has at least 3 pairs", len(flat), i)
		}
		points := make([]cullet.Point, len(flat)/2)
		for i := range points {
			points[i] = cullet.Point{X: flat[2*i] * grow.X, Y: flat[2*i+1] * grow.Y}
		}
		if err := c.polygon(class, points); err != nil {
			return err
		}
	}
	switch {
	case len(c.shapes) > before:
		return nil
	case len(a.Box) == 0:
		return cullet.E(cullet.Invalid, "has neither bbox nor segmentation")
	case len(a.Box) != 4:
		return cullet.E(cullet.Invalid, "has a bbox of %d numbers; it has 4 (left, top, width, height)", len(a.Box))
	}
	return c.box(class, a.Box[0]*grow.X, a.Box[1]*grow.Y, a.Box[2]*grow.X, a.Box[3]*grow.Y)
}

func cocoPolygons(raw json.RawMessage) ([][]float64, error) {
	if len(raw) > 0 && raw[0] == '{' {
		return nil, cullet.E(cullet.NotImplemented, "has a mask in run-length encoding (RLE) as segmentation, which is not read yet; send polygons or boxes")
	}
	var polygons [][]float64
	if len(raw) > 0 && json.Unmarshal(raw, &polygons) != nil {
		return nil, cullet.E(cullet.Invalid, "has a segmentation that is no list of lists of numbers")
	}
	return polygons, nil
}

// jsonError says where JSON is wrong: by field where the form is wrong, by line
// where it is no JSON at all.
func jsonError(text, place string, err error) error {
	var (
		form   *json.UnmarshalTypeError
		syntax *json.SyntaxError
	)
	message := "the annotation is no valid JSON"
	switch {
	case errors.As(err, &form):
		field := strings.Trim(place+"."+form.Field, ".")
		if field == "" {
			field = "the annotation"
		}
		article := "a"
		if strings.HasPrefix(form.Value, "o") || strings.HasPrefix(form.Value, "a") { // object, array
			article = "an"
		}
		message = fmt.Sprintf("%s is %s %s where %s belongs", field, article, form.Value, wanted(form))
	case errors.As(err, &syntax):
		line := 1 + strings.Count(text[:min(int(syntax.Offset), len(text))], "\n")
		message = fmt.Sprintf("the annotation is no valid JSON: line %d: %v", line, syntax)
	case place != "":
		message = place + ": " + err.Error()
	}
	return &cullet.Error{Code: cullet.Invalid, Message: message, Err: err}
}

// wanted says in JSON's words what should have been there.
func wanted(e *json.UnmarshalTypeError) string {
	switch kind := e.Type.Kind().String(); kind {
	case "float64":
		return "a number"
	case "slice":
		return "a list"
	case "struct":
		return "an object"
	default:
		return "a " + kind
	}
}

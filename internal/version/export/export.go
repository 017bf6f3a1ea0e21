// Package export writes a frozen version as a zip in the form that trainers and
// the official SDK read (contract/40, "Layouts").
//
// Invariants:
//   - The same dataset gives the same bytes: order, times and names depend on
//     nothing but what it holds.
//   - Memory does not grow with the number of images. What has to wait for the
//     end of the zip is spooled to a file.
//   - Member names are plain relative paths, no two alike even where case is
//     not told apart, whatever the images are called.
//   - Images are the bytes that were uploaded, to the letter. Roboflow encodes
//     them anew as JPEG; here nothing is lost, and a picture that lies on its
//     side with an EXIF note about it still does. Boxes are those of the picture
//     as it is shown.
//
// Formats are pure: they know no database and no clock.
package export

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cullet-vision/cullet"
)

// Dataset is what is written.
type Dataset struct {
	Workspace   string // slug
	Project     string // slug
	ProjectName string
	Group       string // what the annotations are of
	License     string // name of the project's licence
	URL         string // of the version's page
	Version     int64
	CreatedAt   time.Time // of the version; also the time of all members
	Classes     []string  // every class that a shape may have, in any order

	// Images calls yield for each image of the version, always in the same
	// order, and ends with yield's first error.
	Images func(yield func(cullet.VersionImage) error) error
	// Open opens an image's bytes by the path of its blob.
	Open func(ctx context.Context, path string) (io.ReadSeekCloser, error)
	// Progress, where there is one, is told how many images are written.
	Progress func(n int64)
	// Temp is the folder for what is spooled, "" the system's. Nothing stays
	// there, not even after a crash.
	Temp string
}

// Format is a form of export. All there are are listed by Formats.
type Format interface {
	// Key is what the wire calls it, "yolov5pytorch".
	Key() string
	// Name is what people call it, "YOLOv5 PyTorch".
	Name() string
	// write writes everything but the readme.
	write(a *archive, d Dataset) error
}

// Formats lists the formats that are built, by key. A new one is a file of its
// own and a line here.
func Formats() []Format { return []Format{coco{}, yolov5{}} }

// known are the keys that clients send and that are not built yet (contract/40,
// "Format keys"; docs/sdk-differences.md).
var known = strings.Fields(`benchmarker clip coco-mmdetection coco-segmentation createml darknet florence2-od
	folder jsonl mt-yolov6 multiclass openai paligemma png-mask-semantic retinanet tensorflow tfrecord
	video-coco voc yolo26 yolo5-obb yolokeras yolov11 yolov12 yolov4pytorch yolov4scaled yolov5-obb
	yolov7pytorch yolov8 yolov8-obb yolov9`)

// For finds a format by its key. A key that the contract knows and that is not
// built is refused with not_implemented, any other with invalid.
func For(key string) (Format, error) {
	keys := make([]string, 0, len(known))
	for _, f := range Formats() {
		if f.Key() == key {
			return f, nil
		}
		keys = append(keys, f.Key())
	}
	there := strings.Join(keys, ", ")
	if slices.Contains(known, key) {
		return nil, cullet.E(cullet.NotImplemented, "the export format %s is not built yet; those that are: %s", key, there)
	}
	return nil, cullet.E(cullet.Invalid, "there is no export format %.60q; the formats are: %s", key, there)
}

// Write writes the dataset to w as a zip. It may be called for one dataset any
// number of times, and for several at once. What it wrote before an error is no
// zip and is to be thrown away.
func Write(ctx context.Context, w io.Writer, f Format, d Dataset) error {
	a := newArchive(ctx, w, d.CreatedAt, d.Temp)
	defer a.discard()
	if d.Group == "" {
		d.Group = d.Project
	}
	d.Classes = slices.Compact(slices.Sorted(slices.Values(d.Classes)))
	err := a.text("README.dataset.txt", func(w io.Writer) error { return readme(w, f, d) })
	if err == nil {
		err = f.write(a, d)
	}
	if err == nil {
		err = a.close()
	}
	if err != nil {
		return fmt.Errorf("export %s/%d as %s: %w", d.Project, d.Version, f.Key(), err)
	}
	return nil
}

func readme(w io.Writer, f Format, d Dataset) error {
	_, err := fmt.Fprintf(w, `# %s > %d
%s

Provided by %s
License: %s

Format: %s (%s). The images are as they were uploaded.
Exported by Cullet.
`, d.ProjectName, d.Version, d.URL, d.Workspace, d.License, f.Name(), f.Key())
	return err
}

// images writes every image into the folder of its split, and hands each to fn
// with the name it got there.
func (d Dataset) images(a *archive, folder func(cullet.Split) string, fn func(m cullet.VersionImage, name string) error) error {
	n := int64(0)
	return d.Images(func(m cullet.VersionImage) error {
		if err := a.ctx.Err(); err != nil {
			return err
		}
		if !slices.Contains(cullet.Splits(), m.Split) || m.Width < 1 || m.Height < 1 {
			return fmt.Errorf("image %s: is in split %q, %d x %d pixels", m.Image, m.Split, m.Width, m.Height)
		}
		name := fileName(m)
		if err := d.image(a, folder(m.Split)+"/"+name, m.Path); err != nil {
			return fmt.Errorf("image %s: %w", m.Image, err)
		}
		if err := fn(m, name); err != nil {
			return fmt.Errorf("image %s: %w", m.Image, err)
		}
		if n++; d.Progress != nil {
			d.Progress(n)
		}
		return nil
	})
}

func (d Dataset) image(a *archive, name, path string) error {
	r, err := d.Open(a.ctx, path)
	if err != nil {
		return err
	}
	defer r.Close()
	return a.stored(name, r)
}

// classIndex numbers the classes from first on, by the alphabet.
func (d Dataset) classIndex(first int) map[string]int {
	index := make(map[string]int, len(d.Classes))
	for i, c := range d.Classes {
		index[c] = first + i
	}
	return index
}

// drawn are the shapes that say where something is, with their class's number. A
// class that the version does not list means that its rows contradict each
// other: that is no export.
func drawn(m cullet.VersionImage, index map[string]int, fn func(class int, s cullet.Shape)) error {
	for _, s := range m.Shapes {
		if s.Kind == cullet.Label {
			continue
		}
		class, ok := index[s.Class]
		if !ok {
			return fmt.Errorf("has a shape of class %q, and the version has only %q", s.Class, slices.Sorted(maps.Keys(index)))
		}
		fn(class, s)
	}
	return nil
}

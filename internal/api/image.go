package api

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/dataset"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/upload"
)

// upload is I1: one image in a multipart form. The SDK sends name and split before
// the file and metadata after it, so the form is read as it comes: the file is
// streamed into the blob store, and what follows it is known before its row is kept.
func (s *Server) upload(w http.ResponseWriter, r *http.Request) error {
	f, err := openForm(r)
	if err != nil {
		return err
	}
	file, err := f.untilFile()
	if err != nil {
		return err
	}
	taken, err := s.Intake.Stream(r.Context(), actor(r), word(r, "project"), file, func() (upload.NewImage, error) {
		return f.image, f.afterFile()
	})
	if err != nil {
		return err
	}
	if taken.Duplicate {
		return ok(w, map[string]any{"duplicate": true, "id": taken.Image})
	}
	return ok(w, map[string]any{"success": true, "id": taken.Image})
}

// form is an upload's form, read part by part.
type form struct {
	parts *multipart.Reader
	image upload.NewImage
	seen  int
}

// The limits of a form beside its file.
const (
	maxParts = 50
	maxField = 64 << 10
)

func openForm(r *http.Request) (*form, error) {
	q := query(r)
	if q.Get("image") != "" {
		return nil, cullet.E(cullet.NotImplemented, "fetching images from an address is not available on this server; send the file itself")
	}
	typ, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if typ != "multipart/form-data" {
		if r.ContentLength == 0 {
			return nil, errNoImage
		}
		return nil, cullet.E(cullet.NotImplemented, "images as base64 are not available on this server; send the file in a multipart form")
	}
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, cullet.E(cullet.Invalid, "the multipart form cannot be read: its boundary is missing")
	}
	return &form{parts: parts, image: upload.NewImage{Name: q.Get("name"), Split: q.Get("split"), Batch: q.Get("batch"), Tags: q["tag"]}}, nil
}

var errNoImage = cullet.E(cullet.Invalid, "the upload has no image; send it in a multipart form, in the field file")

// untilFile reads up to the file and returns it.
func (f *form) untilFile() (io.Reader, error) {
	for {
		p, err := f.next()
		if err == io.EOF {
			return nil, errNoImage
		}
		if err != nil {
			return nil, err
		}
		if p.FormName() == "file" {
			if f.image.Name == "" {
				f.image.Name = p.FileName()
			}
			return part{p}, nil
		}
		if err := f.keep(p); err != nil {
			return nil, err
		}
	}
}

// afterFile reads the rest.
func (f *form) afterFile() error {
	for {
		p, err := f.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if p.FormName() == "file" {
			return cullet.E(cullet.Invalid, "the form has more than one file; send one image at a time")
		}
		if err := f.keep(p); err != nil {
			return err
		}
	}
}

func (f *form) next() (*multipart.Part, error) {
	if f.seen++; f.seen > maxParts {
		return nil, cullet.E(cullet.Invalid, "the form has more than %d fields", maxParts)
	}
	p, err := f.parts.NextPart()
	if err != nil && err != io.EOF {
		return nil, badForm(err)
	}
	return p, err
}

// keep reads a field. One that is not ours is passed over.
func (f *form) keep(p *multipart.Part) error {
	b, err := io.ReadAll(io.LimitReader(part{p}, maxField+1))
	if err != nil {
		return err
	}
	if len(b) > maxField {
		return cullet.E(cullet.TooLarge, "the field %q of the form is larger than %d bytes", brief(p.FormName()), maxField)
	}
	switch p.FormName() {
	case "name":
		f.image.Name = string(b)
	case "split":
		f.image.Split = string(b)
	case "metadata":
		f.image.Metadata = string(b)
	case "batch":
		f.image.Batch = string(b)
	case "tag":
		f.image.Tags = append(f.image.Tags, string(b))
	}
	return nil
}

// part is a part of a form whose reading ends in words.
type part struct{ r io.Reader }

func (p part) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if err != nil && err != io.EOF {
		err = badForm(err)
	}
	return n, err
}

// badForm keeps what the body said of itself; the rest is a form that is none.
func badForm(err error) error {
	if cullet.CodeOf(err) != cullet.Internal {
		return err
	}
	return &cullet.Error{Code: cullet.Invalid, Message: "the multipart form is not whole, or is none", Err: err}
}

// annotate is I2: one image's annotation. A repeat of one that arrived is a
// Conflict that says "already annotated", which the SDK takes for a warning.
func (s *Server) annotate(w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	prediction, err1 := yes(r, "prediction")
	overwrite, err2 := yes(r, "overwrite")
	add, err3 := yes(r, "addToDataset")
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	if q.Get("addToDataset") != "" && !add {
		return cullet.E(cullet.NotImplemented, "addToDataset=false is not available on this server: every image of a project is in its dataset")
	}
	if q.Get("name") == "" {
		return cullet.E(cullet.Invalid, "name is missing in the query: the annotation's file name, whose ending tells its format")
	}
	var in struct {
		AnnotationFile string            `json:"annotationFile"`
		Labelmap       map[string]string `json:"labelmap"`
	}
	if err := decode(r, &in); err != nil {
		return err
	}
	_, err := s.Catalog.Annotate(r.Context(), actor(r), word(r, "project"), word(r, "image"), dataset.NewAnnotation{Name: q.Get("name"),
		Text: in.AnnotationFile, Labelmap: in.Labelmap, Job: q.Get("jobName"), Overwrite: overwrite, Prediction: prediction})
	if err != nil {
		return err
	}
	return ok(w, map[string]any{"success": true, "id": word(r, "image")})
}

// imageOut is an image by itself (contract/30, I4).
type imageOut struct {
	ID         string          `json:"id"`
	Name       string          `json:"name"`
	Annotation *annotationOut  `json:"annotation,omitempty"` // absent: there is none
	Labels     []string        `json:"labels"`
	Split      string          `json:"split"`
	Tags       []string        `json:"tags"`
	Created    int64           `json:"created"` // epoch seconds
	URLs       urlsOut         `json:"urls"`
	Embedding  any             `json:"embedding"` // null: none is kept
	Metadata   json.RawMessage `json:"metadata"`
	Width      int             `json:"width"`
	Height     int             `json:"height"`
}

type urlsOut struct {
	Original string `json:"original"`
	Thumb    string `json:"thumb"`
}

type annotationOut struct {
	Key    string   `json:"key"` // the project's annotation group
	Width  int      `json:"width"`
	Height int      `json:"height"`
	Boxes  []boxOut `json:"boxes"`
}

type boxOut struct {
	Label  string       `json:"label"`
	X      float64      `json:"x"` // of the centre, in pixels
	Y      float64      `json:"y"`
	Width  float64      `json:"width"`
	Height float64      `json:"height"`
	Type   string       `json:"type"`
	Points [][2]float64 `json:"points,omitempty"` // of a polygon
}

func toBoxes(shapes []cullet.Shape) []boxOut {
	boxes := make([]boxOut, len(shapes))
	for n, s := range shapes {
		boxes[n] = boxOut{Label: s.Class, X: s.X, Y: s.Y, Width: s.W, Height: s.H, Type: string(s.Kind)}
		for _, p := range s.Points {
			boxes[n].Points = append(boxes[n].Points, [2]float64{p.X, p.Y})
		}
	}
	return boxes
}

// labels are the classes of an image's shapes, each once, sorted.
func labels(shapes []cullet.Shape) []string {
	names := []string{}
	for _, s := range shapes {
		names = append(names, s.Class)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (s *Server) getImage(w http.ResponseWriter, r *http.Request) error {
	i, p, err := s.Catalog.Image(r.Context(), actor(r), word(r, "project"), word(r, "image"))
	if err != nil {
		return err
	}
	out := imageOut{ID: i.ID, Name: i.Name, Labels: labels(i.Shapes), Split: string(i.Split), Tags: orEmpty(i.Tags), Created: i.CreatedAt.Unix(),
		URLs: urlsOut{s.link(r, imageFile, i.ID), s.link(r, thumbFile, i.ID)}, Metadata: object(i.Metadata), Width: i.Width, Height: i.Height}
	if i.Revision != "" {
		out.Annotation = &annotationOut{Key: p.Group, Width: i.Width, Height: i.Height, Boxes: toBoxes(i.Shapes)}
	}
	return ok(w, map[string]any{"image": out})
}

// searchIn is what S1 takes. Fields that no version of the SDK has are ignored, as
// hosted does; those that would choose other images are refused when they are set.
type searchIn struct {
	Prompt          string     `json:"prompt"` // a part of the file name
	Tag             string     `json:"tag"`
	ClassName       string     `json:"class_name"`
	BatchID         string     `json:"batch_id"`
	InDataset       truth      `json:"in_dataset"`
	Fields          []string   `json:"fields"`
	Offset          maybe[int] `json:"offset"`
	Limit           maybe[int] `json:"limit"`
	MediaTypes      []string   `json:"mediaTypes"`
	LikeImage       string     `json:"like_image"`
	Batch           truth      `json:"batch"`
	AnnotationJob   truth      `json:"annotation_job"`
	AnnotationJobID string     `json:"annotation_job_id"`
}

// The pages of a search.
const (
	defaultLimit = 100
	maxLimit     = 1000
	maxOffset    = 1 << 31
)

// filter is what the search means here. None says that nothing can be found.
func (in searchIn) filter() (f store.ImageFilter, none bool, err error) {
	refused := map[string]bool{"like_image": in.LikeImage != "", "batch": in.Batch.yes, "annotation_job": in.AnnotationJob.yes, "annotation_job_id": in.AnnotationJobID != ""}
	for field, set := range refused {
		if set {
			return f, false, cullet.E(cullet.NotImplemented, "searching by %s is not available on this server", field)
		}
	}
	f = store.ImageFilter{Name: in.Prompt, Tag: in.Tag, Class: in.ClassName, Batch: in.BatchID, Offset: in.Offset.value, Limit: defaultLimit}
	if in.Limit.set && !in.Limit.null {
		f.Limit = in.Limit.value
	}
	switch {
	case f.Limit < 1 || f.Limit > maxLimit:
		return f, false, cullet.E(cullet.Invalid, "limit must be between 1 and %d", maxLimit)
	case f.Offset < 0 || f.Offset > maxOffset:
		return f, false, cullet.E(cullet.Invalid, "offset must be 0 or more")
	}
	// Every image of a project is in its dataset, and there are only images.
	none = in.InDataset.set && !in.InDataset.yes || len(in.MediaTypes) > 0 && !slices.Contains(in.MediaTypes, "image")
	return f, none, nil
}

// search is S1, in a project.
func (s *Server) search(w http.ResponseWriter, r *http.Request) error {
	var in searchIn
	if err := decode(r, &in); err != nil {
		return err
	}
	f, none, err := in.filter()
	if err != nil {
		return err
	}
	found, total, err := s.Catalog.FindImages(r.Context(), actor(r), word(r, "project"), f)
	if err != nil {
		return err
	}
	if none {
		found, total = nil, 0
	}
	fields := in.Fields
	if len(fields) == 0 {
		fields = []string{"id", "created", "name", "labels"} // the SDK's own choice
	}
	hits := []map[string]any{}
	for _, i := range found {
		hits = append(hits, s.hit(r, i, fields))
	}
	return ok(w, map[string]any{"results": hits, "total": total, "offset": f.Offset})
}

// hit is an image as a search shows it: its fields that were asked for, and always
// its id, and what kind of thing it is.
func (s *Server) hit(r *http.Request, i dataset.Image, fields []string) map[string]any {
	hit := map[string]any{"id": i.ID, "mediaType": "image"}
	for _, field := range fields {
		switch strings.ToLower(field) {
		case "name", "filename":
			hit[field] = i.Name
		case "created":
			hit[field] = i.CreatedAt.Unix()
		case "annotations":
			classes := map[string]int{}
			for _, shape := range i.Shapes {
				classes[shape.Class]++
			}
			hit[field] = map[string]any{"count": len(i.Shapes), "classes": classes}
		case "labels":
			hit[field] = labels(i.Shapes)
		case "split":
			hit[field] = i.Split
		case "tags":
			hit[field] = orEmpty(i.Tags)
		case "owner":
			hit[field] = i.Workspace
		case "embedding":
			hit[field] = nil
		case "user_metadata":
			hit[field] = object(i.Metadata)
		case "width":
			hit[field] = i.Width
		case "height":
			hit[field] = i.Height
		case "url":
			hit[field] = s.link(r, imageFile, i.ID)
		}
	}
	return hit
}

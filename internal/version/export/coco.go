package export

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/cullet-vision/cullet"
)

// coco is COCO's JSON, one file a split with the images beside it. Categories
// begin with the project's group as number 0; all other ids count from 0 in each
// split.
type coco struct{}

func (coco) Key() string  { return "coco" }
func (coco) Name() string { return "COCO" }

type (
	cocoInfo struct {
		Year        string `json:"year"`
		Version     string `json:"version"`
		Description string `json:"description"`
		Contributor string `json:"contributor"`
		URL         string `json:"url"`
		DateCreated string `json:"date_created"`
	}
	cocoLicense struct {
		ID   int    `json:"id"`
		URL  string `json:"url"`
		Name string `json:"name"`
	}
	cocoCategory struct {
		ID            int    `json:"id"`
		Name          string `json:"name"`
		Supercategory string `json:"supercategory"`
	}
	cocoImage struct {
		ID           int64  `json:"id"`
		License      int    `json:"license"`
		FileName     string `json:"file_name"`
		Height       int    `json:"height"`
		Width        int    `json:"width"`
		DateCaptured string `json:"date_captured"`
	}
	cocoAnnotation struct {
		ID           int64       `json:"id"`
		ImageID      int64       `json:"image_id"`
		CategoryID   int         `json:"category_id"`
		Box          [4]float64  `json:"bbox"` // left, top, width, height in pixels
		Area         float64     `json:"area"`
		Segmentation [][]float64 `json:"segmentation"`
		IsCrowd      int         `json:"iscrowd"`
	}
)

// cocoTime is how COCO files write a time, in UTC.
const cocoTime = "2006-01-02T15:04:05+00:00"

// cocoSplit is what one split's file will hold.
type cocoSplit struct {
	images, annotations         spool // JSON objects with commas between
	imageCount, annotationCount int64
}

func (coco) write(a *archive, d Dataset) error {
	splits := map[cullet.Split]*cocoSplit{}
	for _, s := range cullet.Splits() {
		split := &cocoSplit{images: spool{dir: d.Temp}, annotations: spool{dir: d.Temp}}
		defer split.images.close()
		defer split.annotations.close()
		splits[s] = split
	}
	index := d.classIndex(1)
	folder := func(s cullet.Split) string { return string(s) }
	err := d.images(a, folder, func(m cullet.VersionImage, name string) error {
		return splits[m.Split].add(m, name, index)
	})
	if err != nil {
		return err
	}
	head, err := cocoHead(d)
	if err != nil {
		return err
	}
	for _, s := range cullet.Splits() {
		if splits[s].imageCount == 0 {
			continue
		}
		err := a.text(string(s)+"/_annotations.coco.json", func(w io.Writer) error { return splits[s].writeTo(w, head) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *cocoSplit) add(m cullet.VersionImage, name string, index map[string]int) error {
	id := s.imageCount
	s.imageCount++
	err := appendJSON(&s.images, id, cocoImage{
		ID: id, License: 1, FileName: name, Height: m.Height, Width: m.Width, DateCaptured: m.Created.UTC().Format(cocoTime),
	})
	if err != nil {
		return err
	}
	var failed error
	err = drawn(m, index, func(class int, shape cullet.Shape) {
		if failed != nil {
			return
		}
		failed = appendJSON(&s.annotations, s.annotationCount, cocoShape(s.annotationCount, id, class, shape))
		s.annotationCount++
	})
	if err != nil {
		return err
	}
	return failed
}

func cocoShape(id, image int64, class int, s cullet.Shape) cocoAnnotation {
	c := cocoAnnotation{
		ID: id, ImageID: image, CategoryID: class,
		Box:          [4]float64{rounded(s.Left()), rounded(s.Top()), rounded(s.W), rounded(s.H)},
		Area:         rounded(s.Area()),
		Segmentation: [][]float64{},
	}
	if s.Kind == cullet.Polygon {
		flat := make([]float64, 0, 2*len(s.Points))
		for _, p := range s.Points {
			flat = append(flat, rounded(p.X), rounded(p.Y))
		}
		c.Segmentation = append(c.Segmentation, flat)
	}
	return c
}

// rounded takes off what floating point added: a millionth of a pixel is nothing.
func rounded(v float64) float64 { return math.Round(v*1e6) / 1e6 }

// appendJSON adds the n-th element of a list.
func appendJSON(w io.Writer, n int64, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if n > 0 {
		b = append([]byte(",\n"), b...)
	}
	_, err = w.Write(b)
	return err
}

// cocoHead is the beginning of each split's file, the same for all.
func cocoHead(d Dataset) ([]byte, error) {
	categories := []cocoCategory{{ID: 0, Name: d.Group, Supercategory: "none"}}
	for i, c := range d.Classes {
		categories = append(categories, cocoCategory{ID: i + 1, Name: c, Supercategory: d.Group})
	}
	created := d.CreatedAt.UTC()
	var b bytes.Buffer
	for _, part := range []struct {
		name  string
		value any
	}{
		{`{"info":`, cocoInfo{
			Year: created.Format("2006"), Version: strconv.FormatInt(d.Version, 10), Description: "Exported from Cullet",
			Contributor: d.Workspace, URL: d.URL, DateCreated: created.Format(cocoTime),
		}},
		{`,"licenses":`, []cocoLicense{{ID: 1, URL: licenseURL(d.License), Name: d.License}}},
		{`,"categories":`, categories},
	} {
		v, err := json.Marshal(part.value)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%s%s", part.name, v)
	}
	return b.Bytes(), nil
}

func (s *cocoSplit) writeTo(w io.Writer, head []byte) error {
	for _, part := range []io.WriterTo{
		bytes.NewReader(head),
		bytes.NewReader([]byte(",\"images\":[")), &s.images,
		bytes.NewReader([]byte("],\"annotations\":[")), &s.annotations,
		bytes.NewReader([]byte("]}\n")),
	} {
		if _, err := part.WriteTo(w); err != nil {
			return err
		}
	}
	return nil
}

// licenseURL is where a licence that the web app offers can be read.
func licenseURL(name string) string {
	switch name {
	case "Public Domain":
		return "https://creativecommons.org/publicdomain/zero/1.0/"
	case "CC BY 4.0":
		return "https://creativecommons.org/licenses/by/4.0/"
	case "BY-NC-SA 4.0":
		return "https://creativecommons.org/licenses/by-nc-sa/4.0/"
	case "MIT":
		return "https://opensource.org/license/mit"
	case "ODbL v1.0":
		return "https://opendatacommons.org/licenses/odbl/1-0/"
	}
	return ""
}

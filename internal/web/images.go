package web

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/dataset"
	"github.com/cullet-vision/cullet/internal/store"
)

const (
	perImages = 60 // images that a page shows

	onTile, linesOnTile   = 60, 18   // shapes that are drawn on a tile, and lines of text that fit on it
	onImage, linesOnImage = 5000, 44 // the same on the page of an image
)

// head is the upper part of all pages of a project.
type head struct {
	Project dataset.Detail
	Kind    string
	Root    string // address of the project
	Tab     string
}

// projectHead finds the project in the address and makes the frame of its pages.
func (a *app) projectHead(v *visit, tab string, titles ...string) (*frame, head, error) {
	p, err := a.Catalog.Project(v.Context(), v.by, chi.URLParam(v.Request, "project"))
	if err != nil {
		return nil, head{}, err
	}
	f, err := a.inside(v, "projects", append(titles, p.Name)...)
	return f, head{Project: p, Kind: typeWords(p.Type), Root: "/app/" + v.ws.Slug + "/" + p.Slug, Tab: tab}, err
}

// imagesPage shows the images of a project.
type imagesPage struct {
	*frame
	head
	Tiles    []tile
	Query    imageQuery
	Total    int64
	Filtered bool
	Classes  []classChip
	Batches  []option
	Splits   []option
	Pager    pager
	Server   string
}

type tile struct {
	cullet.Image
	URL     string
	Thumb   string
	Alt     string
	Overlay overlay
}

// classChip leads to the images with a class.
type classChip struct {
	cullet.Class
	Hue int
	On  bool
	URL string
}

// imageQuery is what the grid was asked for.
type imageQuery struct{ Name, Split, Class, Tag, Batch, Annotated string }

func readImageQuery(v *visit) imageQuery {
	f := v.URL.Query()
	q := imageQuery{strings.TrimSpace(f.Get("q")), f.Get("split"), f.Get("class"), strings.TrimSpace(f.Get("tag")), f.Get("batch"), f.Get("annotated")}
	if s, err := cullet.ParseSplit(q.Split); err != nil || q.Split != "" && string(s) != q.Split {
		q.Split = ""
	}
	return q
}

func (q imageQuery) values() url.Values {
	return url.Values{"q": {q.Name}, "split": {q.Split}, "class": {q.Class}, "tag": {q.Tag}, "batch": {q.Batch}, "annotated": {q.Annotated}}
}

func (q imageQuery) filter() store.ImageFilter {
	f := store.ImageFilter{Name: q.Name, Split: cullet.Split(q.Split), Class: q.Class, Tag: q.Tag, Batch: q.Batch}
	if yes := q.Annotated == "yes"; yes || q.Annotated == "no" {
		f.Annotated = &yes
	}
	return f
}

func (q imageQuery) url(path string, more ...string) string {
	v := q.values()
	for n := 0; n < len(more); n += 2 {
		v.Set(more[n], more[n+1])
	}
	return address(path, v)
}

func (a *app) images(w http.ResponseWriter, v *visit) error {
	f, h, err := a.projectHead(v, "images", "Images")
	if err != nil {
		return err
	}
	q := readImageQuery(v)
	page := imagesPage{frame: f, head: h, Query: q, Filtered: q != imageQuery{}, Server: a.origin(v.Request)}
	filter := q.filter()
	filter.After, _ = strconv.ParseInt(v.URL.Query().Get("after"), 10, 64) // what is no number begins at the beginning
	filter.Before, _ = strconv.ParseInt(v.URL.Query().Get("before"), 10, 64)
	filter.Limit = perImages + 1
	found, total, err := a.Catalog.FindImages(v.Context(), v.by, h.Project.ID, filter)
	if err != nil {
		return err
	}
	page.Total = total
	found = page.turn(found, filter)
	hue := hueOf(h.Project.Classes)
	for _, i := range found {
		at := h.Root + "/images/" + i.ID
		page.Tiles = append(page.Tiles, tile{Image: i.Image, URL: q.url(at), Thumb: at + "/thumb", Alt: describe(i.Name, i.Shapes),
			Overlay: draw(i.Width, i.Height, i.Shapes, hue, onTile, linesOnTile)})
	}
	batches, err := a.Catalog.Batches(v.Context(), v.by, h.Project.ID)
	if err != nil {
		return err
	}
	page.fill(batches)
	filtered(w, v, q.url(h.Root+"/images"))
	return a.render(w, v, http.StatusOK, "images", page)
}

// turn makes the way to the pages before and after, and puts the images in order.
func (p *imagesPage) turn(found []dataset.Image, f store.ImageFilter) []dataset.Image {
	more := len(found) > perImages
	found = found[:min(len(found), perImages)]
	back := f.Before > 0
	if back {
		slices.Reverse(found)
	}
	if len(found) == 0 {
		return found
	}
	if back && more || !back && f.After > 0 {
		p.Pager.Prev = p.Query.url(p.Root+"/images", "before", fmt.Sprint(found[0].Seq))
	}
	if back || more {
		p.Pager.Next = p.Query.url(p.Root+"/images", "after", fmt.Sprint(found[len(found)-1].Seq))
	}
	return found
}

func (p *imagesPage) fill(batches []cullet.Batch) {
	for n, c := range p.Project.Classes {
		with := p.Query
		if with.Class = c.Name; p.Query.Class == c.Name {
			with.Class = ""
		}
		p.Classes = append(p.Classes, classChip{Class: c, Hue: n % hues, On: p.Query.Class == c.Name, URL: with.url(p.Root + "/images")})
	}
	for _, b := range batches {
		p.Batches = append(p.Batches, option{Value: b.ID, Text: fmt.Sprintf("%s (%s)", b.Name, num(b.Images)), On: b.ID == p.Query.Batch})
	}
	for _, s := range cullet.Splits() {
		p.Splits = append(p.Splits, option{Value: string(s), Text: string(s), On: string(s) == p.Query.Split})
	}
}

// imagePage shows one image.
type imagePage struct {
	*frame
	head
	Image    dataset.Image
	Src      string // what the browser shows
	Original string
	Alt      string
	Overlay  overlay
	Rows     []shapeRow
	Versions []int64
	Prev     string
	Next     string
	Back     string
}

// shapeRow is a shape in the table beside the picture.
type shapeRow struct {
	Class  string
	Hue    int
	Kind   string
	Place  string
	Extent string
}

func (a *app) image(w http.ResponseWriter, v *visit) error {
	i, _, err := a.Catalog.Image(v.Context(), v.by, chi.URLParam(v.Request, "project"), chi.URLParam(v.Request, "image"))
	if err != nil {
		return err
	}
	f, h, err := a.projectHead(v, "images", i.Name)
	if err != nil {
		return err
	}
	q := readImageQuery(v)
	hue := hueOf(h.Project.Classes)
	at := h.Root + "/images/" + i.ID
	page := imagePage{frame: f, head: h, Image: i, Src: at + "/original", Original: at + "/original", Alt: describe(i.Name, i.Shapes),
		Overlay: draw(i.Width, i.Height, i.Shapes, hue, onImage, linesOnImage), Back: q.url(h.Root + "/images")}
	if !slices.Contains(shownByBrowsers, i.Format) {
		page.Src = at + "/thumb"
	}
	for _, s := range i.Shapes {
		place, extent := placed(s)
		page.Rows = append(page.Rows, shapeRow{s.Class, hue(s.Class), string(s.Kind), place, extent})
	}
	if page.Versions, err = a.Press.Containing(v.Context(), v.by, h.Project.ID, i.Image); err != nil {
		return err
	}
	if page.Prev, page.Next, err = a.neighbours(v, h, q, i.Seq); err != nil {
		return err
	}
	return a.render(w, v, http.StatusOK, "image", page)
}

// neighbours are the addresses of the images before and after, of those that the
// filter chooses.
func (a *app) neighbours(v *visit, h head, q imageQuery, seq int64) (prev, next string, err error) {
	f := q.filter()
	f.Limit = 1
	for _, way := range []struct {
		to            *string
		after, before int64
	}{{&prev, 0, seq}, {&next, seq, 0}} {
		f.After, f.Before = way.after, way.before
		found, err := a.Catalog.Beside(v.Context(), v.by, h.Project.ID, f)
		if err != nil {
			return "", "", err
		}
		if found != "" {
			*way.to = q.url(h.Root + "/images/" + found)
		}
	}
	return prev, next, nil
}

// placed writes where a shape is, and how large.
func placed(s cullet.Shape) (place, extent string) {
	if s.Kind == cullet.Label {
		return "whole image", ""
	}
	place, extent = fmt.Sprintf("x %s, y %s", px(s.Left()), px(s.Top())), fmt.Sprintf("%s × %s px", px(s.W), px(s.H))
	if s.Kind == cullet.Polygon {
		extent += fmt.Sprintf(", %d points", len(s.Points))
	}
	return place, extent
}

// pictureTypes are the types under which pictures are sent. What a person uploaded
// is never sent as anything that a browser runs.
var pictureTypes = map[string]string{"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "bmp": "image/bmp", "gif": "image/gif", "tiff": "image/tiff"}

var shownByBrowsers = []string{"jpeg", "png", "webp", "bmp", "gif"}

// imageFile sends an image's bytes, or its thumbnail, to who may see it. The
// browser asks each time whether it still may (D3).
func (a *app) imageFile(w http.ResponseWriter, v *visit) error {
	thumb := chi.URLParam(v.Request, "file") == "thumb"
	i, b, err := a.Catalog.ImageFile(v.Context(), v.by, chi.URLParam(v.Request, "project"), chi.URLParam(v.Request, "image"), thumb)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cache-Control", "private, no-cache")
	h.Set("ETag", `"`+b.Digest+`"`)
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	typ := pictureTypes[i.Format]
	if thumb {
		typ = "image/jpeg"
	}
	if typ == "" {
		typ = "application/octet-stream"
		h.Set("Content-Disposition", "attachment")
	} else if !thumb {
		h.Set("Content-Disposition", mime.FormatMediaType("inline", map[string]string{"filename": i.Name}))
	}
	h.Set("Content-Type", typ)
	if match := v.Header.Get("If-None-Match"); match != "" && strings.Contains(match, b.Digest) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	file, _, err := a.Blobs.Open(v.Context(), b.Path)
	if err != nil {
		for _, name := range []string{"Content-Type", "Content-Disposition", "ETag"} {
			h.Del(name)
		}
		return err
	}
	defer file.Close()
	http.ServeContent(w, v.Request, "", time.Time{}, io.ReadSeeker(file))
	return nil
}

package export_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/cullettest"
	"github.com/cullet-vision/cullet/internal/dataset/format"
	"github.com/cullet-vision/cullet/internal/version/export"
)

var made = time.Date(2026, 3, 4, 5, 6, 8, 0, time.UTC)

// hostile are names that somebody will give an image one day.
var hostile = []string{
	"a.jpg", "A.jpg", "a.JPG", "a.jpg", "../../etc/passwd", `..\..\windows.png`, "/abs/olute.png", "my photo (1).jpeg",
	"Flasche für Öl.jpg", "瓶.jpg", "🍾.jpg", "", ".", "..", ".hidden", "x." + strings.Repeat("e", 300), strings.Repeat("ü", 300) + ".jpg",
	"con", "aux.txt", "a\x00b.jpg", "a\nb.jpg", "a:b*c?.jpg", "\xff\xfe.jpg", "-rf.jpg", "a.b.c.d.jpg", "data.yaml", "_annotations.coco.json",
	strings.Repeat("../", 100), "a%2fb.jpg", "\u202egpj.exe", "e\u0301.jpg",
}

// hostileClasses are class names that JSON and YAML must survive.
var hostileClasses = []string{
	"bottle", "jar", "Bottle", "yes", "null", "1.0", "~", "- x", "a: b", "# c", `q"u'o\te`, "{[", "%", "@", "&a", "*a", "!t", "日本", "🍾",
	"\u00a0", "\u2028", "\ufeff", "\x7f", "\u0085", "</script>", "a, b", strings.Repeat("x", 200), "\uffff", "\ufffd", "trailing ",
}

func dataset(images []cullet.VersionImage, classes ...string) export.Dataset {
	return export.Dataset{
		Workspace: "acme", Project: "belt", ProjectName: "Belt: 1", Group: "glass", License: "CC BY 4.0", URL: "http://x/acme/belt/3",
		Version: 3, CreatedAt: made, Classes: classes,
		Images: func(yield func(cullet.VersionImage) error) error {
			for _, m := range images {
				if err := yield(m); err != nil {
					return err
				}
			}
			return nil
		},
		Open: func(_ context.Context, path string) (io.ReadSeekCloser, error) {
			return nopCloser{strings.NewReader("bytes of " + path)}, nil
		},
	}
}

type nopCloser struct{ io.ReadSeeker }

func (nopCloser) Close() error { return nil }

func image(n int, name string, shapes ...cullet.Shape) cullet.VersionImage {
	id := "img_" + strconv.Itoa(n)
	return cullet.VersionImage{
		Version: "v_1", Image: id, Seq: int64(n), Name: name, Path: "path/of/" + id, Format: "jpeg", Width: 640, Height: 480,
		Split: cullet.Splits()[n%3], Shapes: shapes, Created: made.Add(time.Duration(n) * time.Minute),
	}
}

func hostileDataset() export.Dataset {
	var images []cullet.VersionImage
	for i, name := range hostile {
		class := hostileClasses[i%len(hostileClasses)]
		images = append(images, image(i, name,
			cullet.BoxAround(class, float64(i), 20, 100.25, 50),
			cullet.Shape{Class: "said of the whole", Kind: cullet.Label}))
	}
	return dataset(images, hostileClasses...)
}

// written is a zip as the SDK finds it: members by name.
type written map[string][]byte

func write(t testing.TB, f export.Format, d export.Dataset) ([]byte, written) {
	t.Helper()
	var b bytes.Buffer
	if err := export.Write(t.Context(), &b, f, d); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), unzip(t, bytes.NewReader(b.Bytes()), int64(b.Len()))
}

func unzip(t testing.TB, r io.ReaderAt, size int64) written {
	t.Helper()
	z, err := zip.NewReader(r, size)
	if err != nil {
		t.Fatal(err)
	}
	members, folded := written{}, map[string]bool{}
	for _, f := range z.File {
		if lower := strings.ToLower(f.Name); folded[lower] {
			t.Errorf("%q is there twice where case is not told apart", f.Name)
		} else {
			folded[lower] = true
		}
		if !fs.ValidPath(f.Name) || strings.ContainsAny(f.Name, "\\:*?\"<>|\x00\n") || len(path.Base(f.Name)) > 255 || strings.Contains(f.Name, "..") {
			t.Errorf("%q is no safe name", f.Name)
		}
		if !f.Modified.Equal(made) || !f.Mode().IsRegular() || f.Mode().Perm() != 0o644 || f.Flags&8 != 0 {
			t.Errorf("%s: %v, %v, flags %x", f.Name, f.Modified, f.Mode(), f.Flags)
		}
		text := strings.HasSuffix(f.Name, ".txt") || strings.HasSuffix(f.Name, ".json") || strings.HasSuffix(f.Name, ".yaml")
		if text != (f.Method == zip.Deflate) {
			t.Errorf("%s is kept by method %d", f.Name, f.Method)
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r) // checks the checksum too
		if err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
		members[f.Name] = b
	}
	return members
}

// The types that COCO's readers expect.
type cocoFile struct {
	Info       map[string]string `json:"info"`
	Licenses   []map[string]any  `json:"licenses"`
	Categories []struct {
		ID            int    `json:"id"`
		Name          string `json:"name"`
		Supercategory string `json:"supercategory"`
	} `json:"categories"`
	Images []struct {
		ID           int    `json:"id"`
		License      int    `json:"license"`
		FileName     string `json:"file_name"`
		Height       int    `json:"height"`
		Width        int    `json:"width"`
		DateCaptured string `json:"date_captured"`
	} `json:"images"`
	Annotations []struct {
		ID           int         `json:"id"`
		ImageID      int         `json:"image_id"`
		CategoryID   int         `json:"category_id"`
		Box          []float64   `json:"bbox"`
		Area         float64     `json:"area"`
		Segmentation [][]float64 `json:"segmentation"`
		IsCrowd      int         `json:"iscrowd"`
	} `json:"annotations"`
}

func readCOCO(t testing.TB, b []byte) (f cocoFile) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		t.Fatalf("%v in %.300s", err, b)
	}
	return f
}

func formatOf(t testing.TB, key string) export.Format {
	t.Helper()
	f, err := export.For(key)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestCOCO(t *testing.T) {
	t.Parallel()
	d := hostileDataset()
	_, members := write(t, formatOf(t, "coco"), d)
	if n := len(hostile) + 3 + 1; len(members) != n {
		t.Errorf("%d members, want %d: %q", len(members), n, slices.Sorted(maps.Keys(members)))
	}
	shapes, seen := bySplit(d), 0
	for _, split := range cullet.Splits() {
		f := readCOCO(t, members[string(split)+"/_annotations.coco.json"])
		want := map[string]string{"year": "2026", "version": "3", "description": "Exported from Cullet", "contributor": "acme",
			"url": "http://x/acme/belt/3", "date_created": "2026-03-04T05:06:08+00:00"}
		if diff := cmp.Diff(want, f.Info); diff != "" {
			t.Errorf("info (-want +got):\n%s", diff)
		}
		if l := f.Licenses[0]; len(f.Licenses) != 1 || l["id"] != 1. || l["name"] != "CC BY 4.0" || l["url"] != "https://creativecommons.org/licenses/by/4.0/" {
			t.Errorf("licenses %v", f.Licenses)
		}
		if c := f.Categories[0]; c.ID != 0 || c.Name != "glass" || c.Supercategory != "none" {
			t.Errorf("the first category is %+v, want the group", c)
		}
		classes := slices.Sorted(slices.Values(hostileClasses))
		for i, c := range f.Categories[1:] {
			if c.ID != i+1 || c.Name != classes[i] || c.Supercategory != "glass" {
				t.Errorf("category %+v, want %d %q", c, i+1, classes[i])
			}
		}
		for i, m := range f.Images {
			src := shapes[split][i]
			if m.ID != i || m.License != 1 || m.Width != 640 || m.Height != 480 || m.DateCaptured != src.Created.Format("2006-01-02T15:04:05+00:00") {
				t.Errorf("image %+v", m)
			}
			if got := string(members[string(split)+"/"+m.FileName]); got != "bytes of "+src.Path {
				t.Errorf("%s holds %q, want the bytes of %s", m.FileName, got, src.Path)
			}
		}
		for i, a := range f.Annotations { // one box an image, and the label left out
			s := shapes[split][i].Shapes[0]
			if a.ID != i || a.ImageID != i || a.IsCrowd != 0 || f.Categories[a.CategoryID].Name != s.Class || len(a.Segmentation) != 0 || a.Segmentation == nil {
				t.Errorf("annotation %+v of %+v", a, s)
			}
			if !close4(a.Box, s.Left(), s.Top(), s.W, s.H) || math.Abs(a.Area-s.W*s.H) > .5 {
				t.Errorf("bbox %v, area %v of %+v", a.Box, a.Area, s)
			}
			seen++
		}
	}
	if seen != len(hostile) {
		t.Errorf("%d annotations, want %d", seen, len(hostile))
	}
}

func close4(got []float64, want ...float64) bool {
	return slices.EqualFunc(got, want, func(a, b float64) bool { return math.Abs(a-b) <= .5 })
}

func bySplit(d export.Dataset) map[cullet.Split][]cullet.VersionImage {
	m := map[cullet.Split][]cullet.VersionImage{}
	_ = d.Images(func(i cullet.VersionImage) error { m[i.Split] = append(m[i.Split], i); return nil })
	return m
}

func TestYOLOv5(t *testing.T) {
	t.Parallel()
	triangle := cullet.PolygonOf("jar", []cullet.Point{{X: 0, Y: 0}, {X: 64, Y: 0}, {X: 64, Y: 48}})
	d := dataset([]cullet.VersionImage{
		image(0, "empty.png"),
		image(1, "boxes.jpg", cullet.BoxAround("jar", 64, 48, 64, 96), cullet.BoxAround("bottle", 0, 0, 640, 480)),
		image(2, "mixed.jpg", triangle, cullet.BoxAround("bottle", 64, 48, 64, 96)),
	}, "jar", "bottle", "jar")
	_, members := write(t, formatOf(t, "yolov5pytorch"), d)
	want := map[string]string{
		"train/labels/empty_png": "",
		"valid/labels/boxes_jpg": "1 0.15 0.2 0.1 0.2\n0 0.5 0.5 1 1\n",
		// A trainer that finds one polygon reads all lines as polygons.
		"test/labels/mixed_jpg": "1 0 0 0.1 0 0.1 0.1\n0 0.1 0.1 0.2 0.1 0.2 0.3 0.1 0.3\n",
	}
	for name, b := range members {
		if !strings.Contains(name, "/labels/") {
			continue
		}
		stem, _, _ := strings.Cut(name, ".rf.")
		if text, ok := want[stem]; !ok || string(b) != text {
			t.Errorf("%s holds %q, want %q", name, b, text)
		}
		delete(want, stem)
		picture := strings.Replace(strings.TrimSuffix(name, ".txt")+".jpg", "/labels/", "/images/", 1)
		if members[picture] == nil {
			t.Errorf("%s has no image %s", name, picture)
		}
	}
	if len(want) > 0 || len(members) != 8 {
		t.Errorf("not there: %v; there: %q", want, slices.Sorted(maps.Keys(members)))
	}
	const yaml = `train: ../train/images
val: ../valid/images
test: ../test/images

nc: 2
names: ["bottle", "jar"]

roboflow:
  workspace: "acme"
  project: "belt"
  version: 3
  license: "CC BY 4.0"
  url: "http://x/acme/belt/3"
`
	if diff := cmp.Diff(yaml, string(members["data.yaml"])); diff != "" {
		t.Errorf("data.yaml (-want +got):\n%s", diff)
	}
	for _, line := range []string{"# Belt: 1 > 3\n", "License: CC BY 4.0\n"} {
		if !strings.Contains(string(members["README.dataset.txt"]), line) {
			t.Errorf("the readme lacks %q:\n%s", line, members["README.dataset.txt"])
		}
	}
}

// Names of classes come back from YAML as they were. Its quoted form is also
// that of a Go string, for all that yamlText writes.
func TestHostileYAML(t *testing.T) {
	t.Parallel()
	_, members := write(t, formatOf(t, "yolov5pytorch"), hostileDataset())
	_, list, _ := strings.Cut(string(members["data.yaml"]), "names: [")
	list, _, _ = strings.Cut(list, "]\n")
	var got []string
	for list != "" {
		q, err := strconv.QuotedPrefix(list)
		if err != nil {
			t.Fatalf("%v at %.50s", err, list)
		}
		for _, r := range q {
			if r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0xffff || r == 0xfeff {
				t.Errorf("%q holds a character that YAML forbids", q)
			}
		}
		name, err := strconv.Unquote(q)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, name)
		list = strings.TrimPrefix(list[len(q):], ", ")
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(hostileClasses)), got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	_, members := write(t, formatOf(t, "coco"), hostileDataset())
	all := slices.Sorted(maps.Keys(members))
	for _, want := range []string{ // the split and name up to the 32 digits
		"train/a_jpg.rf.", "valid/A_jpg.rf.", "test/a_JPG.rf.", "valid/passwd_jpg.rf.", "test/windows_png.rf.", "valid/my-photo-1_jpeg.rf.",
		"test/Flasche-für-Öl_jpg.rf.", "train/瓶_jpg.rf.", "train/image_jpg.rf.",
	} {
		if !slices.ContainsFunc(all, func(s string) bool {
			return strings.HasPrefix(s, want) && len(s) == len(want)+32+len(".jpg") && strings.HasSuffix(s, ".jpg")
		}) {
			t.Errorf("no member is named %s<32 hex>.jpg; there are %q", want, all)
		}
	}
	for _, f := range []string{"jpeg", "png", "gif", "webp", "bmp", "tiff"} {
		m := image(0, "x.jpg")
		m.Format = f
		_, members := write(t, formatOf(t, "coco"), dataset([]cullet.VersionImage{m}))
		if ext := map[bool]string{true: ".jpg", false: "." + f}[f == "jpeg"]; !slices.ContainsFunc(slices.Collect(maps.Keys(members)),
			func(s string) bool { return strings.HasPrefix(s, "train/x_jpg.rf.") && strings.HasSuffix(s, ext) }) {
			t.Errorf("a %s named x.jpg is %q", f, slices.Sorted(maps.Keys(members)))
		}
	}
}

func TestSameBytes(t *testing.T) {
	t.Parallel()
	for _, f := range export.Formats() {
		one, _ := write(t, f, hostileDataset())
		two, _ := write(t, f, hostileDataset())
		if !bytes.Equal(one, two) {
			t.Errorf("%s: the same dataset gave other bytes", f.Key())
		}
	}
}

func TestFor(t *testing.T) {
	t.Parallel()
	for _, f := range export.Formats() {
		if got, err := export.For(f.Key()); err != nil || got != f || f.Name() == "" {
			t.Errorf("For(%q) = %v, %v", f.Key(), got, err)
		}
	}
	for _, key := range []string{"voc", "yolov8", "yolov7pytorch", "createml", "folder", "tfrecord", "video-coco", "benchmarker"} {
		if _, err := export.For(key); cullet.CodeOf(err) != cullet.NotImplemented || !strings.Contains(err.Error(), key) {
			t.Errorf("For(%q) = %v, want not_implemented", key, err)
		}
	}
	for _, key := range []string{"", "undefined", "COCO", "yolov5", "../x", strings.Repeat("x", 10_000)} {
		if _, err := export.For(key); cullet.CodeOf(err) != cullet.Invalid || !strings.Contains(err.Error(), "coco, yolov5pytorch") || len(err.Error()) > 300 {
			t.Errorf("For(%.20q) = %.400v, want invalid with the keys", key, err)
		}
	}
}

// What the writers write, the reader reads: to half a pixel, and the same class.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		classes := []string{"bottle", "jar", "shard"}
		m := image(0, "x.jpg")
		m.Width, m.Height = rapid.IntRange(1, 20_000).Draw(t, "width"), rapid.IntRange(1, 20_000).Draw(t, "height")
		w, h := float64(m.Width), float64(m.Height)
		for range rapid.IntRange(0, 20).Draw(t, "shapes") {
			class := rapid.SampledFrom(classes).Draw(t, "class")
			if rapid.Bool().Draw(t, "polygon") {
				points := make([]cullet.Point, rapid.IntRange(3, 9).Draw(t, "corners"))
				for i := range points {
					points[i] = cullet.Point{X: rapid.Float64Range(0, w).Draw(t, "x"), Y: rapid.Float64Range(0, h).Draw(t, "y")}
				}
				if p := cullet.PolygonOf(class, points); p.Area() > w*h/1e6 {
					m.Shapes = append(m.Shapes, p)
				}
				continue
			}
			left, top := rapid.Float64Range(0, w*.99).Draw(t, "left"), rapid.Float64Range(0, h*.99).Draw(t, "top")
			m.Shapes = append(m.Shapes, cullet.BoxAround(class, left, top,
				rapid.Float64Range(w/1e4, w-left).Draw(t, "w"), rapid.Float64Range(h/1e4, h-top).Draw(t, "h")))
		}
		d := dataset([]cullet.VersionImage{m}, classes...)
		for _, f := range export.Formats() {
			_, members := writeRapid(t, f, d)
			in := format.Input{Image: m.Name, Width: m.Width, Height: m.Height, Type: cullet.InstanceSegmentation,
				Labelmap: map[string]string{"0": "bottle", "1": "jar", "2": "shard"}}
			for name, b := range members {
				if strings.HasSuffix(name, ".json") || strings.Contains(name, "/labels/") {
					in.Name, in.Text = path.Base(name), string(b)
				}
			}
			got, err := format.Read(in)
			if err != nil {
				t.Fatalf("%s: %v in %s", f.Key(), err, in.Text)
			}
			if err := same(m.Shapes, got); err != nil {
				t.Fatalf("%s: %v", f.Key(), err)
			}
		}
	})
}

func writeRapid(t *rapid.T, f export.Format, d export.Dataset) ([]byte, written) {
	var b bytes.Buffer
	if err := export.Write(context.Background(), &b, f, d); err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	members := written{}
	for _, f := range z.File {
		if members[f.Name], err = fs.ReadFile(z, f.Name); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes(), members
}

func same(want, got []cullet.Shape) error {
	if len(want) != len(got) {
		return fmt.Errorf("%d shapes came back as %d", len(want), len(got))
	}
	for i, w := range want {
		g := got[i]
		if g.Class != w.Class || !close4([]float64{g.Left(), g.Top(), g.W, g.H}, w.Left(), w.Top(), w.W, w.H) {
			return fmt.Errorf("%+v came back as %+v", w, g)
		}
		for j, p := range w.Points {
			if math.Hypot(p.X-g.Points[j].X, p.Y-g.Points[j].Y) > .5 {
				return fmt.Errorf("corner %v came back as %v", p, g.Points[j])
			}
		}
	}
	return nil
}

func TestFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, spoil := range map[string]func(*export.Dataset){
		"open": func(d *export.Dataset) {
			d.Open = func(context.Context, string) (io.ReadSeekCloser, error) { return nil, broken }
		},
		"images": func(d *export.Dataset) { d.Images = func(func(cullet.VersionImage) error) error { return broken } },
		"read": func(d *export.Dataset) {
			d.Open = func(context.Context, string) (io.ReadSeekCloser, error) { return failing{err: broken}, nil }
		},
	} {
		for _, f := range export.Formats() {
			d := hostileDataset()
			spoil(&d)
			if err := export.Write(t.Context(), io.Discard, f, d); !errors.Is(err, broken) {
				t.Errorf("%s, %s: %v, want the error", f.Key(), name, err)
			}
		}
	}
	for _, f := range export.Formats() {
		if err := export.Write(t.Context(), failing{err: broken}, f, hostileDataset()); !errors.Is(err, broken) {
			t.Errorf("%s, write: %v, want the error", f.Key(), err)
		}
		// Rows that contradict each other are no export.
		odd := image(0, "x.jpg", cullet.BoxAround("unheard of", 0, 0, 1, 1))
		if err := export.Write(t.Context(), io.Discard, f, dataset([]cullet.VersionImage{odd}, "bottle")); err == nil || !strings.Contains(err.Error(), "img_0") {
			t.Errorf("%s, a class that is not listed: %v, want an error with the image", f.Key(), err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		d := hostileDataset()
		d.Progress = func(n int64) {
			if n == 3 {
				cancel()
			} else if n > 3 {
				t.Errorf("%s: goes on after it was cancelled", f.Key())
			}
		}
		if err := export.Write(ctx, io.Discard, f, d); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want cancelled", f.Key(), err)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error)       { return 0, f.err }
func (f failing) Write([]byte) (int, error)      { return 0, f.err }
func (f failing) Seek(int64, int) (int64, error) { return 0, f.err }
func (f failing) Close() error                   { return nil }

func TestNothingToExport(t *testing.T) {
	t.Parallel()
	for _, f := range export.Formats() {
		_, members := write(t, f, dataset(nil))
		if members["README.dataset.txt"] == nil {
			t.Errorf("%s of no image: %q", f.Key(), slices.Sorted(maps.Keys(members)))
		}
	}
}

// An image larger than the buffer is read twice and comes out whole; the spools
// leave no file.
func TestLarge(t *testing.T) {
	t.Parallel()
	temp := t.TempDir()
	data := bytes.Repeat([]byte("0123456789abcdef"), 9<<20/16)
	many := make([]cullet.Shape, 1500)
	for i := range many {
		many[i] = cullet.BoxAround("jar", float64(i%600), float64(i%400), 1.5, 2.5)
	}
	d := dataset([]cullet.VersionImage{image(0, "large.bmp", many...), image(3, "next.jpg", many...)}, "jar")
	d.Temp = temp
	d.Open = func(_ context.Context, path string) (io.ReadSeekCloser, error) {
		if strings.HasSuffix(path, "img_0") {
			return nopCloser{bytes.NewReader(data)}, nil
		}
		return nopCloser{strings.NewReader("small")}, nil
	}
	d.Progress = func(int64) { wantEmpty(t, temp) } // not even meanwhile
	for _, f := range export.Formats() {
		_, members := write(t, f, d)
		large := 0
		for name, b := range members {
			if strings.Contains(name, "large_bmp") && bytes.Equal(b, data) {
				large++
			}
		}
		if large != 1 {
			t.Errorf("%s: the large image is not whole", f.Key())
		}
		if b, ok := members["train/_annotations.coco.json"]; ok && len(readCOCO(t, b).Annotations) != 3_000 {
			t.Error("annotations are missing")
		}
	}
	wantEmpty(t, temp)
}

func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("%s holds %v, %v, want nothing", dir, entries, err)
	}
}

// More than 65,535 members need the zip64 end.
func TestManyMembers(t *testing.T) {
	cullettest.TakesLong(t, "writes 66,000 members")
	t.Parallel()
	const n = 33_000 // with a text each
	d := dataset(nil)
	d.Images = func(yield func(cullet.VersionImage) error) error {
		for i := range n {
			if err := yield(image(i, "x.jpg")); err != nil {
				return err
			}
		}
		return nil
	}
	var b bytes.Buffer
	if err := export.Write(t.Context(), &b, formatOf(t, "yolov5pytorch"), d); err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil || len(z.File) != 2*n+2 {
		t.Fatalf("%d members, %v, want %d", len(z.File), err, 2*n+2)
	}
	last := z.File[2*n]
	if got, err := fs.ReadFile(z, last.Name); err != nil || string(got) != "bytes of path/of/img_32999" {
		t.Errorf("%s holds %q, %v", last.Name, got, err)
	}
}

// Members and places beyond 4 GB need the zip64 fields.
func TestBeyond4GB(t *testing.T) {
	cullettest.TakesLong(t, "reads and writes 4 GB of zeros")
	t.Parallel()
	const size = 1<<32 + 12_345
	d := dataset([]cullet.VersionImage{image(0, "huge.bmp"), image(3, "behind.jpg", cullet.BoxAround("jar", 1, 2, 3, 4))}, "jar")
	d.Open = func(_ context.Context, path string) (io.ReadSeekCloser, error) {
		if strings.HasSuffix(path, "img_0") {
			return nopCloser{io.NewSectionReader(zeros{}, 0, size)}, nil
		}
		return nopCloser{strings.NewReader("small")}, nil
	}
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := &sparse{f: f}
	if err := export.Write(t.Context(), out, formatOf(t, "coco"), d); err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(f, out.at)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range z.File {
		switch {
		case strings.Contains(m.Name, "huge") && m.UncompressedSize64 != size:
			t.Errorf("%s has %d bytes, want %d", m.Name, m.UncompressedSize64, int64(size))
		case strings.Contains(m.Name, "behind"):
			if got, err := fs.ReadFile(z, m.Name); err != nil || string(got) != "small" {
				t.Errorf("%s holds %q, %v", m.Name, got, err)
			}
		}
	}
	if len(z.File) != 4 {
		t.Errorf("%d members, want 4", len(z.File))
	}
}

type zeros struct{}

func (zeros) ReadAt(p []byte, _ int64) (int, error) { clear(p); return len(p), nil }

// sparse writes a file with holes for large zeros.
type sparse struct {
	f  *os.File
	at int64
}

func (s *sparse) Write(p []byte) (int, error) {
	if len(p) < 1<<20 {
		if _, err := s.f.WriteAt(p, s.at); err != nil {
			return 0, err
		}
	}
	s.at += int64(len(p))
	return len(p), nil
}

// Memory is the same at 2,000 images as at 12,000. Not parallel: it measures.
func TestFlatMemory(t *testing.T) {
	for _, f := range export.Formats() {
		d := dataset(nil, "jar")
		d.Images = func(yield func(cullet.VersionImage) error) error {
			for i := range 12_001 {
				if err := yield(image(i, "x.jpg", cullet.BoxAround("jar", 1, 2, 3, 4))); err != nil {
					return err
				}
			}
			return nil
		}
		heap := map[int64]uint64{}
		d.Progress = func(n int64) {
			if n == 2_000 || n == 12_000 {
				var m runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&m)
				heap[n] = m.HeapAlloc
			}
		}
		if err := export.Write(t.Context(), io.Discard, f, d); err != nil {
			t.Fatal(err)
		}
		if heap[12_000] > heap[2_000]+500_000 {
			t.Errorf("%s: %d bytes in use at 2,000 images, %d at 12,000", f.Key(), heap[2_000], heap[12_000])
		}
	}
}

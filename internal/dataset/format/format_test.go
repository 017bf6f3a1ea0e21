package format_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/dataset/format"
)

// coco is a file about one image of 640 x 480 with the given annotations.
func coco(annotations string) string {
	return `{"info":{},"licenses":[],"categories":[{"id":0,"name":"glass","supercategory":"none"},{"id":1,"name":"bottle"},{"id":"2","name":"jar"}],
"images":[{"id":7,"file_name":"a.jpg","width":640,"height":480}],
"annotations":[` + annotations + `]}`
}

func input(name, text string) format.Input {
	return format.Input{Name: name, Text: text, Image: "a.jpg", Width: 640, Height: 480, Type: cullet.InstanceSegmentation,
		Labelmap: map[string]string{"0": "bottle", "1": "jar"}}
}

func box(class string, x, y, w, h float64) cullet.Shape {
	return cullet.Shape{Class: class, Kind: cullet.Box, X: x, Y: y, W: w, H: h}
}

func polygon(class string, xy ...float64) cullet.Shape {
	points := make([]cullet.Point, len(xy)/2)
	for i := range points {
		points[i] = cullet.Point{X: xy[2*i], Y: xy[2*i+1]}
	}
	return cullet.PolygonOf(class, points)
}

func TestRead(t *testing.T) {
	t.Parallel()
	// To the letter as the SDK makes it for an image without annotations.
	fake := coco(`{"id": 999999999, "image_id": 999999999, "category_id": 0, "area": 1, "segmentation": [], "iscrowd": 0}`)
	two := `{"id":1,"image_id":7,"category_id":1,"bbox":[0,0,100,100],"segmentation":[[0,0,40,0,0,40],[60,60,100,60,60,100]]}`
	whole := `{"images":[{"id":1,"file_name":"other.jpg"},{"id":"x","file_name":"train/a.jpg"}],"categories":[{"id":1,"name":"jar"}],
		"annotations":[{"image_id":1,"category_id":9},{"image_id":"x","category_id":1,"bbox":[1,2,3,4]}]}`
	detection := input("annotation.coco.json", coco(two))
	detection.Type = cullet.ObjectDetection
	tests := map[string]struct {
		in   format.Input
		want []cullet.Shape
	}{
		"coco box":             {input("annotation.coco.json", coco(`{"id":1,"image_id":7,"category_id":1,"bbox":[10,20,30,40],"segmentation":[]}`)), []cullet.Shape{box("bottle", 25, 40, 30, 40)}},
		"coco ids as text":     {input("a.JSON", coco(`{"image_id":"7","category_id":2,"bbox":[10,20,30,40]}`)), []cullet.Shape{box("jar", 25, 40, 30, 40)}},
		"coco ids as floats":   {input("a.json", coco(`{"image_id":7.0,"category_id":2.0,"bbox":[10,20,30,40],"segmentation":null}`)), []cullet.Shape{box("jar", 25, 40, 30, 40)}},
		"coco polygon":         {input("a.json", coco(`{"image_id":7,"category_id":1,"segmentation":[[0,0,10,0,10,20]]}`)), []cullet.Shape{polygon("bottle", 0, 0, 10, 0, 10, 20)}},
		"coco empty polygon":   {input("a.json", coco(`{"image_id":7,"category_id":1,"segmentation":[[]],"bbox":[0,0,2,2]}`)), []cullet.Shape{box("bottle", 1, 1, 2, 2)}},
		"coco two parts":       {input("a.json", coco(two)), []cullet.Shape{polygon("bottle", 0, 0, 40, 0, 0, 40), polygon("bottle", 60, 60, 100, 60, 60, 100)}},
		"coco parts in a box":  {detection, []cullet.Shape{box("bottle", 50, 50, 100, 100)}},
		"coco none":            {input("annotation.coco.json", fake), []cullet.Shape{}},
		"coco empty list":      {input("a.json", coco("")), []cullet.Shape{}},
		"coco by content":      {input("annotation", "\ufeff  "+fake), []cullet.Shape{}},
		"coco of many":         {input("a.json", whole), []cullet.Shape{box("jar", 2.5, 4, 3, 4)}},
		"coco sticks out":      {input("a.json", coco(`{"image_id":7,"category_id":1,"bbox":[-10,465,30,24]}`)), []cullet.Shape{box("bottle", 10, 472.5, 20, 15)}},
		"coco polygon out":     {input("a.json", coco(`{"image_id":7,"category_id":1,"segmentation":[[-20,10,20,10,20,30,-20,30]]}`)), []cullet.Shape{polygon("bottle", 0, 10, 20, 10, 20, 30, 0, 30)}},
		"yolo box":             {input("a.txt", "0 0.5 0.5 0.25 0.5\r\n\n1 0.1 0.1 0.05 0.1"), []cullet.Shape{box("bottle", 320, 240, 160, 240), box("jar", 64, 48, 32, 48)}},
		"yolo index as float":  {input("a.txt", "1.000000 0.5 0.5 0.25 0.5"), []cullet.Shape{box("jar", 320, 240, 160, 240)}},
		"yolo polygon":         {input("a.txt", "0 0 0 0.5 0 0.5 0.5 0 0.5"), []cullet.Shape{polygon("bottle", 0, 0, 320, 0, 320, 240, 0, 240)}},
		"yolo rounding":        {input("a.txt", "0 0.5 0.5 1.000001 1.0"), []cullet.Shape{box("bottle", 320, 240, 640, 480)}},
		"yolo empty":           {format.Input{Name: "a.txt", Text: " \n", Width: 1, Height: 1, Type: cullet.ObjectDetection}, []cullet.Shape{}},
		"yolo by content":      {input("labels", "0 0.5 0.5 0.25 0.5"), []cullet.Shape{box("bottle", 320, 240, 160, 240)}},
		"coco of a small copy": {scaled(input("a.json", coco(`{"image_id":7,"category_id":1,"bbox":[10,20,30,40]}`)), 1280, 961), []cullet.Shape{box("bottle", 50, 80*961./960, 60, 80*961./960)}},
	}
	for name, test := range tests {
		got, err := format.Read(test.in)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if diff := cmp.Diff(test.want, got, cmpopts.EquateApprox(0, 1e-6)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func scaled(in format.Input, w, h int) format.Input {
	in.Width, in.Height = w, h
	return in
}

func TestRefused(t *testing.T) {
	t.Parallel()
	without := input("a.txt", "0 0.5 0.5 0.25 0.5")
	without.Labelmap = nil
	long := input("a.txt", "0 0.5 0.5 0.25 0.5")
	long.Labelmap = map[string]string{"0": strings.Repeat("é", 201)}
	label, boxes := input("dog", "dog"), input("a.txt", "0 0.5 0.5 0.25 0.5")
	label.Type, boxes.Type = cullet.Classification, cullet.Classification
	points := input("a.txt", "0 0.5 0.5 0.25 0.5")
	points.Type = cullet.KeypointDetection
	many := strings.Repeat(`{"image_id":7,"category_id":1,"bbox":[1,1,2,2]},`, format.MaxShapes+1)
	cocoOne := func(fields string) format.Input {
		return input("a.json", coco(`{"image_id":7,"category_id":1,"bbox":[1,1,2,2]},{"image_id":7,"category_id":1,`+fields+`}`))
	}
	tests := map[string]struct {
		in   format.Input
		code cullet.Code
		says string
	}{
		"too long":        {input("a.txt", strings.Repeat(" ", format.MaxBytes+1)), cullet.Invalid, "10485760 is the most"},
		"not utf-8":       {input("a.txt", "\xff"), cullet.Invalid, "UTF-8"},
		"voc":             {input("a.xml", "<annotation/>"), cullet.NotImplemented, "VOC"},
		"voc by content":  {input("a", "<annotation/>"), cullet.NotImplemented, "VOC"},
		"createml":        {input("annotation.createml.json", `[{"image":"a.jpg"}]`), cullet.NotImplemented, "CreateML"},
		"createml, name":  {input("a", `[{"image":"a.jpg"}]`), cullet.NotImplemented, "CreateML"},
		"csv":             {input("annotation.csv", "filename,width"), cullet.NotImplemented, "CSV"},
		"jsonl":           {input("annotation.jsonl", `{"image":"a.jpg"}`), cullet.NotImplemented, "JSONL"},
		"label":           {label, cullet.NotImplemented, "labels"},
		"labels":          {input(`["a","b"]`, `["a","b"]`), cullet.NotImplemented, "labels"},
		"boxes of labels": {boxes, cullet.Invalid, "classification"},
		"keypoints":       {points, cullet.NotImplemented, "keypoints"},
		"nothing":         {input("", ""), cullet.Invalid, "empty"},
		"json nothing":    {input("a.json", "\n"), cullet.Invalid, "empty"},

		"json broken":       {input("a.json", "{\n\"images\": [}\n"), cullet.Invalid, "line 2"},
		"json NaN":          {input("a.json", coco("\n\n"+`{"image_id":7,"category_id":1,"bbox":[NaN,1,2,3]}`)), cullet.Invalid, "line 5"},
		"json of text":      {input("a.json", `"dog"`), cullet.Invalid, "the annotation is a string where an object belongs"},
		"json without":      {input("a.json", `{"boxes":[]}`), cullet.Invalid, "images"},
		"images an object":  {input("a.json", `{"images":{},"annotations":[]}`), cullet.Invalid, "images is an object where a list belongs"},
		"image a number":    {input("a.json", `{"images":[5],"annotations":[]}`), cullet.Invalid, "images[0] is a number where an object belongs"},
		"no image":          {input("a.json", `{"images":[],"annotations":[]}`), cullet.Invalid, "a.jpg"},
		"another image":     {input("a.json", `{"images":[{"file_name":"b"},{"file_name":"c"}],"annotations":[]}`), cullet.Invalid, "a.jpg"},
		"twice":             {input("a.json", `{"images":[{"file_name":"x/a.jpg"},{"file_name":"y/a.jpg"}],"annotations":[]}`), cullet.Invalid, "images[0] and images[1]"},
		"id a list":         {input("a.json", `{"images":[{"id":[]}],"annotations":[]}`), cullet.Invalid, "images[0]: an id"},
		"image turned":      {scaled(cocoOne(`"bbox":[1,1,2,2]`), 480, 640), cullet.Invalid, "640 x 480"},
		"image of -1":       {input("a.json", `{"images":[{"width":-640,"height":-480}],"annotations":[]}`), cullet.Invalid, "images[0]"},
		"category a number": {input("a.json", `{"images":[{}],"categories":[3],"annotations":[]}`), cullet.Invalid, "categories[0]"},
		"category twice":    {input("a.json", `{"images":[{}],"categories":[{"id":1,"name":"a"},{"id":1,"name":"b"}],"annotations":[]}`), cullet.Invalid, "categories[1]"},
		"name a number":     {input("a.json", `{"images":[{}],"categories":[{"id":1,"name":5}],"annotations":[]}`), cullet.Invalid, "categories[0].name is a number where a string belongs"},
		"box of text":       {cocoOne(`"bbox":"1,2,3,4"`), cullet.Invalid, "annotations[1].bbox is a string where a list belongs"},
		"box of texts":      {cocoOne(`"bbox":["1","2","3","4"]`), cullet.Invalid, "annotations[1].bbox is a string where a number belongs"},
		"box of 3":          {cocoOne(`"bbox":[1,2,3]`), cullet.Invalid, "annotations[1] has a bbox of 3 numbers"},
		"no box":            {cocoOne(`"area":1`), cullet.Invalid, "neither bbox nor segmentation"},
		"box of no width":   {cocoOne(`"bbox":[1,2,0,3]`), cullet.Invalid, "annotations[1] is a box 0 wide"},
		"box of -1":         {cocoOne(`"bbox":[10,20,-3,3]`), cullet.Invalid, "annotations[1] is a box -3 wide"},
		"box elsewhere":     {cocoOne(`"bbox":[650,20,30,30]`), cullet.Invalid, "outside of the image, which is 640 x 480"},
		"box of another":    {cocoOne(`"bbox":[0,0,4000,3000]`), cullet.Invalid, "outside"},
		"box far away":      {cocoOne(`"bbox":[1e300,1,1e300,1]`), cullet.Invalid, "no image is large enough"},
		"box too far":       {cocoOne(`"bbox":[1e999,1,1,1]`), cullet.Invalid, "annotations[1].bbox"},
		"unknown category":  {input("a.json", coco(`{"image_id":7,"category_id":5,"bbox":[1,1,2,2]}`)), cullet.Invalid, `annotations[0].category_id is "5"`},
		"another image_id":  {input("a.json", coco(`{"image_id":8,"category_id":1,"bbox":[1,1,2,2]}`)), cullet.Invalid, `annotations[0].image_id is "8"`},
		"rle":               {cocoOne(`"segmentation":{"counts":"abc","size":[480,640]}`), cullet.NotImplemented, "RLE"},
		"flat polygon":      {cocoOne(`"segmentation":[1,2,3,4,5,6]`), cullet.Invalid, "annotations[1] has a segmentation"},
		"odd polygon":       {cocoOne(`"segmentation":[[1,2,3,4,5,6,7]]`), cullet.Invalid, "7 numbers as segmentation[0]"},
		"short polygon":     {cocoOne(`"segmentation":[[1,2,3,4,5,9],[1,2,3,4]]`), cullet.Invalid, "4 numbers as segmentation[1]"},
		"line as polygon":   {cocoOne(`"segmentation":[[1,1,2,2,3,3]]`), cullet.Invalid, "no area"},
		"polygon elsewhere": {cocoOne(`"segmentation":[[900,1,910,1,910,10]]`), cullet.Invalid, "outside"},
		"polygon beside":    {cocoOne(`"segmentation":[[-10,-1,200,-1,200,-0.5]]`), cullet.Invalid, "no area within the image"},
		"too many":          {input("a.json", coco(strings.TrimSuffix(many, ","))), cullet.Invalid, "annotations[10000] is one too many"},

		"no labelmap":      {without, cullet.Invalid, "line 1 has the class index 0, but no labelmap"},
		"unknown index":    {input("a.txt", "0 .5 .5 .1 .1\n\n2 .5 .5 .1 .1"), cullet.Invalid, "line 3 has the class index 2"},
		"negative index":   {input("a.txt", "-1 .5 .5 .1 .1"), cullet.Invalid, "line 1 begins with \"-1\""},
		"index of 0.5":     {input("a.txt", "0.5 .5 .5 .1 .1"), cullet.Invalid, "line 1 begins with"},
		"index of NaN":     {input("a.txt", "nan .5 .5 .1 .1"), cullet.Invalid, "line 1 begins with"},
		"index a name":     {input("a.txt", "bottle .5 .5 .1 .1"), cullet.Invalid, "line 1 begins with \"bottle\""},
		"class too long":   {long, cullet.Invalid, "201 characters"},
		"yolo NaN":         {input("a.txt", "0 .5 .5 NaN .1"), cullet.Invalid, `line 1 has "NaN" as value 4`},
		"yolo Inf":         {input("a.txt", "0 .5 .5 .1 Inf"), cullet.Invalid, `line 1 has "Inf" as value 5`},
		"yolo text":        {input("a.txt", "0 .5 x .1 .1"), cullet.Invalid, `line 1 has "x" as value 3`},
		"yolo pixels":      {input("a.txt", "0 320 240 100 100"), cullet.Invalid, "line 1 has a box of 100 by 100 images"},
		"yolo far":         {input("a.txt", "0 5 5 .1 .1"), cullet.Invalid, "line 1 has its middle at (3200, 2400)"},
		"yolo no size":     {input("a.txt", "0 .5 .5 0 .1"), cullet.Invalid, "line 1 is a box 0 wide"},
		"yolo negative":    {input("a.txt", "0 .5 .5 -.1 .1"), cullet.Invalid, "line 1 is a box"},
		"yolo too short":   {input("a.txt", "0 .5 .5 .1"), cullet.Invalid, "line 1 has 4 values"},
		"yolo with a sure": {input("a.txt", "0 .5 .5 .1 .1 .9"), cullet.Invalid, "line 1 has 6 values"},
		"yolo too many":    {input("a.txt", strings.Repeat("0 .5 .5 .1 .1\n", format.MaxShapes+1)), cullet.Invalid, "line 10001 is one too many"},
	}
	for name, test := range tests {
		got, err := format.Read(test.in)
		if cullet.CodeOf(err) != test.code || !strings.Contains(cullet.MessageOf(err), test.says) || got != nil {
			t.Errorf("%s: %v (%s) and %d shapes, want %s with %q", name, err, cullet.CodeOf(err), len(got), test.code, test.says)
		}
	}
}

// fuzz holds what Read promises for any text.
func fuzz(f *testing.F, name string, seeds ...string) {
	for _, s := range seeds {
		f.Add(s, uint16(640), uint16(480))
	}
	f.Fuzz(func(t *testing.T, text string, w, h uint16) {
		in := input(name, text)
		in.Width, in.Height = 1+int(w), 1+int(h)
		shapes, err := format.Read(in)
		if code := cullet.CodeOf(err); err != nil && code != cullet.Invalid && code != cullet.NotImplemented {
			t.Fatalf("%v (%s) is no refusal", err, code)
		}
		if err != nil && (shapes != nil || !strings.Contains(cullet.MessageOf(err), " ")) {
			t.Errorf("refused with %d shapes and %q", len(shapes), cullet.MessageOf(err))
		}
		if err == nil && shapes == nil || len(shapes) > format.MaxShapes {
			t.Errorf("%d shapes, nil: %v", len(shapes), shapes == nil)
		}
		for _, s := range shapes {
			if err := within(s, float64(in.Width), float64(in.Height)); err != nil {
				t.Errorf("%+v: %v", s, err)
			}
		}
	})
}

func within(s cullet.Shape, w, h float64) error {
	const eps = 1e-6
	if !(s.Left() > -eps && s.Top() > -eps && s.Left()+s.W < w+eps && s.Top()+s.H < h+eps) {
		return fmt.Errorf("lies outside of %v x %v", w, h)
	}
	if !(s.W > 0 && s.H > 0 && s.Area() > 0) {
		return fmt.Errorf("has the area %v", s.Area())
	}
	if err := cullet.CheckName("class", s.Class); err != nil {
		return err
	}
	for _, p := range s.Points {
		if !(p.X >= 0 && p.Y >= 0 && p.X <= w && p.Y <= h) || math.IsNaN(p.X+p.Y) {
			return fmt.Errorf("has a corner at %v", p)
		}
	}
	if (s.Kind == cullet.Polygon) != (len(s.Points) >= 3) {
		return fmt.Errorf("is a %s of %d corners", s.Kind, len(s.Points))
	}
	return nil
}

func FuzzYOLO(f *testing.F) {
	fuzz(f, "a.txt", "0 0.5 0.5 0.25 0.5\n1 0 0 1 0 1 1", "1 -0.1 0.2 0.5 1e-300 3 4", "0 0.9999 0.5 0.25 1.005", "")
}

func FuzzCOCO(f *testing.F) {
	fuzz(f, "a.json", coco(`{"id":1,"image_id":7,"category_id":1,"bbox":[-10,20,30,40],"segmentation":[]}`),
		coco(`{"id":1,"image_id":7,"category_id":1,"segmentation":[[-10,0,10,0,10,20,5,-3],[1,2,3,4,5,5]]}`),
		coco(`{"id":999999999,"image_id":999999999,"category_id":0,"area":1,"segmentation":[],"iscrowd":0}`),
		`{"images":[{"id":"x","file_name":"a.jpg","width":1e9}],"annotations":[null]}`)
}

func FuzzDetect(f *testing.F) {
	fuzz(f, "", "0 0.5 0.5 0.25 0.5", coco(""), "<a/>", "[{}]", `["a"]`, "dog", "\ufeff{}")
}

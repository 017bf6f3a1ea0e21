package scene

import (
	"bytes"
	"image/jpeg"
	"io"
	"math"
	"slices"
	"testing"

	"github.com/cullet-vision/cullet"
)

func TestSameSeed(t *testing.T) {
	t.Parallel()
	one, boxes := Draw(7)
	two, again := Draw(7)
	other, _ := Draw(8)
	if !bytes.Equal(one.Pix, two.Pix) || !slices.EqualFunc(boxes, again, func(a, b cullet.Shape) bool {
		return a.Class == b.Class && a.X == b.X && a.Y == b.Y && a.W == b.W && a.H == b.H
	}) {
		t.Error("the same seed gave another picture")
	}
	if bytes.Equal(one.Pix, other.Pix) {
		t.Error("another seed gave the same picture")
	}
	if !one.Opaque() || one.Bounds().Dx() != Width || one.Bounds().Dy() != Height {
		t.Errorf("the picture is %v, opaque %v", one.Bounds(), one.Opaque())
	}
}

// A few pictures hold enough of each class to train on.
func TestShapes(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for seed := range int64(24) {
		_, _, _, things := stage(seed)
		if len(things) < 2 {
			t.Errorf("seed %d: %d things", seed, len(things))
		}
		for _, thing := range things {
			s := boxOf(thing)
			seen[s.Class]++
			if s.Kind != cullet.Box || s.Left() < 0 || s.Top() < 0 || s.Left()+s.W > Width || s.Top()+s.H > Height || s.W < 15 || s.H < 15 {
				t.Errorf("seed %d: %+v", seed, s)
			}
		}
	}
	for _, c := range Classes() {
		if seen[c] < 15 {
			t.Errorf("%d of class %s in 24 pictures, want some more: %v", seen[c], c, seen)
		}
	}
	if len(seen) != len(Classes()) {
		t.Errorf("classes %v, want %v", seen, Classes())
	}
}

// A box is that of the pixels that were painted, to a pixel (those at the edge
// are painted in part), and what is in it can be told from the ground.
func TestBoxes(t *testing.T) {
	t.Parallel()
	for seed := range int64(8) {
		r, l, b, things := stage(seed)
		under := b.draw(r, l)
		for _, thing := range things {
			m := under.clone()
			fieldOf(thing).paint(m, func(p point, d float64) rgb { return thing.colour(under, l, p, d) })
			left, top, right, bottom := Width, Height, -1, -1
			contrast, painted := 0.0, 0.0
			for i := range m.pix {
				if m.pix[i] == under.pix[i] {
					continue
				}
				x, y := i%Width, i/Width
				left, right, top, bottom = min(left, x), max(right, x+1), min(top, y), max(bottom, y+1)
				contrast += math.Abs(float64(m.pix[i].g - under.pix[i].g))
				painted++
			}
			s := boxOf(thing)
			for _, side := range [][2]float64{{float64(left), s.Left()}, {float64(top), s.Top()}, {float64(right), s.Left() + s.W}, {float64(bottom), s.Top() + s.H}} {
				if math.Abs(side[0]-side[1]) > 1.1 {
					t.Errorf("seed %d: painted from (%d, %d) to (%d, %d), and the box is %+v", seed, left, top, right, bottom, s)
					break
				}
			}
			if painted < 150 || contrast/painted < 0.02 {
				t.Errorf("seed %d: a %s of %.0f pixels differs from the ground by %.3f", seed, s.Class, painted, contrast/painted)
			}
		}
	}
}

// Things keep apart and between the rails, so that a box is a whole silhouette.
func TestApart(t *testing.T) {
	t.Parallel()
	for seed := range int64(100) {
		_, _, b, things := stage(seed)
		if len(things) < 2 || len(things) > 10 {
			t.Errorf("seed %d: %d things", seed, len(things))
		}
		for i, one := range things {
			for _, p := range one.outline() {
				if p.y < b.top || p.y > b.bottom {
					t.Fatalf("seed %d: a %s lies on a rail", seed, one.class())
				}
				for _, two := range things[:i] {
					if two.inside(p) > 0 {
						t.Fatalf("seed %d: a %s lies on a %s", seed, one.class(), two.class())
					}
				}
			}
		}
	}
}

func BenchmarkDraw24(b *testing.B) {
	for b.Loop() {
		for seed := range int64(24) {
			m, _ := Draw(seed)
			if err := jpeg.Encode(io.Discard, m, &jpeg.Options{Quality: 90}); err != nil {
				b.Fatal(err)
			}
		}
	}
}

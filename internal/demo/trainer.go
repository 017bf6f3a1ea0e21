package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"image"
	_ "image/jpeg" // the sample's pictures
	_ "image/png"  // and what people add
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cullet-vision/cullet"
)

// Subcommand is the hidden command of this program that is the demo's trainer.
const Subcommand = "demo-trainer"

// The trainer tells the classes of boxes apart by the colours inside them: softmax
// regression on colour histograms, by plain gradient descent. It is a real
// training, kept slow on purpose so that it is still in flight when somebody looks.
const (
	bins          = 4 // of each colour channel
	features      = bins*bins*bins + 1
	defaultEpochs = 1800
	epochTime     = time.Second
	rate          = 0.5
)

// sample is one annotated box.
type sample struct {
	x     [features]float64
	class int
}

// Train is the trainer's process, under the contract of every trainer: dataset,
// recipe and output come in the environment, metrics go to stdout as JSON lines.
// It returns the exit status.
func Train(stdout, stderr io.Writer) int {
	if err := train(stdout, cullet.SystemClock{}); err != nil {
		fmt.Fprintln(stderr, "demo trainer:", err)
		return 1
	}
	return 0
}

func train(stdout io.Writer, clock cullet.Clock) error {
	epochs, err := readEpochs(os.Getenv("CULLET_RECIPE"))
	if err != nil {
		return err
	}
	dataset := os.Getenv("CULLET_DATASET")
	training, classes, err := readSplit(dataset, "train")
	if err != nil {
		return err
	}
	validation, more, err := readSplit(dataset, "valid")
	if err != nil {
		return err
	}
	if len(training) == 0 {
		return errors.New("the train split has no annotated box")
	}
	classes = max(classes, more)
	weights := make([][features]float64, classes)
	out := json.NewEncoder(stdout)
	order := rand.New(rand.NewPCG(1, 2))
	for e := 1; e <= epochs; e++ {
		loss := 0.0
		for _, n := range order.Perm(len(training)) {
			loss += step(weights, training[n])
		}
		if err := out.Encode(map[string]any{"epoch": e, "epochs": epochs, "loss": loss / float64(len(training)),
			"accuracy": accuracy(weights, validation)}); err != nil {
			return err
		}
		// Saved with each epoch, so that a stop keeps the last.
		if err := save(weights); err != nil {
			return err
		}
		if e < epochs {
			<-clock.After(epochTime)
		}
	}
	return nil
}

func readEpochs(recipe string) (int, error) {
	b, err := os.ReadFile(recipe)
	if err != nil {
		return 0, err
	}
	var r struct {
		Hyperparameters struct {
			Epochs int `json:"epochs"`
		} `json:"hyperparameters"`
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return 0, err
	}
	if r.Hyperparameters.Epochs > 0 {
		return r.Hyperparameters.Epochs, nil
	}
	return defaultEpochs, nil
}

// readSplit reads the boxes of a split in YOLO layout, and how many classes there
// are at least.
func readSplit(dataset, split string) (all []sample, classes int, err error) {
	labels, err := filepath.Glob(filepath.Join(dataset, split, "labels", "*.txt"))
	if err != nil {
		return nil, 0, err
	}
	for _, l := range labels {
		text, err := os.ReadFile(l)
		if err != nil {
			return nil, 0, err
		}
		pictures, err := filepath.Glob(filepath.Join(dataset, split, "images", strings.TrimSuffix(filepath.Base(l), ".txt")+".*"))
		if err != nil || len(pictures) == 0 || len(text) == 0 {
			continue
		}
		picture, err := readPicture(pictures[0])
		if err != nil {
			return nil, 0, err
		}
		for line := range strings.Lines(string(text)) {
			s, ok := box(picture, strings.Fields(line))
			if ok {
				all = append(all, s)
				classes = max(classes, s.class+1)
			}
		}
	}
	return all, classes, nil
}

func readPicture(path string) (image.Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m, _, err := image.Decode(f)
	return m, err
}

// box makes the colour histogram of a line "class cx cy w h", parts of the picture's size.
func box(m image.Image, fields []string) (s sample, ok bool) {
	if len(fields) != 5 {
		return s, false
	}
	var v [5]float64
	for n, f := range fields {
		var err error
		if v[n], err = strconv.ParseFloat(f, 64); err != nil {
			return s, false
		}
	}
	b := m.Bounds()
	w, h := float64(b.Dx()), float64(b.Dy())
	r := image.Rect(int((v[1]-v[3]/2)*w), int((v[2]-v[4]/2)*h), int((v[1]+v[3]/2)*w), int((v[2]+v[4]/2)*h)).Intersect(b)
	if r.Empty() {
		return s, false
	}
	s.class, s.x[features-1] = int(v[0]), 1
	part := 1 / float64(r.Dx()*r.Dy())
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			red, green, blue, _ := m.At(x, y).RGBA()
			s.x[(int(red)*bins>>16*bins+int(green)*bins>>16)*bins+int(blue)*bins>>16] += part
		}
	}
	return s, true
}

// scores are the probabilities of the classes.
func scores(weights [][features]float64, s sample) []float64 {
	p := make([]float64, len(weights))
	top := math.Inf(-1)
	for c := range weights {
		for n, x := range s.x {
			p[c] += weights[c][n] * x
		}
		top = math.Max(top, p[c])
	}
	sum := 0.0
	for c := range p {
		p[c] = math.Exp(p[c] - top)
		sum += p[c]
	}
	for c := range p {
		p[c] /= sum
	}
	return p
}

// step takes the weights one step down the gradient and returns the loss before.
func step(weights [][features]float64, s sample) float64 {
	p := scores(weights, s)
	for c := range weights {
		miss := p[c]
		if c == s.class {
			miss--
		}
		for n, x := range s.x {
			weights[c][n] -= rate * miss * x
		}
	}
	return -math.Log(math.Max(p[s.class], 1e-12))
}

func accuracy(weights [][features]float64, all []sample) float64 {
	if len(all) == 0 {
		return 0
	}
	right := 0
	for _, s := range all {
		best := 0
		p := scores(weights, s)
		for c := range p {
			if p[c] > p[best] {
				best = c
			}
		}
		if best == s.class {
			right++
		}
	}
	return float64(right) / float64(len(all))
}

func save(weights [][features]float64) error {
	b, err := json.Marshal(map[string]any{"kind": "softmax on colour histograms", "bins": bins, "weights": weights})
	if err != nil {
		return err
	}
	path := filepath.Join(os.Getenv("CULLET_OUTPUT"), "weights.json")
	if err := os.WriteFile(path+".new", b, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

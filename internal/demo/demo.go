// Package demo makes the sample workspace that `cullet demo` shows: pictures drawn
// by code with exact annotations, two versions, a training in flight, a workflow.
package demo

import (
	"bytes"
	"context"
	"fmt"
	"image/jpeg"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/dataset"
	"github.com/cullet-vision/cullet/internal/demo/scene"
	"github.com/cullet-vision/cullet/internal/training"
	"github.com/cullet-vision/cullet/internal/upload"
	"github.com/cullet-vision/cullet/internal/version"
	"github.com/cullet-vision/cullet/internal/workflow"
)

// Project is the slug of the sample project.
const Project = "my-detector"

// ModelType is what the demo's trainer trains.
const ModelType = "cullet-demo"

// CreditsPerHour is what it costs.
const CreditsPerHour = 1.0

const (
	first  = 18 // pictures in the first version
	second = 8  // that come for the second
)

// Sample makes things in a workspace as its owner would.
type Sample struct {
	Catalog *dataset.Catalog
	Intake  *upload.Intake
	Press   *version.Press
	Queue   *training.Queue
	Shelf   *workflow.Shelf
}

// Fill fills an empty workspace. Where there is a project already, in whatever
// state a person left things, it only sees to it that a training is in flight.
func (s Sample) Fill(ctx context.Context, by cullet.Actor) error {
	projects, err := s.Catalog.Projects(ctx, by)
	if err != nil {
		return err
	}
	if len(projects) > 0 {
		return s.trainAgain(ctx, by)
	}
	p, err := s.Catalog.CreateProject(ctx, by, dataset.NewProject{Name: "My Detector", Type: string(cullet.ObjectDetection), License: "CC0", Group: "glass"})
	if err != nil {
		return err
	}
	if err := s.pictures(ctx, by, p.ID, 0, first); err != nil {
		return err
	}
	if err := s.version(ctx, by, "first belt"); err != nil {
		return err
	}
	if err := s.pictures(ctx, by, p.ID, first, second); err != nil {
		return err
	}
	if err := s.version(ctx, by, "more jars"); err != nil {
		return err
	}
	if err := s.train(ctx, by, 2); err != nil {
		return err
	}
	_, err = s.Shelf.Create(ctx, by, workflow.Draft{Name: "Count the jars", Config: countJars})
	return err
}

// countJars is a small workflow: detect, then count one class.
const countJars = `{"specification":{"version":"1.0","inputs":[{"type":"InferenceImage","name":"image"}],"steps":[{"type":"ObjectDetectionModel","name":"model","image":"$inputs.image","model_id":"my-detector/2"},{"type":"PropertyDefinition","name":"jars","data":"$steps.model.predictions","operations":[{"type":"DetectionsFilter","class":"jar"},{"type":"SequenceLength"}]}],"outputs":[{"type":"JsonField","name":"jars","selector":"$steps.jars.output"}]}}`

// pictures draws n scenes and takes them in with their annotations, some of them
// for validation and test.
func (s Sample) pictures(ctx context.Context, by cullet.Actor, project string, from, n int) error {
	for i := from; i < from+n; i++ {
		picture, shapes := scene.Draw(int64(i + 1))
		var b bytes.Buffer
		if err := jpeg.Encode(&b, picture, &jpeg.Options{Quality: 88}); err != nil {
			return err
		}
		split := cullet.Train
		switch i % 9 {
		case 3, 7:
			split = cullet.Valid
		case 5:
			split = cullet.Test
		}
		taken, err := s.Intake.Image(ctx, by, project, upload.NewImage{Name: fmt.Sprintf("belt-%03d.jpg", i+1), Split: string(split),
			Batch: "Belt camera", Tags: []string{"belt"}}, &b)
		if err != nil {
			return err
		}
		if i%13 == 12 {
			continue // one that nobody has annotated yet
		}
		if _, err := s.Catalog.SaveShapes(ctx, by, project, taken.Image, shapes, dataset.NewAnnotation{Job: "Demo", Overwrite: true}); err != nil {
			return err
		}
	}
	return nil
}

// version generates the next version and waits until it is ready.
func (s Sample) version(ctx context.Context, by cullet.Actor, name string) error {
	v, err := s.Press.Generate(ctx, by, Project, version.Settings{Name: name})
	if err != nil {
		return err
	}
	for v.State == cullet.Generating {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.Press.DB.Clock().After(20 * time.Millisecond):
		}
		d, err := s.Press.Version(ctx, by, Project, v.Number)
		if err != nil {
			return err
		}
		v = d.Version
	}
	if v.State != cullet.Ready {
		return fmt.Errorf("version %d of the sample is %s: %s", v.Number, v.State, v.Problem)
	}
	return nil
}

func (s Sample) train(ctx context.Context, by cullet.Actor, number int64) error {
	_, err := s.Queue.Start(ctx, by, Project, number, training.NewTraining{ModelType: ModelType})
	return err
}

// trainAgain starts a training on the sample's newest version where none is in
// flight. A project or version that is in Trash stays there.
func (s Sample) trainAgain(ctx context.Context, by cullet.Actor) error {
	versions, err := s.Press.Versions(ctx, by, Project)
	if cullet.CodeOf(err) == cullet.NotFound {
		return nil
	} else if err != nil {
		return err
	}
	for _, v := range versions {
		trainings, err := s.Queue.List(ctx, by, Project, v.Number)
		if err != nil {
			return err
		}
		for _, t := range trainings {
			if !t.State.Ended() {
				return nil
			}
		}
	}
	for _, v := range versions {
		if v.State == cullet.Ready {
			return s.train(ctx, by, v.Number)
		}
	}
	return nil
}

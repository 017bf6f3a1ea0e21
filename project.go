package cullet

import (
	"slices"
	"time"
)

// ProjectType is what a project's annotations say about its images.
type ProjectType string

// The types that the wire knows (contract/00).
const (
	ObjectDetection      ProjectType = "object-detection"
	Classification       ProjectType = "classification"
	InstanceSegmentation ProjectType = "instance-segmentation"
	SemanticSegmentation ProjectType = "semantic-segmentation"
	KeypointDetection    ProjectType = "keypoint-detection"
	TextImagePairs       ProjectType = "text-image-pairs"
)

var projectTypes = []ProjectType{ObjectDetection, Classification, InstanceSegmentation,
	SemanticSegmentation, KeypointDetection, TextImagePairs}

// ParseProjectType reads a type as clients send it. Classification comes in two
// spellings that say whether an image may have several labels (contract/20).
func ParseProjectType(s string) (t ProjectType, multilabel bool, err error) {
	switch s {
	case "single-label-classification":
		return Classification, false, nil
	case "multi-label-classification":
		return Classification, true, nil
	}
	if !slices.Contains(projectTypes, ProjectType(s)) {
		return "", false, E(Invalid, "there is no project type %q; the types are %v", s, projectTypes)
	}
	return ProjectType(s), false, nil
}

// Project is a set of images with what was said about them.
type Project struct {
	ID         string
	Workspace  string
	Slug       string
	Name       string
	Type       ProjectType
	Multilabel bool
	License    string
	Group      string // what the annotations are of: the annotation group
	Folder     string // id, "" at the root
	CreatedAt  time.Time
	UpdatedAt  time.Time
	Counts     ProjectCounts
}

// ProjectCounts is kept up to date by every write, so that no list counts.
type ProjectCounts struct {
	Images      int64
	Unannotated int64
	Annotations int64 // shapes of the present revisions
	Train       int64
	Valid       int64
	Test        int64
	Versions    int64 // that are active
	Bytes       int64 // logical: of its images, versions, exports and models
}

// Class is one label of a project.
type Class struct {
	Name  string
	Color string // "#RRGGBB"
	Count int64  // shapes of the present revisions with it
}

// classColors are told apart on light and dark ground alike.
var classColors = []string{"#0B6B5B", "#B42318", "#1D4ED8", "#8A4B00", "#7A1FA2", "#00708C",
	"#5B6B00", "#C2185B", "#4527A0", "#2E7D32", "#D84315", "#455A64"}

// ClassColor is the colour of the n-th class, counted from 0.
func ClassColor(n int) string { return classColors[n%len(classColors)] }

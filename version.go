package cullet

import "time"

// VersionState is how far a version's generation is.
type VersionState string

// The states of a version.
const (
	Generating  VersionState = "generating"
	Ready       VersionState = "ready"
	Failed      VersionState = "failed"
	Interrupted VersionState = "interrupted" // stopped by a deletion; can be started again (R1)
)

// Version is a project's images, annotations and splits, frozen.
type Version struct {
	ID            string
	Workspace     string
	Project       string
	ProjectSlug   string
	Number        int64 // 1, 2, 3 …; never used again (D6)
	Name          string
	State         VersionState
	Preprocessing string // JSON object
	Augmentation  string // JSON object
	FrozenSeq     int64  // the project's changes up to this one are in it
	Images        int64  // frozen so far
	Expected      int64  // images there will be
	Train         int64
	Valid         int64
	Test          int64
	Bytes         int64 // logical: of its images
	Cursor        int64 // seq of the last image that was frozen
	Problem       string
	CreatedAt     time.Time
	CreatedBy     string
}

// Progress is between 0 and 1.
func (v Version) Progress() float64 {
	if v.State == Ready {
		return 1
	}
	if v.Expected == 0 {
		return 0
	}
	return min(1, float64(v.Images)/float64(v.Expected))
}

// VersionImage is the frozen copy of an image in a version.
type VersionImage struct {
	Version  string
	Image    string
	Seq      int64
	Name     string
	Blob     string
	Path     string // of the blob
	Format   string
	Bytes    int64
	Width    int
	Height   int
	Split    Split
	Revision string // "" without an annotation
	Shapes   []Shape
	Created  time.Time // of the image
}

// ExportState is how far an export is.
type ExportState string

// The states of an export.
const (
	ExportRunning ExportState = "running"
	ExportReady   ExportState = "ready"
	ExportFailed  ExportState = "failed"
)

// Export is a version written in one format, as a zip.
type Export struct {
	ID        string
	Workspace string
	Version   string
	Format    string
	State     ExportState
	Images    int64 // written so far
	Blob      string
	Path      string // of the blob
	Bytes     int64
	Problem   string
	CreatedAt time.Time
}

package cullet

import "time"

// Split is what an image is for.
type Split string

// The splits. It is valid on the wire, never val.
const (
	Train Split = "train"
	Valid Split = "valid"
	Test  Split = "test"
)

// Splits lists the splits in their order.
func Splits() []Split { return []Split{Train, Valid, Test} }

// ParseSplit reads a split; nothing means train.
func ParseSplit(s string) (Split, error) {
	switch Split(s) {
	case "":
		return Train, nil
	case Train, Valid, Test:
		return Split(s), nil
	}
	return "", E(Invalid, "there is no split %q; the splits are train, valid and test", s)
}

// Image belongs to one project; its bytes are shared below it by digest.
type Image struct {
	ID          string
	Workspace   string
	Project     string
	Name        string // file name, without a folder
	Digest      string // SHA-256 of the bytes, hexadecimal
	Blob        string // id of the bytes
	Thumb       string // id of the bytes of a small picture of it, JPEG
	Format      string // jpeg, png, webp, bmp, tiff, gif
	Bytes       int64
	Width       int // pixels, as shown: after the EXIF orientation
	Height      int
	Split       Split
	Batch       string // id of the batch it came with
	Tags        []string
	Metadata    string // JSON object, the client's own
	Revision    string // id of the present annotation, "" without one
	Annotations int    // shapes of the present annotation
	Seq         int64  // place in the project's order of changes
	CreatedAt   time.Time
}

// Batch is the images that came with one upload.
type Batch struct {
	ID        string
	Project   string
	Name      string
	Images    int64
	CreatedAt time.Time
}

// Blob is a row of stored bytes. Its path is used once: the same bytes after a
// collection are a new row with a new path (C4).
type Blob struct {
	ID        string
	Digest    string // SHA-256, hexadecimal
	Bytes     int64
	Path      string // within the blob store
	CreatedAt time.Time
}

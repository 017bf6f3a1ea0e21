package sdk

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// Version is a handle of a dataset version, and what the server told of it when
// the handle was made. Only Workspace, Project and Number are ever sent.
type Version struct {
	Workspace string // slug of its workspace
	Project   string // slug of its project
	Number    int    // from 1, never used again

	Name          string
	Created       time.Time
	Images        int
	Splits        Splits
	Exports       []string        // formats that are ready for download
	Generating    bool            // its images are still being made
	Progress      float64         // of that, from 0 to 1
	HasModel      bool            // a model was trained on it
	Preprocessing json.RawMessage // as the server sent it; nil where it sent none
	Augmentation  json.RawMessage

	c *Client
}

// versionIn is the Version object of contract/20.
type versionIn struct {
	ID            text
	Name          text
	Created       instant
	Images        number
	Splits        splitsIn
	Exports       []text
	Generating    flag
	Progress      number
	Model         json.RawMessage
	Preprocessing json.RawMessage
	Augmentation  json.RawMessage
}

func (p *Project) toVersion(in versionIn) (*Version, error) {
	n, err := strconv.Atoi(word(in.ID))
	if err != nil || n < 1 {
		return nil, badAnswer(http.MethodGet, "/"+p.Workspace+"/"+p.Slug, "a version without a number")
	}
	v := &Version{Workspace: p.Workspace, Project: p.Slug, Number: n, Name: string(in.Name), Created: in.Created.Time, Images: in.Images.int(),
		Splits: in.Splits.splits(), Exports: []string{}, Generating: bool(in.Generating), Progress: float64(in.Progress),
		HasModel: len(in.Model) > 0 && string(in.Model) != "null", Preprocessing: in.Preprocessing, Augmentation: in.Augmentation, c: p.c}
	for _, e := range in.Exports {
		v.Exports = append(v.Exports, string(e))
	}
	return v, nil
}

// Delete moves the version to Trash (contract/10, T2). Trainings of it that have
// not ended are cancelled. Its number is not used again. Scope version:update.
// Errors: ErrNotFound, also where it, or its project, is in Trash already.
func (v *Version) Delete(ctx context.Context) (*Deletion, error) {
	if err := checkProject(v.Project); err != nil {
		return nil, err
	}
	return v.workspace().delete(ctx, v.Project, strconv.Itoa(v.Number))
}

// Restore brings the version back from Trash. Scopes project:read and
// version:update. Errors: ErrNotInTrash, also where only its project was deleted
// and the version with it: restore the project then; ErrParentInTrash where both
// were deleted, each by itself: restore the project first; ErrBeingRemoved.
func (v *Version) Restore(ctx context.Context) (*Restored, error) {
	number := strconv.Itoa(v.Number)
	return v.workspace().restoreFirst(ctx, TypeVersion, v.Project+"/"+number,
		func(s Sections) []TrashItem { return s.Versions },
		func(i TrashItem) bool { return i.ID == number && i.ParentURL == v.Project })
}

func (v *Version) workspace() *Workspace { return &Workspace{Slug: v.Workspace, c: v.c} }

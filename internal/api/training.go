package api

import (
	"encoding/json"
	"net/http"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/training"
)

// wireState is a training's state in the words of the wire: its loops know only
// finished and failed as ends, so those are the ends there are (design, item 6).
func wireState(s cullet.TrainingState) string {
	switch s {
	case cullet.TrainQueued, cullet.TrainStarting:
		return "queued"
	case cullet.TrainRunning, cullet.TrainStopping:
		return "running"
	case cullet.TrainFinished, cullet.TrainStopped:
		return "finished"
	}
	return "failed"
}

// trainingOut is one training, in the list and by itself.
type trainingOut struct {
	ID           string             `json:"id"`
	TrainingID   string             `json:"trainingId"` // the same: some clients read this one
	VersionID    string             `json:"versionId"`
	Status       string             `json:"status"`
	Cancelled    bool               `json:"cancelled"`
	StatusDetail string             `json:"statusDetail"`
	Start        *string            `json:"start"`
	End          *string            `json:"end"`
	JobType      string             `json:"jobType"`
	ModelType    string             `json:"modelType"`
	ModelGroup   *string            `json:"modelGroup"`
	ModelIDs     []string           `json:"modelIds"`
	ModelCount   int                `json:"modelCount"`
	Models       []trainingModelOut `json:"models,omitempty"`
	Epoch        int64              `json:"epoch"`
	Progress     float64            `json:"progress"`
	MicroCredits int64              `json:"microCredits"`
}

type trainingModelOut struct {
	ModelID   string          `json:"modelId"` // workspace/slug
	ModelType string          `json:"modelType"`
	Metrics   json.RawMessage `json:"metrics"`
}

func toTraining(ws string, t training.Detail) trainingOut {
	out := trainingOut{ID: t.ID, TrainingID: t.ID, VersionID: ws + "/" + shortVersion(t.ProjectSlug, t.VersionNumber), Status: wireState(t.State),
		Cancelled: t.State == cullet.TrainCancelled, StatusDetail: t.Detail, Start: stampOrNull(t.StartedAt), End: stampOrNull(t.EndedAt),
		JobType: "training", ModelType: t.ModelType, ModelIDs: []string{}, ModelCount: len(t.Models), Models: []trainingModelOut{},
		Epoch: t.Epoch, Progress: t.Progress, MicroCredits: t.MicroCredits}
	for _, m := range t.Models {
		id := ws + "/" + m.Slug
		out.ModelIDs = append(out.ModelIDs, id)
		out.Models = append(out.Models, trainingModelOut{id, m.Type, object(m.Metrics)})
	}
	return out
}

func (s *Server) listTrainings(w http.ResponseWriter, r *http.Request) error {
	n, err := number(r)
	if err != nil {
		return err
	}
	all, err := s.Queue.List(r.Context(), actor(r), word(r, "project"), n)
	if err != nil {
		return err
	}
	list := []trainingOut{}
	for _, t := range all {
		out := toTraining(of(r).workspace.Slug, t)
		out.Models = nil
		list = append(list, out)
	}
	return ok(w, map[string]any{"trainings": list})
}

// getTraining answers the training that trainingId names, or the version's sole one.
func (s *Server) getTraining(w http.ResponseWriter, r *http.Request) error {
	n, err := number(r)
	if err != nil {
		return err
	}
	t, err := s.Queue.Get(r.Context(), actor(r), word(r, "project"), n, query(r).Get("trainingId"))
	if err != nil {
		return err
	}
	return ok(w, toTraining(of(r).workspace.Slug, t))
}

// latestTraining is the v1 route for the results of the version's newest training.
func (s *Server) latestTraining(w http.ResponseWriter, r *http.Request) error {
	n, err := number(r)
	if err != nil {
		return err
	}
	all, err := s.Queue.List(r.Context(), actor(r), word(r, "project"), n)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return cullet.E(cullet.NotFound, "version %d of %s has no training", n, brief(word(r, "project")))
	}
	return ok(w, toTraining(of(r).workspace.Slug, all[0]))
}

// trainingIn is a wish for a training; v1 and v2 send the same. Some documents
// write model_type.
type trainingIn struct {
	Speed       string                `json:"speed"`
	Checkpoint  string                `json:"checkpoint"`
	ModelType   string                `json:"modelType"`
	ModelType2  string                `json:"model_type"`
	Epochs      maybe[int64]          `json:"epochs"`
	TrainRecipe maybe[map[string]any] `json:"trainRecipe"`
}

// wish passes speed and checkpoint on in the recipe: what they mean is the trainer's.
func (in trainingIn) wish() training.NewTraining {
	n := training.NewTraining{ModelType: in.ModelType, Epochs: in.Epochs.value}
	if n.ModelType == "" {
		n.ModelType = in.ModelType2
	}
	recipe := in.TrainRecipe.value
	for field, value := range map[string]string{"speed": in.Speed, "checkpoint": in.Checkpoint} {
		if value == "" {
			continue
		}
		if recipe == nil {
			recipe = map[string]any{}
		}
		if _, there := recipe[field]; !there {
			recipe[field] = value
		}
	}
	if recipe != nil {
		n.Recipe = json.RawMessage(toJSON(recipe))
	}
	return n
}

func (s *Server) createTraining(w http.ResponseWriter, r *http.Request) error {
	n, err := number(r)
	if err != nil {
		return err
	}
	var in trainingIn
	if err := decodeMaybe(r, &in); err != nil {
		return err
	}
	t, err := s.Queue.Start(r.Context(), actor(r), word(r, "project"), n, in.wish())
	if err != nil {
		return err
	}
	return ok(w, map[string]any{"success": true, "trainingId": t.ID, "status": wireState(t.State), "jobId": t.ID})
}

// cancelTraining ends a training now; v1 means the newest one. There are no
// refunds, so continueIfNoRefund changes nothing.
func (s *Server) cancelTraining(w http.ResponseWriter, r *http.Request) error {
	n, id, err := namedTraining(r)
	if err != nil {
		return err
	}
	t, err := s.Queue.Cancel(r.Context(), actor(r), word(r, "project"), n, id)
	if cullet.CodeOf(err) == cullet.Conflict {
		return errCannotCancel
	}
	if err != nil {
		return err
	}
	return ok(w, map[string]any{"success": true, "trainingId": t.ID})
}

// errCannotCancel is spelt as hosted spells it (contract/50).
var errCannotCancel = &custom{http.StatusConflict, map[string]any{"error": map[string]string{
	"type": "Conflict", "message": "Cannot cancel non-running train job.", "code": "CANNOT_CANCEL"}}}

func (s *Server) stopTraining(w http.ResponseWriter, r *http.Request) error {
	n, id, err := namedTraining(r)
	if err != nil {
		return err
	}
	t, err := s.Queue.Stop(r.Context(), actor(r), word(r, "project"), n, id)
	if err != nil {
		return err
	}
	return ok(w, map[string]any{"success": true, "trainingId": t.ID})
}

// namedTraining reads which training of a version is meant; "" is its newest.
func namedTraining(r *http.Request) (version int64, id string, err error) {
	if version, err = number(r); err != nil {
		return 0, "", err
	}
	var in struct {
		TrainingID string `json:"trainingId"`
	}
	err = decodeMaybe(r, &in)
	return version, in.TrainingID, err
}

// ledger is what the workspace's trainings cost, interval by interval. Ours.
func (s *Server) ledger(w http.ResponseWriter, r *http.Request) error {
	all, err := s.Queue.Ledger(r.Context(), actor(r))
	if err != nil {
		return err
	}
	type entry struct {
		ID           string  `json:"id"`
		TrainingID   string  `json:"trainingId"`
		OpenedAt     string  `json:"openedAt"`
		RenewedAt    string  `json:"renewedAt"`
		ClosedAt     *string `json:"closedAt"` // null: open
		MicroCredits int64   `json:"microCredits"`
	}
	entries, total := []entry{}, int64(0)
	for _, i := range all {
		e := entry{ID: i.ID, TrainingID: i.Training, OpenedAt: exact(i.OpenedAt), RenewedAt: exact(i.RenewedAt), MicroCredits: i.MicroCredits}
		if !i.ClosedAt.IsZero() {
			closed := exact(i.ClosedAt)
			e.ClosedAt = &closed
		}
		entries, total = append(entries, e), total+i.MicroCredits
	}
	return ok(w, map[string]any{"entries": entries, "microCredits": total})
}

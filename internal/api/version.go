package api

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/training"
	"github.com/cullet-vision/cullet/internal/version"
)

// versionOut is the Version object of contract/20.
type versionOut struct {
	ID            string          `json:"id"` // workspace/project/number
	Name          string          `json:"name"`
	Created       int64           `json:"created"` // epoch seconds
	Images        int64           `json:"images"`
	Splits        splitsOut       `json:"splits"`
	Preprocessing json.RawMessage `json:"preprocessing"`
	Augmentation  json.RawMessage `json:"augmentation"`
	Exports       []string        `json:"exports"`
	Generating    bool            `json:"generating"`
	Progress      float64         `json:"progress"`
	State         string          `json:"state"`           // ours: ready, generating, failed, interrupted
	Model         *modelOut       `json:"model,omitempty"` // its presence is what clients look at
}

type modelOut struct {
	ID string `json:"id"` // project/number, the alias of the legacy registered model
}

func toVersion(ws, project string, v cullet.Version, exports []string) versionOut {
	return versionOut{ID: fmt.Sprintf("%s/%s/%d", ws, project, v.Number), Name: v.Name, Created: v.CreatedAt.Unix(), Images: v.Images,
		Splits: splitsOut{v.Train, v.Valid, v.Test}, Preprocessing: object(v.Preprocessing), Augmentation: object(v.Augmentation),
		Exports: orEmpty(exports), Generating: v.State == cullet.Generating, Progress: v.Progress(), State: string(v.State)}
}

// shortVersion is how people name a version, and how its serving alias is called.
func shortVersion(project string, number int64) string { return fmt.Sprintf("%s/%d", project, number) }

// generate is P3: it is accepted at once, and V1 shows how it goes on.
func (s *Server) generate(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		VersionName   string          `json:"versionName"`
		Preprocessing json.RawMessage `json:"preprocessing"`
		Augmentation  json.RawMessage `json:"augmentation"`
	}
	if err := decode(r, &in); err != nil {
		return err
	}
	v, err := s.Press.Generate(r.Context(), actor(r), word(r, "project"),
		version.Settings{Name: in.VersionName, Preprocessing: in.Preprocessing, Augmentation: in.Augmentation})
	if err != nil {
		return err
	}
	return ok(w, map[string]any{"message": "Generating", "version": v.Number})
}

// getVersion is V1, by which clients wait for generations and trainings. A version
// that will never be ready is a Conflict: they would wait for its images for ever.
func (s *Server) getVersion(w http.ResponseWriter, r *http.Request) error {
	n, err := number(r)
	if err != nil {
		return err
	}
	d, err := s.Press.Version(r.Context(), actor(r), word(r, "project"), n)
	if err != nil {
		return err
	}
	if err := usable(d); err != nil {
		return err
	}
	runs, err := s.Queue.List(r.Context(), actor(r), d.Project.ID, n)
	if err != nil {
		return err
	}
	ws, err := s.workspaceOut(r)
	if err != nil {
		return err
	}
	out := struct {
		versionOut
		Train  *trainOut              `json:"train,omitempty"`
		Models map[string]epochsOfRun `json:"models,omitempty"`
	}{versionOut: toVersion(ws.URL, d.Project.Slug, d.Version, d.Exports)}
	if len(d.Models) > 0 {
		out.Model = &modelOut{ID: shortVersion(d.Project.Slug, d.Number)}
	}
	if len(runs) > 0 { // the newest, as the v1 routes mean it
		out.Train = toTrain(runs[0])
		metrics, err := s.Queue.Metrics(r.Context(), actor(r), runs[0].ID, 1000)
		if err != nil {
			return err
		}
		out.Models = map[string]epochsOfRun{"roboflow-train": toEpochs(metrics)}
	}
	return ok(w, map[string]any{"workspace": ws, "project": toProject(ws.URL, projectOf(d)), "version": out})
}

// usable refuses a version whose generation failed or was stopped.
func usable(d version.Detail) error {
	name := shortVersion(d.Project.Slug, d.Number)
	switch d.State {
	case cullet.Failed:
		return cullet.E(cullet.Conflict, "the generation of %s failed: %s; delete it and generate another", name, d.Problem)
	case cullet.Interrupted:
		return cullet.E(cullet.Conflict, "the generation of %s was stopped when it was moved to Trash; start it again in the web app, or delete it", name)
	}
	return nil
}

// trainOut is how the newest training of a version ended: clients look whether
// there are results, or whether the status is failed.
type trainOut struct {
	Status  string          `json:"status"`
	Results json.RawMessage `json:"results,omitempty"`
}

func toTrain(t training.Detail) *trainOut {
	out := &trainOut{Status: wireState(t.State)}
	if out.Status == "finished" {
		out.Results = json.RawMessage("{}")
		if len(t.Models) > 0 {
			out.Results = object(t.Models[0].Metrics)
		}
	}
	return out
}

type epochsOfRun struct {
	Epochs []map[string]json.Number `json:"epochs"`
}

// toEpochs keeps of what a trainer reported the lines that clients can plot: those
// with an epoch and a mAP, without which they fail.
func toEpochs(metrics []cullet.Metric) epochsOfRun {
	out := epochsOfRun{Epochs: []map[string]json.Number{}}
	for _, m := range metrics {
		var line map[string]json.RawMessage
		if json.Unmarshal([]byte(m.Body), &line) != nil {
			continue
		}
		epoch := map[string]json.Number{}
		for _, field := range []string{"epoch", "mAP", "box_loss", "class_loss", "obj_loss"} {
			var n json.Number
			if raw, there := line[field]; there && raw[0] != '"' && json.Unmarshal(raw, &n) == nil && n != "" {
				epoch[field] = n
			}
		}
		if epoch["epoch"] != "" && epoch["mAP"] != "" {
			out.Epochs = append(out.Epochs, epoch)
		}
	}
	return out
}

// resume starts a generation again that a deletion stopped (R1). Ours.
func (s *Server) resume(w http.ResponseWriter, r *http.Request) error {
	n, err := number(r)
	if err != nil {
		return err
	}
	v, err := s.Press.Resume(r.Context(), actor(r), word(r, "project"), n)
	if err != nil {
		return err
	}
	return ok(w, map[string]any{"message": "Generating", "version": v.Number})
}

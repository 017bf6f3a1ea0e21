// Package training is a training's life: queued, run by a worker under a lease,
// metered, and ended exactly once.
//
// A training is no job of the job engine: its states are moved by compare-and-set,
// so of two events that race one wins, and the ledger is closed in the same
// transaction. It knows nothing of Trash: a deletion moves its state like any
// other event, and its worker finds out.
package training

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/version"
	"github.com/cullet-vision/cullet/internal/version/export"
)

// Trainer is a command that trains models, as the operator set it up.
type Trainer struct {
	Name           string
	ModelTypes     []string
	Command        []string
	CreditsPerHour float64
	Retry          int // how often a training is begun again whose worker was lost
}

// MicroCredits is how many micro-credits are in a credit.
const MicroCredits = 1_000_000

// Queue is where trainings are asked for and told to end.
type Queue struct {
	DB       *store.DB
	Trainers []Trainer

	// Changed, where set, is called after a training was queued or told to end, so
	// that workers in this process look at once.
	Changed func()
}

// NewTraining is what a client asks for.
type NewTraining struct {
	ModelType string          // "": the only one there is
	Epochs    int64           // 0: the trainer's default
	Recipe    json.RawMessage // object, passed to the trainer
}

const maxRecipe = 64 << 10

// Start queues a training of a version that is ready. The trainer gets the recipe
// with modelType and epochs in it; epochs inside the recipe win.
func (q *Queue) Start(ctx context.Context, by cullet.Actor, project string, number int64, n NewTraining) (t cullet.Training, err error) {
	if err := by.Allow(cullet.TrainingCreate); err != nil {
		return t, err
	}
	// What is hidden is not found, whatever else is wrong with the wish (D3).
	err = q.DB.View(ctx, func(tx *store.Tx) error {
		_, _, err := version.Find(ctx, tx, by.Workspace, project, number)
		return err
	})
	if err != nil {
		return t, err
	}
	trainer, modelType, err := q.choose(n.ModelType)
	if err != nil {
		return t, err
	}
	if _, err := export.For(FormatFor(modelType)); err != nil {
		return t, err // nothing could read the dataset
	}
	recipe, epochs, err := n.recipe(modelType)
	if err != nil {
		return t, err
	}
	err = q.DB.Update(ctx, func(tx *store.Tx) error {
		p, v, err := version.Find(ctx, tx, by.Workspace, project, number)
		if err != nil {
			return err
		}
		if v, err = tx.ShareVersion(ctx, p.ID, v.ID); errors.Is(err, store.ErrNoRow) {
			return cullet.E(cullet.NotFound, "there is no version %d of project %s", number, p.Slug)
		} else if err != nil {
			return err
		}
		if v.State != cullet.Ready {
			return cullet.E(cullet.Conflict, "version %d of %s is %s; train on it once it is ready", number, p.Slug, v.State)
		}
		t = cullet.Training{ID: cullet.NewID(cullet.TrainingID), Workspace: p.Workspace, Project: p.ID, ProjectSlug: p.Slug,
			Version: v.ID, VersionNumber: v.Number, ModelType: modelType, Trainer: trainer.Name, State: cullet.TrainQueued,
			Recipe: recipe, Epochs: epochs, Rate: int64(trainer.CreditsPerHour * MicroCredits), Retry: int64(trainer.Retry), CreatedAt: tx.Now, CreatedBy: by.ID}
		q.tell(tx)
		notify(tx, t, t.State, "")
		return tx.AddTraining(ctx, t)
	})
	return t, err
}

func (q *Queue) tell(tx *store.Tx) {
	if q.Changed != nil {
		tx.OnCommit(q.Changed)
	}
}

// choose returns the trainer that takes a model type.
func (q *Queue) choose(modelType string) (Trainer, string, error) {
	var types []string
	for _, t := range q.Trainers {
		if modelType != "" && slices.Contains(t.ModelTypes, modelType) {
			return t, modelType, nil
		}
		types = append(types, t.ModelTypes...)
	}
	switch {
	case len(types) == 0:
		return Trainer{}, "", cullet.E(cullet.Invalid, "no trainer is set up on this server; name one in cullet.toml under [[trainer]]")
	case modelType == "" && len(types) == 1:
		return q.Trainers[0], types[0], nil
	case modelType == "":
		return Trainer{}, "", cullet.E(cullet.Invalid, "modelType is missing; the types there are: %s", strings.Join(types, ", "))
	}
	return Trainer{}, "", cullet.E(cullet.Invalid, "no trainer takes the model type %.60q; the types there are: %s", modelType, strings.Join(types, ", "))
}

func (n NewTraining) recipe(modelType string) (text string, epochs int64, err error) {
	if len(n.Recipe) > maxRecipe {
		return "", 0, cullet.E(cullet.TooLarge, "the recipe is larger than %d bytes", maxRecipe)
	}
	r := map[string]any{}
	if len(n.Recipe) > 0 && json.Unmarshal(n.Recipe, &r) != nil || r == nil {
		return "", 0, cullet.E(cullet.Invalid, "the recipe must be a JSON object")
	}
	hyper, _ := r["hyperparameters"].(map[string]any)
	if hyper == nil {
		if r["hyperparameters"] != nil {
			return "", 0, cullet.E(cullet.Invalid, "the recipe's hyperparameters must be a JSON object")
		}
		hyper = map[string]any{}
		r["hyperparameters"] = hyper
	}
	epochs = n.Epochs
	if e, given := hyper["epochs"]; given {
		f, ok := e.(float64)
		if !ok || f != float64(int64(f)) {
			return "", 0, cullet.E(cullet.Invalid, "the recipe's epochs must be a whole number")
		}
		epochs = int64(f)
	}
	if epochs < 0 || epochs > 100_000 {
		return "", 0, cullet.E(cullet.Invalid, "epochs must be between 1 and 100000")
	}
	if epochs > 0 {
		hyper["epochs"] = epochs
	}
	r["modelType"] = modelType
	b, err := json.Marshal(r)
	return string(b), epochs, err
}

// pick returns the version's training with the id, or, without one, the latest.
func pick(ctx context.Context, tx *store.Tx, by cullet.Actor, project string, number int64, id string) (cullet.Training, error) {
	p, v, err := version.Find(ctx, tx, by.Workspace, project, number)
	if err != nil {
		return cullet.Training{}, err
	}
	if id == "" {
		all, err := tx.ListTrainings(ctx, v.ID)
		if err == nil && len(all) == 0 {
			err = cullet.E(cullet.NotFound, "version %d of %s has no training", number, p.Slug)
		}
		if err != nil {
			return cullet.Training{}, err
		}
		return all[0], nil
	}
	t, err := tx.GetTraining(ctx, id)
	if errors.Is(err, store.ErrNoRow) || err == nil && t.Version != v.ID {
		return t, cullet.E(cullet.NotFound, "there is no training %.60q of version %d of %s", id, number, p.Slug)
	}
	return t, err
}

// Detail is a training with the models it left.
type Detail struct {
	cullet.Training
	Models []cullet.Model
}

// Get returns one training; without an id the version's sole one, and a Conflict
// where there are several.
func (q *Queue) Get(ctx context.Context, by cullet.Actor, project string, number int64, id string) (d Detail, err error) {
	all, err := q.List(ctx, by, project, number)
	if err != nil {
		return d, err
	}
	if id == "" && len(all) > 1 {
		return d, cullet.E(cullet.Conflict, "version %d of %s has %d trainings; name one by trainingId", number, project, len(all))
	}
	for _, t := range all {
		if id == "" || t.ID == id {
			return t, nil
		}
	}
	return d, cullet.E(cullet.NotFound, "there is no training %.60q of version %d of %s", id, number, project)
}

// List returns the trainings of a version, newest first.
func (q *Queue) List(ctx context.Context, by cullet.Actor, project string, number int64) (all []Detail, err error) {
	if err := by.Allow(cullet.VersionRead); err != nil {
		return nil, err
	}
	err = q.DB.View(ctx, func(tx *store.Tx) error {
		_, v, err := version.Find(ctx, tx, by.Workspace, project, number)
		if err != nil {
			return err
		}
		trainings, err := tx.ListTrainings(ctx, v.ID)
		if err != nil {
			return err
		}
		models, err := tx.ModelsOf(ctx, v.ID)
		all = nil
		for _, t := range trainings {
			d := Detail{Training: t}
			for _, m := range models {
				if m.Training == t.ID {
					d.Models = append(d.Models, m)
				}
			}
			all = append(all, d)
		}
		return err
	})
	return all, err
}

// InFlight returns the trainings of a project that have not ended.
func (q *Queue) InFlight(ctx context.Context, by cullet.Actor, project string) (all []cullet.Training, err error) {
	if err := by.Allow(cullet.ProjectRead); err != nil {
		return nil, err
	}
	err = q.DB.View(ctx, func(tx *store.Tx) error {
		all, err = tx.ListInFlight(ctx, project)
		return err
	})
	return all, err
}

// Metrics returns the last things a training's trainer reported, oldest first.
func (q *Queue) Metrics(ctx context.Context, by cullet.Actor, id string, limit int) (all []cullet.Metric, err error) {
	if err := by.Allow(cullet.VersionRead); err != nil {
		return nil, err
	}
	err = q.DB.View(ctx, func(tx *store.Tx) error {
		t, err := tx.GetTraining(ctx, id)
		if errors.Is(err, store.ErrNoRow) || err == nil && t.Workspace != by.Workspace {
			return cullet.E(cullet.NotFound, "there is no training %.60q", id)
		} else if err != nil {
			return err
		}
		all, err = tx.ListMetrics(ctx, id, limit)
		return err
	})
	return all, err
}

// Ledger returns what the workspace's trainings cost, oldest first. It stays when
// they are gone.
func (q *Queue) Ledger(ctx context.Context, by cullet.Actor) (all []cullet.Interval, err error) {
	if err := by.Allow(cullet.WorkspaceRead); err != nil {
		return nil, err
	}
	err = q.DB.View(ctx, func(tx *store.Tx) error {
		all, err = tx.ListLedger(ctx, by.Workspace)
		return err
	})
	return all, err
}

// Cancel ends a training now, without a model. Without an id it is the version's
// latest. What has ended already is a Conflict.
func (q *Queue) Cancel(ctx context.Context, by cullet.Actor, project string, number int64, id string) (cullet.Training, error) {
	return q.end(ctx, by, project, number, id, cullet.TrainCancel, "cancelled by "+by.Name)
}

// Stop ends a training early and keeps the best model so far. Stopping what is
// stopping or has ended changes nothing.
func (q *Queue) Stop(ctx context.Context, by cullet.Actor, project string, number int64, id string) (cullet.Training, error) {
	return q.end(ctx, by, project, number, id, cullet.TrainStop, "told to stop by "+by.Name)
}

func (q *Queue) end(ctx context.Context, by cullet.Actor, project string, number int64, id string, event cullet.TrainingEvent, detail string) (t cullet.Training, err error) {
	if err := by.Allow(cullet.TrainingCreate); err != nil {
		return t, err
	}
	err = q.DB.Update(ctx, func(tx *store.Tx) error {
		if t, err = pick(ctx, tx, by, project, number, id); err != nil {
			return err
		}
		if t, err = tx.TakeTraining(ctx, t.ID); errors.Is(err, store.ErrNoRow) {
			return cullet.E(cullet.NotFound, "there is no training %.60q of version %d of %s", id, number, project)
		} else if err != nil {
			return err
		}
		if event == cullet.TrainStop && (t.State == cullet.TrainStopping || t.State.Ended()) {
			return nil
		}
		q.tell(tx)
		moved, err := move(ctx, tx, t, event, store.TrainingMove{Detail: detail, Worker: t.Worker, Token: t.Token, LeaseUntil: t.LeaseUntil})
		if err != nil || !moved.Ended() {
			return err
		}
		t.State = moved
		return tx.Audit(ctx, by, cullet.AuditEntry{Act: cullet.ActTrainingCancel, ItemType: "training", ItemID: t.ID, ItemName: t.ModelType})
	})
	return t, err
}

// move takes a training through one event: the table in the root package says
// where to, a compare-and-set that nobody was faster, and what it costs is settled
// in the same transaction. Losing the race is a Conflict.
func move(ctx context.Context, tx *store.Tx, t cullet.Training, event cullet.TrainingEvent, m store.TrainingMove) (cullet.TrainingState, error) {
	next, err := cullet.NextTraining(t.State, event)
	if err != nil {
		return t.State, err
	}
	m.To = next
	if next.Ended() {
		m.LeaseUntil = time.Time{}
	}
	if err := tx.MoveTraining(ctx, t, m); errors.Is(err, store.ErrNoRow) {
		return t.State, cullet.E(cullet.Conflict, "training %s changed at this moment; look again", t.ID)
	} else if err != nil {
		return t.State, err
	}
	if next.Ended() {
		notify(tx, t, next, m.Detail)
	}
	if next.Ended() || next == cullet.TrainQueued {
		return next, settle(ctx, tx, t)
	}
	return next, nil
}

// notify has those told who asked for it that a training came into a state.
func notify(tx *store.Tx, t cullet.Training, now cullet.TrainingState, detail string) {
	if n, told := cullet.NoticeOfTraining(t, now, detail); told {
		tx.Notify(n)
	}
}

// settle closes a training's open interval, if it has one.
func settle(ctx context.Context, tx *store.Tx, t cullet.Training) error {
	i, err := tx.OpenInterval(ctx, t.ID)
	if errors.Is(err, store.ErrNoRow) {
		return nil // it never ran
	} else if err != nil {
		return err
	}
	if _, err := tx.CloseInterval(ctx, i, store.ChargeUntil(i, tx.Now)); err != nil {
		return fmt.Errorf("closing the meter of %s: %w", t.ID, err)
	}
	return nil
}

package training

import (
	"context"
	"errors"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/store"
)

// mostLatest is how many trainings of a project Latest returns.
const mostLatest = 500

// Latest returns the trainings of a project, named by its id, newest first.
func (q *Queue) Latest(ctx context.Context, by cullet.Actor, project string) (all []cullet.Training, err error) {
	if err := by.Allow(cullet.VersionRead); err != nil {
		return nil, err
	}
	err = q.DB.View(ctx, func(tx *store.Tx) error {
		if p, err := tx.GetProject(ctx, project); errors.Is(err, store.ErrNoRow) || err == nil && p.Workspace != by.Workspace {
			return cullet.E(cullet.NotFound, "there is no project %.60q in this workspace", project)
		} else if err != nil {
			return err
		}
		all, err = tx.LatestTrainings(ctx, project, mostLatest)
		return err
	})
	return all, err
}

// Spent returns what each of the trainings costs up to now, by id, in
// micro-credits: what was charged, and what its open meter has come to.
func (q *Queue) Spent(ctx context.Context, by cullet.Actor, trainings []cullet.Training) (spent map[string]int64, err error) {
	if err := by.Allow(cullet.VersionRead); err != nil {
		return nil, err
	}
	err = q.DB.View(ctx, func(tx *store.Tx) error {
		spent = map[string]int64{}
		for _, t := range trainings {
			spent[t.ID] = t.MicroCredits
			if t.State.Ended() {
				continue
			}
			i, err := tx.OpenInterval(ctx, t.ID)
			if errors.Is(err, store.ErrNoRow) {
				continue
			} else if err != nil {
				return err
			}
			spent[t.ID] += cullet.Charge(i.OpenedAt, store.ChargeUntil(i, tx.Now), i.Rate)
		}
		return nil
	})
	return spent, err
}

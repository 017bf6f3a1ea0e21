package training

import (
	"context"
	"errors"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/store"
)

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

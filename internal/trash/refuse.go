package trash

import (
	"context"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/store"
)

// RefusePurge keeps in the audit that somebody known tried to delete permanently
// by a way on which nobody can (P2), and returns the refusal.
func (b *Bin) RefusePurge(ctx context.Context, by cullet.Actor, what, why string) error {
	return b.refuse(ctx, by, cullet.ActPurgeRefused, what, why)
}

// RefuseWrite keeps in the audit that a request in the name of somebody known,
// which cannot be shown to be theirs, aimed at Trash, and returns the refusal.
func (b *Bin) RefuseWrite(ctx context.Context, by cullet.Actor, what, why string) error {
	return b.refuse(ctx, by, cullet.ActTrashRefused, what, why)
}

func (b *Bin) refuse(ctx context.Context, by cullet.Actor, act cullet.Act, what, why string) error {
	err := b.DB.Update(ctx, func(tx *store.Tx) error {
		return tx.Audit(ctx, by, cullet.AuditEntry{Act: act, ItemType: "trash", ItemName: what, Result: why})
	})
	if err != nil {
		return err
	}
	return cullet.E(cullet.Forbidden, "%s", why)
}

package web

import (
	"net/http"

	"github.com/cullet-vision/cullet/internal/account"
	"github.com/cullet-vision/cullet/internal/store"
)

// storagePage is Settings, Storage: who holds which bytes.
type storagePage struct {
	*frame
	Storage account.Storage
	Parts   []storagePart
}

// storagePart is one of the four that sum to the total.
type storagePart struct {
	ID, Name, Note string
	Bytes          int64
	At, Width      int64 // in the bar, in thousandths
}

func (a *app) storage(w http.ResponseWriter, v *visit) error {
	s, err := a.Book.Storage(v.Context(), v.by)
	if err != nil {
		return err
	}
	f, err := a.inside(v, "storage", "Storage", "Settings")
	if err != nil {
		return err
	}
	return a.render(w, v, http.StatusOK, "storage", storagePage{f, s, storageParts(s.Files)})
}

func storageParts(s store.Storage) []storagePart {
	parts := []storagePart{
		{ID: "active", Name: "Active", Note: "originals that only active projects refer to", Bytes: s.Active},
		{ID: "trash", Name: "In Trash alone", Note: "emptying the Trash frees them", Bytes: s.Trash},
		{ID: "shared", Name: "Shared", Note: "something active and something in Trash refer to them: they stay", Bytes: s.Shared},
		{ID: "derived", Name: "Derived", Note: "thumbnails and exports of what is active: they can be made again", Bytes: s.Derived},
	}
	at, sum := int64(0), int64(0)
	for n := range parts {
		sum += parts[n].Bytes
		end := at
		if total := s.Total(); total > 0 {
			end = int64(float64(sum) / float64(total) * 1000)
		}
		parts[n].At, parts[n].Width = at, end-at
		at = end
	}
	return parts
}

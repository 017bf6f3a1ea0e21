package web

import (
	"net/http"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/purge"
)

// banners are the notices under the header of every page, worst first.
type banners struct {
	Clock      purge.Waiting    // what cleanup knows of the clock (C6)
	Waits      bool             // cleanup waits, and something waits for it
	Protection purge.Protection // C9
	MayLift    bool
	MayKeep    bool // call the lifting of the protection off

	lifted string // the wait that the workspace's people have lifted
}

// banners reads them: a few rows by their keys, whatever lies in Trash.
func (a *app) banners(v *visit) (b banners, err error) {
	b = banners{MayLift: v.by.CanDo(cullet.LiftWait), MayKeep: v.by.CanDo(cullet.PurgeItems), lifted: v.ws.LiftedWait}
	var waits bool
	if b.Clock, waits, err = a.Purge.Waiting(v.Context(), v.by); err != nil {
		return b, err
	}
	b.Waits = waits && b.Clock.Items > 0
	b.Protection, err = a.Purge.Protection(v.Context(), v.by)
	return b, err
}

// trusted is the time up to which cleanup believes what is due (C6).
func (b banners) trusted(now time.Time) time.Time { return b.Clock.Trusted(now, b.lifted) }

// waitsWords says until when cleanup waits.
func (b banners) waitsWords() string {
	if b.Clock.Waits(b.lifted) {
		return "waits until " + stamp(b.Clock.Until)
	}
	return "waits until cleanup has looked at the clock"
}

// clockPage asks whether cleanup is to go on before its wait is over.
type clockPage struct {
	*frame
	Modal   bool
	Waits   bool
	Clock   purge.Waiting
	Preview keepPreview
	Text    string // that is typed
	Typed   string // what was typed last
	Error   string
	Field   string
	Review  string
	Cancel  string
}

func (a *app) clockDialog(w http.ResponseWriter, v *visit) error {
	if !v.by.CanDo(cullet.LiftWait) {
		return cullet.E(cullet.Forbidden, "only an administrator of the workspace can lift cleanup's wait")
	}
	return a.askLift(w, v, http.StatusOK, clockPage{})
}

func (a *app) askLift(w http.ResponseWriter, v *visit, status int, page clockPage) (err error) {
	if page.Clock, page.Waits, err = a.Purge.Waiting(v.Context(), v.by); err != nil {
		return err
	}
	if page.frame, err = a.inside(v, "trash", "Resume cleanup", "Trash"); err != nil {
		return err
	}
	for _, t := range page.Clock.Some {
		page.Preview.Lines = append(page.Preview.Lines, keepLine{TrashItem: t})
	}
	page.Preview.More = int(page.Clock.Items) - len(page.Clock.Some)
	page.Modal, page.Text, page.Cancel = v.hx, purge.LiftText, a.trashBase(v)
	page.Review = page.Cancel + "?due=overdue"
	return a.render(w, v, status, "clock", page)
}

// liftWait has cleanup go on.
func (a *app) liftWait(w http.ResponseWriter, v *visit) error {
	typed := v.PostFormValue("typed")
	err := a.Purge.Lift(v.Context(), v.by, v.PostFormValue("wait"), typed, v.PostFormValue("password"))
	switch code := cullet.CodeOf(err); {
	case err == nil:
		a.say(v, flash{Text: "Cleanup goes on. What is due is deleted within a minute."})
		v.to = a.trashBase(v)
		return nil
	case !v.by.CanDo(cullet.LiftWait):
		return err
	case code == cullet.Invalid:
		return a.askLift(w, v, http.StatusUnprocessableEntity, clockPage{Typed: typed, Error: sentence(cullet.MessageOf(err)), Field: "clock-typed"})
	case code == cullet.Forbidden, code == cullet.TooMany:
		return a.askLift(w, v, statusOf(err), clockPage{Typed: typed, Error: sentence(cullet.MessageOf(err)), Field: "clock-password"})
	}
	return err
}

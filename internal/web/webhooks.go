package web

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/notify"
)

// perDeliveries is how many deliveries a page shows.
const perDeliveries = 25

// webhooksPage is Settings, Webhooks.
type webhooksPage struct {
	*frame
	webhookForm
	Hooks      []notify.Hook
	New        *notify.Hook // whose secret is shown, this once
	Deliveries []notify.Sent
	Fresh      bool // one of them was not tried yet
	Pager      pager
}

// webhookForm is what a webhook is made of, as it was filled in.
type webhookForm struct {
	Address string
	Events  []option
	Works   bool
	Error   string
	Field   string
}

// webhookPage is one webhook, to change it.
type webhookPage struct {
	*frame
	webhookForm
	Hook  notify.Hook
	Modal bool
}

func (a *app) webhooksURL(v *visit) string { return "/app/" + v.ws.Slug + "/settings/webhooks" }

// eventWords says what each choice tells of.
var eventWords = map[string]string{
	string(cullet.TopicMoved): "moved to Trash", string(cullet.TopicRestored): "restored", string(cullet.TopicDueSoon): "cleanup comes near",
	string(cullet.TopicPurgeStarted): "permanent deletion began", string(cullet.TopicPurged): "deleted permanently", string(cullet.TopicHeld): "held",
	"training.*": "queued, finished, failed, cancelled", "version.*": "generated, failed",
}

// filledIn makes the form of a wish; why it was refused stands beside the field.
func filledIn(wish notify.Wish, why error) webhookForm {
	f := webhookForm{Address: wish.URL, Works: !wish.Disabled}
	for _, c := range cullet.Choices() {
		f.Events = append(f.Events, option{Value: c, Text: eventWords[c], On: slices.Contains(wish.Choices, c)})
	}
	if why != nil {
		f.Error, f.Field = sentence(cullet.MessageOf(why)), "webhook-url"
		if wish.URL != "" && len(wish.Choices) == 0 {
			f.Field = "event-" + cullet.Choices()[0]
		}
	}
	return f
}

// wished reads the form.
func wished(v *visit) notify.Wish {
	return notify.Wish{URL: v.PostFormValue("url"), Choices: v.PostForm["event"], Disabled: v.PostFormValue("works") == ""}
}

func (a *app) webhooks(w http.ResponseWriter, v *visit) error {
	return a.showWebhooks(w, v, http.StatusOK, filledIn(notify.Wish{Choices: cullet.Choices()[:6]}, nil))
}

func (a *app) showWebhooks(w http.ResponseWriter, v *visit, status int, form webhookForm) error {
	hooks, err := a.Notify.Webhooks(v.Context(), v.by)
	if err != nil {
		return err
	}
	f, err := a.inside(v, "webhooks", "Webhooks", "Settings")
	if err != nil {
		return err
	}
	page := webhooksPage{frame: f, webhookForm: form, Hooks: hooks}
	if fresh := a.sessions.PopString(v.Context(), sessionWebhook); fresh != "" {
		for n, h := range hooks {
			if h.ID == fresh {
				page.New = &hooks[n]
			}
		}
	}
	at := readCursor(v.URL.Query().Get("cursor"))
	var after time.Time
	if at.set() {
		after = time.UnixMicro(at.number())
	}
	more := false
	if page.Deliveries, more, err = a.Notify.Deliveries(v.Context(), v.by, after, at.ID, perDeliveries); err != nil {
		return err
	}
	page.Fresh = slices.ContainsFunc(page.Deliveries, func(s notify.Sent) bool { return s.State == cullet.DeliveryWaiting && s.Tries == 0 })
	if at.set() {
		page.Pager.Prev = a.webhooksURL(v) + "#deliveries"
	}
	if more {
		last := page.Deliveries[len(page.Deliveries)-1]
		next := cursor{Key: strconv.FormatInt(last.Notice.At.UnixMicro(), 10), ID: last.ID}
		page.Pager.Next = address(a.webhooksURL(v), url.Values{"cursor": {next.String()}}) + "#deliveries"
	}
	return a.render(w, v, status, "webhooks", page)
}

func (a *app) newWebhook(w http.ResponseWriter, v *visit) error {
	wish := wished(v)
	h, err := a.Notify.Create(v.Context(), v.by, wish)
	if cullet.CodeOf(err) == cullet.Invalid {
		return a.showWebhooks(w, v, http.StatusUnprocessableEntity, filledIn(wish, err))
	} else if err != nil {
		return err
	}
	a.sessions.Put(v.Context(), sessionWebhook, h.ID)
	v.to = a.webhooksURL(v)
	return nil
}

// hook finds the webhook in the address.
func (a *app) hook(v *visit) (notify.Hook, error) {
	id := chi.URLParam(v.Request, "hook")
	all, err := a.Notify.Webhooks(v.Context(), v.by)
	if err != nil {
		return notify.Hook{}, err
	}
	for _, h := range all {
		if h.ID == id {
			return h, nil
		}
	}
	return notify.Hook{}, cullet.E(cullet.NotFound, "there is no webhook %.60q in this workspace", id)
}

func (a *app) webhook(w http.ResponseWriter, v *visit) error {
	h, err := a.hook(v)
	if err != nil {
		return err
	}
	return a.showWebhook(w, v, http.StatusOK, h, filledIn(notify.Wish{URL: h.URL, Choices: h.Choices, Disabled: !h.DisabledAt.IsZero()}, nil))
}

func (a *app) showWebhook(w http.ResponseWriter, v *visit, status int, h notify.Hook, form webhookForm) error {
	f, err := a.inside(v, "webhooks", h.Host(), "Webhooks", "Settings")
	if err != nil {
		return err
	}
	return a.render(w, v, status, "webhook", webhookPage{frame: f, webhookForm: form, Hook: h})
}

func (a *app) changeWebhook(w http.ResponseWriter, v *visit) error {
	h, err := a.hook(v)
	if err != nil {
		return err
	}
	wish := wished(v)
	err = a.Notify.Change(v.Context(), v.by, h.ID, wish)
	if cullet.CodeOf(err) == cullet.Invalid {
		return a.showWebhook(w, v, http.StatusUnprocessableEntity, h, filledIn(wish, err))
	} else if err != nil {
		return err
	}
	a.say(v, flash{Text: "The webhook is saved."})
	v.to = a.webhooksURL(v)
	return nil
}

func (a *app) removeWebhookDialog(w http.ResponseWriter, v *visit) error {
	h, err := a.hook(v)
	if err != nil {
		return err
	}
	f, err := a.inside(v, "webhooks", "Remove a webhook", "Settings")
	if err != nil {
		return err
	}
	return a.render(w, v, http.StatusOK, "webhook-remove", webhookPage{frame: f, Hook: h, Modal: v.hx})
}

func (a *app) removeWebhook(_ http.ResponseWriter, v *visit) error {
	if err := a.Notify.Remove(v.Context(), v.by, chi.URLParam(v.Request, "hook")); err != nil {
		return err
	}
	a.say(v, flash{Text: "The webhook is removed. Nothing is sent there any more."})
	v.to = a.webhooksURL(v)
	return nil
}

func (a *app) testWebhook(_ http.ResponseWriter, v *visit) error {
	if _, err := a.Notify.Test(v.Context(), v.by, chi.URLParam(v.Request, "hook")); err != nil {
		return err
	}
	a.say(v, flash{Text: "A ping is on its way. Its line below says how it went."})
	v.to = a.webhooksURL(v)
	return nil
}

func (a *app) retryDelivery(_ http.ResponseWriter, v *visit) error {
	if err := a.Notify.Retry(v.Context(), v.by, chi.URLParam(v.Request, "delivery")); err != nil {
		return err
	}
	a.say(v, flash{Text: "The delivery is sent again."})
	v.to = a.webhooksURL(v)
	return nil
}

// dueSoon is what the banner says before something is cleaned up.
type dueSoon struct {
	Items int64
	Many  bool // there are more than were counted
	First string
	When  string
}

// warn fills in the banner, where there is something to say (C10).
func (a *app) warn(v *visit, f *frame) error {
	if f.Trash.DueSoon == 0 {
		return nil
	}
	b, err := a.Notify.Banner(v.Context(), v.by)
	if err != nil || b.Items == 0 {
		return err
	}
	f.DueSoon = &dueSoon{Items: b.Items, Many: b.Items >= notify.MostCounted, First: b.First.Handle(), When: fromNow(b.First.EffectiveAt, v.now)}
	if !b.First.EffectiveAt.After(v.now) {
		f.DueSoon.When = "at any moment"
		if b.First.EffectiveAt.After(f.Banners.trusted(v.now)) { // C6
			f.DueSoon.When = f.Banners.waitsWords()
		}
	}
	return nil
}

func (a *app) dismissBanner(_ http.ResponseWriter, v *visit) error {
	if err := a.Notify.PutAway(v.Context(), v.by); err != nil {
		return err
	}
	v.to = nextOf(v.PostFormValue("next"))
	return nil
}

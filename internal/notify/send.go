package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/outward"
	"github.com/cullet-vision/cullet/internal/store"
)

// Sender sends what is on its way to webhooks. Any number of them, in any number of
// processes, share the work. A receiver that is slow or down holds up itself alone.
type Sender struct {
	DB    *store.DB
	Guard outward.Guard
	Log   *slog.Logger

	worker string
	client *http.Client
	mu     sync.Mutex
	busy   map[string]bool // webhooks that this process sends to at this moment
	forget time.Time       // next look for what is too old
}

const (
	look      = time.Second      // between two looks for what is to be sent
	patience  = 10 * time.Second // with a receiver, from the connection to the end of its answer
	lease     = 30 * time.Second // of a worker on a delivery: longer than one try can take
	atOnce    = 8                // deliveries to one webhook that are sent at once
	firstWait = 10 * time.Second // before the second try
	longest   = time.Hour        // between two tries
	giveUp    = day              // after the first try
	keep      = 30 * day         // deliveries and mails
	answer    = 4 << 10          // bytes of an answer that are kept
	oldRows   = 500              // removed in one transaction
)

// NewSender makes a sender.
func NewSender(db *store.DB, guard outward.Guard, log *slog.Logger) *Sender {
	return &Sender{DB: db, Guard: guard, Log: log, worker: cullet.NewID("w"), client: guard.Client(patience), busy: map[string]bool{}}
}

// Run sends until the context ends.
func (s *Sender) Run(ctx context.Context) {
	tick := s.DB.Clock().NewTicker(look)
	defer tick.Stop()
	defer s.client.CloseIdleConnections()
	var sending sync.WaitGroup
	defer sending.Wait()
	for {
		if err := errors.Join(s.begin(ctx, &sending), s.forgetOld(ctx)); err != nil && ctx.Err() == nil {
			s.Log.Error("webhooks could not be looked at; they are looked at again", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C():
		}
	}
}

// Round sends what is to be sent now, and returns when each of it was tried.
func (s *Sender) Round(ctx context.Context) error {
	var sending sync.WaitGroup
	err := s.begin(ctx, &sending)
	sending.Wait()
	return err
}

// begin has each webhook that something waits for worked on, by itself.
func (s *Sender) begin(ctx context.Context, sending *sync.WaitGroup) error {
	var due []cullet.Webhook
	err := s.DB.View(ctx, func(tx *store.Tx) (err error) {
		due, err = tx.DueWebhooks(ctx)
		return err
	})
	for _, h := range due {
		if !s.take(h.ID) {
			continue
		}
		sending.Go(func() {
			defer s.release(h.ID)
			if err := s.send(ctx, h); err != nil && ctx.Err() == nil {
				s.Log.Error("deliveries could not go on; they are tried again", "webhook", h.ID, "err", err)
			}
		})
	}
	return err
}

func (s *Sender) take(webhook string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[webhook] {
		return false
	}
	s.busy[webhook] = true
	return true
}

func (s *Sender) release(webhook string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.busy, webhook)
}

// send tries what waits for a webhook, some at a time. A receiver that takes none of
// them is left alone until the next look.
func (s *Sender) send(ctx context.Context, h cullet.Webhook) error {
	for {
		var mine []cullet.Delivery
		var slug string
		err := s.DB.Update(ctx, func(tx *store.Tx) error {
			ws, err := tx.GetWorkspaceByID(ctx, h.Workspace)
			if err != nil {
				return err
			}
			slug = ws.Slug
			mine = nil
			h, err = tx.GetWebhook(ctx, h.Workspace, h.ID) // as it is now: it may have another address since the last ones
			if errors.Is(err, store.ErrNoRow) || err == nil && !h.DisabledAt.IsZero() {
				return nil // removed, or switched off
			} else if err != nil {
				return err
			}
			mine, err = tx.ClaimDeliveries(ctx, h.ID, s.worker, lease, atOnce)
			return err
		})
		if err != nil || len(mine) == 0 {
			return err
		}
		var tries sync.WaitGroup
		for n := range mine {
			tries.Go(func() { mine[n] = s.try(ctx, h, mine[n], slug) })
		}
		tries.Wait()
		taken := 0
		err = s.DB.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error {
			taken = 0
			for _, d := range mine {
				if d.State == cullet.DeliveryDone {
					taken++
				}
				if err := tx.RecordDelivery(ctx, d, s.worker); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || taken == 0 || ctx.Err() != nil {
			return err
		}
	}
}

// try sends a delivery once, and returns it as it is afterwards.
func (s *Sender) try(ctx context.Context, h cullet.Webhook, d cullet.Delivery, slug string) cullet.Delivery {
	began := s.DB.Clock().Now()
	status, said, err := s.post(ctx, h, d, slug, began)
	if ctx.Err() != nil {
		return d // the server stops: this was no try
	}
	now := s.DB.Clock().Now()
	if d.FirstAt.IsZero() {
		d.FirstAt = began
	}
	d.Tries++
	d.DoneAt, d.Took, d.Status, d.Answer, d.Problem = now, now.Sub(began), int64(status), said, ""
	if err == nil {
		d.State = cullet.DeliveryDone
		return d
	}
	d.Problem = err.Error()
	tried := now.Sub(d.FirstAt)
	d.NextAt = now.Add(min(pause(tried), giveUp-tried))
	if tried >= giveUp {
		d.State = cullet.DeliveryGivenUp
	}
	s.Log.Warn("a webhook did not take a delivery", "webhook", h.ID, "host", hostOf(h.URL), "delivery", d.ID, "topic", d.Notice.Topic,
		"tries", d.Tries, "state", d.State, "err", err)
	return d
}

// pause is how long to wait after having tried for a while: as long again, within bounds.
func pause(tried time.Duration) time.Duration { return min(max(tried, firstWait), longest) }

// post makes the request. Whatever is no answer of 2xx is an error.
func (s *Sender) post(ctx context.Context, h cullet.Webhook, d cullet.Delivery, slug string, now time.Time) (status int, said string, err error) {
	b := body(d, slug)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(b))
	if err != nil {
		return 0, "", errors.New("the address cannot be used; change it")
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Cullet")
	r.Header.Set("Cullet-Event", string(d.Notice.Topic))
	r.Header.Set("Cullet-Delivery", d.ID)
	r.Header.Set("Cullet-Signature", Sign(h.Secret, now, b))
	res, err := s.client.Do(r)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the address, which may hold a secret
		}
		return 0, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, answer))
	if res.StatusCode/100 != 2 {
		err = fmt.Errorf("the receiver answered %s", res.Status)
	}
	return res.StatusCode, string(text), err
}

// Sign is the signature of a body that is sent at an instant: HMAC-SHA256 with the
// webhook's secret over the time in seconds since 1970, a full stop, and the body.
func Sign(secret string, now time.Time, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%d.", now.Unix())
	mac.Write(body)
	return fmt.Sprintf("t=%d,v1=%s", now.Unix(), hex.EncodeToString(mac.Sum(nil)))
}

// wire is a notice as a receiver reads it.
type wire struct {
	ID        string            `json:"id"` // of the delivery
	Event     cullet.Topic      `json:"event"`
	At        time.Time         `json:"at"`
	Workspace string            `json:"workspace"`
	Item      wireItem          `json:"item"`
	By        *wireActor        `json:"by,omitempty"`
	Detail    map[string]string `json:"detail"`
}

type wireItem struct {
	Type      string `json:"type"`
	ID        string `json:"id"`
	TrashItem string `json:"trashItem,omitempty"`
	Name      string `json:"name"`
}

type wireActor struct {
	Name  string       `json:"name"`
	Means cullet.Means `json:"means"`
}

// body writes a delivery. It is the same each time.
func body(d cullet.Delivery, workspace string) []byte {
	n := d.Notice
	w := wire{ID: d.ID, Event: n.Topic, At: n.At.UTC(), Workspace: workspace, Item: wireItem{Type: n.ItemType, ID: n.ItemID, Name: n.ItemName}, Detail: n.Detail}
	if n.Target != "" && n.Target != n.ItemID {
		w.Item.ID, w.Item.TrashItem = n.Target, n.ItemID
	}
	if n.By != "" {
		w.By = &wireActor{n.By, n.Means}
	}
	if w.Detail == nil {
		w.Detail = map[string]string{}
	}
	b, err := json.Marshal(w)
	if err != nil {
		panic(err) // text and a time always encode
	}
	return b
}

// forgetOld looks now and then for what is too old.
func (s *Sender) forgetOld(ctx context.Context) error {
	now := s.DB.Clock().Now()
	if now.Before(s.forget) && s.forget.Sub(now) <= longest {
		return nil
	}
	s.forget = now.Add(longest)
	return s.Forget(ctx)
}

// Forget removes deliveries and mails that are older than 30 days, and what belongs
// to webhooks that were removed, some at a time.
func (s *Sender) Forget(ctx context.Context) error {
	for {
		removed := int64(0)
		err := s.DB.Update(ctx, func(tx *store.Tx) (err error) {
			removed, err = tx.ForgetOld(ctx, tx.Now.Add(-keep), oldRows)
			return err
		})
		if err != nil || removed == 0 {
			return err
		}
	}
}

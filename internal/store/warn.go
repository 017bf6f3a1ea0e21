package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cullet-vision/cullet"
)

// This file sees below what is active: it finds the items in Trash whose cleanup
// comes near, and keeps who was told (C10).

// warnable is of items that people are warned of: those that cleanup will remove. What
// is held, or has something held below it, is not among them (C8).
const warnable = `t.state = 'trashed' AND ` + notHeld

// unwarned is of items of whose date nothing was told yet.
const unwarned = `t.warned_for <> t.effective_at`

const dayLong = 24 * time.Hour

// GetWarnings returns how a workspace wants to be warned.
func (tx *Tx) GetWarnings(ctx context.Context, workspace string) (cullet.Warnings, error) {
	return queryOne(ctx, tx, func(r row) (w cullet.Warnings, err error) {
		var days string
		if err := r.Scan(&days, &w.Email); err != nil {
			return w, err
		}
		return w, fromJSON(days, &w.Days)
	}, `SELECT warn_days, email_warnings FROM workspaces WHERE id = $1`, workspace)
}

// SetWarnings keeps how a workspace wants to be warned from now on.
func (tx *Tx) SetWarnings(ctx context.Context, workspace string, w cullet.Warnings) error {
	if w.Days == nil {
		w.Days = []int64{}
	}
	return tx.execOne(ctx, `UPDATE workspaces SET warn_days = $2, email_warnings = $3 WHERE id = $1`, workspace, toJSON(w.Days), w.Email)
}

// FindUnwarned returns up to limit items of a workspace of which people are to be
// told now: their cleanup comes within a step that nobody told of. It reads those
// alone, however many were told of before.
func (tx *Tx) FindUnwarned(ctx context.Context, workspace string, w cullet.Warnings, limit int) ([]cullet.TrashItem, error) {
	if len(w.Days) == 0 {
		return nil, nil
	}
	all, err := tx.findWithin(ctx, workspace, slices.Max(w.Days), limit, unwarned)
	for told := slices.Min(w.Days); err == nil && len(all) < limit; {
		// The steps that were told of are few, whatever was set when: one after the other.
		told, err = queryOne(ctx, tx, scanInt, `SELECT COALESCE(MIN(warned_step), 0) FROM trash_items WHERE workspace_id = $1 AND warned_step > $2`, workspace, told)
		if err != nil || told == 0 {
			break
		}
		next := int64(0)
		for _, d := range w.Days {
			if d < told {
				next = max(next, d)
			}
		}
		var some []cullet.TrashItem
		some, err = tx.findWithin(ctx, workspace, next, limit-len(all), `t.warned_for = t.effective_at AND t.warned_step = ?`, told)
		all = append(all, some...)
	}
	return all, err
}

// findWithin returns items that will be cleaned up within a step, first due first.
func (tx *Tx) findWithin(ctx context.Context, workspace string, step int64, limit int, told string, args ...any) ([]cullet.TrashItem, error) {
	q := newQuery(`SELECT `+trashColumns+fromTrash+`WHERE t.workspace_id = $1 AND `+warnable, workspace)
	q.and(`t.effective_at <= ?`, micros(tx.Now.Add(time.Duration(step)*dayLong)))
	q.and(told, args...)
	q.add(` ORDER BY t.effective_at, t.id LIMIT ?`, limit)
	return queryAll(ctx, tx, scanTrash, q.text(), q.args...)
}

// MarkWarned keeps that people are told of items at a step, and returns those of
// which nobody told before and that are still in Trash with a date within the step:
// of any number of servers one tells.
func (tx *Tx) MarkWarned(ctx context.Context, items []cullet.TrashItem, step int64) (told []cullet.TrashItem, err error) {
	by := map[string]cullet.TrashItem{}
	ids, marks := make([]any, len(items)), make([]string, len(items))
	for n, t := range items {
		by[t.ID], ids[n], marks[n] = t, t.ID, "?"
	}
	these := newQuery(``)
	these.add(`id IN (`+strings.Join(marks, ", ")+`)`, ids...)
	if err := tx.lockTrash(ctx, these.text(), these.args...); err != nil {
		return nil, err
	}
	q := newQuery(`UPDATE trash_items AS t SET warned_for = t.effective_at, warned_step = $1
		WHERE t.effective_at <= $2 AND `+warnable+` AND (`+unwarned+` OR t.warned_step > $1) AND t.`,
		step, micros(tx.Now.Add(time.Duration(step)*dayLong)))
	q.add(`id IN (`+strings.Join(marks, ", ")+`) RETURNING id, effective_at`, ids...)
	type mark struct {
		id string
		at time.Time
	}
	marked, err := queryAll(ctx, tx, func(r row) (m mark, err error) { return m, r.Scan(&m.id, instant{&m.at}) }, q.text(), q.args...)
	for _, m := range marked {
		t := by[m.id]
		t.EffectiveAt = m.at
		told = append(told, t)
	}
	slices.SortFunc(told, func(x, y cullet.TrashItem) int {
		if c := x.EffectiveAt.Compare(y.EffectiveAt); c != 0 {
			return c
		}
		return strings.Compare(x.ID, y.ID)
	})
	return told, err
}

// Digest is what one mail tells of.
type Digest struct {
	Items    int64     // that will be cleaned up
	FirstDue time.Time // when the first is
	Named    []Named   // some of them, first due first
}

// Named is an item as a mail names it.
type Named struct {
	Type cullet.Trashable
	Name string
	Due  time.Time
}

// mostNamed is how many items a mail names.
const mostNamed = 20

// AddToDigest adds items to what the workspace's next mail tells of.
func (tx *Tx) AddToDigest(ctx context.Context, workspace string, items []cullet.TrashItem) error {
	d, err := queryOne(ctx, tx, scanDigest, `SELECT items, first_due, named FROM digests WHERE workspace_id = $1`+forUpdate(tx), workspace)
	none := errors.Is(err, ErrNoRow)
	if err != nil && !none {
		return err
	}
	for _, t := range items {
		d.Items++
		if d.FirstDue.IsZero() || t.EffectiveAt.Before(d.FirstDue) {
			d.FirstDue = t.EffectiveAt
		}
		if len(d.Named) < mostNamed {
			d.Named = append(d.Named, Named{t.Type, t.Handle(), t.EffectiveAt})
		}
	}
	statement := `UPDATE digests SET items = $2, first_due = $3, named = $4 WHERE workspace_id = $1`
	if none {
		statement = `INSERT INTO digests (workspace_id, items, first_due, named) VALUES ($1, $2, $3, $4)`
	}
	_, err = tx.exec(ctx, statement, workspace, d.Items, micros(d.FirstDue), toJSON(d.Named))
	return err
}

func scanDigest(r row) (d Digest, err error) {
	var named string
	if err = r.Scan(&d.Items, instant{&d.FirstDue}, &named); err == nil {
		err = fromJSON(named, &d.Named)
	}
	return d, err
}

// HasDigest says whether something was gathered for a workspace's mail.
func (tx *Tx) HasDigest(ctx context.Context, workspace string) (bool, error) {
	return queryOne(ctx, tx, scanBool, `SELECT EXISTS (SELECT 1 FROM digests WHERE workspace_id = $1)`, workspace)
}

// TakeDigest ends what a look gathered for a workspace's mail, and returns it, or
// ErrNoRow: there is nothing to tell, or another server took it.
func (tx *Tx) TakeDigest(ctx context.Context, workspace string) (Digest, error) {
	return queryOne(ctx, tx, scanDigest, `DELETE FROM digests WHERE workspace_id = $1 RETURNING items, first_due, named`, workspace)
}

// Warned lists the addresses of who gets a workspace's mails: administrators and owners.
func (tx *Tx) Warned(ctx context.Context, workspace string) ([]string, error) {
	return queryAll(ctx, tx, scanText, `SELECT p.email FROM members m JOIN people p ON p.id = m.person_id
		WHERE m.workspace_id = $1 AND m.role IN ($2, $3) ORDER BY p.email`, workspace, cullet.Admin, cullet.Owner)
}

// Mail is one digest on its way to one person.
type Mail struct {
	ID        string
	Workspace string
	Address   string
	Digest    Digest
	CreatedAt time.Time
	State     cullet.DeliveryState
	Tries     int64
	NextAt    time.Time
	Problem   string
}

const mailColumns = `id, workspace_id, address, digest, created_at, state, tries, next_at, problem`

func scanMail(r row) (m Mail, err error) {
	var digest string
	err = r.Scan(&m.ID, &m.Workspace, &m.Address, &digest, instant{&m.CreatedAt}, &m.State, &m.Tries, instant{&m.NextAt}, &m.Problem)
	if err == nil {
		err = fromJSON(digest, &m.Digest)
	}
	return m, err
}

// AddMail puts a digest on its way to a person.
func (tx *Tx) AddMail(ctx context.Context, workspace, address string, d Digest) error {
	_, err := tx.exec(ctx, `INSERT INTO mails (id, workspace_id, address, digest, created_at, state) VALUES ($1, $2, $3, $4, $5, $6)`,
		cullet.NewID(cullet.MailID), workspace, address, toJSON(d), micros(tx.Now), cullet.DeliveryWaiting)
	return err
}

// ListMails returns the mails of a workspace, oldest first.
func (tx *Tx) ListMails(ctx context.Context, workspace string) ([]Mail, error) {
	return queryAll(ctx, tx, scanMail, `SELECT `+mailColumns+` FROM mails WHERE workspace_id = $1 ORDER BY created_at, id`, workspace)
}

// ClaimMail takes the mail that waits longest for a worker, for the time of the
// lease; ErrNoRow: there is none.
func (tx *Tx) ClaimMail(ctx context.Context, worker string, lease time.Duration) (Mail, error) {
	now, until := micros(tx.Now), micros(tx.Now.Add(lease))
	free := `state = $1 AND next_at <= $2 AND (lease_until <= $2 OR lease_until > $3)`
	m, err := queryOne(ctx, tx, scanMail, `SELECT `+mailColumns+` FROM mails WHERE `+free+` ORDER BY next_at, id LIMIT 1`, cullet.DeliveryWaiting, now, until)
	if err != nil {
		return m, err
	}
	return m, tx.execOne(ctx, `UPDATE mails SET lease_owner = $4, lease_until = $3 WHERE id = $5 AND `+free, cullet.DeliveryWaiting, now, until, worker, m.ID)
}

// RecordMail keeps how a try ended, of a mail that the worker still holds.
func (tx *Tx) RecordMail(ctx context.Context, m Mail, worker string) error {
	_, err := tx.exec(ctx, `UPDATE mails SET state = $3, tries = $4, next_at = $5, problem = $6, lease_owner = '', lease_until = 0 WHERE id = $1 AND lease_owner = $2`,
		m.ID, worker, m.State, m.Tries, micros(m.NextAt), clean(m.Problem))
	return err
}

// SoonDue is what will be cleaned up before a time.
type SoonDue struct {
	Items int64 // counted up to the most asked for
	First cullet.TrashItem
	Last  time.Time // date of the last of all
}

// FindSoonDue returns what of a workspace's Trash will be cleaned up before a time.
func (tx *Tx) FindSoonDue(ctx context.Context, workspace string, before time.Time, most int) (s SoonDue, err error) {
	where := ` FROM trash_items t WHERE t.workspace_id = $1 AND t.effective_at <= $2 AND t.state = 'trashed' AND ` + free
	s.Items, err = queryOne(ctx, tx, scanInt, `SELECT COUNT(*) FROM (SELECT 1 AS one`+where+` LIMIT $3) AS few`, workspace, micros(before), most)
	if err != nil || s.Items == 0 {
		return s, err
	}
	s.Last, err = queryOne(ctx, tx, func(r row) (t time.Time, err error) { return t, r.Scan(instant{&t}) }, `SELECT t.effective_at`+where+` ORDER BY t.effective_at DESC LIMIT 1`, workspace, micros(before))
	if err != nil {
		return s, err
	}
	s.First, err = queryOne(ctx, tx, scanTrash, `SELECT `+trashColumns+fromTrash+`WHERE t.workspace_id = $1 AND t.effective_at <= $2 AND `+warnable+`
		ORDER BY t.effective_at, t.id LIMIT 1`, workspace, micros(before))
	return s, err
}

// PutAway keeps that a person was told of everything due up to a date, as it is now.
func (tx *Tx) PutAway(ctx context.Context, workspace, person string, upTo time.Time) error {
	_, err := tx.exec(ctx, `INSERT INTO banners_put_away (workspace_id, person_id, at, up_to) VALUES ($1, $2, $3, $4)
		ON CONFLICT (workspace_id, person_id) DO UPDATE SET at = excluded.at, up_to = excluded.up_to`, workspace, person, micros(tx.Now), micros(upTo))
	return err
}

// NewSince says whether anything is due before a time that was not when the person
// put the banner away: it has a later date, or came to Trash since.
func (tx *Tx) NewSince(ctx context.Context, workspace, person string, before time.Time) (bool, error) {
	type put struct{ at, upTo int64 }
	p, err := queryOne(ctx, tx, func(r row) (p put, err error) { return p, r.Scan(&p.at, &p.upTo) },
		`SELECT at, up_to FROM banners_put_away WHERE workspace_id = $1 AND person_id = $2`, workspace, person)
	if errors.Is(err, ErrNoRow) {
		return true, nil
	} else if err != nil {
		return false, err
	}
	for _, since := range []struct {
		column string
		after  int64
	}{{"effective_at", p.upTo}, {"deleted_at", p.at}} {
		some, err := queryOne(ctx, tx, scanBool, fmt.Sprintf(`SELECT EXISTS (SELECT 1 FROM trash_items t WHERE t.workspace_id = $1
			AND t.effective_at <= $2 AND t.%s > $3 AND `+warnable+`)`, since.column), workspace, micros(before), since.after)
		if err != nil || some {
			return some, err
		}
	}
	return false, nil
}

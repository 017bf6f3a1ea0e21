package web

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/trail"
)

// perAudit is how many entries of the audit a page shows.
const perAudit = 50

// auditPage is Settings, Audit (A1).
type auditPage struct {
	*frame
	Query    auditQuery
	Acts     []option
	Filtered bool
	Entries  []auditRow
	Pager    pager
	Chain    trail.Chain
	Checked  bool // the chain was followed to its end
	Export   string
}

// auditRow is an entry in words.
type auditRow struct {
	cullet.AuditEntry
	Refused bool
	Words   string
	Change  string // from what to what
	Details []detail
}

type detail struct{ Name, Value string }

// auditQuery is what the list was asked for, as it stands in the address.
type auditQuery struct {
	Who, Act, Item, From, To, Refused string
	Before                            int64
}

func readAuditQuery(f url.Values) auditQuery {
	q := auditQuery{Who: strings.TrimSpace(f.Get("who")), Act: f.Get("act"), Item: strings.TrimSpace(f.Get("item")), From: f.Get("from"), To: f.Get("to")}
	if _, known := actNames[cullet.Act(q.Act)]; !known {
		q.Act = ""
	}
	if f.Get("refused") != "" {
		q.Refused = "1"
	}
	for _, d := range []*string{&q.From, &q.To} {
		if _, err := time.Parse(time.DateOnly, *d); err != nil {
			*d = ""
		}
	}
	q.Before, _ = strconv.ParseInt(f.Get("before"), 10, 64) // 0 begins with the newest
	q.Before = max(q.Before, 0)
	return q
}

// url is where the list stands.
func (q auditQuery) url(base string) string {
	v := url.Values{"who": {q.Who}, "act": {q.Act}, "item": {q.Item}, "from": {q.From}, "to": {q.To}, "refused": {q.Refused}}
	if q.Before > 0 {
		v.Set("before", strconv.FormatInt(q.Before, 10))
	}
	return address(base, v)
}

// filter is the query as the store reads it.
func (q auditQuery) filter() store.AuditFilter {
	f := store.AuditFilter{Who: q.Who, Item: q.Item, Failed: q.Refused != "", Before: q.Before, Limit: perAudit}
	if q.Act != "" {
		f.Acts = []cullet.Act{cullet.Act(q.Act)}
	}
	if t, err := time.Parse(time.DateOnly, q.From); err == nil {
		f.From = t
	}
	if t, err := time.Parse(time.DateOnly, q.To); err == nil {
		f.To = t.AddDate(0, 0, 1) // the day itself is meant too
	}
	return f
}

func (a *app) audit(w http.ResponseWriter, v *visit) error {
	base := "/app/" + v.ws.Slug + "/settings/audit"
	if err := mayAudit(v); err != nil {
		return err
	}
	q := readAuditQuery(v.URL.Query())
	entries, more, err := a.Trail.Page(v.Context(), v.by, q.filter())
	if err != nil {
		return err
	}
	page := auditPage{Query: q, Filtered: q != auditQuery{Before: q.Before}, Export: base + "/export"}
	if page.Chain, page.Checked, err = a.chain(v); err != nil {
		return err
	}
	if page.frame, err = a.inside(v, "audit", "Audit", "Settings"); err != nil {
		return err
	}
	for _, e := range entries {
		page.Entries = append(page.Entries, auditWords(e))
	}
	for _, act := range slices.SortedFunc(maps.Keys(actNames), func(x, y cullet.Act) int { return strings.Compare(actNames[x], actNames[y]) }) {
		page.Acts = append(page.Acts, option{Value: string(act), Text: actNames[act], On: string(act) == q.Act})
	}
	next := q
	if next.Before = 0; q.Before > 0 {
		page.Pager.Prev = next.url(base)
	}
	if more {
		next.Before = entries[len(entries)-1].Seq
		page.Pager.Next = next.url(base)
	}
	filtered(w, v, q.url(base))
	return a.render(w, v, http.StatusOK, "audit", page)
}

func mayAudit(v *visit) error {
	if v.by.Can(cullet.AuditRead) {
		return nil
	}
	return cullet.E(cullet.Forbidden, "only an administrator of the workspace can read its audit")
}

// auditWords is an entry as the page shows it.
func auditWords(e cullet.AuditEntry) auditRow {
	r := auditRow{AuditEntry: e, Refused: e.Result != "ok", Words: actWords(e), Change: actDetail(e)}
	for _, name := range slices.Sorted(maps.Keys(e.Detail)) {
		said := r.Change != "" && (name == "from" || name == "to")
		if e.Detail[name] != "" && !said {
			r.Details = append(r.Details, detail{name, e.Detail[name]})
		}
	}
	return r
}

// chain follows the audit's chain for as long as a page may take; false: it takes
// longer. The check then goes on by itself, and a later look finds what it found.
func (a *app) chain(v *visit) (c trail.Chain, checked bool, err error) {
	type found struct {
		chain trail.Chain
		err   error
	}
	done := make(chan found, 1)
	by := v.by
	ctx, cancel := context.WithTimeout(v.Context(), a.Patience)
	defer cancel()
	go func() {
		defer a.once.lock("chain of " + by.Workspace)() // many looks, one after the other: only the first has much to do
		c, err := a.Trail.Chain(context.WithoutCancel(v.Context()), by)
		if err != nil {
			a.Log.Error("the audit's chain could not be followed", "request", v.id, "err", err)
		}
		done <- found{c, err}
	}()
	select {
	case f := <-done:
		return f.chain, f.err == nil, f.err
	case <-ctx.Done():
		return c, false, v.Context().Err()
	}
}

// exportAudit is a download of the whole audit as JSON lines (docs/audit.md).
func (a *app) exportAudit(w http.ResponseWriter, v *visit) error {
	if err := mayAudit(v); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/jsonl; charset=utf-8")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s-audit-%s.jsonl"`, v.ws.Slug, v.now.Format(time.DateOnly)))
	if v.Method == http.MethodHead {
		return nil
	}
	if err := a.Trail.Export(v.Context(), v.by, w); err != nil {
		a.Log.Warn("an export of the audit was cut off", "request", v.id, "err", err)
		panic(http.ErrAbortHandler) // half of it must not look whole
	}
	return nil
}

package web

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/account"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/trash"
)

const (
	perSection = 25 // rows of a type, where all types are shown
	perTrash   = 50 // rows, where one is
)

// trashPage is Settings, Trash.
type trashPage struct {
	*frame
	Query    trashQuery
	Sections []trashSection
	Types    []option
	Dues     []option
	Sorts    []option
	Filtered bool
	Found    string // what the filter found, for who listens
	Kept     string // how long things stay
	Next     string // when the next cleanup is, in words
	Storage  account.Storage
	NoPurge  string // why nothing can be deleted permanently now, "" where something can
	Failed   bool   // the list could not be read
	ID       string // of the request, where it could not
}

// trashSection is one type's rows.
type trashSection struct {
	Type    cullet.Trashable // "" for all together
	Count   string           // "12", "1,000+"
	Value   int64
	Rows    []trashRow
	More    bool   // there are more than are shown
	ShowAll string // address of all of them
	Pager   pager
	Heads   []columnHead
}

// columnHead is a column that the list can be sorted by.
type columnHead struct {
	Name, Text string
	URL        string
	Sorted     string // ascending, descending, none: what aria-sort says
}

// trashRow is one item.
type trashRow struct {
	cullet.TrashItem
	Urgency   cullet.Urgency
	Left      string
	Parent    string // "version 3 of my-detector", "" for a root
	Contents  []counted
	Cancelled []trainingCost
	Restore   bool   // it can be restored
	Report    string // address of the order that deletes it
	Share     float64
	Counted   bool   // Share is known
	Error     string // why the last act on it failed
	Hold      string // by whom it is held since when, in words
	NoPurge   string // why it cannot be deleted permanently now, "" where it can
}

type trainingCost struct {
	ID, ModelType string
	MicroCredits  int64
}

// Unique is what tells the row's controls apart on the page.
func (r trashRow) Unique() string { return r.ID }

// trashQuery is what the list was asked for, as it stands in the address.
type trashQuery struct {
	Type, Text, By, From, To, Due, Held, Sort, Dir, Cursor string
}

// trashSorts are the orders there are, with the direction that each begins with.
var trashSorts = []struct{ name, text, dir string }{
	{"deleted", "Deletion", "desc"}, {"due", "Time left", "asc"}, {"size", "Size", "desc"}, {"name", "Name", "asc"}, {"type", "Type", "asc"},
}

var trashDues = []option{{Value: "7", Text: "within 7 days"}, {Value: "1", Text: "within 24 hours"}, {Value: "overdue", Text: "overdue"}}

// readTrashQuery reads a query. What it does not know is left out.
func readTrashQuery(f url.Values) trashQuery {
	q := trashQuery{Type: f.Get("type"), Text: strings.TrimSpace(f.Get("q")), By: strings.TrimSpace(f.Get("by")), From: f.Get("from"), To: f.Get("to"),
		Due: f.Get("due"), Held: f.Get("held"), Sort: f.Get("sort"), Dir: f.Get("dir"), Cursor: f.Get("cursor")}
	if !cullet.Trashable(q.Type).Known() {
		q.Type = ""
	}
	if !slices.ContainsFunc(trashDues, func(o option) bool { return o.Value == q.Due }) {
		q.Due = ""
	}
	if q.Held != "" {
		q.Held = "1"
	}
	if q.dir(q.Sort) == "" {
		q.Sort = q.usual()
	}
	if q.Dir != "asc" && q.Dir != "desc" {
		q.Dir = q.dir(q.Sort)
	}
	for _, d := range []*string{&q.From, &q.To} {
		if _, err := time.Parse(time.DateOnly, *d); err != nil {
			*d = ""
		}
	}
	return q
}

// usual is the sort where none is asked for: of what is due soon, the first comes first.
func (q trashQuery) usual() string {
	if q.Due != "" {
		return "due"
	}
	return "deleted"
}

// dir is the direction that a sort begins with, "" for no such sort.
func (trashQuery) dir(sort string) string {
	for _, s := range trashSorts {
		if s.name == sort {
			return s.dir
		}
	}
	return ""
}

// filtered says whether the list leaves anything out.
func (q trashQuery) filtered() bool {
	return q.Type+q.Text+q.By+q.From+q.To+q.Due+q.Held != ""
}

// Encode writes the query as it stands in an address, without what is usual.
func (q trashQuery) Encode() string {
	v := url.Values{"type": {q.Type}, "q": {q.Text}, "by": {q.By}, "from": {q.From}, "to": {q.To}, "due": {q.Due}, "held": {q.Held}, "cursor": {q.Cursor}}
	if q.Sort != q.usual() || q.Dir != q.dir(q.Sort) {
		v.Set("sort", q.Sort)
	}
	if q.Dir != q.dir(q.Sort) {
		v.Set("dir", q.Dir)
	}
	return strings.TrimPrefix(address("", v), "?")
}

func (q trashQuery) url(base string) string {
	if s := q.Encode(); s != "" {
		return base + "?" + s
	}
	return base
}

// filter is the query as the store reads it.
func (q trashQuery) filter(now time.Time) store.TrashFilter {
	f := store.TrashFilter{Type: cullet.Trashable(q.Type), Text: q.Text, By: q.By, Held: q.Held != "", Sort: q.Sort, Asc: q.Dir == "asc"}
	if t, err := time.Parse(time.DateOnly, q.From); err == nil {
		f.From = t
	}
	if t, err := time.Parse(time.DateOnly, q.To); err == nil {
		f.To = t.AddDate(0, 0, 1) // the day itself is meant too
	}
	switch q.Due {
	case "7":
		f.DueBy = now.Add(7 * 24 * time.Hour)
	case "1":
		f.DueBy = now.Add(24 * time.Hour)
	case "overdue":
		f.DueBy = now
	}
	return f
}

// trashKey is what an item is sorted by, as text; trashAt is its inverse.
func trashKey(t cullet.TrashItem, sort string) string {
	switch sort {
	case "due":
		return strconv.FormatInt(t.EffectiveAt.UnixMicro(), 10)
	case "size":
		return strconv.FormatInt(t.Contents.Bytes, 10)
	case "name":
		return t.Name
	case "type":
		return string(t.Type)
	}
	return strconv.FormatInt(t.DeletedAt.UnixMicro(), 10)
}

func trashAt(at cursor, sort string) *cullet.TrashItem {
	t := cullet.TrashItem{ID: at.ID}
	switch sort {
	case "due":
		t.EffectiveAt = time.UnixMicro(at.number())
	case "size":
		t.Contents.Bytes = at.number()
	case "name":
		t.Name = at.Key
	case "type":
		t.Type = cullet.Trashable(at.Key)
	default:
		t.DeletedAt = time.UnixMicro(at.number())
	}
	return &t
}

func (a *app) trash(w http.ResponseWriter, v *visit) error {
	f, err := a.inside(v, "trash", "Trash", "Settings")
	if err != nil {
		return err
	}
	q := readTrashQuery(v.URL.Query())
	page := trashPage{frame: f, Query: q, Filtered: q.filtered(), Kept: kept(a.Bin.RetentionOf(v.ws)), ID: v.id}
	if !f.Trash.Next.IsZero() {
		page.Next = fromNow(f.Trash.Next, v.now)
		if !f.Trash.Next.After(v.now) {
			page.Next = "within a minute"
			if f.Trash.Next.After(f.Banners.trusted(v.now)) {
				page.Next = f.Banners.waitsWords()
			}
		}
	}
	page.fill()
	if page.Storage, err = a.Book.Storage(v.Context(), v.by); err != nil {
		return err
	}
	if page.NoPurge, err = a.noPurge(v, f); err != nil {
		return err
	}
	status := http.StatusOK
	if err := a.fillSections(v, &page); err != nil {
		// The rest of the page does not pretend to know what is in Trash.
		a.Log.Error("the Trash could not be listed", "request", v.id, "err", err)
		page.Failed, page.Sections, status = true, nil, statusOf(err)
	}
	filtered(w, v, q.url(f.Base()+"/settings/trash"))
	return a.render(w, v, status, "trash", page)
}

// noPurge says why Trash cannot be emptied now, "" where something of it can go.
func (a *app) noPurge(v *visit, f *frame) (string, error) {
	if !f.MayPurge || f.Trash.Items == 0 {
		return "", nil
	}
	if f.Banners.Protection.On {
		return protectedWords, nil
	}
	free, err := a.Bin.Find(v.Context(), v.by, store.TrashFilter{Free: true, Limit: 1})
	if err == nil && len(free.Items) == 0 {
		return "Everything in Trash is held.", nil
	}
	return "", err
}

const protectedWords = "Purge protection is on: nothing is deleted permanently before its date."

// fill makes the choices of the filters.
func (p *trashPage) fill() {
	for _, t := range cullet.TrashableTypes() {
		// Types of which nothing can lie in Trash on this server are no choice.
		if p.Trash.ByType[t].Items > 0 || t == cullet.TrashProject || t == cullet.TrashVersion || t == cullet.TrashWorkflow {
			p.Types = append(p.Types, option{Value: string(t), Text: typeNames(t), On: string(t) == p.Query.Type})
		}
	}
	for _, d := range trashDues {
		d.On = d.Value == p.Query.Due
		p.Dues = append(p.Dues, d)
	}
	for _, s := range trashSorts {
		p.Sorts = append(p.Sorts, option{Value: s.name, Text: s.text, On: s.name == p.Query.Sort})
	}
}

// fillSections reads the rows: of one type a page, of all types the first of each.
func (a *app) fillSections(v *visit, p *trashPage) error {
	types := cullet.TrashableTypes()
	limit := perSection
	q := p.Query
	switch {
	case q.Type != "":
		types, limit = []cullet.Trashable{cullet.Trashable(q.Type)}, perTrash
	case q.Sort == "type":
		types, limit = []cullet.Trashable{""}, perTrash // one list, in the order of types
	default:
		q.Cursor = ""
	}
	total, capped := int64(0), false
	for _, t := range types {
		s, err := a.section(v, q, t, limit, p.Banners)
		if err != nil {
			return err
		}
		total, capped = total+s.Value, capped || s.Value > trash.MostCounted
		if len(s.Rows) > 0 {
			p.Sections = append(p.Sections, s)
		}
	}
	p.Found = count(total, "item") + " in Trash"
	if p.Filtered {
		p.Found = count(total, "item") + " found"
	}
	if capped {
		p.Found = "more than " + p.Found
	}
	return a.complete(v, p)
}

// section reads one page of a type's rows.
func (a *app) section(v *visit, q trashQuery, t cullet.Trashable, limit int, b banners) (trashSection, error) {
	base := "/app/" + v.ws.Slug + "/settings/trash"
	f := q.filter(v.now)
	f.Type, f.Limit = t, limit
	at := readCursor(q.Cursor)
	if at.set() {
		f.After = trashAt(at, q.Sort)
		f.Asc = f.Asc != at.Back // the page before is the next one, the other way round
	}
	found, err := a.Bin.Find(v.Context(), v.by, f)
	if err != nil {
		return trashSection{}, err
	}
	if at.Back {
		slices.Reverse(found.Items)
	}
	s := trashSection{Type: t, Value: found.Count, Count: num(found.Count), More: found.More && !at.Back}
	if found.Count > trash.MostCounted {
		s.Count = num(trash.MostCounted) + "+"
	}
	for _, i := range found.Items {
		s.Rows = append(s.Rows, row(i, v.now, base, b))
	}
	s.heads(q, base)
	only := q
	only.Type, only.Cursor = string(t), ""
	s.ShowAll = only.url(base)
	if len(found.Items) > 0 && limit == perTrash {
		first, last := found.Items[0], found.Items[len(found.Items)-1]
		if at.Back && found.More || !at.Back && at.set() {
			q.Cursor = cursor{trashKey(first, q.Sort), first.ID, true}.String()
			s.Pager.Prev = q.url(base)
		}
		if at.Back || found.More {
			q.Cursor = cursor{trashKey(last, q.Sort), last.ID, false}.String()
			s.Pager.Next = q.url(base)
		}
	}
	return s, nil
}

// heads makes the links by which the columns are sorted.
func (s *trashSection) heads(q trashQuery, base string) {
	for _, c := range []struct{ name, text string }{{"name", "Name"}, {"deleted", "Deleted"}, {"due", "Time left"}, {"size", "Size"}} {
		h := columnHead{Name: c.name, Text: c.text, Sorted: "none"}
		to := q
		to.Sort, to.Dir, to.Cursor = c.name, q.dir(c.name), ""
		if q.Sort == c.name {
			h.Sorted = "ascending"
			to.Dir = "desc"
			if q.Dir == "desc" {
				h.Sorted, to.Dir = "descending", "asc"
			}
		}
		h.URL = to.url(base)
		s.Heads = append(s.Heads, h)
	}
}

// row is an item in words.
func row(t cullet.TrashItem, now time.Time, base string, b banners) trashRow {
	r := trashRow{TrashItem: t, Urgency: t.Urgency(now), Left: cullet.TimeLeft(t.EffectiveAt.Sub(now)), Restore: t.State == cullet.Trashed}
	trusted := b.trusted(now)
	if r.Urgency == cullet.Due && t.EffectiveAt.After(trusted) {
		r.Urgency = cullet.Waiting
	}
	if b.Protection.On && t.EffectiveAt.After(trusted) {
		r.NoPurge = "purge protection is on"
	}
	switch r.Urgency {
	case cullet.Held:
		r.Hold, r.NoPurge = heldWords(t, now), "it is held"
	case cullet.Waiting:
		r.Left = "due · " + b.waitsWords()
	case cullet.Soon:
		r.Left += " · soon"
	case cullet.LastDay:
		r.Left += " · last day"
	case cullet.Due:
		r.Left = "due · deleted within a minute"
	case cullet.Leaving:
		r.Left = "being deleted"
	}
	if t.PurgeOrder != "" {
		r.Report = base + "/purges/" + t.PurgeOrder
	}
	switch t.Type {
	case cullet.TrashVersion:
		r.Parent = fmt.Sprintf("version %d of %s", t.Number, cmp.Or(t.ProjectSlug, "a deleted project"))
	case cullet.TrashTraining:
		r.Parent = fmt.Sprintf("training of %s/%d", t.ProjectSlug, t.VersionNumber)
	case cullet.TrashImages:
		r.Parent = "images of " + t.ProjectSlug
	}
	c := t.Contents
	for _, n := range []counted{{"image", c.Images}, {"annotation", c.Annotations}, {"version", c.Versions}, {"model", c.Models}, {"export", c.Exports}, {"training", c.Trainings}} {
		if n.Count > 0 && !(t.Type == cullet.TrashVersion && n.Name == "version") {
			r.Contents = append(r.Contents, n)
		}
	}
	for _, x := range c.Cancelled {
		r.Cancelled = append(r.Cancelled, trainingCost(x))
	}
	return r
}

// heldWords says by whom an item is held, and since when.
func heldWords(t cullet.TrashItem, now time.Time) string {
	if t.HeldAt.IsZero() {
		return "held with " + t.HeldBelow + " below it"
	}
	since := t.HeldAt.UTC().Format("2 Jan")
	if t.HeldAt.UTC().Year() != now.UTC().Year() {
		since = day(t.HeldAt)
	}
	return "held by " + t.HeldBy + " since " + since
}

// complete adds to the rows what is not of the item alone: how far a permanent
// deletion is, and why the last act on one failed.
func (a *app) complete(v *visit, p *trashPage) error {
	reports := map[string]map[string]float64{}
	for s := range p.Sections {
		for n := range p.Sections[s].Rows {
			r := &p.Sections[s].Rows[n]
			if p.Flash != nil && p.Flash.Bad && p.Flash.Item == r.ID {
				r.Error, p.Flash = p.Flash.Text, nil
			}
			if r.State != cullet.Purging {
				continue
			}
			p.Live = true
			if r.PurgeOrder == "" {
				continue
			}
			if reports[r.PurgeOrder] == nil {
				report, err := a.Purge.Report(v.Context(), v.by, r.PurgeOrder)
				if err != nil {
					return err
				}
				reports[r.PurgeOrder] = map[string]float64{}
				for _, i := range report.Items {
					reports[r.PurgeOrder][i.Item] = shareOfItem(i)
				}
			}
			if share, ok := reports[r.PurgeOrder][r.ID]; ok {
				r.Share, r.Counted = share, true
				r.Left = "being deleted · " + percent(share)
			}
		}
	}
	return nil
}

// historyPage is what was done with an item.
type historyPage struct {
	*frame
	Modal   bool
	Name    string
	Back    string
	Entries []cullet.AuditEntry
}

func (a *app) history(w http.ResponseWriter, v *visit) error {
	item := v.URL.Query().Get("item")
	entries, err := a.Bin.History(v.Context(), v.by, item)
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return cullet.E(cullet.NotFound, "nothing is known of an item %.60q", item)
	}
	f, err := a.inside(v, "trash", "History", "Trash")
	if err != nil {
		return err
	}
	return a.render(w, v, http.StatusOK, "history", historyPage{f, v.hx, entries[0].ItemName, a.trashURL(v), entries})
}

// trashURL is the address of the list that the visitor came from.
func (a *app) trashURL(v *visit) string {
	base := "/app/" + v.ws.Slug + "/settings/trash"
	back, err := url.ParseQuery(v.FormValue("back"))
	if err != nil {
		return base
	}
	return readTrashQuery(back).url(base)
}

// actNames is what pages call the acts.
var actNames = map[cullet.Act]string{
	cullet.ActDelete: "moved to Trash", cullet.ActRestore: "restored", cullet.ActRescue: "restore of what somebody deleted",
	cullet.ActPurgeOrdered: "permanent deletion ordered", cullet.ActPurgeStopped: "permanent deletion called off",
	cullet.ActPurgeBegan: "permanent deletion began", cullet.ActPurged: "deleted permanently",
	cullet.ActPurgeRefused: "permanent deletion refused", cullet.ActPurgeProblem: "permanent deletion met a problem",
	cullet.ActTrashRefused: "change of Trash refused", cullet.ActHold: "held", cullet.ActRelease: "released", cullet.ActPostpone: "cleanup postponed",
	cullet.ActRetention: "retention changed", cullet.ActWarnings: "warnings before cleanup changed", cullet.ActProtect: "purge protection switched on",
	cullet.ActUnprotect: "lifting of purge protection asked for", cullet.ActKeepProtection: "purge protection kept on",
	cullet.ActClockWait: "cleanup waits for the clock", cullet.ActClockLift: "cleanup's wait lifted",
	cullet.ActKeyCreated: "API key made", cullet.ActKeyUpdated: "API key changed", cullet.ActKeyRevoked: "API key revoked",
	cullet.ActMember: "member changed", cullet.ActWorkspace: "workspace changed", cullet.ActWorkspaceOpened: "workspace made",
	cullet.ActSignInRefused: "sign-in refused", cullet.ActTrainingCancel: "training cancelled",
	cullet.ActWebhookCreated: "webhook made", cullet.ActWebhookChanged: "webhook changed", cullet.ActWebhookRemoved: "webhook removed",
	cullet.ActWebhookTested: "webhook tested", cullet.ActWebhookRetried: "delivery sent again", cullet.ActRestoredBackup: "made of a backup",
}

// actWords says what an audit entry's act was.
func actWords(e cullet.AuditEntry) string { return cmp.Or(actNames[e.Act], string(e.Act)) }

// actDetail says more about the acts by which things stay longer.
func actDetail(e cullet.AuditEntry) string {
	from, to := e.Detail["from"], e.Detail["to"]
	switch e.Act {
	case cullet.ActHold, cullet.ActRelease:
		return e.Detail["reason"]
	case cullet.ActPostpone:
		return fromTo(from, to, func(s string) (string, error) {
			t, err := time.Parse(time.RFC3339, s)
			return stamp(t), err
		})
	case cullet.ActWarnings:
		return "from " + from + " to " + to
	case cullet.ActRetention:
		return fromTo(from, to, func(s string) (string, error) {
			d, err := time.ParseDuration(s)
			return kept(d), err
		})
	}
	return ""
}

// fromTo writes a change; what cannot be read is written as it stands.
func fromTo(from, to string, words func(string) (string, error)) string {
	for _, s := range []*string{&from, &to} {
		if w, err := words(*s); err == nil {
			*s = w
		}
	}
	return "from " + from + " to " + to
}

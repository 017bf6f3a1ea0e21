package web

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/dataset"
	"github.com/cullet-vision/cullet/internal/store"
)

// perProjects is how many projects a page shows.
const perProjects = 24

// projectsPage lists the workspace's projects.
type projectsPage struct {
	*frame
	Cards    []projectCard
	Query    projectQuery
	Types    []option
	Folders  []option
	Sorts    []option
	Filtered bool
	Pager    pager
	Server   string // address for the snippet
	InTrash  int64  // projects there
}

type projectCard struct {
	cullet.Project
	URL   string
	Kind  string // its type, in words
	Cover string // address of a picture, "" without one
	Ago   string
}

// option is one choice of a list.
type option struct {
	Value, Text string
	On          bool
	URL         string // of the list with this choice alone
}

// projectQuery is what the list was asked for.
type projectQuery struct{ Name, Type, Folder, Sort string }

func (q projectQuery) url(base, cursor string) string {
	v := url.Values{"q": {q.Name}, "type": {q.Type}, "folder": {q.Folder}, "cursor": {cursor}}
	if q.Sort != "updated" {
		v.Set("sort", q.Sort)
	}
	return address(base, v)
}

// projectSorts are the orders there are, by their names in the address.
var projectSorts = []option{{Value: "updated", Text: "Last change"}, {Value: "created", Text: "Newest"}, {Value: "name", Text: "Name"}, {Value: "images", Text: "Most images"}}

func projectTypes() []cullet.ProjectType {
	return []cullet.ProjectType{cullet.ObjectDetection, cullet.Classification, cullet.InstanceSegmentation,
		cullet.SemanticSegmentation, cullet.KeypointDetection, cullet.TextImagePairs}
}

func (a *app) projects(w http.ResponseWriter, v *visit) error {
	form := v.URL.Query()
	q := projectQuery{Name: strings.TrimSpace(form.Get("q")), Type: form.Get("type"), Folder: form.Get("folder"), Sort: form.Get("sort")}
	if !slices.ContainsFunc(projectSorts, func(o option) bool { return o.Value == q.Sort }) {
		q.Sort = "updated"
	}
	f, err := a.inside(v, "projects", "Projects", v.ws.Name)
	if err != nil {
		return err
	}
	page := projectsPage{frame: f, Query: q, Filtered: q.Name != "" || q.Type != "" || q.Folder != "",
		Server: a.origin(v.Request), InTrash: f.Trash.ByType[cullet.TrashProject].Items}
	found, pages, err := a.findProjects(v, q, readCursor(form.Get("cursor")))
	if err != nil {
		return err
	}
	page.Pager = pages
	covers, err := a.Catalog.Covers(v.Context(), v.by, found)
	if err != nil {
		return err
	}
	for _, p := range found {
		c := projectCard{Project: p, URL: f.Base() + "/" + p.Slug, Kind: typeWords(p.Type), Ago: fromNow(p.UpdatedAt, v.now)}
		if id := covers[p.ID]; id != "" {
			c.Cover = c.URL + "/images/" + id + "/thumb"
		}
		page.Cards = append(page.Cards, c)
	}
	folders, err := a.Catalog.FolderNames(v.Context(), v.by)
	if err != nil {
		return err
	}
	page.fill(folders)
	filtered(w, v, q.url(f.Base(), ""))
	return a.render(w, v, http.StatusOK, "projects", page)
}

// fill makes the choices of the filters.
func (p *projectsPage) fill(folders []cullet.Folder) {
	for _, t := range projectTypes() {
		p.Types = append(p.Types, option{Value: string(t), Text: typeWords(t), On: string(t) == p.Query.Type})
	}
	for _, d := range folders {
		p.Folders = append(p.Folders, option{Value: d.ID, Text: d.Name, On: d.ID == p.Query.Folder, URL: projectQuery{Folder: d.ID, Sort: p.Query.Sort}.url(p.Base(), "")})
	}
	for _, s := range projectSorts {
		s.On = s.Value == p.Query.Sort
		p.Sorts = append(p.Sorts, s)
	}
}

// findProjects finds one page, and the way to those before and after.
func (a *app) findProjects(v *visit, q projectQuery, at cursor) ([]cullet.Project, pager, error) {
	filter := store.ProjectFilter{Name: q.Name, Type: cullet.ProjectType(q.Type), Folder: q.Folder, Sort: q.Sort, Back: at.Back, Limit: perProjects + 1}
	if at.set() {
		filter.After = projectAt(at, q.Sort)
	}
	found, err := a.Catalog.FindProjects(v.Context(), v.by, filter)
	if err != nil {
		return nil, pager{}, err
	}
	more := len(found) > perProjects
	found = found[:min(len(found), perProjects)]
	if at.Back {
		slices.Reverse(found)
	}
	var p pager
	if len(found) == 0 {
		return found, p, nil
	}
	base := "/app/" + v.ws.Slug
	if at.Back && more || !at.Back && at.set() {
		p.Prev = q.url(base, cursor{projectKey(found[0], q.Sort), found[0].ID, true}.String())
	}
	if at.Back || more {
		last := found[len(found)-1]
		p.Next = q.url(base, cursor{projectKey(last, q.Sort), last.ID, false}.String())
	}
	return found, p, nil
}

// projectKey is what a project is sorted by, as text; projectAt is its inverse.
func projectKey(p cullet.Project, sort string) string {
	switch sort {
	case "name":
		return p.Name
	case "created":
		return strconv.FormatInt(p.CreatedAt.UnixMicro(), 10)
	case "images":
		return strconv.FormatInt(p.Counts.Images, 10)
	}
	return strconv.FormatInt(p.UpdatedAt.UnixMicro(), 10)
}

func projectAt(at cursor, sort string) cullet.Project {
	p := cullet.Project{ID: at.ID}
	switch sort {
	case "name":
		p.Name = at.Key
	case "created":
		p.CreatedAt = time.UnixMicro(at.number())
	case "images":
		p.Counts.Images = at.number()
	default:
		p.UpdatedAt = time.UnixMicro(at.number())
	}
	return p
}

// origin is where clients reach the server.
func (a *app) origin(r *http.Request) string {
	if a.PublicURL != "" {
		return strings.TrimRight(a.PublicURL, "/")
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// newProjectPage asks for what a project is made of.
type newProjectPage struct {
	*frame
	Draft dataset.NewProject
	Types []option
	Error string
	Field string // that the error is about
}

func (a *app) newProjectPage(w http.ResponseWriter, v *visit) error {
	if err := v.by.Allow(cullet.ProjectCreate); err != nil {
		return err
	}
	return a.askProject(w, v, http.StatusOK, dataset.NewProject{Type: string(cullet.ObjectDetection)}, nil)
}

func (a *app) askProject(w http.ResponseWriter, v *visit, status int, draft dataset.NewProject, why error) error {
	f, err := a.inside(v, "projects", "New project", v.ws.Name)
	if err != nil {
		return err
	}
	page := newProjectPage{frame: f, Draft: draft}
	for _, t := range projectTypes() {
		page.Types = append(page.Types, option{Value: string(t), Text: typeWords(t), On: string(t) == draft.Type})
	}
	if why != nil {
		page.Error, page.Field = sentence(cullet.MessageOf(why)), "name"
		for field, words := range map[string]string{"license": "the license", "group": "the annotation group", "type": "project type"} {
			if strings.Contains(cullet.MessageOf(why), words) {
				page.Field = field
			}
		}
	}
	return a.render(w, v, status, "project-new", page)
}

func (a *app) newProject(w http.ResponseWriter, v *visit) error {
	draft := dataset.NewProject{Name: strings.TrimSpace(v.PostFormValue("name")), Type: v.PostFormValue("type"),
		License: strings.TrimSpace(v.PostFormValue("license")), Group: strings.TrimSpace(v.PostFormValue("group"))}
	p, err := a.Catalog.CreateProject(v.Context(), v.by, draft)
	if cullet.CodeOf(err) == cullet.Invalid || cullet.CodeOf(err) == cullet.TooLarge {
		return a.askProject(w, v, http.StatusUnprocessableEntity, draft, err)
	} else if err != nil {
		return err
	}
	v.to = "/app/" + v.ws.Slug + "/" + p.Slug
	return nil
}

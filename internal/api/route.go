package api

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/cullet-vision/cullet"
)

// handler answers a request, or returns why not; it writes nothing in that case.
type handler func(w http.ResponseWriter, r *http.Request) error

// style is the shape of a route's errors (contract/00, "Envelope").
type style int

const (
	envelope style = iota // {"error":{"message","type","hint"}}
	flat                  // {"error":"…"}: where clients want a string
)

// route is one line of the table. A pattern with {ws} wants a key of that
// workspace; one without wants a key of any where it is keyed, and none else.
type route struct {
	method  string
	pattern string
	style   style
	scopes  []cullet.Scope // a key needs one of them; the use case looks again
	handle  handler        // nil: known and not built, 501
	keyed   bool           // a key is needed although no workspace is named
	limit   int64          // most bytes of the body; 0: maxJSON
}

// Route is what is told of a route outside of this package.
type Route struct {
	Method  string
	Pattern string         // segments in braces stand for any, a * at the end for any number
	Scopes  []cullet.Scope // one of these lets a key in; nil: any key
	Core    bool           // false: it answers 501
	Open    bool           // it needs no key
}

// Routes lists every route there is, in the order of the contract.
func Routes() []Route {
	table := (&Server{}).table()
	all := make([]Route, len(table))
	for n, rt := range table {
		all[n] = Route{Method: rt.method, Pattern: rt.pattern, Scopes: rt.scopes, Core: rt.handle != nil, Open: rt.open()}
	}
	return all
}

func (rt route) open() bool { return !rt.keyed && !strings.Contains(rt.pattern, "{ws}") }

const (
	get   = http.MethodGet
	post  = http.MethodPost
	put   = http.MethodPut
	patch = http.MethodPatch
	del   = http.MethodDelete
)

// can is short for the scopes of a route.
func can(scopes ...cullet.Scope) []cullet.Scope { return scopes }

// later lists methods and patterns that the contract knows and that answer 501.
func later(lines ...string) (all []route) {
	for _, line := range lines {
		methods, pattern, _ := strings.Cut(line, " ")
		for m := range strings.SplitSeq(methods, ",") {
			all = append(all, route{method: m, pattern: pattern})
		}
	}
	return all
}

// table is every route there is. What a word in braces is called matters: see enter.
func (s *Server) table() []route {
	return slices.Concat([]route{
		{method: post, pattern: "/", handle: s.root, keyed: true},
		{method: get, pattern: "/", handle: s.root, keyed: true},

		// contract/10: Trash
		{method: del, pattern: "/{ws}/{project}", style: flat, scopes: can(cullet.ProjectUpdate), handle: s.deleteProject},
		{method: del, pattern: "/{ws}/{project}/{version}", style: flat, scopes: can(cullet.VersionUpdate), handle: s.deleteVersion},
		{method: del, pattern: "/{ws}/workflows/{workflow}", style: flat, scopes: can(cullet.WorkflowUpdate), handle: s.deleteWorkflow},
		{method: del, pattern: "/{ws}/{project}/{version}/v2/trainings/{training}", style: flat},
		{method: get, pattern: "/{ws}/trash", style: flat, scopes: can(cullet.ProjectRead), handle: s.listTrash},
		{method: post, pattern: "/{ws}/trash/restore", style: flat, handle: s.restore,
			scopes: can(cullet.ProjectUpdate, cullet.VersionUpdate, cullet.TrainingUpdate, cullet.WorkflowUpdate)},
		{method: post, pattern: "/{ws}/trash/empty", style: flat, handle: s.refusePurge},
		{method: post, pattern: "/{ws}/trash/deleteImmediately", style: flat, handle: s.refusePurge},
		{method: del, pattern: "/{ws}/trash", style: flat, handle: s.refusePurge},
		{method: del, pattern: "/{ws}/trash/*", style: flat, handle: s.refusePurge},
		{method: del, pattern: "/{ws}/trash/restore", style: flat, handle: s.refusePurge},
		{method: del, pattern: "/{ws}/trash/empty", style: flat, handle: s.refusePurge},
		{method: del, pattern: "/{ws}/trash/deleteImmediately", style: flat, handle: s.refusePurge},

		// contract/20: workspace, project, version, folders
		{method: get, pattern: "/{ws}", scopes: can(cullet.ProjectRead), handle: s.getWorkspace},
		{method: get, pattern: "/{ws}/{project}", scopes: can(cullet.ProjectRead), handle: s.getProject},
		{method: post, pattern: "/{ws}/projects", scopes: can(cullet.ProjectCreate), handle: s.createProject},
		{method: post, pattern: "/{ws}/{project}/generate", scopes: can(cullet.VersionCreate), handle: s.generate},
		{method: get, pattern: "/{ws}/{project}/{version}", scopes: can(cullet.VersionRead), handle: s.getVersion},
		{method: get, pattern: "/{ws}/groups", scopes: can(cullet.ProjectRead), handle: s.listFolders},
		{method: post, pattern: "/{ws}/groups", scopes: can(cullet.FolderUpdate), handle: s.createFolder},
		{method: post, pattern: "/{ws}/groups/{folder}", scopes: can(cullet.FolderUpdate), handle: s.renameFolder},
		{method: del, pattern: "/{ws}/groups/{folder}", scopes: can(cullet.FolderUpdate), handle: s.removeFolder},
		{method: patch, pattern: "/{ws}/groups/{folder}/projects", scopes: can(cullet.FolderUpdate), handle: s.addToFolder},
		{method: del, pattern: "/{ws}/groups/{folder}/projects", scopes: can(cullet.FolderUpdate), handle: s.removeFromFolder},

		// contract/30: images and annotations
		{method: post, pattern: "/dataset/{project}/upload", scopes: can(cullet.ImageCreate), handle: s.upload, keyed: true, limit: s.maxUpload()},
		{method: post, pattern: "/dataset/{project}/annotate/{image}", scopes: can(cullet.AnnotationUpdate), handle: s.annotate, keyed: true, limit: maxAnnotation},
		{method: get, pattern: "/{ws}/{project}/images/{image}", scopes: can(cullet.ImageRead), handle: s.getImage},
		{method: post, pattern: "/{ws}/{project}/search", scopes: can(cullet.ImageRead), handle: s.search},

		// contract/40: exports and downloads
		{method: get, pattern: "/{ws}/{project}/{version}/{format}", scopes: can(cullet.VersionRead), handle: s.getExport},
		{method: get, pattern: "/-/files/{kind}/{id}", handle: s.file},

		// contract/50: trainings
		{method: get, pattern: "/{ws}/{project}/{version}/v2/trainings", scopes: can(cullet.VersionRead), handle: s.listTrainings},
		{method: get, pattern: "/{ws}/{project}/{version}/v2/trainings/get", scopes: can(cullet.VersionRead), handle: s.getTraining},
		{method: post, pattern: "/{ws}/{project}/{version}/v2/trainings", scopes: can(cullet.TrainingCreate), handle: s.createTraining},
		{method: post, pattern: "/{ws}/{project}/{version}/v2/trainings/cancel", scopes: can(cullet.TrainingCreate), handle: s.cancelTraining},
		{method: post, pattern: "/{ws}/{project}/{version}/v2/trainings/stop", scopes: can(cullet.TrainingCreate), handle: s.stopTraining},
		{method: post, pattern: "/{ws}/{project}/{version}/train", scopes: can(cullet.TrainingCreate), handle: s.createTraining},
		{method: post, pattern: "/{ws}/{project}/{version}/train/cancel", scopes: can(cullet.TrainingCreate), handle: s.cancelTraining},
		{method: post, pattern: "/{ws}/{project}/{version}/train/stop", scopes: can(cullet.TrainingCreate), handle: s.stopTraining},
		{method: get, pattern: "/{ws}/{project}/{version}/training/results", scopes: can(cullet.VersionRead), handle: s.latestTraining},

		// contract/60: workflows
		{method: get, pattern: "/{ws}/workflows", scopes: can(cullet.WorkflowRead), handle: s.listWorkflows},
		{method: get, pattern: "/{ws}/workflows/{workflow}", scopes: can(cullet.WorkflowRead), handle: s.getWorkflow},
		{method: get, pattern: "/{ws}/workflows/{workflow}/versions", scopes: can(cullet.WorkflowRead), handle: s.workflowVersions},
		{method: post, pattern: "/{ws}/createWorkflow", scopes: can(cullet.WorkflowCreate), handle: s.createWorkflow},
		{method: post, pattern: "/{ws}/updateWorkflow", scopes: can(cullet.WorkflowUpdate), handle: s.updateWorkflow, limit: maxWorkflow},

		// contract/70: API keys and the rest
		{method: get, pattern: "/{ws}/api-keys", scopes: can(cullet.KeyRead), handle: s.listKeys},
		{method: get, pattern: "/{ws}/api-keys/{key}", scopes: can(cullet.KeyRead), handle: s.getKey},
		{method: post, pattern: "/{ws}/api-keys", scopes: can(cullet.KeyCreate), handle: s.createKey},
		{method: patch, pattern: "/{ws}/api-keys/{key}", scopes: can(cullet.KeyUpdate), handle: s.updateKey},
		{method: del, pattern: "/{ws}/api-keys/{key}", scopes: can(cullet.KeyUpdate), handle: s.revokeKey},
		{method: get, pattern: "/{ws}/asynctasks/{task}", scopes: can(cullet.ProjectRead), handle: s.getTask},
		{method: get, pattern: "/{ws}/model-evals", scopes: can(cullet.ModelRead), handle: s.listEvals},
		{method: get, pattern: "/{ws}/model-evals/*", scopes: can(cullet.ModelRead), handle: s.getEval},

		// our own
		{method: get, pattern: "/-/v1/{ws}/ledger", scopes: can(cullet.WorkspaceRead), handle: s.ledger},
		{method: post, pattern: "/-/v1/{ws}/projects/{project}/versions/{version}/resume", scopes: can(cullet.VersionCreate), handle: s.resume},
		{method: get, pattern: "/-/v1/{ws}/trash/preview", scopes: can(cullet.ProjectRead), handle: s.previewCleanup},
		{method: get, pattern: "/-/v1/{ws}/trash/status", scopes: can(cullet.ProjectRead), handle: s.trashStatus},
		{method: post, pattern: "/-/v1/{ws}/trash/rescue", handle: s.rescue,
			scopes: can(cullet.ProjectUpdate, cullet.VersionUpdate, cullet.TrainingUpdate, cullet.WorkflowUpdate)},
		{method: get, pattern: "/-/v1/{ws}/trash/rescues/{rescue}", scopes: can(cullet.ProjectRead), handle: s.getRescue},
		{method: get, pattern: "/-/v1/{ws}/storage", scopes: can(cullet.ProjectRead), handle: s.storage},
		{method: get, pattern: "/-/v1/{ws}/audit", scopes: can(cullet.AuditRead), handle: s.audit},

		{method: post, pattern: "/{ws}/projects/fork", style: flat},
	}, later(
		"GET /{ws}/{project}/health",
		"DELETE /{ws}/{project}/images",
		"DELETE /{ws}/images",
		"POST /{ws}/images/metadata",
		"POST /{ws}/images/{image}/metadata",
		"POST /{ws}/{project}/upload/zip",
		"GET /{ws}/upload/zip/{task}",
		"POST /{ws}/upload/video",
		"GET /{ws}/upload/video/{video}",
		"GET /{ws}/{project}/batches",
		"GET /{ws}/{project}/batches/{batch}",
		"GET,POST /{ws}/{project}/jobs",
		"GET /{ws}/{project}/jobs/{job}",
		"POST /{ws}/{project}/annotate/{video}",
		"GET,POST /{ws}/{project}/annotation-batches",
		"GET,POST,PUT,PATCH,DELETE /{ws}/{project}/annotation-batches/*",
		"GET,POST /{ws}/{project}/annotation-jobs",
		"GET,POST,PUT,PATCH,DELETE /{ws}/{project}/annotation-jobs/*",
		"POST /{ws}/{project}/autolabel",
		"GET,POST /{ws}/{project}/autolabel/*",
		"GET,POST /{ws}/autolabel/*",
		"POST /{ws}/search/v1",
		"POST /{ws}/search/export",
		"GET /{ws}/search/export/{export}",
		"GET /{ws}/{project}/{version}/v2/trainings/recipe",
		"GET /{ws}/{project}/models",
		"GET,POST /{ws}/models/*",
		"GET /{ws}/{project}/{version}/ptFile",
		"GET /{ws}/{project}/{version}/uploadModel",
		"POST /{ws}/forkWorkflow",
		"GET /{ws}/api-keys/publishable",
		"POST /{ws}/api-keys/{key}/roll",
		"POST /{ws}/billing-usage-report",
		"GET /{ws}/stats",
		"GET,POST,PUT,PATCH,DELETE /{ws}/devices/v2",
		"GET,POST,PUT,PATCH,DELETE /{ws}/devices/v2/*",

		// Those that name no workspace, or not in their first word.
		"POST /{project}/{version}", // inference
		"POST /infer/*",
		"GET /models/*",
		"GET /universe/search",
		"GET /usage/plan",
		"GET,POST,PUT,PATCH,DELETE /vision-events",
		"GET,POST,PUT,PATCH,DELETE /vision-events/*",
		"GET,POST,PUT,PATCH,DELETE /batch-processing/*",
		"GET,POST,PUT,PATCH,DELETE /workspaces/*",
		"GET,POST /videoinfer",
		"POST /video_upload_signed_url",
		"GET /query/*",
		"GET /auth-cli",
		"POST /add", "POST /pause", "POST /resume", "POST /delete", // dedicated deployments
		"GET /get", "GET /list", "GET /usage_workspace", "GET /usage_deployment", "GET /machine_types", "GET /get_log",
	))
}

// router puts the table before chi's tree, which matches fixed words before words
// in braces. Each pattern answers every method, so that a word that is fixed for
// one method is never taken for a project by another.
func (s *Server) router() http.Handler {
	mux := chi.NewRouter()
	mux.NotFound(s.answer(route{}, func(http.ResponseWriter, *http.Request) error { return errNoRoute }))
	mux.MethodNotAllowed(s.answer(route{}, func(http.ResponseWriter, *http.Request) error { return &notAllowed{} }))
	table := s.table()
	allowed := map[string]*notAllowed{}
	for _, rt := range table {
		place := shapeOf(rt.pattern)
		if allowed[place] == nil {
			no := &notAllowed{}
			allowed[place] = no
			mux.HandleFunc(rt.pattern, s.answer(route{style: rt.style}, func(http.ResponseWriter, *http.Request) error { return no }))
		}
		allowed[place].methods = append(allowed[place].methods, rt.method)
		if rt.method == get {
			allowed[place].methods = append(allowed[place].methods, http.MethodHead)
		}
	}
	for _, rt := range table {
		h := s.answer(rt, s.enter(rt))
		mux.MethodFunc(rt.method, rt.pattern, h)
		if rt.method == get {
			mux.MethodFunc(http.MethodHead, rt.pattern, h)
		}
	}
	return s.clean(mux)
}

// shapeOf is a pattern without the names of its braces: chi keeps one node for
// all that look alike.
func shapeOf(pattern string) string {
	words := strings.Split(pattern, "/")
	for n, w := range words {
		if strings.HasPrefix(w, "{") {
			words[n] = "{}"
		}
	}
	return strings.Join(words, "/")
}

// outOfRouter makes a request one that no router has seen: an outer one may have
// left its own findings in the context.
func outOfRouter(ctx context.Context) context.Context {
	return context.WithValue(ctx, chi.RouteCtxKey, (*chi.Context)(nil))
}

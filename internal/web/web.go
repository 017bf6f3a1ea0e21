// Package web is the app that people use in a browser, below /app: pages that are
// rendered on the server, read complete without script, and come alive with it.
//
// Invariants:
//
//   - Every act is a plain form that is posted and answered with a redirect; script
//     adds dialogs, toasts and live figures, and nothing else.
//   - A write needs the session, a field bound to it and the browser's word that it
//     comes from here. The adapter in serve.go checks all three, so that no handler
//     can forget it; what aimed at Trash and was refused is in the audit (A1).
//   - P1, P2: only here, and only with a session, can anything be deleted
//     permanently, a hold be released, a protection or the clock's wait be lifted. A
//     request that carries an API key to those routes is refused, whatever else it
//     carries.
//   - What a person may do is decided by the use cases, which are those of the API.
//     Pages only leave out what would be refused.
package web

import (
	"cmp"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/cullet-vision/cullet/internal/access"
	"github.com/cullet-vision/cullet/internal/account"
	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/dataset"
	"github.com/cullet-vision/cullet/internal/notify"
	"github.com/cullet-vision/cullet/internal/purge"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/trail"
	"github.com/cullet-vision/cullet/internal/training"
	"github.com/cullet-vision/cullet/internal/trash"
	"github.com/cullet-vision/cullet/internal/version"
	"github.com/cullet-vision/cullet/internal/workflow"
)

// Server is what the web app is made of.
type Server struct {
	DB      *store.DB
	Access  *access.Desk
	Catalog *dataset.Catalog
	Press   *version.Press
	Queue   *training.Queue
	Shelf   *workflow.Shelf
	Bin     *trash.Bin
	Book    *account.Book
	Trail   *trail.Trail
	Purge   *purge.Desk
	Notify  *notify.Desk
	Blobs   *blob.Store
	Log     *slog.Logger

	// PublicURL is where people reach the server, such as https://cullet.example.com.
	// With https, cookies are for https alone. "": the address of each request.
	PublicURL string
	// Patience is how long a page waits for what has to be counted or checked for it.
	// 0: 5 seconds.
	Patience time.Duration
}

// app is a Server at work.
type app struct {
	Server
	sessions *scs.SessionManager
	foreign  *http.CrossOriginProtection
	pages    map[string]*template.Template
	once     onceEach
	secure   bool // cookies are for https alone
}

// New makes the handler of everything below /app. Paths arrive complete.
func New(s Server) http.Handler {
	a := &app{Server: s, secure: strings.HasPrefix(s.PublicURL, "https://"), pages: parsePages(), foreign: http.NewCrossOriginProtection()}
	a.Patience = cmp.Or(a.Patience, 5*time.Second)
	a.sessions = a.newSessions()
	if s.PublicURL != "" {
		if err := a.foreign.AddTrustedOrigin(strings.TrimRight(s.PublicURL, "/")); err != nil {
			s.Log.Warn("the public URL is no origin; forms are accepted from the server's own address alone", "url", s.PublicURL, "err", err)
		}
	}
	r := chi.NewRouter()
	r.Use(middleware.GetHead, middleware.Compress(5, "text/html", "text/css", "text/javascript", "image/svg+xml"))
	r.Handle(staticFiles, http.HandlerFunc(serveStatic))
	r.Group(func(r chi.Router) {
		r.Use(a.sessions.LoadAndSave)
		for _, t := range a.routes() {
			r.Method(t.method, t.pattern, a.serve(t))
		}
		for _, t := range a.refusals() {
			r.Method(t.method, t.pattern, a.serve(t))
		}
		r.NotFound(a.serve(route{handle: a.nowhere}))
		r.MethodNotAllowed(a.serve(route{handle: a.notSo}))
	})
	return a.recovered(r)
}

// route is one line of the table of all routes. It reads, or it is a POST and writes;
// no other method does anything.
type route struct {
	method  string
	pattern string
	door    door
	handle  handler
}

// door says who comes in by a route, and what the adapter looks at.
type door int

const (
	anybody    door = iota
	person          // somebody who is signed in
	member          // who is a member of the workspace in the path
	trashDoor       // a member; what is refused here is audited
	keeperDoor      // like trashDoor, and no API key passes, whatever comes with it (P2): how long things stay
	purgeDoor       // the same, of permanent deletion
)

const (
	get  = http.MethodGet
	post = http.MethodPost
)

func (a *app) routes() []route {
	const (
		ws       = "/app/{ws}"
		project  = ws + "/{project}"
		version  = project + "/{n:[0-9]+}"
		trash    = ws + "/settings/trash"
		webhooks = ws + "/settings/webhooks"
		keeps    = trash + "/{keep:hold|release|postpone}"
		policy   = ws + "/settings/trash-policy"
		workflow = ws + "/workflows/{workflow}"
	)
	return []route{
		{get, "/app", person, a.home},
		{get, "/app/", person, a.home},
		{get, "/app/sign-in", anybody, a.signInPage},
		{post, "/app/sign-in", anybody, a.signIn},
		{post, "/app/-/sign-out", person, a.signOut},
		{post, "/app/-/theme", person, a.setTheme},
		{post, "/app/-/shortcuts", person, a.setShortcuts},
		{get, "/app/-/help", anybody, a.help},

		{get, "/app/auth-cli", person, a.authCLIAsk},
		{get, "/app/auth-cli/", person, a.authCLIAsk},
		{post, "/app/auth-cli", person, a.authCLI},
		{get, "/app/query/cliAuthToken/{token}", anybody, a.cliToken},

		{get, ws, member, a.projects},
		{get, ws + "/", member, a.projects},
		{get, ws + "/new", member, a.newProjectPage},
		{post, ws + "/new", member, a.newProject},
		{get, ws + "/workflows", member, a.workflows},
		{get, workflow, member, a.workflow},
		{get, workflow + "/delete", trashDoor, a.deleteWorkflowDialog},
		{post, workflow + "/delete", trashDoor, a.deleteWorkflow},

		{get, ws + "/settings", member, a.settings},
		{get, ws + "/settings/jobs", member, a.jobs},
		{post, ws + "/settings/due-soon/dismiss", member, a.dismissBanner},
		{get, ws + "/settings/audit", member, a.audit},
		{get, ws + "/settings/audit/export", member, a.exportAudit},
		{get, ws + "/settings/storage", member, a.storage},
		{get, webhooks, member, a.webhooks},
		{post, webhooks, member, a.newWebhook},
		{post, webhooks + "/deliveries/{delivery}/retry", member, a.retryDelivery},
		{get, webhooks + "/{hook}", member, a.webhook},
		{post, webhooks + "/{hook}", member, a.changeWebhook},
		{get, webhooks + "/{hook}/remove", member, a.removeWebhookDialog},
		{post, webhooks + "/{hook}/remove", member, a.removeWebhook},
		{post, webhooks + "/{hook}/test", member, a.testWebhook},
		{get, trash, member, a.trash},
		{get, trash + "/history", member, a.history},
		{get, trash + "/slug-check", member, a.slugCheck},
		{get, trash + "/preview", member, a.preview},
		{get, trash + "/restore", trashDoor, a.restoreDialog},
		{post, trash + "/restore", trashDoor, a.restore},
		{get, trash + "/rescue", trashDoor, a.rescueForm},
		{post, trash + "/rescue", trashDoor, a.rescue},
		{get, trash + "/rescues/{rescue}", member, a.rescueReport},
		{get, keeps, keeperDoor, a.keepDialog},
		{post, keeps, keeperDoor, a.keepItems},
		{post, keeps + "/choose", keeperDoor, a.chooseKeep},
		{get, trash + "/clock", keeperDoor, a.clockDialog},
		{post, trash + "/clock", keeperDoor, a.liftWait},
		{get, trash + "/purge", purgeDoor, a.purgeDialog},
		{post, trash + "/purge", purgeDoor, a.purge},
		{post, trash + "/purge/choose", purgeDoor, a.choosePurge},
		{get, trash + "/purges/{order}", purgeDoor, a.purgeReport},
		{post, trash + "/purges/{order}/stop", purgeDoor, a.stopPurge},

		{get, policy, keeperDoor, a.policy},
		{post, policy, keeperDoor, a.savePolicy},
		{post, policy + "/warnings", keeperDoor, a.saveWarnings},
		{post, policy + "/protect", keeperDoor, a.protect},
		{get, policy + "/unprotect", keeperDoor, a.unprotectDialog},
		{post, policy + "/unprotect", keeperDoor, a.unprotect},
		{post, policy + "/keep", keeperDoor, a.keepProtection},

		{get, project, member, a.images},
		{get, project + "/images", member, a.images},
		{get, project + "/images/{image}", member, a.image},
		{get, project + "/images/{image}/{file:thumb|original}", member, a.imageFile},
		{get, project + "/versions", member, a.versions},
		{get, project + "/models", member, a.models},
		{get, project + "/delete", trashDoor, a.deleteProjectDialog},
		{post, project + "/delete", trashDoor, a.deleteProject},
		{get, version, member, a.version},
		{post, version + "/resume", member, a.resumeVersion},
		{get, version + "/delete", trashDoor, a.deleteVersionDialog},
		{post, version + "/delete", trashDoor, a.deleteVersion},
	}
}

// refusals are the methods that the routes no key may pass do not have. They pass the
// same door, so that a key is refused and audited whatever it sends (P2).
func (a *app) refusals() []route {
	has := map[string]map[string]bool{}
	doors := map[string]door{}
	for _, t := range a.routes() {
		if t.door < keeperDoor {
			continue
		}
		doors[t.pattern] = t.door
		if has[t.pattern] == nil {
			has[t.pattern] = map[string]bool{}
		}
		has[t.pattern][t.method] = true
	}
	var rest []route
	for pattern, methods := range has {
		for _, m := range []string{get, post, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			if !methods[m] {
				rest = append(rest, route{m, pattern, doors[pattern], a.notSo})
			}
		}
	}
	return rest
}

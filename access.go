package cullet

import "slices"

// Role is what a person is in a workspace.
type Role string

// The roles, from least to most.
const (
	Viewer Role = "viewer"
	Editor Role = "editor"
	Admin  Role = "admin"
	Owner  Role = "owner"
)

var roleRank = map[Role]int{Viewer: 1, Editor: 2, Admin: 3, Owner: 4}

// Known says whether r is one of the four roles.
func (r Role) Known() bool { return roleRank[r] > 0 }

// Scope is one thing an API key may do. Names are those of Roboflow's
// documentation where it has one (contract/00, "Scopes").
type Scope string

// The scopes there are. None of them purges, shortens a retention, releases a
// hold or lifts a protection: no such scope exists (P2).
const (
	WorkspaceRead    Scope = "workspace:read"
	ProjectRead      Scope = "project:read"
	ProjectCreate    Scope = "project:create"
	ProjectUpdate    Scope = "project:update"
	ImageRead        Scope = "image:read"
	ImageCreate      Scope = "image:create"
	AnnotationUpdate Scope = "annotation:update"
	VersionRead      Scope = "version:read"
	VersionCreate    Scope = "version:create"
	VersionUpdate    Scope = "version:update"
	TrainingCreate   Scope = "trainingJob:create"
	TrainingUpdate   Scope = "training:update"
	ModelRead        Scope = "model:read"
	InferenceRun     Scope = "inference:run"
	WorkflowRead     Scope = "workflow:read"
	WorkflowCreate   Scope = "workflow:create"
	WorkflowUpdate   Scope = "workflow:update"
	FolderUpdate     Scope = "folder:update"
	KeyRead          Scope = "api-key:read"
	KeyCreate        Scope = "api-key:create"
	KeyUpdate        Scope = "api-key:update"
	AuditRead        Scope = "audit:read" // our own
)

// scopeRoles says which role a person needs for what a scope allows.
var scopeRoles = map[Scope]Role{
	WorkspaceRead: Viewer, ProjectRead: Viewer, ImageRead: Viewer, VersionRead: Viewer,
	ModelRead: Viewer, WorkflowRead: Viewer, InferenceRun: Viewer,
	ProjectCreate: Editor, ProjectUpdate: Editor, ImageCreate: Editor, AnnotationUpdate: Editor,
	VersionCreate: Editor, VersionUpdate: Editor, TrainingCreate: Editor, TrainingUpdate: Editor,
	WorkflowCreate: Editor, WorkflowUpdate: Editor, FolderUpdate: Editor,
	KeyRead: Admin, KeyCreate: Admin, KeyUpdate: Admin, AuditRead: Admin,
}

// AllScopes lists every scope, sorted.
func AllScopes() []Scope {
	all := make([]Scope, 0, len(scopeRoles))
	for s := range scopeRoles {
		all = append(all, s)
	}
	slices.Sort(all)
	return all
}

// CheckScopes refuses unknown scopes by name.
func CheckScopes(scopes []Scope) error {
	for _, s := range scopes {
		if _, ok := scopeRoles[s]; !ok {
			return E(Invalid, "there is no scope %q; the scopes are %v", s, AllScopes())
		}
	}
	return nil
}

// Capability is what only a person in the web app can do. It is a type of its
// own so that no key can ever hold one (P2).
type Capability string

// The capabilities beyond scopes.
const (
	PurgeItems     Capability = "purge"       // delete chosen items permanently
	EmptyTrash     Capability = "empty-trash" // delete all of Trash permanently
	HoldItems      Capability = "hold"        // hold, release and postpone (C8)
	LiftWait       Capability = "lift-wait"   // lift cleanup's wait after a jump of the clock (C6)
	SetPolicy      Capability = "set-policy"  // retention, warnings and purge protection (C7, C9)
	ManageWebhooks Capability = "webhooks"    // say where notices are sent (C10)
)

var capabilityRoles = map[Capability]Role{PurgeItems: Admin, EmptyTrash: Owner, HoldItems: Admin, LiftWait: Admin, SetPolicy: Owner, ManageWebhooks: Admin}

// Means is the way by which somebody acted; the audit keeps it (A1).
type Means string

// The means there are.
const (
	ByWeb     Means = "web"
	ByKey     Means = "key"
	ByCleanup Means = "cleanup"
	ByServer  Means = "server" // the operator's command line and the server itself
)

// Actor is who acts. Every operation takes one explicitly, so that none can
// forget to say who did it (A1).
type Actor struct {
	Workspace string  // id of the workspace acted in
	ID        string  // person or key id; "" for the server itself
	Name      string  // shown to people: a person's name, "key ci-bot", "Cleanup"
	Means     Means   //
	Role      Role    // the person's present role, or that of the key's maker
	Scopes    []Scope // of a key; nil means all that the role allows
	Scoped    bool    // false: no key, or one with full access
	Session   string  // digest of the browser session, "" without one
	Address   string  // where the request came from
	Request   string  // the request's id
}

// Can says whether the actor may do what the scope allows: the key's scopes and
// its maker's present role both have to.
func (a Actor) Can(s Scope) bool {
	if a.Means == ByServer {
		return true
	}
	role, known := scopeRoles[s]
	if !known || roleRank[a.Role] < roleRank[role] {
		return false
	}
	return !a.Scoped || slices.Contains(a.Scopes, s)
}

// CanDo says whether the actor has the capability. Only a person with a browser
// session can have one (P1, P2).
func (a Actor) CanDo(c Capability) bool {
	role, known := capabilityRoles[c]
	return known && a.Means == ByWeb && a.Session != "" && roleRank[a.Role] >= roleRank[role]
}

// Allow refuses an actor without the scope: *ScopeMissing.
func (a Actor) Allow(s Scope) error {
	if a.Can(s) {
		return nil
	}
	return &ScopeMissing{Name: a.Name, Scope: s}
}

// SystemActor acts for the server itself in a workspace.
func SystemActor(workspace, name string, means Means) Actor {
	return Actor{Workspace: workspace, Name: name, Means: means}
}

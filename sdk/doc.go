// Package sdk is the Go client of Cullet, and of hosted Roboflow: what the official
// Python SDK does with workspaces, projects, versions, workflows and the Trash, in
// the idiom of Go. It is the only package of this module that is promised to
// outsiders, and it stands on the standard library alone.
//
//	client, err := sdk.New("http://127.0.0.1:7080", os.Getenv("ROBOFLOW_API_KEY"))
//	ws, err := client.Workspace(ctx)
//	project, err := ws.Project(ctx, "my-detector")
//	_, err = project.Delete(ctx)  // to Trash, with its versions, images and models
//	_, err = project.Restore(ctx) // and back, whole
//
// # Nothing here deletes for good
//
// Delete moves to Trash, and what is there can be restored until its retention is
// over. Removing it before that is a person's decision in the web app: no API key
// may ask for it, so this package deliberately has no function that does.
//
// # Handles
//
// A [Workspace], [Project], [Version] or [Workflow] is what the server told at the
// moment it was asked, and an address: a workspace's slug, a project's or
// workflow's slug, a version's number. It goes on working after Delete, so that
// Restore can be called on the same handle; like the Python SDK's, it looks the
// thing up in the Trash by its address, takes the first match (the server lists
// what was deleted last first), and restores that by its id. Two things follow:
//
//   - A slug is free as soon as what had it is in Trash. A handle whose slug was
//     taken by another project means that other project from then on.
//   - Where the address is not enough, use the id: [Deletion.Undo] and
//     [TrashItem.Undo] are requests for [Workspace.Restore] that bring back exactly
//     that deletion.
//
// What the wire calls a url (my-detector) is a slug; fields that mirror the wire
// keep its word. Handles and the client may be used by several goroutines at once,
// as long as none of them assigns to a field.
//
// # Errors
//
// A refusal by the server is an [*Error] somewhere in the chain, with the status,
// the server's sentence and the id of the request. What kind it is, errors.Is
// tells:
//
//	ErrInvalid         400, and requests that are not even sent
//	ErrUnauthorized    401: no key, a wrong one, or one without the scope
//	ErrForbidden       403
//	ErrNotFound        404; hosted Roboflow answers some missing scopes with it too
//	  ErrNotInTrash    to restore: it is active, was restored, or never was
//	ErrConflict        409
//	  ErrSlugTaken     *SlugTakenError has a free slug
//	  ErrParentInTrash *ParentInTrashError names what to restore first
//	  ErrBeingRemoved  its retention is over, and there is no way back
//	ErrNotImplemented  501: documented, but not built on that server
//	ErrBadAnswer       the answer is not one of this API
//
// An indented one is also the one above it. Whether a 404 or 409 is one of those is
// told from the words that Roboflow's own clients look for; where a server says it
// in other words, only the outer kind is known.
//
// No error text, and nothing that is printed of a client, contains the API key.
//
// # What it does not do
//
// It does not retry, keeps no global state, logs nothing, and follows no redirect:
// a redirected deletion would turn into a read, and the key would go elsewhere.
package sdk

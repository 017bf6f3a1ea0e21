// Package api speaks Roboflow's REST API, so that the official clients work
// against Cullet as they are. It has the routes, the shapes and the errors of the
// wire (docs/contract and docs/sdk-differences.md) and no rule of its own: a
// handler decodes, calls one use case with the actor, and encodes.
//
// Invariants:
//   - No request gets in but by an API key, and none gets to another workspace
//     than its key's: unknown and foreign ones answer alike. Session cookies mean
//     nothing here. Links to files are the exception, and they are signed.
//   - P2: nothing here deletes for good. The package cannot reach the purge, and
//     what asks for it is refused and kept in the audit.
//   - Every body is bounded in size and in time, and none is kept on the disk but
//     an image on its way into the blob store.
//   - A fault of ours never tells its text, and no log line holds a key.
package api

import (
	"crypto/rand"
	"log/slog"
	"net/http"
	"time"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/access"
	"github.com/cullet-vision/cullet/internal/account"
	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/dataset"
	"github.com/cullet-vision/cullet/internal/store"
	"github.com/cullet-vision/cullet/internal/trail"
	"github.com/cullet-vision/cullet/internal/training"
	"github.com/cullet-vision/cullet/internal/trash"
	"github.com/cullet-vision/cullet/internal/upload"
	"github.com/cullet-vision/cullet/internal/version"
	"github.com/cullet-vision/cullet/internal/workflow"
)

// MaxHeaderBytes is what an http.Server in front of this package has to let
// through: a workflow's definition travels in the query, percent-encoded, which
// makes three bytes of one (contract/60).
const MaxHeaderBytes = 3*cullet.MaxWorkflowConfig + 1<<20

// Server is what the API stands on.
type Server struct {
	DB      *store.DB
	Access  *access.Desk
	Catalog *dataset.Catalog
	Intake  *upload.Intake
	Press   *version.Press
	Queue   *training.Queue
	Shelf   *workflow.Shelf
	Bin     *trash.Bin
	Book    *account.Book
	Trail   *trail.Trail
	Blobs   *blob.Store
	Log     *slog.Logger // nil: nothing is logged

	// PublicURL begins the links in answers, without a slash at its end; "": they
	// begin with the address that the request was sent to.
	PublicURL string

	// LinkKey signs links to files. Servers that share a database share it; nil:
	// a new one, whose links end with the process.
	LinkKey []byte

	idle time.Duration // in place of bodyIdle, for tests
}

// New returns the handler of everything that is Roboflow's wire, of our own routes
// below /-/v1, and of links to files. It wants the path as it was sent: whoever
// mounts it must not clean it, nor strip a prefix.
func New(s Server) http.Handler {
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	if len(s.LinkKey) == 0 {
		s.LinkKey = make([]byte, 32)
		_, _ = rand.Read(s.LinkKey) // never fails: crypto/rand ends the program instead
	}
	if s.idle == 0 {
		s.idle = bodyIdle
	}
	return s.router()
}

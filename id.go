package cullet

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Prefixes of ids. An id is opaque text of [A-Za-z0-9_-], unique in the server,
// so that it can ride unencoded in a path, as the SDK puts it there.
const (
	WorkspaceID = "ws"
	PersonID    = "u"
	KeyID       = "key"
	FolderID    = "grp"
	ProjectID   = "d"
	ImageID     = "img"
	RevisionID  = "ann"
	VersionID   = "v"
	ExportID    = "exp"
	TrainingID  = "tr"
	ModelID     = "m"
	WorkflowID  = "wf"
	TrashItemID = "ti"
	PurgeID     = "pg"
	WaitID      = "cw"
	RescueID    = "rs"
	BlobID      = "b"
	IntervalID  = "ci" // of the credit ledger
	BatchID     = "bt"
	WebhookID   = "wh"
	DeliveryID  = "dl"
	MailID      = "ml"
)

var idAlphabet = base32.NewEncoding("abcdefghijkmnpqrstuvwxyz23456789").WithPadding(base32.NoPadding)

// inOrder is idAlphabet's, in the order in which bytes are compared.
const inOrder = "23456789abcdefghijkmnpqrstuvwxyz"

// NewID makes an id of 45 bits of the machine's time, in milliseconds, and 55 random
// ones. It is nothing that a clock decides by: what was made together lies together in
// every index, and so goes together, which spares a purge most of its reads and writes.
func NewID(prefix string) string { return newID(prefix, SystemClock{}.Now()) }

func newID(prefix string, at time.Time) string {
	begin := make([]byte, 9)
	for n := range begin {
		begin[n] = inOrder[uint64(at.UnixMilli())>>(5*(8-n))&31]
	}
	return prefix + "_" + string(begin) + RandomText(11)
}

// RandomText is text of an id's letters and digits, five random bits each. It is what
// tells names apart that were made up at the same moment; an id's beginning does not.
func RandomText(length int) string {
	b := make([]byte, (length*5+7)/8)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the program instead
	return idAlphabet.EncodeToString(b)[:length]
}

// NewSecret makes a secret of 160 random bits. It always holds a lower-case
// letter: the SDK takes a key without one for a dummy (contract/00).
func NewSecret(prefix string) string {
	var b [20]byte
	_, _ = rand.Read(b[:])
	return prefix + "_" + idAlphabet.EncodeToString(b[:])
}

// MaxSlug is the longest slug, in bytes.
const MaxSlug = 100

// MaxName is the longest name of a thing, in characters.
const MaxName = 200

var slugRE = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?$`)
var idRE = regexp.MustCompile(`^[a-km-np-z2-9]{20}$`) // what follows the prefix of an id
var digitsRE = regexp.MustCompile(`^[0-9]+$`)

// Reserved words: the fixed segments of the wire (contract/00, "Router") and of
// the web app. A slug equal to one could never be addressed.
var (
	reservedWorkspaces = words(`dataset models usage universe vision-events videoinfer
		video_upload_signed_url query auth-cli batch-processing workspaces app setup sign-in static
		healthz readyz metrics add pause resume delete get list usage_workspace
		usage_deployment machine_types get_log infer`)
	reservedProjects = words(`projects trash workflows createworkflow updateworkflow
		forkworkflow groups images search upload models model-evals api-keys asynctasks
		devices stats billing-usage-report autolabel settings new app healthz readyz metrics`)
)

func words(s string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(s) {
		m[w] = true
	}
	return m
}

// Slugify makes a slug of a name: lower case, everything else than letters,
// digits and _ becomes a dash. The answer may be empty (a name without any
// Latin letter); it may be reserved or taken.
func Slugify(name string) string {
	var b strings.Builder
	dash := false
	for _, r := range strings.ToLower(name) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' {
			if dash && b.Len() > 0 {
				b.WriteByte('-')
			}
			dash = false
			b.WriteRune(r)
		} else {
			dash = true
		}
		if b.Len() >= MaxSlug-10 { // leaves room for "-2", "-3" …
			break
		}
	}
	return strings.Trim(b.String(), "-_")
}

// CheckWorkspaceSlug refuses a slug that no workspace may have.
func CheckWorkspaceSlug(slug string) error {
	return checkSlug("workspace", slug, reservedWorkspaces, true)
}

// CheckProjectSlug refuses a slug that no project may have. Digits alone would
// be read as a version by the SDK's shorthand (contract/00).
func CheckProjectSlug(slug string) error {
	return checkSlug("project", slug, reservedProjects, false)
}

// CheckNewProjectSlug refuses a slug that no project may be given. What looks like
// the id of a project is none: a request that means the one would act on the other.
func CheckNewProjectSlug(slug string) error {
	return errors.Join(CheckProjectSlug(slug), notID("project", ProjectID, slug))
}

// CheckWorkflowSlug refuses a slug that no workflow may have, among them what looks
// like the id of one.
func CheckWorkflowSlug(slug string) error {
	return errors.Join(checkSlug("workflow", slug, reservedProjects, true), notID("workflow", WorkflowID, slug))
}

func notID(what, prefix, slug string) error {
	if rest, ok := strings.CutPrefix(slug, prefix+"_"); ok && idRE.MatchString(rest) {
		return E(Invalid, "the %s slug %q looks like an id; choose another", what, slug)
	}
	return nil
}

func checkSlug(what, slug string, reserved map[string]bool, digits bool) error {
	switch {
	case len(slug) > MaxSlug:
		return E(Invalid, "the %s slug is %d characters long; %d is the most", what, len(slug), MaxSlug)
	case !slugRE.MatchString(slug):
		return E(Invalid, "%q is no %s slug: use lower-case letters, digits, - and _, beginning and ending with a letter or digit", slug, what)
	case reserved[slug]:
		return E(Invalid, "the slug %q is a reserved word; choose another for the %s", slug, what)
	case !digits && digitsRE.MatchString(slug):
		return E(Invalid, "the %s slug %q has digits only, and clients would read it as a version number; add a letter", what, slug)
	}
	return nil
}

// FreeSlug proposes the first of base, base-2, base-3 … that taken does not have.
func FreeSlug(base string, taken func(string) bool) string {
	for n := 1; ; n++ {
		slug := base
		if n > 1 {
			suffix := fmt.Sprintf("-%d", n)
			slug = base[:min(len(base), MaxSlug-len(suffix))] + suffix
		}
		if !taken(slug) {
			return slug
		}
	}
}

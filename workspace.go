package cullet

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Workspace is what a team works in. Nothing is shared between two of them, and
// to a key of one the other does not exist.
type Workspace struct {
	ID        string
	Slug      string
	Name      string
	Retention time.Duration // of its Trash; 0: the operator's default
	CreatedAt time.Time

	ProtectedAt    time.Time     // since when purge protection is on; zero: it is off (C9)
	UnprotectAt    time.Time     // when its lifting takes effect; zero: nobody asked for it
	UnprotectBy    string        // who asked, by name
	ProtectionWait time.Duration // how long lifting takes; 0: DefaultProtectionWait
	LiftedWait     string        // id of the clock wait that its people lifted (C6)
}

// Person can sign in.
type Person struct {
	ID           string
	Email        string
	Name         string
	PasswordHash string // argon2id, in its own text form; never logged
	CreatedAt    time.Time
}

// Member is a person's place in a workspace.
type Member struct {
	Workspace string
	Person    string
	Role      Role
	JoinedAt  time.Time
}

// Key is an API key. The secret itself is shown once and never kept.
type Key struct {
	ID         string
	Workspace  string
	Name       string
	Prefix     string  // the first characters, so that people can tell keys apart
	Hash       string  // SHA-256 of the secret, hexadecimal
	Scopes     []Scope // empty with Full false: none
	Full       bool    // all that its maker's role allows
	MadeBy     string  // person
	Default    bool    // the workspace's first key
	Protected  bool    // can neither be disabled nor revoked
	Disabled   bool    //
	Metadata   string  // JSON object, the client's own
	CreatedAt  time.Time
	LastUsedAt time.Time // zero: never; kept to the minute
}

// Folder groups projects. Deleting one leaves its projects at the root.
type Folder struct {
	ID        string
	Workspace string
	Name      string
	Parent    string // id of the folder it lies in, "" at the root
	CreatedAt time.Time
}

// CheckName refuses names that a person could not tell apart or a database
// could not keep: empty, too long, or with control characters.
func CheckName(what, name string) error {
	switch {
	case strings.TrimSpace(name) == "":
		return E(Invalid, "the %s is empty; give it a name", what)
	case !utf8.ValidString(name):
		return E(Invalid, "the %s is not valid UTF-8 text", what)
	case utf8.RuneCountInString(name) > MaxName:
		return E(Invalid, "the %s is %d characters long; %d is the most", what, utf8.RuneCountInString(name), MaxName)
	case strings.ContainsFunc(name, unicode.IsControl):
		return E(Invalid, "the %s holds a control character; use plain text", what)
	}
	return nil
}

// CheckText refuses text that a database could not keep, or longer than most.
func CheckText(what, s string, most int) error {
	switch {
	case len(s) > most:
		return E(TooLarge, "the %s is %d bytes long; %d is the most", what, len(s), most)
	case !utf8.ValidString(s):
		return E(Invalid, "the %s is not valid UTF-8 text", what)
	case strings.ContainsRune(s, 0):
		return E(Invalid, "the %s holds a NUL character; use plain text", what)
	}
	return nil
}

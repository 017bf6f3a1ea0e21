package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"unicode"
)

// kind is a class of errors, for errors.Is; one may be a special case of another.
type kind struct {
	text string
	of   error
}

func (k *kind) Error() string { return k.text }
func (k *kind) Unwrap() error { return k.of }

// Kinds of errors, for errors.Is. The package's comment says when each is met.
var (
	ErrInvalid        error = &kind{text: "invalid request"}
	ErrUnauthorized   error = &kind{text: "not authenticated"}
	ErrForbidden      error = &kind{text: "not allowed"}
	ErrNotFound       error = &kind{text: "not found"}
	ErrNotInTrash     error = &kind{"not in Trash", ErrNotFound}
	ErrConflict       error = &kind{text: "conflict"}
	ErrSlugTaken      error = &kind{"the slug is taken", ErrConflict}
	ErrParentInTrash  error = &kind{"its parent is in Trash", ErrConflict}
	ErrBeingRemoved   error = &kind{"it is being removed for good", ErrConflict}
	ErrNotImplemented error = &kind{text: "not available on this server"}
	ErrBadAnswer      error = &kind{text: "the answer is not one of this API"}
	ErrAnswerTooLong  error = &kind{"the answer is too long", ErrBadAnswer}
)

// Error is a refusal by the server. Its kind is what errors.Is finds.
type Error struct {
	Status    int    // of HTTP
	Message   string // the server's sentence; where it sent none, the name of the status
	Hint      string // what the server proposes to do; may be ""
	RequestID string // names the request in the server's log; "" where the server gave none
	Method    string
	Path      string // without the query: the key is in there

	kind error // nil: what the status says
}

// Error says what was asked, what was answered, and for which request.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Method != "" {
		fmt.Fprintf(&b, "%s %s: ", e.Method, e.Path)
	}
	b.WriteString(status(e.Status))
	for _, s := range []string{e.Message, e.Hint} {
		if s != "" && s != http.StatusText(e.Status) {
			b.WriteString(": " + s)
		}
	}
	if e.RequestID != "" {
		fmt.Fprintf(&b, " (request %s)", e.RequestID)
	}
	return b.String()
}

func status(n int) string { return strings.TrimSpace(fmt.Sprintf("%d %s", n, http.StatusText(n))) }

// Unwrap returns the kind of the refusal, such as ErrNotFound.
func (e *Error) Unwrap() error {
	if e.kind != nil {
		return e.kind
	}
	switch e.Status {
	case http.StatusBadRequest:
		return ErrInvalid
	case http.StatusUnauthorized:
		return ErrUnauthorized
	case http.StatusForbidden:
		return ErrForbidden
	case http.StatusNotFound:
		return ErrNotFound
	case http.StatusConflict:
		return ErrConflict
	case http.StatusNotImplemented:
		return ErrNotImplemented
	}
	if e.Status < 400 { // a success that the API does not know, or a redirect
		return ErrBadAnswer
	}
	return nil
}

// SlugTakenError is an ErrSlugTaken: the slug belongs to another project or
// workflow by now. To restore under another slug:
//
//	var taken *sdk.SlugTakenError
//	if errors.As(err, &taken) {
//		again := taken.Refused
//		again.NewURL = taken.Free
//		back, err = ws.Restore(ctx, again)
//	}
type SlugTakenError struct {
	Free    string  // a slug that was free at that moment; "" where the server proposed none
	Refused Restore // the request that was refused; zero where it was a creation
	Err     *Error
}

func (e *SlugTakenError) Error() string { return e.Err.Error() }

// Unwrap returns the server's refusal.
func (e *SlugTakenError) Unwrap() error { return e.Err }

// ParentInTrashError is an ErrParentInTrash: what holds the thing is in Trash
// itself and must be restored first.
type ParentInTrashError struct {
	Type ItemType // of the parent; "" where the server did not say
	Name string   // slug of the project, or "my-detector/3"; "" where the server did not say
	Err  *Error
}

func (e *ParentInTrashError) Error() string { return e.Err.Error() }

// Unwrap returns the server's refusal.
func (e *ParentInTrashError) Unwrap() error { return e.Err }

// refusal reads an answer that is no success.
func (c *Client) refusal(method, where string, resp *http.Response) error {
	b, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusalBytes)) // what came is better than nothing
	e := &Error{Status: resp.StatusCode, Method: method, Path: where, RequestID: plain(c.scrub(resp.Header.Get("X-Request-Id")))}
	message, hint := sentence(b)
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		message = "the server redirects; give the address it ends at to New"
	}
	e.Message, e.Hint = plain(c.scrub(message)), plain(c.scrub(hint))
	if e.Message == "" {
		e.Message = http.StatusText(resp.StatusCode)
	}
	return e
}

// sentence finds the text in a refusal, in any of the envelopes of contract/00:
// {"error":{"message","hint"}}, {"error":"…"}, {"message":…}, or none at all.
func sentence(body []byte) (message, hint string) {
	var in struct {
		Error   json.RawMessage
		Message text
	}
	if json.Unmarshal(body, &in) != nil {
		if s := strings.TrimSpace(string(body)); !strings.HasPrefix(s, "<") && !strings.HasPrefix(s, "{") {
			return s, "" // no page of a proxy, nor half of an object
		}
		return "", ""
	}
	var detail struct{ Message, Hint text }
	var flat text
	switch {
	case len(in.Error) > 0 && json.Unmarshal(in.Error, &detail) == nil && (detail.Message != "" || detail.Hint != ""):
		if detail.Message == "" {
			return string(detail.Hint), ""
		}
		return string(detail.Message), string(detail.Hint)
	case in.Message != "": // where there are both, error is a code
		return string(in.Message), ""
	case len(in.Error) > 0 && json.Unmarshal(in.Error, &flat) == nil:
		return string(flat), ""
	}
	return "", ""
}

var keyInText = regexp.MustCompile(`(?i)\b(api_key=)[^&\s"']+`)

// plain makes a text of a server fit for one line of a log: no control characters,
// no other key either, not too long.
func plain(s string) string {
	s = keyInText.ReplaceAllString(strings.ToValidUTF8(s, "\uFFFD"), "${1}…")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.TrimSpace(s))
	if r := []rune(s); len(r) > maxMessage {
		return string(r[:maxMessage]) + "…"
	}
	return s
}

var (
	freeSlug  = regexp.MustCompile(`such as "([a-z0-9][a-z0-9_-]{0,99})"`)
	itsParent = regexp.MustCompile(`^its (project|version) ([a-z0-9][a-z0-9_-]{0,99}(?:/[0-9]+)?) is in trash`)
)

// explainRestore finds out why a restore was refused. The bodies of these routes
// have nothing but a sentence, so it goes by the words that the contract obliges
// them to hold (contract/10, "Errors"). What it does not know stays as it is.
func explainRestore(err error, r Restore) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	says := func(words string) bool { return strings.Contains(strings.ToLower(e.Message), words) }
	switch {
	case e.Status == http.StatusNotFound && says("not found in trash"):
		e.kind = ErrNotInTrash
	case e.Status != http.StatusConflict:
	case says("being permanently deleted"):
		e.kind = ErrBeingRemoved
	case says("in trash") && !says("not in trash"):
		e.kind = ErrParentInTrash
		parent := &ParentInTrashError{Err: e}
		if m := itsParent.FindStringSubmatch(e.Message); m != nil {
			parent.Type, parent.Name = ItemType(m[1]), m[2]
		}
		return parent
	case says("slug") && says("taken"):
		return slugTaken(e, r)
	}
	return err
}

func slugTaken(e *Error, r Restore) error {
	e.kind = ErrSlugTaken
	taken := &SlugTakenError{Refused: r, Err: e}
	if m := freeSlug.FindStringSubmatch(e.Message); m != nil {
		taken.Free = m[1]
	}
	return taken
}

package cullet

import (
	"errors"
	"fmt"
)

// Code tells a program what kind of refusal it met. Each code has exactly one
// HTTP status, which the doors decide.
type Code string

// The codes there are.
const (
	Invalid        Code = "invalid"         // the request is wrong in itself
	Unauthorized   Code = "unauthorized"    // nobody we know
	Forbidden      Code = "forbidden"       // known, but not allowed
	NotFound       Code = "not_found"       // not there, or not for this actor
	Conflict       Code = "conflict"        // right in itself, wrong at this moment
	TooLarge       Code = "too_large"       // over a limit of size
	TooMany        Code = "too_many"        // over a limit of rate
	Quota          Code = "quota"           // over what the workspace may use
	NotImplemented Code = "not_implemented" // documented, but not built on this server
	Unavailable    Code = "unavailable"     // try again later
	Internal       Code = "internal"        // a fault of ours
)

// Error is a refusal that a person can act on: Message says what happened, to
// which thing, and what to do. Err is for the log alone and never shown.
type Error struct {
	Code    Code
	Message string
	Err     error
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

// Unwrap returns the cause kept for the log.
func (e *Error) Unwrap() error { return e.Err }

// ErrorCode makes Error a coded error, like the typed refusals below.
func (e *Error) ErrorCode() Code { return e.Code }

// ErrorMessage is the text for the person.
func (e *Error) ErrorMessage() string { return e.Message }

// E makes a refusal with a message for the person.
func E(code Code, format string, args ...any) error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// coded is what every refusal of the domain satisfies.
type coded interface {
	error
	ErrorCode() Code
	ErrorMessage() string
}

// CodeOf returns the code of the first coded error in the chain, Internal where
// there is none, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var c coded
	if errors.As(err, &c) {
		return c.ErrorCode()
	}
	return Internal
}

// MessageOf returns the text for the person. Errors without one are faults of
// ours, and their text stays in the log.
func MessageOf(err error) string {
	var c coded
	if errors.As(err, &c) {
		return c.ErrorMessage()
	}
	return "something went wrong on the server; its log says what, under this request's id"
}

// ScopeMissing refuses an actor that may not do what the scope allows. It is a type
// of its own because the wire answers it otherwise than other forbidden things
// (contract/10, "Errors").
type ScopeMissing struct {
	Name  string // of the actor
	Scope Scope
}

func (e *ScopeMissing) Error() string   { return e.ErrorMessage() }
func (e *ScopeMissing) ErrorCode() Code { return Forbidden }

// ErrorMessage names the scope.
func (e *ScopeMissing) ErrorMessage() string {
	return fmt.Sprintf("%s may not do this: the scope %s is missing", e.Name, e.Scope)
}

// SlugTaken refuses a restore into a slug that was taken meanwhile (R3). Free is
// a slug that was free when the refusal was made.
type SlugTaken struct {
	Type  Trashable
	Slug  string
	Free  string
	Owner string // id of the thing that has the slug now
}

func (e *SlugTaken) Error() string   { return e.ErrorMessage() }
func (e *SlugTaken) ErrorCode() Code { return Conflict }

// ErrorMessage names the conflict and the way out.
func (e *SlugTaken) ErrorMessage() string {
	return fmt.Sprintf("the slug %q was taken by another %s meanwhile; restore it under a free one, such as %q (newUrl), or rename the other first",
		e.Slug, e.Type, e.Free)
}

// ParentTrashed refuses a restore below something that is itself in Trash (R2).
type ParentTrashed struct {
	Type   Trashable // of the parent
	ItemID string    // the parent's trash item
	ID     string    // as the wire names the parent: what a restore of it is called with
	Name   string    // slug of a project, "my-detector/3" of a version
}

func (e *ParentTrashed) Error() string   { return e.ErrorMessage() }
func (e *ParentTrashed) ErrorCode() Code { return Conflict }

// ErrorMessage names the parent. The SDK's command line looks for "in trash".
func (e *ParentTrashed) ErrorMessage() string {
	return fmt.Sprintf("its %s %s is in trash: restore the %s first, then this", e.Type, e.Name, e.Type)
}

// NotInTrash refuses a restore of what is active, never existed, or is gone (R5).
type NotInTrash struct {
	Type Trashable
	ID   string
}

func (e *NotInTrash) Error() string   { return e.ErrorMessage() }
func (e *NotInTrash) ErrorCode() Code { return NotFound }

// ErrorMessage uses the words that Roboflow's clients look for.
func (e *NotInTrash) ErrorMessage() string {
	return fmt.Sprintf("%s %q not found in trash: it is active, was restored already, or was deleted permanently", e.Type, e.ID)
}

// BeingPurged refuses whatever would touch an item whose purge has begun (R5).
type BeingPurged struct {
	Type Trashable
	Name string
}

func (e *BeingPurged) Error() string   { return e.ErrorMessage() }
func (e *BeingPurged) ErrorCode() Code { return Conflict }

// ErrorMessage says that there is no way back any more.
func (e *BeingPurged) ErrorMessage() string {
	return fmt.Sprintf("%s %s is being permanently deleted and cannot be restored any more", e.Type, e.Name)
}

// Busy refuses what waits for a training to end (D5).
type Busy struct{ Training string }

func (e *Busy) Error() string   { return e.ErrorMessage() }
func (e *Busy) ErrorCode() Code { return Conflict }

// ErrorMessage contains the words that the SDK's command line looks for.
func (e *Busy) ErrorMessage() string {
	return fmt.Sprintf("training %s is in progress: cancel or stop it first", e.Training)
}

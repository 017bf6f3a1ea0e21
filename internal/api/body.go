package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/dataset/format"
)

// The most bytes that are read of a body. JSON spells a text longer than it is:
// a quote takes two bytes, a letter beyond ASCII up to three of its own.
const (
	maxJSON       = 2 << 20
	maxWorkflow   = 3*cullet.MaxWorkflowConfig + maxJSON
	maxAnnotation = 2*format.MaxBytes + maxJSON
	maxForm       = 1 << 20 // of an upload, beside the image
)

func (s *Server) maxUpload() int64 {
	if s.Intake == nil {
		return 0
	}
	return s.Intake.MaxBytes + maxForm
}

// How long a body may take: between two bytes, in all, and when it is thrown away.
// An upload may go on for as long as its image is large.
const (
	bodyIdle   = 30 * time.Second
	bodyJSON   = time.Minute
	bodyUpload = 15 * time.Minute
	bodyDrain  = 5 * time.Second
)

// maxDrain is how much of a refused body is read, so that the client hears the
// refusal and can use the connection again; where more is left, it is closed.
const maxDrain = 4 << 20

// body is a request's body that ends: by its size, or by time. It says what is
// wrong with it in words, so that nobody after it takes that for a fault of ours.
type body struct {
	raw      io.ReadCloser
	most     int64 // bytes that are taken
	read     int64
	err      error  // how it ended
	cut      func() // ends a Read that waits
	idle     *time.Timer
	all      *time.Timer
	patience time.Duration // between two bytes
}

// limit bounds the request's body until stop is called. The deadline is not set
// beforehand but when its time has come: the connection outlives the request.
func (s *Server) limit(w http.ResponseWriter, r *http.Request, most int64) (stop func()) {
	if r.Body == nil || r.Body == http.NoBody {
		return func() {}
	}
	total := bodyUpload
	if most == 0 {
		most, total = maxJSON, bodyJSON
	}
	rc := http.NewResponseController(w)
	cut := func() { _ = rc.SetReadDeadline(time.Unix(1, 0)) } // long ago; where there is no connection there is nothing to cut
	b := &body{raw: r.Body, most: most, cut: cut, all: time.AfterFunc(total, cut), idle: time.AfterFunc(s.idle, cut), patience: s.idle}
	r.Body = b
	return func() { b.all.Stop(); b.idle.Stop() }
}

// tooLong refuses a body by the length that it says it has, before it is sent.
func tooLong(r *http.Request) error {
	if b, ok := r.Body.(*body); ok && r.ContentLength > b.most {
		return tooLarge(b.most)
	}
	return nil
}

func tooLarge(most int64) error {
	return cullet.E(cullet.TooLarge, "the body is larger than %d bytes, which is the most that is taken here", most)
}

func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if most := b.most - b.read + 1; int64(len(p)) > most {
		p = p[:most]
	}
	b.idle.Reset(b.patience)
	n, err := b.raw.Read(p)
	b.read += int64(n)
	switch {
	case b.read > b.most:
		err = tooLarge(b.most)
	case err != nil && err != io.EOF:
		err = &cullet.Error{Code: cullet.Invalid, Message: "the body ended too early, or did not come in time", Err: err}
	}
	if b.err = err; err != nil {
		b.all.Stop()
		b.idle.Stop()
	}
	return n, err
}

func (b *body) Close() error { return b.raw.Close() }

// drain reads a little of what is left of a refused body. A client that waits to
// be told to send it is not told.
func drain(r *http.Request) {
	b, ok := r.Body.(*body)
	if !ok || b.err == io.EOF || r.ContentLength > maxDrain || r.Header.Get("Expect") != "" {
		return
	}
	timer := time.AfterFunc(bodyDrain, b.cut)
	defer timer.Stop()
	_, _ = io.CopyN(io.Discard, b.raw, maxDrain)
}

// decode reads a body that is one JSON object into a struct. What is wrong is said
// by the name of the field.
func decode(r *http.Request, into any) error {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	return decodeObject(b, into)
}

// decodeMaybe is decode for routes whose body may be missing.
func decodeMaybe(r *http.Request, into any) error {
	b, err := io.ReadAll(r.Body)
	if err != nil || len(bytes.TrimSpace(b)) == 0 {
		return err
	}
	return decodeObject(b, into)
}

func decodeObject(b []byte, into any) error {
	switch b = bytes.TrimSpace(b); {
	case len(b) == 0:
		return cullet.E(cullet.Invalid, "the body is empty; send a JSON object")
	case !utf8.Valid(b):
		return cullet.E(cullet.Invalid, "the body is not valid UTF-8 text")
	case b[0] != '{' && json.Valid(b):
		return cullet.E(cullet.Invalid, "the body must be a JSON object")
	}
	err := json.Unmarshal(b, into)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		field := wrong.Field
		if field == "" {
			field = "the body"
		}
		return cullet.E(cullet.Invalid, "%s must be %s, not %s", brief(field), kindOf(wrong.Type), aKind(wrong.Value))
	case err != nil:
		return cullet.E(cullet.Invalid, "the body is no valid JSON")
	}
	return noNUL(b)
}

// noNUL refuses text that no database keeps.
func noNUL(b []byte) error {
	if !bytes.Contains(b, []byte(`\u0000`)) {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	for {
		t, err := dec.Token()
		if err != nil {
			return nil // its end: it was valid
		}
		if s, ok := t.(string); ok && strings.ContainsRune(s, 0) {
			return cullet.E(cullet.Invalid, "a text in the body holds a NUL character; use plain text")
		}
	}
}

func kindOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "an object"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	}
	return "a number"
}

func aKind(value string) string {
	value, _, _ = strings.Cut(value, " ") // "number 1.5"
	switch value {
	case "string":
		return "a text"
	case "bool":
		return "true or false"
	case "array":
		return "a list"
	case "object":
		return "an object"
	}
	return "a " + value
}

// textOrNumber is a text that some callers send as a number.
type textOrNumber string

func (t *textOrNumber) UnmarshalJSON(b []byte) error {
	var n json.Number
	switch {
	case b[0] == '"':
		return json.Unmarshal(b, (*string)(t))
	case string(b) == "null":
		return nil
	case json.Unmarshal(b, &n) == nil:
		*t = textOrNumber(n)
		return nil
	}
	return wrongType[string](b)
}

// truth is true or false, which some callers send as a text. Set says whether it came.
type truth struct{ set, yes bool }

func (t *truth) UnmarshalJSON(b []byte) error {
	switch strings.ToLower(string(b)) {
	case "null":
	case "true", `"true"`:
		t.set, t.yes = true, true
	case "false", `"false"`:
		t.set, t.yes = true, false
	default:
		return wrongType[bool](b)
	}
	return nil
}

// maybe is a field that may be absent, null, or a value.
type maybe[T any] struct {
	set   bool
	null  bool
	value T
}

func (m *maybe[T]) UnmarshalJSON(b []byte) error {
	m.set, m.null = true, string(b) == "null"
	if m.null {
		return nil
	}
	return json.Unmarshal(b, &m.value)
}

// wrongType is what the decoder completes with the name of the field.
func wrongType[T any](b []byte) error {
	kind := map[byte]string{'"': "string", '[': "array", '{': "object", 't': "bool", 'f': "bool"}[b[0]]
	if kind == "" {
		kind = "number"
	}
	return &json.UnmarshalTypeError{Value: kind, Type: reflect.TypeFor[T]()}
}

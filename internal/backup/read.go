package backup

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/blob"
	"github.com/cullet-vision/cullet/internal/store"
)

// visitor is told what a dump holds, in its order.
type visitor struct {
	// table says what to do with the rows of a table. A row is its until it returns.
	table func(t store.Table) (row func(values []any) error, err error)
	// most is the longest line; 0: maxLine.
	most int
}

// maxControl bounds a line that is no row.
const maxControl = 64 << 10

// errEnough is what a visitor ends the reading with when it has seen enough.
var errEnough = errors.New("enough was read")

// summary is what was read of a dump.
type summary struct {
	schema int64
	rows   map[string]int64
}

// readDump reads a dump, which it does not trust, to its end. The error is Invalid
// and says what is wrong with it, and where.
func readDump(from io.Reader, v visitor) (summary, error) {
	zip, err := gzip.NewReader(from)
	if err != nil {
		return summary{}, broken(err)
	}
	zip.Multistream(false)
	return readLines(zip, v)
}

func readLines(from io.Reader, v visitor) (summary, error) {
	if v.most == 0 {
		v.most = maxLine
	}
	r := &reader{from: bufio.NewReaderSize(from, 256<<10), visitor: v, sum: summary{rows: map[string]int64{}}}
	err := r.all()
	var o outside
	if errors.As(err, &o) {
		return r.sum, o.err
	}
	if err != nil && !errors.Is(err, errEnough) {
		err = cullet.E(cullet.Invalid, "line %d of the database's dump: %s", r.line, words(err))
	}
	return r.sum, err
}

// outside is an error of who was told, and none of the dump.
type outside struct{ err error }

func (o outside) Error() string { return o.err.Error() }

// words keeps the words of refusals, and gives those of damaged compression.
func words(err error) string {
	if cullet.CodeOf(err) == cullet.Internal {
		return broken(err).Error()
	}
	return cullet.MessageOf(err)
}

func broken(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return cullet.E(cullet.Invalid, "the dump is cut off")
	}
	return cullet.E(cullet.Invalid, "the dump is damaged or cannot be read (%v)", err)
}

type reader struct {
	from *bufio.Reader
	visitor
	line int64
	buf  []byte
	sum  summary
}

func (r *reader) all() error {
	head, err := r.control()
	if err != nil {
		return err
	}
	if head.Cullet != magic || head.Format != format {
		return cullet.E(cullet.Invalid, "this is no dump of format %d of Cullet's", format)
	}
	r.sum.schema = head.Schema
	total := int64(0)
	for {
		c, err := r.control()
		switch {
		case err != nil:
			return err
		case c.End == magic && c.Table == "":
			if c.Rows != total {
				return cullet.E(cullet.Invalid, "there are %d rows, and the last line says %d", total, c.Rows)
			}
			return r.nothingMore()
		case c.Table == "":
			return cullet.E(cullet.Invalid, "here a table must begin")
		}
		if err := r.rowsOf(store.Table{Name: c.Table, Columns: c.Columns}); err != nil {
			return err
		}
		total += r.sum.rows[c.Table]
	}
}

func (r *reader) rowsOf(t store.Table) error {
	if _, again := r.sum.rows[t.Name]; again {
		return cullet.E(cullet.Invalid, "the table %s is there twice", t.Name)
	}
	if err := known(t); err != nil {
		return err
	}
	row, err := r.table(t)
	if err != nil {
		return err
	}
	r.sum.rows[t.Name] = 0
	values := make([]any, len(t.Columns))
	for {
		text, err := r.next(r.most)
		if err != nil {
			return err
		}
		if len(text) > 0 && text[0] == '[' {
			if err := parseRow(text, t, values); err != nil {
				return err
			}
			r.sum.rows[t.Name]++
			if err := row(values); err != nil {
				return err
			}
			continue
		}
		c, err := parseControl(text)
		if err != nil {
			return err
		}
		if c.End != t.Name || c.Rows != r.sum.rows[t.Name] {
			return cullet.E(cullet.Invalid, "the table %s has %d rows, and its last line says otherwise", t.Name, r.sum.rows[t.Name])
		}
		return nil
	}
}

// known refuses a table by its name, and columns that cannot be.
func known(t store.Table) error {
	if !slices.Contains(store.Dumped(), t.Name) {
		return cullet.E(cullet.Invalid, "there is no table %.100q in a backup", t.Name)
	}
	if len(t.Columns) == 0 {
		return cullet.E(cullet.Invalid, "the table %s has no columns", t.Name)
	}
	for _, c := range t.Columns {
		switch c.Kind {
		case store.ColumnText, store.ColumnInt, store.ColumnBool, store.ColumnFloat:
		default:
			return cullet.E(cullet.Invalid, "the column %.100q of %s has the unknown type %.100q", c.Name, t.Name, c.Kind)
		}
	}
	return nil
}

// nothingMore reads to the end, where compression proves itself.
func (r *reader) nothingMore() error {
	switch _, err := r.from.ReadByte(); {
	case err == nil:
		return cullet.E(cullet.Invalid, "something follows the last line")
	case err != io.EOF:
		return err
	}
	return nil
}

// next reads a line of at most so many bytes, without its end. It is the caller's
// until the next call.
func (r *reader) next(most int) ([]byte, error) {
	r.line++
	r.buf = r.buf[:0]
	for {
		part, err := r.from.ReadSlice('\n')
		if len(r.buf)+len(part) > most {
			return nil, cullet.E(cullet.Invalid, "it is longer than %d bytes", most)
		}
		r.buf = append(r.buf, part...)
		switch {
		case err == nil:
			return r.buf[:len(r.buf)-1], nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return nil, io.ErrUnexpectedEOF // the last line is known by what it says
		default:
			return nil, err
		}
	}
}

func (r *reader) control() (control, error) {
	text, err := r.next(maxControl)
	if err != nil {
		return control{}, err
	}
	return parseControl(text)
}

func parseControl(text []byte) (c control, err error) {
	if len(text) > maxControl || json.Unmarshal(text, &c) != nil {
		return c, cullet.E(cullet.Invalid, "it can be read neither as a row nor as anything else")
	}
	return c, nil
}

// parseRow reads just the values that a row must have, each of its column's kind.
func parseRow(text []byte, t store.Table, values []any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if tok, err := d.Token(); err != nil || tok != json.Delim('[') {
		return cullet.E(cullet.Invalid, "it is no row")
	}
	for n, c := range t.Columns {
		if !d.More() {
			return cullet.E(cullet.Invalid, "a row of %s has too few values: %d instead of %d", t.Name, n, len(t.Columns))
		}
		v, err := parseValue(d, c.Kind)
		if err != nil {
			return cullet.E(cullet.Invalid, "the value of %s.%s %v", t.Name, c.Name, err)
		}
		if v == nil && c.Name == "id" { // SQLite would take it
			return cullet.E(cullet.Invalid, "a row of %s lacks its id", t.Name)
		}
		values[n] = v
	}
	if tok, err := d.Token(); err != nil || tok != json.Delim(']') {
		return cullet.E(cullet.Invalid, "a row of %s has more values than the %d of its columns", t.Name, len(t.Columns))
	}
	if _, err := d.Token(); err != io.EOF {
		return cullet.E(cullet.Invalid, "something follows a row of %s", t.Name)
	}
	return nil
}

func parseValue(d *json.Decoder, kind store.ColumnKind) (any, error) {
	tok, err := d.Token()
	if err != nil {
		return nil, errors.New("cannot be read")
	}
	switch v := tok.(type) {
	case nil:
		return nil, nil
	case bool:
		if kind == store.ColumnBool {
			return v, nil
		}
	case string:
		if kind == store.ColumnText {
			return v, nil
		}
	case json.Number:
		if n, err := strconv.ParseInt(v.String(), 10, 64); err == nil && kind == store.ColumnInt {
			return n, nil
		}
		if x, err := v.Float64(); err == nil && kind == store.ColumnFloat {
			return x, nil
		}
	case json.Delim:
		if v == '{' && kind == store.ColumnText {
			return parseBase64(d)
		}
	}
	return nil, fmt.Errorf("is not of the type %s", kind)
}

func parseBase64(d *json.Decoder) (any, error) {
	key, err1 := d.Token()
	text, err2 := d.Token()
	end, err3 := d.Token()
	encoded, ok := text.(string)
	if errors.Join(err1, err2, err3) != nil || key != "base64" || !ok || end != json.Delim('}') {
		return nil, errors.New("is an object, and not one of base64")
	}
	b, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, errors.New("is no base64")
	}
	return string(b), nil
}

// file is a row of bytes, and the file that it refers to.
type file struct {
	path   string
	digest string
	bytes  int64
}

// files calls fn with each file that a dump's rows refer to, in the order of their
// paths, and reads no further.
func files(from io.Reader, fn func(file) error) error {
	_, err := readDump(from, visitor{table: func(t store.Table) (func([]any) error, error) {
		if t.Name != "blobs" {
			return nil, errEnough
		}
		return eachFile(t, func(f file) error {
			if err := fn(f); err != nil {
				return outside{err}
			}
			return nil
		})
	}})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// eachFile reads rows of bytes, and refuses paths that no file of ours has, or that
// are out of order, as one is that comes twice.
func eachFile(t store.Table, fn func(file) error) (func([]any) error, error) {
	path, digest, bytes := -1, -1, -1
	for n, c := range t.Columns {
		switch {
		case c == store.Column{Name: "path", Kind: store.ColumnText}:
			path = n
		case c == store.Column{Name: "digest", Kind: store.ColumnText}:
			digest = n
		case c == store.Column{Name: "bytes", Kind: store.ColumnInt}:
			bytes = n
		}
	}
	if min(path, digest, bytes) < 0 {
		return nil, cullet.E(cullet.Invalid, "the table blobs lacks the columns path, digest and bytes")
	}
	last := ""
	return func(values []any) error {
		var f file
		var ok [3]bool
		f.path, ok[0] = values[path].(string)
		f.digest, ok[1] = values[digest].(string)
		f.bytes, ok[2] = values[bytes].(int64)
		if ok != [3]bool{true, true, true} || f.bytes < 0 {
			return cullet.E(cullet.Invalid, "a row of blobs lacks its path, digest or length")
		}
		if err := blob.CheckPath(f.path, f.digest); err != nil {
			return cullet.E(cullet.Invalid, "a file of the name %.200q cannot be one of ours: %v", f.path, err)
		}
		if f.path <= last {
			return cullet.E(cullet.Invalid, "the file %s is there twice, or out of order", f.path)
		}
		last = f.path
		return fn(f)
	}, nil
}

package backup

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/cullet-vision/cullet/internal/store"
)

// A dump is JSON lines below gzip:
//
//	{"cullet":"backup","format":1,"schema":3}
//	{"table":"blobs","columns":[{"name":"id","kind":"text"},{"name":"bytes","kind":"int"}]}
//	["b_1",17]
//	{"end":"blobs","rows":1}
//	…
//	{"end":"backup","rows":1}
//
// Values are text, integers of 64 bits, true, false, numbers, or null. Text that is no
// UTF-8 is {"base64":"…"}.

// control is a line that is no row.
type control struct {
	Cullet  string         `json:"cullet,omitempty"`
	Format  int            `json:"format,omitempty"`
	Schema  int64          `json:"schema,omitempty"`
	Table   string         `json:"table,omitempty"`
	Columns []store.Column `json:"columns,omitempty"`
	End     string         `json:"end,omitempty"`
	Rows    int64          `json:"rows,omitempty"`
}

const magic = "backup"

// maxLine bounds a line: far more than the largest annotation or workflow that is taken.
const maxLine = 256 << 20

// writer writes a dump. Its first error is also end's.
type writer struct {
	zip  *gzip.Writer
	rows int64
	line bytes.Buffer
	text *json.Encoder // onto line
	err  error
}

func newWriter(to io.Writer, schema int64) *writer {
	zip, _ := gzip.NewWriterLevel(to, gzip.BestSpeed) // the level is one there is
	w := &writer{zip: zip}
	w.text = json.NewEncoder(&w.line)
	w.text.SetEscapeHTML(false)
	w.err = w.control(control{Cullet: magic, Format: format, Schema: schema})
	return w
}

func (w *writer) control(c control) error {
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	_, err = w.zip.Write(append(b, '\n'))
	return err
}

// table writes one table, whose rows the function hands over, and counts them.
func (w *writer) table(t store.Table, fill func(row func([]any) error) error) (rows int64, err error) {
	if w.err != nil {
		return 0, w.err
	}
	if err := w.control(control{Table: t.Name, Columns: t.Columns}); err != nil {
		return 0, err
	}
	err = fill(func(values []any) error {
		rows++
		return w.row(values)
	})
	w.rows += rows
	if err != nil {
		return rows, err
	}
	return rows, w.control(control{End: t.Name, Rows: rows})
}

func (w *writer) row(values []any) error {
	w.line.Reset()
	w.line.WriteByte('[')
	for n, v := range values {
		if n > 0 {
			w.line.WriteByte(',')
		}
		if err := w.value(v); err != nil {
			return err
		}
	}
	w.line.WriteString("]\n")
	if w.line.Len() > maxLine {
		return fmt.Errorf("a row of %d bytes is longer than a backup can hold (%d)", w.line.Len(), maxLine)
	}
	_, err := w.zip.Write(w.line.Bytes())
	return err
}

func (w *writer) value(v any) error {
	switch v := v.(type) {
	case nil:
		w.line.WriteString("null")
	case bool:
		w.line.WriteString(strconv.FormatBool(v))
	case int64:
		w.line.WriteString(strconv.FormatInt(v, 10))
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("a number is %v, which a backup cannot hold", v)
		}
		w.line.WriteString(strconv.FormatFloat(v, 'g', -1, 64))
	case string:
		if !utf8.ValidString(v) {
			w.line.WriteString(`{"base64":"` + base64.StdEncoding.EncodeToString([]byte(v)) + `"}`)
			return nil
		}
		if err := w.text.Encode(v); err != nil {
			return err
		}
		w.line.Truncate(w.line.Len() - 1) // the encoder's end of line
	default:
		return fmt.Errorf("a value is of type %T, which a backup cannot hold", v)
	}
	return nil
}

// end closes the dump: one without its last line is not whole.
func (w *writer) end() error {
	if w.err != nil {
		return w.err
	}
	if err := w.control(control{End: magic, Rows: w.rows}); err != nil {
		return err
	}
	return w.zip.Close()
}

package sdk

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

// This file has what values look like on the wire. Servers differ in details that
// nobody promised (an id as a number, a date as text), and a client that fails on
// one field of one item cannot restore any: so these types never fail, and what
// they do not understand is zero.

// text is a text or a number.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	var n json.Number
	if json.Unmarshal(b, &s) == nil {
		*t = text(s)
	} else if json.Unmarshal(b, &n) == nil {
		*t = text(n)
	}
	return nil
}

// number is a number, or a text of one.
type number float64

func (n *number) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	if err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
		*n = number(f)
	}
	return nil
}

func (n number) int() int { return int(n) }

// flag is true only where the wire says true.
type flag bool

func (f *flag) UnmarshalJSON(b []byte) error {
	*f = string(b) == "true"
	return nil
}

// instant is a time: RFC 3339 in the Trash, epoch seconds of projects and
// versions, {"_seconds","_nanoseconds"} in hosted records (contract/00,
// "Conventions").
type instant struct{ time.Time }

func (i *instant) UnmarshalJSON(b []byte) error {
	var s string
	var n float64
	var parts struct {
		Seconds     *int64 `json:"_seconds"`
		Nanoseconds int64  `json:"_nanoseconds"`
	}
	switch {
	case json.Unmarshal(b, &s) == nil:
		if t, err := time.Parse(time.RFC3339, s); err == nil {
			i.Time = t.UTC()
		}
	case json.Unmarshal(b, &n) == nil && n > 0 && n < 1e11:
		whole, part := math.Modf(n)
		i.Time = time.Unix(int64(whole), int64(part*1e9)).UTC()
	case json.Unmarshal(b, &parts) == nil && parts.Seconds != nil:
		i.Time = time.Unix(*parts.Seconds, parts.Nanoseconds).UTC()
	}
	return nil
}

// word is the last part of an id such as workspace/project/3.
func word(id text) string {
	s := string(id)
	return s[strings.LastIndexByte(s, '/')+1:]
}

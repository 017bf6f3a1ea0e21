package web

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strconv"
)

// cursor is a place in a list: the row that a page begins after, or, with Back, the
// row that it ends before. Pages are found by it and not by counting, so that they
// stay whole while rows come and go.
type cursor struct {
	Key  string `json:"k"` // of the row, in the column that the list is sorted by
	ID   string `json:"i"`
	Back bool   `json:"b,omitempty"`
}

func (c cursor) set() bool { return c.ID != "" }

func (c cursor) String() string {
	b, err := json.Marshal(c)
	if err != nil {
		panic(err) // text always encodes
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// readCursor reads a place. What is none begins at the beginning.
func readCursor(s string) (c cursor) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || json.Unmarshal(b, &c) != nil {
		return cursor{}
	}
	return c
}

// number reads a key that is a number.
func (c cursor) number() int64 {
	n, _ := strconv.ParseInt(c.Key, 10, 64) // 0 begins at the beginning
	return n
}

// pager leads to the pages before and after.
type pager struct{ Prev, Next string }

// address joins a path and a query, leaving out what is empty.
func address(path string, q url.Values) string {
	for name := range q {
		if q.Get(name) == "" {
			q.Del(name)
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

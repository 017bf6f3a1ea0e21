package web

import (
	"net/url"
	"testing"
)

// TestTrashOrder: what is due soon is listed soonest first, all else last deleted first,
// where no other order is asked for; and an address says no more than it has to.
func TestTrashOrder(t *testing.T) {
	for asked, want := range map[string][3]string{ // sort, direction, address
		"":                               {"deleted", "desc", ""},
		"sort=deleted&dir=desc":          {"deleted", "desc", ""},
		"sort=due":                       {"due", "asc", "sort=due"},
		"due=7":                          {"due", "asc", "due=7"},
		"due=overdue&sort=due&dir=asc":   {"due", "asc", "due=overdue"},
		"due=7&dir=desc":                 {"due", "desc", "dir=desc&due=7&sort=due"},
		"due=7&sort=deleted":             {"deleted", "desc", "due=7&sort=deleted"},
		"due=never&sort=weight&dir=left": {"deleted", "desc", ""},
	} {
		form, err := url.ParseQuery(asked)
		if err != nil {
			t.Fatal(err)
		}
		q := readTrashQuery(form)
		if got := [3]string{q.Sort, q.Dir, q.Encode()}; got != want {
			t.Errorf("?%s is %q, want %q", asked, got, want)
		}
	}
}

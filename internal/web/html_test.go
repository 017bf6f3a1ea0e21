package web_test

import (
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// This file reads the app's pages as a browser without script does: enough of HTML
// to find things by their data-testid and to fill in and send forms.

// node is an element, or text where it has no tag.
type node struct {
	tag    string
	attr   map[string]string
	text   string
	kids   []*node
	parent *node
}

var void = []string{"meta", "link", "input", "br", "img", "col", "hr"}

var tagRE = regexp.MustCompile(`(?s)<!--.*?-->|<!doctype[^>]*>|<(/?)([a-zA-Z][a-zA-Z0-9-]*)((?:\s+[^\s=>/]+(?:\s*=\s*"[^"]*")?)*)\s*(/?)>`)
var attrRE = regexp.MustCompile(`([^\s=>/]+)(?:\s*=\s*"([^"]*)")?`)

// parse reads a page. What is not closed properly fails the test.
func parse(t testing.TB, page string) *node {
	t.Helper()
	root := &node{tag: "#root"}
	at := root
	last := 0
	for _, m := range tagRE.FindAllStringSubmatchIndex(page, -1) {
		if text := page[last:m[0]]; text != "" {
			if strings.ContainsAny(text, "<") {
				t.Fatalf("a stray < in: %.120q", text)
			}
			at.kids = append(at.kids, &node{text: html.UnescapeString(text), parent: at})
		}
		last = m[1]
		if m[4] < 0 {
			continue
		}
		tag := strings.ToLower(page[m[4]:m[5]])
		if m[2] != m[3] {
			if at.tag != tag {
				t.Fatalf("</%s> closes <%s> near %.200q", tag, at.tag, page[max(0, m[0]-150):m[1]])
			}
			at = at.parent
			continue
		}
		n := &node{tag: tag, attr: map[string]string{}, parent: at}
		for _, a := range attrRE.FindAllStringSubmatch(page[m[6]:m[7]], -1) {
			n.attr[a[1]] = html.UnescapeString(a[2])
		}
		at.kids = append(at.kids, n)
		if !slices.Contains(void, tag) && m[8] == m[9] {
			at = n
		}
	}
	if at != root {
		t.Fatalf("<%s> is not closed", at.tag)
	}
	return root
}

// each calls fn for every element below.
func (n *node) each(fn func(*node)) {
	for _, k := range n.kids {
		if k.tag != "" {
			fn(k)
			k.each(fn)
		}
	}
}

// where returns all elements below that fit.
func (n *node) where(fits func(*node) bool) (all []*node) {
	n.each(func(k *node) {
		if fits(k) {
			all = append(all, k)
		}
	})
	return all
}

// all returns all elements with the testid.
func (n *node) all(testid string) []*node {
	return n.where(func(k *node) bool { return k.attr["data-testid"] == testid })
}

func (n *node) has(testid string) bool { return len(n.all(testid)) > 0 }

// one returns the only element with the testid.
func (n *node) one(t testing.TB, testid string) *node {
	t.Helper()
	all := n.all(testid)
	if len(all) != 1 {
		t.Fatalf("%d elements %q, want one, in: %.1500s", len(all), testid, n.words())
	}
	return all[0]
}

// item returns the element with the testid for an item.
func (n *node) item(t testing.TB, testid, id string) *node {
	t.Helper()
	for _, k := range n.all(testid) {
		if k.attr["data-item-id"] == id {
			return k
		}
	}
	t.Fatalf("no %q for %s in: %.1500s", testid, id, n.words())
	return nil
}

// words is the text below, in one line.
func (n *node) words() string {
	var b strings.Builder
	var walk func(*node)
	walk = func(k *node) {
		b.WriteString(k.text)
		for _, kk := range k.kids {
			walk(kk)
		}
		b.WriteByte(' ')
	}
	walk(n)
	return strings.Join(strings.Fields(b.String()), " ")
}

func (n *node) value() string { return n.attr["data-value"] }

// form returns the form around an element.
func (n *node) form(t testing.TB) *node {
	t.Helper()
	for at := n; at != nil; at = at.parent {
		if at.tag == "form" {
			return at
		}
	}
	t.Fatalf("%s is in no form", n.attr["data-testid"])
	return nil
}

// fields collects what a form would send.
func (n *node) fields() url.Values {
	v := url.Values{}
	n.each(func(k *node) {
		name := k.attr["name"]
		_, disabled := k.attr["disabled"]
		if name == "" || disabled {
			return
		}
		_, checked := k.attr["checked"]
		switch {
		case k.tag == "textarea":
			v.Add(name, k.words())
		case k.tag == "input" && (k.attr["type"] == "checkbox" || k.attr["type"] == "radio"):
			if checked {
				v.Add(name, k.attr["value"])
			}
		case k.tag == "input":
			v.Add(name, k.attr["value"])
		case k.tag == "select":
			options := k.where(func(o *node) bool { return o.tag == "option" })
			chosen := ""
			for i, o := range options {
				value, has := o.attr["value"]
				if !has {
					value = o.words()
				}
				if _, on := o.attr["selected"]; on || i == 0 {
					chosen = value
				}
			}
			v.Add(name, chosen)
		}
	})
	return v
}

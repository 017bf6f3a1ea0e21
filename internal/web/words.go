package web

import (
	"fmt"
	"html/template"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/cullet-vision/cullet"
)

// This file turns values into words. Raw values stay beside them in the page.

// funcs are what templates call.
var funcs = template.FuncMap{
	"icon": icon, "static": static,
	"num": num, "count": count, "bytes": size, "credits": credits, "percent": percent,
	"when": when, "stamp": stamp, "iso": iso, "day": day, "from": fromNow, "span": span,
	"act": actWords, "actDetail": actDetail, "typeName": typeName, "typeNames": typeNames, "means": means,
	"join": strings.Join, "lower": strings.ToLower, "trimDot": func(s string) string { return strings.TrimSuffix(s, ".") }, "add": func(a, b int) int { return a + b }, "title": sentence, "q": url.QueryEscape, "dict": dict,
	"htmxConfig": func() string { return htmxConfig },
}

// htmxConfig switches off what the Content-Security-Policy forbids anyway, shows
// what a refusal says, and keeps no page in the browser's storage.
const htmxConfig = `{"allowEval":false,"disableInheritance":true,"includeIndicatorStyles":false,"selfRequestsOnly":true,"historyCacheSize":0,"refreshOnHistoryMiss":true,` +
	`"scrollBehavior":"auto","responseHandling":[{"code":"204","swap":false},{"code":"[23]..","swap":true},{"code":"[45]..","swap":true,"error":true}]}`

// dict makes a map of name, value, name, value …, for templates that take several.
func dict(pairs ...any) (map[string]any, error) {
	m := map[string]any{}
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("dict takes pairs")
	}
	for n := 0; n < len(pairs); n += 2 {
		m[fmt.Sprint(pairs[n])] = pairs[n+1]
	}
	return m, nil
}

// num writes a whole number with commas.
func num(v any) string {
	var n int64
	switch v := v.(type) {
	case int:
		n = int64(v)
	case int64:
		n = v
	default:
		return fmt.Sprint(v)
	}
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// count writes a number with its noun: "1 image", "1,204 images".
func count(v any, noun string) string {
	s := num(v)
	if s == "1" {
		return "1 " + noun
	}
	return s + " " + noun + "s"
}

// size writes bytes in the unit that fits: "1.2 GB".
func size(n int64) string {
	if n < 1000 {
		return count(n, "byte")
	}
	f := float64(n)
	for _, unit := range []string{"kB", "MB", "GB", "TB"} {
		f /= 1000
		if f < 999.5 || unit == "TB" {
			if f < 9.95 {
				return fmt.Sprintf("%.1f %s", f, unit)
			}
			return fmt.Sprintf("%.0f %s", f, unit)
		}
	}
	return ""
}

// credits writes micro-credits: "0.42 credits".
func credits(micro int64) string {
	if micro == 0 {
		return "0 credits"
	}
	f := float64(micro) / 1e6
	if f < 0.01 {
		return "under 0.01 credits"
	}
	return fmt.Sprintf("%.2f credits", f)
}

// percent writes a share between 0 and 1.
func percent(f float64) string { return fmt.Sprintf("%d %%", int(math.Floor(f*100))) }

// stamp writes an instant: "24 Dec 2026 07:10 UTC".
func stamp(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04 UTC") }

func day(t time.Time) string { return t.UTC().Format("2 Jan 2006") }
func iso(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// when writes an instant for people and machines.
func when(t time.Time) template.HTML {
	return template.HTML(fmt.Sprintf(`<time datetime="%s">%s</time>`, iso(t), stamp(t)))
}

// fromNow writes how far an instant is from now: "3 minutes ago", "in 30 days".
func fromNow(t, now time.Time) string {
	d := t.Sub(now)
	words := span(d.Abs())
	switch {
	case d.Abs() < time.Minute && d <= 0:
		return "just now"
	case d <= 0:
		return words + " ago"
	}
	return "in " + words
}

// span writes a length of time in its largest fitting unit, rounded as
// cullet.TimeLeft does: "30 days".
func span(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return count(int64((d+12*time.Hour)/(24*time.Hour)), "day")
	case d >= time.Hour:
		return count(int64(d/time.Hour), "hour")
	case d >= time.Minute:
		return count(int64(d/time.Minute), "minute")
	case d < time.Second:
		return "less than a second"
	}
	return count(int64((d+500*time.Millisecond)/time.Second), "second")
}

// sentence gives a message of the domain, which begins small, a large letter and an end.
func sentence(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	s = string(unicode.ToUpper(r)) + s[n:]
	if strings.ContainsAny(s[len(s)-1:], ".:?") {
		return s
	}
	return s + "."
}

// typeName names one thing of a trashable type.
func typeName(t cullet.Trashable) string { return string(t) }

// typeNames names several, as a heading.
func typeNames(t cullet.Trashable) string {
	switch t {
	case cullet.TrashImages:
		return "Images"
	case "":
		return "All types"
	}
	return strings.ToUpper(string(t)[:1]) + string(t)[1:] + "s"
}

// means says by which way somebody acted.
func means(m cullet.Means) string {
	switch m {
	case cullet.ByWeb:
		return "in the web app"
	case cullet.ByKey:
		return "through the API"
	case cullet.ByCleanup:
		return "by cleanup"
	}
	return "on the server"
}

// typeWords names a project type.
func typeWords(t cullet.ProjectType) string {
	s := strings.ReplaceAll(string(t), "-", " ")
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

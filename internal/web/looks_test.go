package web

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cullet-vision/cullet"
)

var tokenRE = regexp.MustCompile(`--([a-z0-9-]+):(#[0-9A-Fa-f]{6})`)

// TestContrast computes, by the WCAG formula, what the style sheet's colours come
// to, so that nobody makes a text too pale by accident.
func TestContrast(t *testing.T) {
	t.Parallel()
	css := string(assets["app.css"].bytes)
	begin := []string{":root{color-scheme:light", ":root[data-theme=dark]{", ":root:not([data-theme=light]){"}
	var themes []map[string]string
	for _, b := range begin {
		_, block, found := strings.Cut(css, b)
		if !found {
			t.Fatalf("no %s in the style sheet", b)
		}
		block, _, _ = strings.Cut(block, "}")
		theme := map[string]string{}
		for _, m := range tokenRE.FindAllStringSubmatch(block, -1) {
			theme[m[1]] = m[2]
		}
		themes = append(themes, theme)
	}
	if fmt.Sprint(themes[1]) != fmt.Sprint(themes[2]) {
		t.Error("the dark theme that is chosen and that of the system differ")
	}
	pairs := map[string]float64{"text bg": 4.5, "text surface": 4.5, "text sunken": 4.5, "text-muted bg": 4.5, "text-muted surface": 4.5, "text-muted sunken": 4.5,
		"link bg": 4.5, "link surface": 4.5, "on-accent accent": 4.5, "danger surface": 4.5, "danger bg": 4.5, "danger danger-bg": 4.5, "on-danger danger": 4.5,
		"warn surface": 4.5, "warn warn-bg": 4.5, "ok surface": 4.5, "ok ok-bg": 4.5, "info surface": 4.5, "info info-bg": 4.5, "text ok-bg": 4.5,
		"control surface": 3, "control bg": 3, "focus surface": 3, "focus bg": 3, "accent surface": 3}
	for n, theme := range themes[:2] {
		for pair, need := range pairs {
			fore, back, _ := strings.Cut(pair, " ")
			if got := contrast(t, theme[fore], theme[back]); got < need {
				t.Errorf("theme %d: %s on %s is %.1f, needs %.1f", n, fore, back, got, need)
			}
		}
	}
	// Classes are drawn over a dark line, whatever the photo.
	for n := range hues {
		m := regexp.MustCompile(fmt.Sprintf(`--class-%d:(#[0-9A-F]{6})`, n)).FindStringSubmatch(css)
		if m == nil {
			t.Fatalf("class %d has no colour", n)
		}
		if got := contrast(t, m[1], "#14201B"); got < 4.5 {
			t.Errorf("class %d on its dark line is %.1f", n, got)
		}
	}
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	l := func(hex string) float64 {
		sum := 0.0
		for n, weight := range []float64{0.2126, 0.7152, 0.0722} {
			if len(hex) != 7 {
				t.Fatalf("%q is no colour", hex)
			}
			v, err := strconv.ParseUint(hex[1+2*n:3+2*n], 16, 8)
			if err != nil {
				t.Fatal(err)
			}
			c := float64(v) / 255
			if c <= 0.04045 {
				c /= 12.92
			} else {
				c = math.Pow((c+0.055)/1.055, 2.4)
			}
			sum += weight * c
		}
		return sum
	}
	x, y := l(a), l(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// TestWords: numbers with units, as people read them.
func TestWords(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 12, 24, 7, 10, 0, 0, time.UTC)
	for got, want := range map[string]string{
		num(0): "0", num(999): "999", num(1204): "1,204", num(-1234567): "-1,234,567",
		count(1, "image"): "1 image", count(0, "day"): "0 days", count(1204, "item"): "1,204 items",
		size(0): "0 bytes", size(1): "1 byte", size(999): "999 bytes", size(1000): "1.0 kB", size(9_949): "9.9 kB", size(9_960): "10 kB", size(999_499): "999 kB",
		size(999_500): "1.0 MB", size(1_234_567_890): "1.2 GB", size(5e15): "5000 TB",
		credits(0): "0 credits", credits(1): "under 0.01 credits", credits(420_000): "0.42 credits",
		percent(0.999): "99 %", percent(1): "100 %", stamp(now): "24 Dec 2026 07:10 UTC",
		fromNow(now, now): "just now", fromNow(now.Add(-3*time.Minute), now): "3 minutes ago", fromNow(now.Add(30*24*time.Hour), now): "in 30 days",
		fromNow(now.Add(10*time.Second), now): "in 10 seconds", span(90 * time.Minute): "1 hour", span(720 * time.Hour): "30 days", span(0): "less than a second",
		sentence("it left"): "It left.", sentence("done."): "Done.", sentence("é"): "É.", sentence(""): "",
		px(1.5): "1.5", px(2): "2", px(10): "10", px(0.005): "0.01", px(100): "100",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestActNames: every act that the audit keeps has words of its own.
func TestActNames(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../../audit.go")
	if err != nil {
		t.Fatal(err)
	}
	acts := regexp.MustCompile(`(?m)^\tAct[A-Za-z]+ +Act = "([a-z-]+)"`).FindAllStringSubmatch(string(source), -1)
	words := map[string]string{}
	for _, a := range acts {
		w := actNames[cullet.Act(a[1])]
		if w == "" {
			t.Errorf("the act %s has no words", a[1])
		}
		if other := words[w]; other != "" {
			t.Errorf("%s and %s have the same words", a[1], other)
		}
		words[w] = a[1]
	}
	if len(acts) < 30 {
		t.Errorf("%d acts were found in audit.go", len(acts))
	}
}

// TestCursor: a place in a list survives its way through an address; what is none
// begins at the beginning.
func TestCursor(t *testing.T) {
	t.Parallel()
	for _, c := range []cursor{{}, {"5", "ti_x", true}, {`"<& ü`, "d_1", false}} {
		if got := readCursor(c.String()); got != c {
			t.Errorf("%+v became %+v", c, got)
		}
	}
	for _, s := range []string{"", "x", "e30", "bnVsbA", strings.Repeat("A", 10_000)} {
		if readCursor(s).set() {
			t.Errorf("%q is a place", s)
		}
	}
}

// TestBudget: what a browser fetches before it sees the first page.
func TestBudget(t *testing.T) {
	t.Parallel()
	total := 0
	for name, a := range assets {
		if strings.HasSuffix(name, ".css") || strings.HasSuffix(name, ".js") {
			total += len(a.bytes)
		}
	}
	if total > 110_000 {
		t.Errorf("style and script are %d bytes before compression; a page may be 150 kB in all", total)
	}
}

package supervise

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestLeaseS2(t *testing.T) {
	const s = time.Second
	l := newLease(10*s, 100*s, 101*s)
	if got, want := l.deadline(), 109500*time.Millisecond; got != want {
		t.Errorf("deadline %v, want %v: a twentieth before the lease ends", got, want)
	}
	l.renew(105*s, 107*s) // taken 2 s before the news arrived
	if got, want := l.deadline(), 114500*time.Millisecond; got != want {
		t.Errorf("deadline after a renewal %v, want %v: counted from when it was taken", got, want)
	}
	l.renew(103*s, 108*s)
	if got, want := l.deadline(), 114500*time.Millisecond; got != want {
		t.Errorf("deadline after an older renewal %v, want %v: never back", got, want)
	}
	l.renew(500*s, 109*s)
	if got, want := l.deadline(), 118500*time.Millisecond; got != want {
		t.Errorf("deadline after a renewal of the future %v, want %v: counted from now", got, want)
	}
	if newLease(10*s, 500*s, 100*s).deadline() > 110*s {
		t.Error("a first lease of the future is longer than a lease")
	}
}

func TestLeaseIsOverAtTheSecondLook(t *testing.T) {
	const s = time.Second
	l := newLease(10*s, 0, 0)
	if l.over(9*s) || l.over(20*s) {
		t.Error("over before the second look that found it so")
	}
	l.renew(19*s, 20*s) // it had waited in the pipe
	if l.over(20 * s) {
		t.Error("over although it was renewed in time")
	}
	if l.over(40*s) || !l.over(40*s) {
		t.Error("want it over at the second look")
	}
}

func TestLineCutter(t *testing.T) {
	long := strings.Repeat("x", MaxLineBytes)
	for _, c := range []struct {
		name string
		feed []string
		want []string // with "…" where cut
	}{
		{"whole", []string{"a\nb\n"}, []string{"a", "b"}},
		{"in pieces", []string{"a", "b\n", "\nc"}, []string{"ab", "", "c"}},
		{"nothing", nil, nil},
		{"as long as can be", []string{long, "\nb\n"}, []string{long, "b"}},
		{"too long", []string{long, "y", "y\n", "b\n"}, []string{long + "…", "b"}},
		{"too long at once, no end", []string{"a\n" + long + "y"}, []string{"a", long + "…"}},
	} {
		var got []string
		cutter := lineCutter{emit: func(line []byte, cut bool) {
			text := string(line)
			if cut {
				text += "…"
			}
			got = append(got, text)
		}}
		for _, piece := range c.feed {
			cutter.feed([]byte(piece))
		}
		cutter.end()
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %d lines, want %d, or they differ", c.name, len(got), len(c.want))
		}
	}
}

func TestIsObject(t *testing.T) {
	for line, want := range map[string]bool{
		`{"epoch":1}`: true, "  {} \r": true,
		"": false, "12": false, `[{}]`: false, `{"loss":NaN}`: false, `{"a":1} {"b":2}`: false, "{": false,
	} {
		if got := isObject([]byte(line)); got != want {
			t.Errorf("isObject(%q) = %v, want %v", line, got, want)
		}
	}
}

func TestShown(t *testing.T) {
	for line, want := range map[string]string{
		"plain": "plain", "dos\r": "dos", " 10%\r 50%\r100%": "100%", " 10%\r100%\r": "100%", "": "", "\r": "",
	} {
		if got := string(shown([]byte(line))); got != want {
			t.Errorf("shown(%q) = %q, want %q", line, got, want)
		}
	}
}

func TestTrainerEnvHasOneMark(t *testing.T) {
	s := Spec{ID: "t_1", Token: "abc", Env: []string{EnvToken + "=forged", "PATH=/bin", EnvTraining + "=other", "A=b"}}
	want := []string{"PATH=/bin", "A=b", EnvTraining + "=t_1", EnvToken + "=abc"}
	if got := s.trainerEnv(); !slices.Equal(got, want) {
		t.Errorf("trainer's environment %q, want %q", got, want)
	}
	want = []string{EnvTraining + "=t_1", EnvToken + "=abc", "PATH=/bin"}
	if got := s.supervisorEnv(); !slices.Equal(got, want) {
		t.Errorf("supervisor's environment %q, want %q", got, want)
	}
}

func TestExitString(t *testing.T) {
	for want, e := range map[string]Exit{
		"exited, exit status 3":                     {Why: WhyExited, Code: 3},
		"killed, signal 9 (killed)":                 {Why: WhyKilled, Code: -1, Signal: 9, Forced: true},
		"lost, exit status unknown: it was no good": {Why: WhyLost, Code: -1, Error: "it was no good"},
	} {
		if got := e.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestHeadKeepsTheBeginning(t *testing.T) {
	var h head
	for range 100 {
		if n, err := h.Write(bytes.Repeat([]byte("x"), 100)); n != 100 || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	if got := len(h.quote()); got != len(": ")+2<<10 {
		t.Errorf("kept %d bytes", got)
	}
}

package cullet

import (
	"testing"
	"time"
)

// TestC6Watch puts the watch through what clocks do. Each case is a run of looks, one
// an interval unless it says otherwise; want is up to when cleanup may purge after the
// last of them.
func TestC6Watch(t *testing.T) {
	const interval, grace, day = time.Minute, 24 * time.Hour, 24 * time.Hour
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	look := func(after time.Duration) Sight { return Sight{Now: start.Add(after), Running: true} }
	off := func(after time.Duration) Sight { return Sight{Now: start.Add(after)} }
	apart := func(after, database time.Duration) Sight {
		return Sight{Now: start.Add(after), Database: start.Add(database), Running: true}
	}
	newYork, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		looks []Sight
		want  time.Duration // after the start
		why   WaitReason
	}{
		"goes on":                         {[]Sight{look(0), look(time.Minute)}, time.Minute, ""},
		"a gap of an hour is none":        {[]Sight{look(0), look(time.Hour)}, time.Hour, ""},
		"a gap of an hour and 3 looks":    {[]Sight{look(0), look(time.Hour + 3*interval)}, time.Hour + 3*interval, ""},
		"a longer gap":                    {[]Sight{look(0), look(time.Hour + 3*interval + time.Second)}, 0, ClockAhead},
		"41 days ahead":                   {[]Sight{look(0), look(41 * day)}, 0, ClockAhead},
		"41 days ahead, an hour later":    {[]Sight{look(0), look(41 * day), look(41*day + time.Hour)}, 0, ClockAhead},
		"41 days ahead, waited for":       {[]Sight{look(0), look(41 * day), look(41*day + time.Hour), off(42*day - time.Minute), off(42 * day)}, 0, ServerWasOff},
		"a year ahead":                    {[]Sight{look(0), look(365 * day)}, 0, ClockAhead},
		"off for a week":                  {[]Sight{look(0), off(7 * day)}, 0, ServerWasOff},
		"ahead and back":                  {[]Sight{look(0), look(41 * day), look(time.Minute), look(2 * time.Minute)}, 0, ClockAhead},
		"back":                            {[]Sight{look(0), look(-2 * day)}, -2 * day, ""},
		"back and ahead again":            {[]Sight{look(0), look(-2 * day), look(0)}, -2 * day, ClockAhead},
		"a second jump while it waits":    {[]Sight{look(0), look(41 * day), look(80 * day)}, 0, ClockAhead},
		"the database disagrees":          {[]Sight{look(0), apart(time.Minute, 41*day)}, 0, ClocksApart},
		"the database agrees":             {[]Sight{look(0), apart(time.Minute, time.Minute+4*time.Second)}, time.Minute, ""},
		"the database agrees again":       {[]Sight{look(0), apart(time.Minute, 41*day), apart(2*time.Minute, 2*time.Minute)}, 0, ClocksApart},
		"never looked, clocks apart":      {[]Sight{apart(0, 41*day)}, never, ClocksApart},
		"never looked":                    {[]Sight{off(0)}, 0, ""},
		"another zone is the same moment": {[]Sight{look(0), {Now: start.Add(time.Minute).In(newYork)}}, time.Minute, ""},
	} {
		var w ClockWatch
		for n, s := range c.looks {
			w = w.Look(s, interval, grace, string(rune('a'+n)))
		}
		want := start.Add(c.want)
		if c.want == never {
			want = time.Time{}
		}
		if got := w.DueBy(""); !got.Equal(want) || w.Why != c.why {
			t.Errorf("C6: %s: may purge what was due by %v (%q), want %v (%q)", name, got, w.Why, want, c.why)
		}
	}
}

const never = -1 << 62

// TestC6WaitEnds: after the grace everything that is due may go, and not a moment before.
func TestC6WaitEnds(t *testing.T) {
	start := time.Date(2038, 1, 18, 3, 14, 7, 0, time.UTC) // a day before 32-bit seconds end
	w := ClockWatch{SeenAt: start}
	now := start.Add(40 * 24 * time.Hour)
	w = w.Look(Sight{Now: now, Running: true}, time.Minute, 24*time.Hour, "a")
	end := now.Add(24 * time.Hour)
	for now.Before(end) {
		if got := w.DueBy(""); !got.Equal(start) {
			t.Fatalf("C6: at %v it may purge what was due by %v, want %v", now, got, start)
		}
		if got := w.DueBy("a"); !got.Equal(now) {
			t.Fatalf("C6: lifted, at %v it may purge what was due by %v", now, got)
		}
		now = now.Add(30 * time.Minute)
		w = w.Look(Sight{Now: now, Running: true}, time.Minute, 24*time.Hour, "b")
	}
	if w.Wait != "" || !w.DueBy("").Equal(now) {
		t.Errorf("C6: after the grace: %+v", w)
	}
}

// TestC6LiftIsForOneWait: who lifted one wait has not lifted the next.
func TestC6LiftIsForOneWait(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	w := ClockWatch{SeenAt: start}
	w = w.Look(Sight{Now: start.Add(48 * time.Hour), Running: true}, time.Minute, 24*time.Hour, "a")
	w = w.Look(Sight{Now: start.Add(96 * time.Hour), Running: true}, time.Minute, 24*time.Hour, "b")
	if !w.Waits("a") || !w.DueBy("a").Equal(start) {
		t.Errorf("C6: the second jump is lifted with the first: %+v", w)
	}
}

// TestC6LiftOfClocksApart: who lifted the wait for clocks that are some minutes apart has
// lifted neither a jump of one of them nor a time in which nobody looked, and of two
// servers the one whose clock is wrong begins no wait anew with each of its looks.
func TestC6LiftOfClocksApart(t *testing.T) {
	const interval, grace, day = time.Minute, 24 * time.Hour, 24 * time.Hour
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	look := func(w ClockWatch, server, database time.Duration, id string) ClockWatch {
		return w.Look(Sight{Now: start.Add(server), Database: start.Add(database), Running: true}, interval, grace, id)
	}
	w := look(ClockWatch{SeenAt: start}, 7*time.Minute, time.Minute, "a")
	if w = look(w, 8*time.Minute, 2*time.Minute, "b"); w.Waits("a") || w.Wait != "a" {
		t.Errorf("C6: the same difference is another wait: %+v", w)
	}
	if got := look(w, 40*day, 3*time.Minute, "c").DueBy("a"); got.After(start.Add(3 * time.Minute)) {
		t.Errorf("C6: with the lift of 6 minutes a jump of 40 days is lifted: it may purge what is due by %v", got)
	}
	if got := look(w, 10*day+6*time.Minute, 10*day, "c"); !got.Waits("a") || got.DueBy("a").After(start.Add(3*time.Minute)) {
		t.Errorf("C6: with the lift of 6 minutes ten days are lifted in which nobody looked: %+v", got)
	}
	w = look(ClockWatch{SeenAt: start}, 30*day, 0, "a")
	for n := range time.Duration(5) {
		w = look(w, n*time.Minute, n*time.Minute, "right")
		w = look(w, 30*day+n*time.Minute, n*time.Minute, "wrong")
	}
	if w.Wait != "a" || w.DueBy("a").After(start.Add(time.Hour)) {
		t.Errorf("C6: a server with a wrong clock beside a right one: %+v", w)
	}
}

// TestC9Protection: the lifting takes effect at its date by a clock that is trusted.
func TestC9Protection(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		w    Workspace
		want bool
	}{
		"off":                {Workspace{}, false},
		"on":                 {Workspace{ProtectedAt: at.Add(-time.Hour)}, true},
		"lifting asked for":  {Workspace{ProtectedAt: at.Add(-time.Hour), UnprotectAt: at.Add(time.Second)}, true},
		"lifting took place": {Workspace{ProtectedAt: at.Add(-time.Hour), UnprotectAt: at}, false},
	} {
		if got := c.w.Protection(at); got != c.want {
			t.Errorf("C9: %s: %v, want %v", name, got, c.want)
		}
	}
	watch := ClockWatch{SeenAt: at}
	if got := watch.Trusted(at.Add(73*time.Hour), ""); !got.Equal(at) {
		t.Errorf("C6: a clock 73 hours ahead of the last look is trusted: %v", got)
	}
}

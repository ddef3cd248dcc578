package history

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Kind is what is wrong with an answer.
type Kind string

// The kinds of lies; see the package's comment.
const (
	Resurrected Kind = "resurrected"
	Revived     Kind = "revived"
	Unissued    Kind = "unissued"
	Refused     Kind = "refused"
	Duplicate   Kind = "duplicate"
	Twice       Kind = "twice"
)

// Promise is what holds in spite of the fault.
type Promise struct {
	// LostFrom and LostTo are between when data was lost, if it was: from the former on, what was issued before the
	// latter may be refused, what was claimed be had again, and what ended without an acknowledgement be live again.
	// That nothing is live after an acknowledged end holds all the same. Zero: never.
	LostFrom, LostTo time.Duration
}

// lost is whether what came of the event may be gone when the other happens.
func (p Promise) lost(came, gone Event) bool {
	return p.LostTo > 0 && came.Start <= p.LostTo && gone.End >= p.LostFrom
}

// Lie is an answer that breaks a promise.
type Lie struct {
	Kind  Kind
	Event Event   // the answer
	Story []Event // all that concerns the credential, in order
}

func (l Lie) String() string {
	const most = 40
	story := l.Story
	var b strings.Builder
	fmt.Fprintf(&b, "%s:\n  %v\nall of it:\n", l.Kind, l.Event)
	if len(story) > most {
		fmt.Fprintf(&b, "  (%d more)\n", len(story)-most)
		story = story[len(story)-most:]
	}
	for _, e := range story {
		fmt.Fprintf(&b, "  %v\n", e)
	}
	return b.String()
}

// Verdict is what came of a history.
type Verdict struct {
	Lies []Lie
	// Issued counts the credentials, Ended the acknowledged ends, and AfterEnd the checks that began after the
	// acknowledged end of what they asked about: without those, no lies would prove nothing.
	Issued, Ended, AfterEnd int
}

// Judge judges a history, whose events may come in any order.
func Judge(events []Event, p Promise) Verdict {
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b Event) int { return cmp.Compare(a.Start, b.Start) })
	var v Verdict
	v.Lies = append(v.Lies, twice(events, Issue, Duplicate, Promise{})...)
	v.Lies = append(v.Lies, twice(events, Claim, Twice, p)...)
	lives := gather(events)
	for _, name := range slices.Sorted(maps.Keys(lives)) {
		lives[name].judge(p, &v)
	}
	for _, e := range events {
		if e.Op == End && e.Answer == Done {
			v.Ended++
		}
	}
	return v
}

// twice finds what was acknowledged more than once.
func twice(events []Event, op Op, kind Kind, p Promise) []Lie {
	var lies []Lie
	first := map[string]Event{}
	for _, e := range events {
		if e.Op != op || e.Answer != Done {
			continue
		}
		if one, ok := first[e.On]; ok && !p.lost(one, e) {
			lies = append(lies, Lie{kind, e, []Event{one, e}})
		}
		first[e.On] = e
	}
	return lies
}

// life is what is known of one credential.
type life struct {
	issued  bool // and acknowledged
	issue   Event
	checks  []Event
	ends    []Event // of it and of its groups
	resumes []Event // of its groups
}

func gather(events []Event) map[string]*life {
	lives, ends, resumes := map[string]*life{}, map[string][]Event{}, map[string][]Event{}
	of := func(name string) *life {
		if lives[name] == nil {
			lives[name] = &life{}
		}
		return lives[name]
	}
	for _, e := range events {
		switch {
		case e.Op == Check:
			l := of(e.On)
			l.checks = append(l.checks, e)
		case e.Op == Issue && e.Answer == Done:
			l := of(e.On)
			l.issued, l.issue = true, e
		case e.Op == End && e.Answer != Denied:
			ends[e.On] = append(ends[e.On], e)
		case e.Op == Resume && e.Answer != Denied:
			resumes[e.On] = append(resumes[e.On], e)
		}
	}
	for name, l := range lives {
		for _, target := range append([]string{name}, l.issue.Groups...) {
			l.ends = append(l.ends, ends[target]...)
			l.resumes = append(l.resumes, resumes[target]...)
		}
	}
	return lives
}

func (l *life) judge(p Promise, v *Verdict) {
	if l.issued {
		v.Issued++
	}
	lie := func(kind Kind, e Event) { v.Lies = append(v.Lies, Lie{kind, e, l.story()}) }
	var dead []Event // checks that said so
	for _, c := range l.checks {
		ended := slices.ContainsFunc(l.ends, func(e Event) bool { return l.mustHold(e, c) })
		if ended && c.Answer != Unknown {
			v.AfterEnd++
		}
		switch {
		case c.Answer == Dead:
			dead = append(dead, c)
			if l.issued && l.issue.End < c.Start && !l.mayBeDead(c, p) {
				lie(Refused, c)
			}
		case c.Answer != Live:
		case !l.issued:
			lie(Unissued, c)
		case ended:
			lie(Resurrected, c)
		case slices.ContainsFunc(dead, func(d Event) bool { return l.mustHold(d, c) && !l.undone(d, c, p) }):
			lie(Revived, c)
		}
	}
}

// mustHold is whether the check c has to see what e said or did: e was answered before c began, came after the
// issue, and nothing may have resumed what it ended.
func (l *life) mustHold(e, c Event) bool {
	known := e.Answer == Done || e.Answer == Dead
	if !known || e.End >= c.Start || e.Start < l.issue.End {
		return false
	}
	return !slices.ContainsFunc(l.resumes, func(r Event) bool {
		concerns := l.issue.Suspends && (r.On == e.On || e.Op == Check)
		return concerns && r.Start < c.End && (r.Answer != Done || r.End > e.Start)
	})
}

// undone is whether what the check d saw may have been an end that nobody was told of, and that was lost before the check c.
func (l *life) undone(d, c Event, p Promise) bool {
	return p.lost(d, c) && slices.ContainsFunc(l.ends, func(e Event) bool { return e.Answer == Unknown && e.Start < d.End })
}

// mayBeDead is whether anything excuses the check c for saying so.
func (l *life) mayBeDead(c Event, p Promise) bool {
	if p.lost(l.issue, c) {
		return true
	}
	return slices.ContainsFunc(l.ends, func(e Event) bool {
		repeated := l.issue.Suspends && p.lost(e, c) // with the rest of what was lost, though it was undone since
		begun := e.Start < c.End && (e.Answer != Done || e.End > l.issue.Start || repeated)
		return begun && !l.surelyResumed(e, c, p)
	})
}

// surelyResumed is whether what e suspended was resumed afterwards, and before the check c, and that is not lost.
func (l *life) surelyResumed(e, c Event, p Promise) bool {
	return l.issue.Suspends && e.Answer == Done && slices.ContainsFunc(l.resumes, func(r Event) bool {
		return r.On == e.On && r.Answer == Done && r.Start > e.End && r.End < c.Start && !p.lost(r, c)
	})
}

func (l *life) story() []Event {
	story := slices.Concat(l.checks, l.ends, l.resumes)
	if l.issued {
		story = append(story, l.issue)
	}
	slices.SortStableFunc(story, func(a, b Event) int { return cmp.Compare(a.Start, b.Start) })
	return story
}

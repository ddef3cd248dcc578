package history

import (
	"slices"
	"testing"
	"time"
)

// at is an event that lasts from one millisecond to another.
func at(start, end int, op Op, on string, answer Answer) Event {
	return Event{Start: time.Duration(start) * time.Millisecond, End: time.Duration(end) * time.Millisecond, Op: op, On: on, Answer: answer}
}

func token(start, end int, groups ...string) Event {
	e := at(start, end, Issue, "t", Done)
	e.Groups = groups
	return e
}

// key is a credential that the end of its group only suspends.
func key(start, end int, group string) Event {
	e := token(start, end, group)
	e.Suspends = true
	return e
}

// Each lie is found, and what is no lie is not.
func TestJudge(t *testing.T) {
	live := func(start, end int) Event { return at(start, end, Check, "t", Live) }
	dead := func(start, end int) Event { return at(start, end, Check, "t", Dead) }
	unknown := func(start, end int) Event { return at(start, end, Check, "t", Unknown) }
	ended := func(start, end int, answer Answer) Event { return at(start, end, End, "t", answer) }
	group := func(op Op, start, end int, answer Answer) Event { return at(start, end, op, "g", answer) }
	for name, c := range map[string]struct {
		events []Event
		lost   int
		want   []Kind
	}{
		"live, ended, dead":                     {[]Event{token(0, 1), live(2, 3), ended(4, 5, Done), dead(6, 7)}, 0, nil},
		"no answer is no lie":                   {[]Event{token(0, 1), unknown(2, 3), ended(4, 5, Done), unknown(6, 7)}, 0, nil},
		"live after its end":                    {[]Event{token(0, 1), ended(4, 5, Done), live(6, 7)}, 0, []Kind{Resurrected}},
		"long after it, and dead between":       {[]Event{token(0, 1), ended(4, 5, Done), dead(6, 7), live(90, 91)}, 0, []Kind{Resurrected}},
		"live in spite of a second, failed end": {[]Event{token(0, 1), ended(4, 5, Done), ended(6, 7, Unknown), live(8, 9)}, 0, []Kind{Resurrected}},
		"check during the end: either":          {[]Event{token(0, 1), ended(4, 9, Done), live(5, 6), dead(7, 8)}, 0, nil},
		"check that began before its end came":  {[]Event{token(0, 1), live(3, 20), ended(4, 5, Done)}, 0, nil},
		"check that begins with the answer":     {[]Event{token(0, 1), ended(4, 5, Done), live(5, 6)}, 0, nil},
		"dead then live during the end":         {[]Event{token(0, 1), ended(2, 9, Done), dead(3, 4), live(5, 6)}, 0, []Kind{Revived}},
		"an end without an answer: either":      {[]Event{token(0, 1), ended(4, 5, Unknown), live(6, 7), dead(8, 9)}, 0, nil},
		"revived after an unanswered end":       {[]Event{token(0, 1), ended(4, 5, Unknown), dead(6, 7), live(8, 9)}, 0, []Kind{Revived}},
		"a refused end ends nothing":            {[]Event{token(0, 1), ended(4, 5, Denied), dead(6, 7)}, 0, []Kind{Refused}},
		"dead without an end":                   {[]Event{token(0, 1), dead(2, 3)}, 0, []Kind{Refused}},
		"dead before its end began":             {[]Event{token(0, 1), dead(2, 3), ended(4, 5, Done)}, 0, []Kind{Refused}},
		"dead while it is issued":               {[]Event{token(0, 5), dead(2, 3)}, 0, nil},
		"live before the answer of its issue":   {[]Event{token(0, 5), live(2, 3)}, 0, nil},
		"never issued, live":                    {[]Event{live(2, 3)}, 0, []Kind{Unissued}},
		"never issued, dead":                    {[]Event{dead(2, 3)}, 0, nil},
		"issued without an answer, live":        {[]Event{at(0, 1, Issue, "t", Unknown), live(2, 3)}, 0, []Kind{Unissued}},

		"its group ended":                   {[]Event{token(0, 1, "g"), group(End, 2, 3, Done), live(4, 5)}, 0, []Kind{Resurrected}},
		"another group ended":               {[]Event{token(0, 1, "h"), group(End, 2, 3, Done), live(4, 5)}, 0, nil},
		"another group is no excuse":        {[]Event{token(0, 1, "h"), group(End, 2, 3, Done), dead(4, 5)}, 0, []Kind{Refused}},
		"its group ended before it was":     {[]Event{group(End, 0, 1, Done), token(2, 3, "g"), live(4, 5)}, 0, nil},
		"that is no excuse either":          {[]Event{group(End, 0, 1, Done), token(2, 3, "g"), dead(4, 5)}, 0, []Kind{Refused}},
		"its group ended while it came":     {[]Event{token(2, 6, "g"), group(End, 3, 4, Done), live(7, 8), live(9, 10)}, 0, nil},
		"or dead, and for good":             {[]Event{token(2, 6, "g"), group(End, 3, 4, Done), dead(7, 8), live(9, 10)}, 0, []Kind{Revived}},
		"an old unanswered end may be late": {[]Event{group(End, 0, 1, Unknown), token(2, 3, "g"), dead(4, 5)}, 0, nil},
		"a token is not resumed":            {[]Event{token(0, 1, "g"), group(End, 2, 3, Done), group(Resume, 4, 5, Done), live(6, 7)}, 0, []Kind{Resurrected}},

		"a key is suspended":                   {[]Event{key(0, 1, "g"), group(End, 2, 3, Done), live(4, 5)}, 0, []Kind{Resurrected}},
		"and resumed":                          {[]Event{key(0, 1, "g"), group(End, 2, 3, Done), dead(4, 5), group(Resume, 6, 7, Done), live(8, 9)}, 0, nil},
		"it must be live then":                 {[]Event{key(0, 1, "g"), group(End, 2, 3, Done), group(Resume, 6, 7, Done), dead(8, 9)}, 0, []Kind{Refused}},
		"unless resuming has no answer":        {[]Event{key(0, 1, "g"), group(End, 2, 3, Done), group(Resume, 6, 7, Unknown), dead(8, 9), live(10, 11)}, 0, nil},
		"suspended again":                      {[]Event{key(0, 1, "g"), group(End, 2, 3, Done), group(Resume, 4, 5, Done), group(End, 6, 7, Done), live(8, 9)}, 0, []Kind{Resurrected}},
		"live before it is resumed":            {[]Event{key(0, 1, "g"), group(End, 2, 3, Done), live(4, 5), group(Resume, 6, 7, Done)}, 0, []Kind{Resurrected}},
		"its own end is not resumed":           {[]Event{key(0, 1, "g"), ended(2, 3, Done), group(Resume, 4, 5, Done), live(6, 7)}, 0, []Kind{Resurrected}},
		"an unanswered suspension, a resuming": {[]Event{key(0, 1, "g"), group(End, 2, 3, Unknown), group(Resume, 4, 5, Done), dead(6, 7)}, 0, nil},

		"two equal tokens":               {[]Event{token(0, 1), token(5, 6)}, 0, []Kind{Duplicate}},
		"claimed twice":                  {[]Event{at(0, 9, Claim, "x", Done), at(1, 8, Claim, "x", Done)}, 0, []Kind{Twice}},
		"claimed once":                   {[]Event{at(0, 9, Claim, "x", Done), at(1, 8, Claim, "x", Denied), at(1, 8, Claim, "x", Unknown)}, 0, nil},
		"lost data":                      {[]Event{token(0, 1), live(2, 3), dead(11, 12)}, 10, nil},
		"refused before the loss":        {[]Event{token(0, 1), dead(2, 3)}, 10, []Kind{Refused}},
		"issued after the loss":          {[]Event{token(11, 12), dead(13, 14)}, 10, []Kind{Refused}},
		"a loss does not resurrect":      {[]Event{token(0, 1), ended(2, 3, Done), live(11, 12)}, 10, []Kind{Resurrected}},
		"nor does it come and go":        {[]Event{token(0, 1), dead(11, 12), live(13, 14)}, 10, []Kind{Revived}},
		"but an unanswered end is lost":  {[]Event{token(0, 1), ended(4, 5, Unknown), dead(6, 7), live(12, 13)}, 10, nil},
		"if it was before the loss":      {[]Event{token(0, 1), ended(4, 5, Unknown), dead(11, 12), live(13, 14)}, 10, []Kind{Revived}},
		"and nobody was told of another": {[]Event{token(0, 1), ended(2, 3, Unknown), ended(4, 5, Done), dead(6, 7), live(12, 13)}, 10, []Kind{Resurrected}},
		"nor is it equal":                {[]Event{token(0, 1), token(11, 12)}, 10, []Kind{Duplicate}},
		"but what was claimed is":        {[]Event{at(0, 1, Claim, "x", Done), at(11, 12, Claim, "x", Done)}, 10, nil},
		"a resuming may be lost":         {[]Event{group(End, 0, 4, Done), group(Resume, 5, 6, Done), key(2, 12, "g"), dead(15, 16)}, 10, nil},
		"and an end be repeated":         {[]Event{group(End, 0, 1, Done), group(Resume, 2, 3, Done), key(11, 12, "g"), dead(15, 16)}, 10, nil},
		"the order of writing":           {[]Event{live(6, 7), ended(4, 5, Done), token(0, 1)}, 0, []Kind{Resurrected}},
		"lies that are counted each":     {[]Event{token(0, 1), ended(4, 5, Done), live(6, 7), live(8, 9)}, 0, []Kind{Resurrected, Resurrected}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []Kind
			for _, lie := range Judge(c.events, Promise{LostFrom: time.Duration(c.lost) * time.Millisecond, LostTo: time.Duration(c.lost) * time.Millisecond}).Lies {
				got = append(got, lie.Kind)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// A history that proves nothing says so.
func TestCounts(t *testing.T) {
	v := Judge([]Event{
		token(0, 1), at(2, 3, Check, "t", Live), at(4, 5, End, "t", Done),
		at(6, 7, Check, "t", Dead), at(6, 8, Check, "t", Unknown), at(9, 10, End, "t", Unknown),
	}, Promise{})
	if v.Issued != 1 || v.Ended != 1 || v.AfterEnd != 1 || v.Lies != nil {
		t.Errorf("got %+v, want one issued, one ended, one check after the end, no lie", v)
	}
}

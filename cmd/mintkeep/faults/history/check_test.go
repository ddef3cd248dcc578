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

// key is a credential that revoking its group only disables.
func key(start, end int, group string) Event {
	e := token(start, end, group)
	e.Reversible = true
	return e
}

// Each violation is found, and nothing else.
func TestVerify(t *testing.T) {
	active := func(start, end int) Event { return at(start, end, Check, "t", Active) }
	inactive := func(start, end int) Event { return at(start, end, Check, "t", Inactive) }
	unknown := func(start, end int) Event { return at(start, end, Check, "t", Unknown) }
	revoked := func(start, end int, answer Answer) Event { return at(start, end, Revoke, "t", answer) }
	remembered := func(start, lease int) Event {
		e := active(start, start)
		e.Lease = time.Duration(lease) * time.Millisecond
		return e
	}
	group := func(op Op, start, end int, answer Answer) Event { return at(start, end, op, "g", answer) }
	for name, c := range map[string]struct {
		events []Event
		lost   int
		want   []Kind
	}{
		"active, revoked, inactive":                      {[]Event{token(0, 1), active(2, 3), revoked(4, 5, Done), inactive(6, 7)}, 0, nil},
		"no answer is no violation":                      {[]Event{token(0, 1), unknown(2, 3), revoked(4, 5, Done), unknown(6, 7)}, 0, nil},
		"active after its revocation":                    {[]Event{token(0, 1), revoked(4, 5, Done), active(6, 7)}, 0, []Kind{StillActive}},
		"long after it, and inactive between":            {[]Event{token(0, 1), revoked(4, 5, Done), inactive(6, 7), active(90, 91)}, 0, []Kind{StillActive}},
		"active in spite of a second, failed revocation": {[]Event{token(0, 1), revoked(4, 5, Done), revoked(6, 7, Unknown), active(8, 9)}, 0, []Kind{StillActive}},
		"check during the revocation: either":            {[]Event{token(0, 1), revoked(4, 9, Done), active(5, 6), inactive(7, 8)}, 0, nil},
		"check that began before the revocation came":    {[]Event{token(0, 1), active(3, 20), revoked(4, 5, Done)}, 0, nil},
		"check that begins with the answer":              {[]Event{token(0, 1), revoked(4, 5, Done), active(5, 6)}, 0, nil},
		"inactive then active during the revocation":     {[]Event{token(0, 1), revoked(2, 9, Done), inactive(3, 4), active(5, 6)}, 0, []Kind{ActiveAgain}},
		"a revocation without an answer: either":         {[]Event{token(0, 1), revoked(4, 5, Unknown), active(6, 7), inactive(8, 9)}, 0, nil},
		"active again after an unanswered revocation":    {[]Event{token(0, 1), revoked(4, 5, Unknown), inactive(6, 7), active(8, 9)}, 0, []Kind{ActiveAgain}},
		"a rejected revocation revokes nothing":          {[]Event{token(0, 1), revoked(4, 5, Rejected), inactive(6, 7)}, 0, []Kind{WronglyDenied}},
		"inactive without a revocation":                  {[]Event{token(0, 1), inactive(2, 3)}, 0, []Kind{WronglyDenied}},
		"inactive before its revocation began":           {[]Event{token(0, 1), inactive(2, 3), revoked(4, 5, Done)}, 0, []Kind{WronglyDenied}},
		"inactive while it is issued":                    {[]Event{token(0, 5), inactive(2, 3)}, 0, nil},
		"active before the answer of its issue":          {[]Event{token(0, 5), active(2, 3)}, 0, nil},
		"never issued, active":                           {[]Event{active(2, 3)}, 0, []Kind{Unissued}},
		"never issued, inactive":                         {[]Event{inactive(2, 3)}, 0, nil},
		"issued without an answer, active":               {[]Event{at(0, 1, Issue, "t", Unknown), active(2, 3)}, 0, []Kind{Unissued}},

		"from memory, within the lease":             {[]Event{token(0, 1), revoked(4, 5, Done), remembered(15, 10)}, 0, nil},
		"from memory, after the lease":              {[]Event{token(0, 1), revoked(4, 5, Done), remembered(16, 10)}, 0, []Kind{StillActive}},
		"from memory, what was revoked unannounced": {[]Event{token(0, 1), revoked(4, 5, Unknown), inactive(6, 7), remembered(30, 10)}, 0, nil},
		"its group revoked":                         {[]Event{token(0, 1, "g"), group(Revoke, 2, 3, Done), active(4, 5)}, 0, []Kind{StillActive}},
		"another group revoked":                     {[]Event{token(0, 1, "h"), group(Revoke, 2, 3, Done), active(4, 5)}, 0, nil},
		"another group is no reason":                {[]Event{token(0, 1, "h"), group(Revoke, 2, 3, Done), inactive(4, 5)}, 0, []Kind{WronglyDenied}},
		"its group revoked before it was issued":    {[]Event{group(Revoke, 0, 1, Done), token(2, 3, "g"), active(4, 5)}, 0, nil},
		"that is no reason either":                  {[]Event{group(Revoke, 0, 1, Done), token(2, 3, "g"), inactive(4, 5)}, 0, []Kind{WronglyDenied}},
		"its group revoked while it was issued":     {[]Event{token(2, 6, "g"), group(Revoke, 3, 4, Done), active(7, 8), active(9, 10)}, 0, nil},
		"or inactive, and forever":                  {[]Event{token(2, 6, "g"), group(Revoke, 3, 4, Done), inactive(7, 8), active(9, 10)}, 0, []Kind{ActiveAgain}},
		"an old unanswered revocation may be late":  {[]Event{group(Revoke, 0, 1, Unknown), token(2, 3, "g"), inactive(4, 5)}, 0, nil},
		"a token is not enabled":                    {[]Event{token(0, 1, "g"), group(Revoke, 2, 3, Done), group(Enable, 4, 5, Done), active(6, 7)}, 0, []Kind{StillActive}},

		"a key is disabled":                    {[]Event{key(0, 1, "g"), group(Revoke, 2, 3, Done), active(4, 5)}, 0, []Kind{StillActive}},
		"and enabled":                          {[]Event{key(0, 1, "g"), group(Revoke, 2, 3, Done), inactive(4, 5), group(Enable, 6, 7, Done), active(8, 9)}, 0, nil},
		"it must be active then":               {[]Event{key(0, 1, "g"), group(Revoke, 2, 3, Done), group(Enable, 6, 7, Done), inactive(8, 9)}, 0, []Kind{WronglyDenied}},
		"unless enabling has no answer":        {[]Event{key(0, 1, "g"), group(Revoke, 2, 3, Done), group(Enable, 6, 7, Unknown), inactive(8, 9), active(10, 11)}, 0, nil},
		"an unanswered enabling, then revoked": {[]Event{key(0, 1, "g"), group(Revoke, 2, 3, Done), group(Enable, 4, 5, Unknown), group(Revoke, 6, 7, Done), active(8, 9)}, 0, []Kind{StillActive}},
		"an unanswered enabling may be late":   {[]Event{key(0, 1, "g"), group(Revoke, 2, 3, Unknown), group(Enable, 4, 5, Unknown), inactive(6, 7), active(8, 9)}, 0, nil},
		"disabled again":                       {[]Event{key(0, 1, "g"), group(Revoke, 2, 3, Done), group(Enable, 4, 5, Done), group(Revoke, 6, 7, Done), active(8, 9)}, 0, []Kind{StillActive}},
		"active before it is enabled":          {[]Event{key(0, 1, "g"), group(Revoke, 2, 3, Done), active(4, 5), group(Enable, 6, 7, Done)}, 0, []Kind{StillActive}},
		"its own revocation is not reversed":   {[]Event{key(0, 1, "g"), revoked(2, 3, Done), group(Enable, 4, 5, Done), active(6, 7)}, 0, []Kind{StillActive}},
		"an unanswered disabling, an enabling": {[]Event{key(0, 1, "g"), group(Revoke, 2, 3, Unknown), group(Enable, 4, 5, Done), inactive(6, 7)}, 0, nil},

		"two equal tokens":                     {[]Event{token(0, 1), token(5, 6)}, 0, []Kind{Duplicate}},
		"claimed twice":                        {[]Event{at(0, 9, Claim, "x", Done), at(1, 8, Claim, "x", Done)}, 0, []Kind{Twice}},
		"claimed once":                         {[]Event{at(0, 9, Claim, "x", Done), at(1, 8, Claim, "x", Rejected), at(1, 8, Claim, "x", Unknown)}, 0, nil},
		"lost data":                            {[]Event{token(0, 1), active(2, 3), inactive(11, 12)}, 10, nil},
		"inactive before the loss":             {[]Event{token(0, 1), inactive(2, 3)}, 10, []Kind{WronglyDenied}},
		"issued after the loss":                {[]Event{token(11, 12), inactive(13, 14)}, 10, []Kind{WronglyDenied}},
		"a loss makes nothing active":          {[]Event{token(0, 1), revoked(2, 3, Done), active(11, 12)}, 10, []Kind{StillActive}},
		"nor does it come and go":              {[]Event{token(0, 1), inactive(11, 12), active(13, 14)}, 10, []Kind{ActiveAgain}},
		"but an unanswered revocation is lost": {[]Event{token(0, 1), revoked(4, 5, Unknown), inactive(6, 7), active(12, 13)}, 10, nil},
		"if it was before the loss":            {[]Event{token(0, 1), revoked(4, 5, Unknown), inactive(11, 12), active(13, 14)}, 10, []Kind{ActiveAgain}},
		"and another was unacknowledged":       {[]Event{token(0, 1), revoked(2, 3, Unknown), revoked(4, 5, Done), inactive(6, 7), active(12, 13)}, 10, []Kind{StillActive}},
		"nor is it equal":                      {[]Event{token(0, 1), token(11, 12)}, 10, []Kind{Duplicate}},
		"but what was claimed is":              {[]Event{at(0, 1, Claim, "x", Done), at(11, 12, Claim, "x", Done)}, 10, nil},
		"an enabling may be lost":              {[]Event{group(Revoke, 0, 4, Done), group(Enable, 5, 6, Done), key(2, 12, "g"), inactive(15, 16)}, 10, nil},
		"and a revocation be replayed":         {[]Event{group(Revoke, 0, 1, Done), group(Enable, 2, 3, Done), key(11, 12, "g"), inactive(15, 16)}, 10, nil},
		"the order of writing":                 {[]Event{active(6, 7), revoked(4, 5, Done), token(0, 1)}, 0, []Kind{StillActive}},
		"each violation counts":                {[]Event{token(0, 1), revoked(4, 5, Done), active(6, 7), active(8, 9)}, 0, []Kind{StillActive, StillActive}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []Kind
			for _, v := range Verify(c.events, Promise{LostFrom: time.Duration(c.lost) * time.Millisecond, LostTo: time.Duration(c.lost) * time.Millisecond}).Violations {
				got = append(got, v.Kind)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// A history that proves nothing says so.
func TestCounts(t *testing.T) {
	r := Verify([]Event{
		token(0, 1), at(2, 3, Check, "t", Active), at(4, 5, Revoke, "t", Done),
		at(6, 7, Check, "t", Inactive), at(6, 8, Check, "t", Unknown), at(9, 10, Revoke, "t", Unknown),
	}, Promise{})
	if r.Issued != 1 || r.Revoked != 1 || r.CheckedAfter != 1 || r.Violations != nil {
		t.Errorf("got %+v, want one issued, one revoked, one check after it, no violation", r)
	}
}

package guard

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// sequences are those of the vectors, without the outcomes.
func sequences() []sequenceVector {
	own := digestOf(checksummed(vectorCredential[4:])).handle()
	self, client := base64.RawURLEncoding.EncodeToString(own[:]), "AAAAAAAAAAAAAAAAAAAAAA"
	answer := func(members string) json.RawMessage {
		return json.RawMessage(`{"nonce":"of the request",` + members + `}`)
	}
	polled := func(sent, arrived int64, members string) []step {
		return []step{{At: sent, Do: "poll"}, {At: arrived, Do: "polled", Answer: answer(members)}}
	}
	first := polled(0, 5, `"cursor":"1","reset":true,"more":false,"void":[],"fresh":3`)
	active := func(left int) json.RawMessage {
		return json.RawMessage(fmt.Sprintf(`{"active":true,"client_id":"billing","sub":"billing","token_type":"bearer","scope":"read",`+
			`"aud":"https://orders.example.com","exp":1767229200,"left":%d,"ties":["%s","%s"]}`, left, self, client))
	}
	asked := func(sent, arrived int64) []step {
		return []step{{At: sent, Do: "ask"}, {At: arrived, Do: "asked", Answer: active(3_600_000)}}
	}
	check := func(at int64) []step { return []step{{At: at, Do: "check"}} }
	void := func(handles ...string) string {
		return `"cursor":"2","reset":false,"more":false,"void":["` + strings.Join(handles, `","`) + `"],"fresh":10`
	}
	const quiet = `"cursor":"2","reset":false,"more":false,"void":[],"fresh":400`
	join := func(parts ...[]step) (all []step) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	suspended := func(s step, wall int64) []step { s.Wall = &wall; return []step{s} }
	return []sequenceVector{
		{"before the first answer", join(check(0), []step{{At: 0, Do: "poll"}}, check(2))},
		{"an answer is kept, and used while the lease lasts", join(first, check(6), asked(7, 9), check(9), check(1003), check(1004))},
		{"an answer that was kept while the guard was stale is used when it is current", join(first, asked(2000, 2010), check(2010),
			polled(2100, 2500, quiet), check(2500))},
		{"the next answer to a poll extends the lease", join(first, asked(7, 9), polled(10, 420, quiet), check(1003), check(1410), check(1411))},
		{"a void of the credential", join(first, asked(7, 9), polled(10, 30, void(self)), check(30))},
		{"a void of its client", join(first, asked(7, 9), polled(10, 30, void(client)), check(30))},
		{"a void of something else", join(first, asked(7, 9), polled(10, 30, void("AAAAAAAAAAAAAAAAAAAAAQ")), check(30))},
		{"a void while the question is under way", join(first, []step{{At: 8, Do: "ask"}}, polled(10, 30, void(client)),
			[]step{{At: 40, Do: "asked", Answer: active(3_600_000)}}, check(40))},
		{"a question after the void", join(first, polled(10, 30, void(client)), asked(31, 40), check(40))},
		{"a reset", join(first, asked(7, 9), polled(10, 30, `"cursor":"2","reset":true,"more":false,"void":[],"fresh":10`), check(30))},
		{"a void that is no handle counts as a reset", join(first, asked(7, 9), polled(10, 30, void("x")), check(30))},
		{"more: the voids count, and the time does not", join(first, asked(7, 9),
			polled(10, 30, `"cursor":"2","reset":false,"more":true,"void":["`+client+`"],"fresh":20`), check(30))},
		{"no fresh: the time does not count", join(first, asked(7, 9),
			polled(10, 30, `"cursor":"2","reset":false,"more":false,"void":[],"fresh":null`), check(30), check(1004))},
		{"an answer that knows less than the last one", join(first, polled(10, 420, quiet),
			polled(400, 500, `"cursor":"2","reset":false,"more":false,"void":[],"fresh":5`), check(500))},
		{"an answer with another nonce", join(first, asked(7, 9), []step{
			{At: 10, Do: "poll"},
			{At: 420, Do: "polled", Answer: json.RawMessage(`{"nonce":"of another request",` + quiet + `}`)},
		}, check(420), check(1004))},
		{"it expires left milliseconds after the question was sent", join(first, []step{
			{At: 7, Do: "ask"},
			{At: 100, Do: "asked", Answer: active(500)},
		}, check(506), check(507))},
		{"an answer that is not active", join(first, []step{
			{At: 7, Do: "ask"},
			{At: 9, Do: "asked", Answer: json.RawMessage(`{"active":false}`)},
		}, check(10), polled(11, 30, void("AAAAAAAAAAAAAAAAAAAAAQ")), check(30))},
		{"the machine was suspended", join(first, asked(7, 9), suspended(step{At: 100, Do: "check"}, 350), suspended(step{At: 100, Do: "check"}, 351),
			suspended(step{At: 110, Do: "poll"}, 10_110), suspended(step{At: 510, Do: "polled", Answer: answer(quiet)}, 10_510),
			suspended(step{At: 510, Do: "check"}, 10_510))},
		{"the wall clock was set back", join(first, asked(7, 9), suspended(step{At: 100, Do: "check"}, -3_600_000),
			suspended(step{At: 110, Do: "poll"}, -3_599_990), suspended(step{At: 510, Do: "polled", Answer: answer(quiet)}, -3_599_590),
			suspended(step{At: 510, Do: "check"}, -3_599_590))},
	}
}

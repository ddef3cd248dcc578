package guard

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"sync/atomic"
	"time"
)

const (
	// confirmAge is after how long a verdict is confirmed, whatever the feed says.
	confirmAge = 10 * time.Minute
	// confirmAtOnce is how many verdicts one request confirms; Mintkeep takes 1,000.
	confirmAtOnce = 500
	// confirmAfterReset is how many verdicts are confirmed after a reset at most: those that were used lately.
	confirmAfterReset = 10_000
)

// confirming is whether verdicts are being confirmed.
type confirming struct{ busy atomic.Bool }

// startConfirming confirms verdicts in the background, unless others are being confirmed.
func (g *Guard) startConfirming(ctx context.Context, all []*verdict) {
	if len(all) == 0 || g.confirming.busy.Swap(true) {
		return
	}
	g.running.Add(1)
	go func() {
		defer g.running.Done()
		defer g.confirming.busy.Store(false)
		for part := range slices.Chunk(all, confirmAtOnce) {
			if _, err := g.confirm(ctx, part); err != nil {
				return // they are asked about when they are used
			}
		}
	}()
}

// confirmGroup are credentials of one owner.
type confirmGroup struct {
	Client  string   `json:"client,omitempty"`
	User    string   `json:"user,omitempty"`
	Digests []string `json:"digests"`
	States  []string `json:"states"`

	of []*verdict
}

// confirm asks which credentials are active and as they were, keeps those, and drops the others. It asks by digest: a guard has
// no credential.
func (g *Guard) confirm(ctx context.Context, all []*verdict) (kept []*verdict, err error) {
	type owner struct{ client, user string }
	by := map[owner]*confirmGroup{}
	var groups []*confirmGroup
	for _, v := range all {
		if v.state == (state{}) {
			continue
		}
		o := owner{client: v.credential.ClientID}
		if v.credential.Type == "api_key" {
			o = owner{user: v.credential.Subject}
		}
		group := by[o]
		if group == nil {
			group = &confirmGroup{Client: o.client, User: o.user}
			by[o] = group
			groups = append(groups, group)
		}
		group.Digests = append(group.Digests, base64.RawURLEncoding.EncodeToString(v.digest[:]))
		group.States = append(group.States, base64.RawURLEncoding.EncodeToString(v.state[:]))
		group.of = append(group.of, v)
	}
	if len(groups) == 0 {
		return nil, nil
	}
	body, err := json.Marshal(map[string]any{"groups": groups})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, questionTime)
	defer cancel()
	stamp, sent := g.memory.now(), g.clock()
	var answer struct {
		Active []string `json:"active"`
	}
	if err := g.mint.post(ctx, "/oauth/confirm", "application/json", body, &answer); err != nil {
		return nil, err
	}
	for i, group := range groups {
		var bits []byte
		if i < len(answer.Active) {
			bits, _ = base64.RawURLEncoding.DecodeString(answer.Active[i])
		}
		for n, v := range group.of {
			if n/8 >= len(bits) || bits[n/8]&(1<<(n%8)) == 0 {
				g.memory.forget(v)
				continue
			}
			again := v.again(stamp, sent)
			g.memory.keep(again) // not if something was voided meanwhile: then it is not usable either
			kept = append(kept, again)
		}
	}
	return kept, nil
}

// again is the same verdict, as of a question that was sent later.
func (v *verdict) again(stamp uint64, sent instant) *verdict {
	again := &verdict{
		digest: v.digest, credential: v.credential, state: v.state, bound: v.bound, expires: v.expires, stamp: stamp, sent: sent.mono, ties: v.ties,
	}
	again.credential.verdict = again
	return again
}

package guard

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// confirmAge is after how long a verdict is confirmed, whatever the feed says.
	confirmAge = 10 * time.Minute
	// confirmAtOnce and confirmBytes are how many verdicts one request confirms, and how long it is; Mintkeep takes 1,000 and 64 KiB.
	confirmAtOnce = 500
	confirmBytes  = 60 << 10
	// confirmLength is that of one verdict in a group of its own, without the name of its owner.
	confirmLength = 100
	// confirmAfterReset is how many verdicts are confirmed after a reset at most: those that were used lately.
	confirmAfterReset = 10_000
)

// confirming is whether verdicts are being confirmed.
type confirming struct {
	busy   atomic.Bool
	failed minutely
}

// batches cuts verdicts into parts that one request confirms.
func batches(all []*verdict) (parts [][]*verdict) {
	from, bytes := 0, 0
	for i, v := range all {
		length := confirmLength + len(v.credential.owner())
		if i-from == confirmAtOnce || bytes+length > confirmBytes {
			parts = append(parts, all[from:i])
			from, bytes = i, 0
		}
		bytes += length
	}
	return append(parts, all[from:])
}

// startConfirming confirms verdicts in the background, unless others are being confirmed.
func (g *Guard) startConfirming(ctx context.Context, all []*verdict) {
	if len(all) == 0 || g.confirming.busy.Swap(true) {
		return
	}
	g.running.Add(1)
	go func() {
		defer g.running.Done()
		defer g.confirming.busy.Store(false)
		for _, part := range batches(all) {
			_, _ = g.confirm(ctx, part) // without an answer, they are asked about when they are used
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
// no credential. A failure is logged, at most once a minute. What Mintkeep does not take is dropped too: it would not take it later.
func (g *Guard) confirm(ctx context.Context, all []*verdict) (kept map[*verdict]*verdict, err error) {
	kept, err = g.confirmed(ctx, all)
	var status *statusError
	if errors.As(err, &status) && (status.status == http.StatusBadRequest || status.status == http.StatusRequestEntityTooLarge) {
		for _, v := range all {
			g.memory.forget(v)
		}
	}
	if err != nil && g.life.Err() == nil && g.confirming.failed.may(g.clock()) {
		g.config.Logger.Warn("guard: credentials cannot be confirmed", "error", err.Error())
	}
	return kept, err
}

// groupsOf are the verdicts by their owners. Those without a state cannot be confirmed.
func groupsOf(all []*verdict) (groups []*confirmGroup) {
	type owner struct{ client, user string }
	by := map[owner]*confirmGroup{}
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
	return groups
}

// confirmed is [Guard.confirm] without its handling of errors.
func (g *Guard) confirmed(ctx context.Context, all []*verdict) (kept map[*verdict]*verdict, err error) {
	groups := groupsOf(all)
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
	kept = map[*verdict]*verdict{}
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
			kept[v] = again
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

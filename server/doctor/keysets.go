package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/remotekeys"
)

const (
	// setsTried are the key sets that are fetched: some of them take the whole time of a fetch.
	setsTried = 100
	// assertionsClash is a difference of clocks by which assertions soon fail: 30 s are allowed.
	assertionsClash = 10 * time.Second
)

// keySets fetches the sets of clients, which are given by URL with the id of a client each.
func keySets(ctx context.Context, cfg *config.Config, clients map[string]string) []Check {
	if len(clients) == 0 {
		return nil
	}
	fetcher, err := remotekeys.New(remotekeys.Options{Config: cfg})
	if err != nil {
		return []Check{{Name: "key sets", State: Unknown, Found: "not fetched: " + err.Error()}}
	}
	defer fetcher.Close()
	uris := slices.Sorted(maps.Keys(clients))
	tried := uris[:min(len(uris), setsTried)]
	checks := make([]Check, len(tried))
	var all sync.WaitGroup
	for i, uri := range tried {
		all.Go(func() {
			r, err := fetcher.Probe(ctx, uri)
			checks[i] = keySet(remotekeys.Loggable(uri), clients[uri], r, err, ctx.Err() != nil)
		})
	}
	all.Wait()
	left := len(uris) - len(tried)
	if left == 0 {
		return checks
	}
	return slices.Concat(checks, []Check{{Name: "key sets", State: Unknown, Found: fmt.Sprintf("%d more were not tried", left)}})
}

// keySet is the result for one set. late is whether the time of doctor was over.
func keySet(where, client string, r *remotekeys.Report, err error, late bool) Check {
	c := Check{Name: "key set", State: OK}
	switch {
	case err != nil && late:
		c.State, c.Found = Unknown, fmt.Sprintf("%s of client %s: there was no time for it", where, client)
		return c
	case err != nil:
		c.State, c.Found = Warn, fmt.Sprintf("%s of client %s cannot be fetched: %s", where, client, err)
		c.Fix = "correct the jwks_uri of the client or its key server; a server that runs uses the keys that it has for a day"
		return c
	}
	c.Found = fmt.Sprintf("%s of client %s: keys that can be used: %d; kept for %s", where, client, r.Keys, brief(r.Kept))
	if r.Age > 0 {
		c.Found += fmt.Sprintf("; a cache had them for %s", brief(r.Age))
	}
	if r.Ahead.Abs() > assertionsClash {
		where := "ahead of"
		if r.Ahead < 0 {
			where = "behind"
		}
		c.State = Warn
		c.Found += fmt.Sprintf("; the clock of its server is %s %s this machine", brief(r.Ahead.Abs()), where)
		c.Fix = "run NTP on both machines: assertions whose iat is over 30 s ahead are rejected"
	}
	return c
}

package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mintkeep/mintkeep/server/guards"
	"github.com/mintkeep/mintkeep/store/redisdb"
)

// feed checks the feed, by which guards learn what was revoked, and the guards themselves.
func feed(ctx context.Context, o Options) []Check {
	if !o.Config.Feed || o.Store.Feed() == nil {
		return []Check{{Name: "feed", State: OK, Found: "off: services that keep answers of introspection learn of no revocation"}}
	}
	rights := Check{Name: "feed", State: OK}
	switch err := o.Store.CheckFeed(ctx); {
	case errors.Is(err, redisdb.ErrRights):
		rights.State, rights.Found = Fail, "the feed, by which guards learn of revocations, needs rights that Redis denies; serve does not start"
		rights.Fix = errors.Unwrap(err).Error() + ", or set MINTKEEP_FEED=off" // ErrRights is the command
		return []Check{rights}
	case err != nil:
		return []Check{{Name: "feed", State: Unknown, Found: "not known: " + cause(err)}}
	}
	reach, err := o.Store.FeedReach(ctx)
	switch {
	case err != nil:
		rights.State, rights.Found = Unknown, "how far it reaches back is not known: "+cause(err)
	case reach.Entries == 0:
		rights.Found = "nothing was appended yet"
	default:
		rights.Found = fmt.Sprintf("%d entries, which reach back %s", reach.Entries, lasting(reach.Span))
	}
	return append([]Check{rights}, guardChecks(ctx, o)...)
}

// lasting is a duration in its largest unit.
func lasting(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", d/time.Hour)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d minutes", d/time.Minute)
	}
	return fmt.Sprintf("%d seconds", d/time.Second)
}

// guardChecks look for guards that are late, and for those whose version is not known.
func guardChecks(ctx context.Context, o Options) []Check {
	list, err := guards.New(guards.Options{Store: o.Store, Now: o.Now}).List(ctx)
	if err != nil {
		return []Check{{Name: "guards", State: Unknown, Found: "not known: " + cause(err)}}
	}
	var late, unversioned []string
	for i := range list.Guards {
		g := &list.Guards[i]
		if g.Late {
			late = append(late, guardName(g))
		}
		if g.Version == "" {
			unversioned = append(unversioned, guardName(g))
		}
	}
	c := Check{Name: "guards", State: OK, Found: fmt.Sprintf("%d, all current", len(list.Guards))}
	switch {
	case len(list.Guards) == 0:
		c.Found = "none was heard of within the last minute"
	case list.Full:
		c.State, c.Found = Warn, fmt.Sprintf("more than %d: the others are not listed, and --wait does not count them", guards.MaxGuards)
		c.Fix = "give each instance one name that stays: mintkeep guard list shows those that poll"
	case len(late) > 0:
		c.State, c.Found = Warn, fmt.Sprintf("%d of %d late: %s; they ask at each call", len(late), len(list.Guards), firstOf(late))
		c.Fix = `docs/operations.md, "Guards"`
	}
	checks := []Check{c}
	if len(unversioned) > 0 {
		checks = append(checks, Check{
			Name: "guard versions", State: Warn, Found: fmt.Sprintf("%d of %d send no version: %s", len(unversioned), len(list.Guards), firstOf(unversioned)),
			Fix: "have each guard send its version when it polls, so that you see which ones to update",
		})
	}
	return checks
}

func guardName(g *guards.Guard) string {
	if g.Instance == "" {
		return "an unnamed one of client " + g.ClientID
	}
	return g.Instance
}

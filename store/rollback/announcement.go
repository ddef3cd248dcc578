package rollback

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// announcement is what one round of a heartbeat announces: first the payloads that were not announced yet, then those of
// the deletions that it sends again. It is a repetition if all of them were announced before.
type announcement struct {
	payloads    []any
	unannounced int // so many of the payloads, the first, were not announced yet
	cmds        []redis.Cmder
}

func (m *Monitor) newAnnouncement(ctx context.Context, entries []Entry) (a announcement) {
	if m.Announce == nil {
		return a
	}
	a.payloads = m.log.nextUnannounced(sentAtOnce)
	a.unannounced = len(a.payloads)
	has, repeats := map[any]bool{}, a.unannounced == 0
	for _, p := range a.payloads {
		has[p] = true
	}
	for _, e := range entries {
		if e.Payload != nil && !has[e.Payload] {
			has[e.Payload] = true
			a.payloads = append(a.payloads, e.Payload)
			repeats = repeats && e.Announced
		}
	}
	if len(a.payloads) > 0 {
		a.cmds = m.Announce(ctx, a.payloads, repeats)
	}
	return a
}

func (a announcement) send(ctx context.Context, p redis.Pipeliner) {
	for _, cmd := range a.cmds {
		_ = p.Process(ctx, cmd)
	}
}

// announced reads the answers. What could not be announced is announced by the next heartbeat.
func (m *Monitor) announced(ctx context.Context, a announcement) {
	if len(a.cmds) == 0 {
		return
	}
	if err := m.Announced(ctx, a.cmds); err != nil {
		m.log.announceLater(a.payloads[a.unannounced:]...)
		m.logger.WarnContext(ctx, "announcing revocations failed; the next heartbeat retries", "revocations", len(a.payloads), "error", err)
		return
	}
	if m.log.announced(a.unannounced) > 0 { // there were too many for one round
		m.hurry()
	}
}

// AnnouncedAll is whether no payload is to be announced, other than those of deletions that are sent again. A process that
// does not Run announces them now.
func (m *Monitor) AnnouncedAll(ctx context.Context) bool {
	if m.Unannounced() > 0 && !m.runs.Load() {
		m.heartbeats.Lock()
		defer m.heartbeats.Unlock()
		a := m.newAnnouncement(ctx, nil)
		_, _ = m.client.Pipelined(ctx, func(p redis.Pipeliner) error { a.send(ctx, p); return nil })
		m.announced(ctx, a)
	}
	return m.Unannounced() == 0
}

package store

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	guardsKey = "mk:guards" // a hash: replica → 1
	// guardsLifetime is how long the list of a replica is kept, which writes it more often. When a replica has stopped, the guards that
	// it alone has heard are known for as long.
	guardsLifetime = time.Minute
	// joinedLifetime is for how long a client is known to have polled.
	joinedLifetime = 24 * time.Hour
)

func guardsPartKey(replica string) string { return guardsKey + ":of:" + replica }

// HeardGuard is an instance of a service that polls the feed, as one replica has heard it.
type HeardGuard struct {
	ClientID string        `json:"c"`
	Instance string        `json:"i,omitempty"`
	Version  string        `json:"v,omitempty"`
	Lease    time.Duration `json:"l,omitempty"`
	Entries  int           `json:"n,omitempty"`
	Served   int64         `json:"s,omitempty"` // in a minute, as Refused
	Refused  int64         `json:"r,omitempty"`

	// Heard is the time since it was heard of last, and Known the age of what it knows; negative: unknown. Both as of the
	// moment at which this was written.
	Heard time.Duration `json:"h"`
	Known time.Duration `json:"k"`
}

// GuardsPart is what one replica says of guards.
type GuardsPart struct {
	Replica string        `json:"-"`
	Age     time.Duration `json:"-"` // since it was written, by Redis's clock
	Guards  []HeardGuard  `json:"g"`
	Full    bool          `json:"f,omitempty"` // there were too many, and some are missing
}

// SaveGuards writes what this replica says of guards, for a minute. The embedded store has no other replica to read it.
func (s *Store) SaveGuards(ctx context.Context, part GuardsPart) error {
	if s.Embedded() {
		return nil
	}
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.HSet(ctx, guardsKey, part.Replica, 1)
		p.PExpire(ctx, guardsKey, guardsLifetime)
		p.Set(ctx, guardsPartKey(part.Replica), encodeRecord(part), guardsLifetime)
		return nil
	})
	return unavailable("write the guards", err)
}

// GuardsParts are what the replicas say of guards, each as it has written it last. One of a newer version is left out.
func (s *Store) GuardsParts(ctx context.Context) ([]GuardsPart, error) {
	const op = "read the guards"
	if s.Embedded() {
		return nil, nil
	}
	replicas, err := s.rdb.HGetAll(ctx, guardsKey).Result()
	if err != nil {
		return nil, unavailable(op, err)
	}
	records, left := map[string]*redis.StringCmd{}, map[string]*redis.DurationCmd{}
	if _, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for replica := range replicas {
			records[replica] = p.Get(ctx, guardsPartKey(replica))
			left[replica] = p.PTTL(ctx, guardsPartKey(replica))
		}
		return nil
	}); err != nil && !errors.Is(err, redis.Nil) {
		return nil, unavailable(op, err)
	}
	var parts []GuardsPart
	for replica, record := range records {
		if errors.Is(record.Err(), redis.Nil) {
			s.forgetGuards(ctx, replica)
			continue
		}
		part := GuardsPart{Replica: replica}
		if err := decodeRecord(record.Val(), &part); errors.Is(err, ErrNewerRecord) {
			continue
		} else if err != nil {
			return nil, err
		}
		part.Age = max(0, guardsLifetime-left[replica].Val())
		parts = append(parts, part)
	}
	return parts, nil
}

// forgetGuards takes out a replica that has stopped. One that writes again enters itself again.
func (s *Store) forgetGuards(ctx context.Context, replica string) {
	if err := s.rdb.HDel(ctx, guardsKey, replica).Err(); err != nil {
		s.log.DebugContext(ctx, "forgetting the guards of a stopped replica failed; the next listing tries again", "error", err)
	}
}

// GuardJoined says whether the client has not polled the feed within the last day, and remembers that it does now.
func (s *Store) GuardJoined(ctx context.Context, clientID string) (first bool, err error) {
	first, err = s.rdb.SetNX(ctx, guardsKey+":joined:"+clientID, 1, joinedLifetime).Result()
	return first, unavailable("remember a poll", err)
}

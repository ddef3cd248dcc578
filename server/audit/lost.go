package audit

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/mintkeep/mintkeep/store"
)

// Lost is something that the audit log says exists, and that the store has not.
type Lost struct {
	Target string      // a client, a user or an API key
	Secret string      // of the client, if only that is lost
	Event  store.Event // by which it was created
}

// All reads the log of a store, the earliest event first.
func All(ctx context.Context, s *store.Store) (events []store.Event, err error) {
	for after := ""; ; {
		page, next, err := s.Events(ctx, store.EventFilter{After: after, Limit: 1000})
		if err != nil {
			return nil, err
		}
		events = append(events, page...)
		if after = next; after == "" {
			slices.Reverse(events)
			return events, nil
		}
	}
}

// FindLost goes through events of the log, the earliest first, and looks for what was created and neither deleted nor revoked
// since. Of a client's secrets it looks for the newest.
func FindLost(ctx context.Context, s *store.Store, events []store.Event) ([]Lost, error) {
	e := existing{clients: map[string]store.Event{}, users: map[string]store.Event{}, keys: map[string]store.Event{}, secrets: map[string]store.Event{}}
	for _, event := range withoutFailed(events) {
		e.add(event)
	}
	var lost []Lost
	for _, kind := range []struct {
		prefix string
		events map[string]store.Event
		absent func(context.Context, []string) ([]string, error)
	}{
		{ClientTarget(""), e.clients, s.AbsentClients}, {UserTarget(""), e.users, s.AbsentUsers}, {KeyTarget(""), e.keys, s.AbsentKeys},
	} {
		ids, err := kind.absent(ctx, slices.Sorted(maps.Keys(kind.events)))
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			lost = append(lost, Lost{Target: kind.prefix + id, Event: kind.events[id]})
			if kind.prefix == ClientTarget("") {
				delete(e.secrets, id)
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(e.secrets)) {
		c, err := s.Client(ctx, id)
		if errors.Is(err, store.ErrUnavailable) {
			return nil, err
		}
		secret := e.secrets[id].Detail["secret"]
		if err == nil && !slices.ContainsFunc(c.Secrets, func(has store.Secret) bool { return has.ID == secret }) {
			lost = append(lost, Lost{Target: ClientTarget(id), Secret: secret, Event: e.secrets[id]})
		}
	}
	return lost, nil
}

// existing is what the log says exists, by id, with the event by which it was created; of secrets, the newest of a client.
type existing struct{ clients, users, keys, secrets map[string]store.Event }

func (x *existing) add(e store.Event) {
	_, id, _ := strings.Cut(e.Target, ":")
	switch action := Action(e.Action); action {
	case ClientCreated:
		x.clients[id] = e
		if e.Detail["secret"] != "" {
			x.secrets[id] = e
		}
	case ClientDeleted:
		delete(x.clients, id)
		delete(x.secrets, id)
	case SecretRotated:
		x.secrets[id] = e
	case SecretRevoked, SecretLeaked:
		if x.secrets[id].Detail["secret"] == e.Detail["secret"] {
			delete(x.secrets, id)
		}
	case UserCreated:
		x.users[id] = e
	case UserDeleted:
		delete(x.users, id)
		maps.DeleteFunc(x.keys, func(_ string, created store.Event) bool { return created.Detail["user"] == id })
	case KeyCreated:
		x.keys[id] = e
	case KeyRotated:
		delete(x.keys, id)
		if successor := e.Detail["successor"]; successor != "" {
			x.keys[successor] = e
		}
	case KeyRevoked, KeyLeaked:
		delete(x.keys, id)
	}
}

// withoutFailed leaves out what was to be created or rotated, and was not, or perhaps not.
func withoutFailed(events []store.Event) []store.Event {
	var kept []store.Event
	for _, e := range events {
		switch action, failed := Action(e.Action).CutFailed(); {
		case !failed:
			kept = append(kept, e)
		case slices.Contains([]Action{ClientCreated, UserCreated, KeyCreated, SecretRotated, KeyRotated}, action):
			kept = TakeBack(kept, e)
		}
	}
	return kept
}

// TakeBack removes the record of the attempt of which failed says that it failed. The events are in the order of the log,
// the earliest first.
func TakeBack(events []store.Event, failed store.Event) []store.Event {
	action, _ := Action(failed.Action).CutFailed()
	for i, e := range slices.Backward(events) {
		if e.Action == string(action) && e.Target == failed.Target &&
			e.RequestID == failed.RequestID && e.ServerRequestID == failed.ServerRequestID {
			return slices.Delete(events, i, i+1)
		}
	}
	return events
}

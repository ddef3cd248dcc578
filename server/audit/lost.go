package audit

import (
	"context"
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

// FindLost goes through events of the log, the earliest first, and looks for what was created and neither deleted nor revoked
// since. Of a client's secrets it looks for the newest.
func FindLost(ctx context.Context, s *store.Store, events []store.Event) ([]Lost, error) {
	e := existing{clients: map[string]store.Event{}, users: map[string]store.Event{}, keys: map[string]store.Event{}, secrets: map[string]store.Event{}}
	for _, event := range events {
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
	switch action, failed := Action(e.Action).CutFailed(); {
	case failed:
		x.failed(action, id, e)
	case action == ClientCreated:
		x.clients[id] = e
		if e.Detail["secret"] != "" {
			x.secrets[id] = e
		}
	case action == ClientDeleted:
		delete(x.clients, id)
		delete(x.secrets, id)
	case action == SecretRotated:
		x.secrets[id] = e
	case action == SecretRevoked || action == SecretLeaked:
		if x.secrets[id].Detail["secret"] == e.Detail["secret"] {
			delete(x.secrets, id)
		}
	case action == UserCreated:
		x.users[id] = e
	case action == UserDeleted:
		delete(x.users, id)
		maps.DeleteFunc(x.keys, func(_ string, created store.Event) bool { return created.Detail["user"] == id })
	case action == KeyCreated:
		x.keys[id] = e
	case action == KeyRotated:
		delete(x.keys, id)
		if successor := e.Detail["successor"]; successor != "" {
			x.keys[successor] = e
		}
	case action == KeyRevoked || action == KeyLeaked:
		delete(x.keys, id)
	}
}

// failed takes back what was recorded, and then not made.
func (x *existing) failed(action Action, id string, e store.Event) {
	switch of := map[Action]map[string]store.Event{ClientCreated: x.clients, UserCreated: x.users, KeyCreated: x.keys, SecretRotated: x.secrets}[action]; {
	case of[id].RequestID != e.RequestID:
	case action == ClientCreated:
		delete(x.secrets, id)
		fallthrough
	default:
		delete(of, id)
	}
	if action == KeyRotated {
		delete(x.keys, e.Detail["successor"])
	}
}

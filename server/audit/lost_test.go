package audit_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

func event(action audit.Action, target, requestID string, detail map[string]string) store.Event {
	return store.Event{Action: string(action), Target: target, RequestID: "same", ServerRequestID: requestID, Detail: detail}
}

// What was to be created or rotated, and was not, is not lost. What stood there before is looked for.
func TestLostAfterFailures(t *testing.T) {
	b := storetest.Embedded(t)
	s := b.Open(t)
	billing := &store.Client{ID: "billing", Metadata: store.ClientMetadata{CreatedAt: b.Clock.Now()}}
	if err := s.CreateClient(t.Context(), billing); err != nil {
		t.Fatal(err)
	}
	first, second := map[string]string{"secret": "sec_1"}, map[string]string{"secret": "sec_2"}
	events := []store.Event{
		event(audit.ClientCreated, "client:billing", "1", first),
		event(audit.SecretRotated, "client:billing", "2", second),
		event(audit.SecretRotated.Failed(), "client:billing", "2", second),
		event(audit.ClientCreated, "client:absent", "3", nil),
		event(audit.ClientCreated.Failed(), "client:absent", "3", nil),
		event(audit.ClientCreated, "client:gone", "4", nil),
		event(audit.ClientCreated, "client:gone", "5", nil), // another request with the same id of the caller's
		event(audit.ClientCreated.Failed(), "client:gone", "5", nil),
		event(audit.KeyCreated, "key:key_1", "6", nil),
		event(audit.KeyRotated, "key:key_1", "7", map[string]string{"successor": "key_2"}),
		event(audit.KeyRotated.Failed(), "key:key_1", "7", map[string]string{"successor": "key_2"}),
	}
	lost, err := audit.FindLost(t.Context(), s, events)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"client:gone": "", "key:key_1": "", "client:billing": "sec_1"}
	for _, l := range lost {
		if secret, ok := want[l.Target]; !ok || secret != l.Secret {
			t.Errorf("%s %s is not lost", l.Target, l.Secret)
		}
		delete(want, l.Target)
	}
	if len(want) > 0 {
		t.Errorf("not found: %v", want)
	}
}

// A store that does not answer has lost nothing for all that is known: it is an error.
func TestLostWithoutAnswer(t *testing.T) {
	s := storetest.Embedded(t).Open(t)
	ctx, cancel := context.WithTimeout(t.Context(), -time.Second)
	defer cancel()
	events := []store.Event{event(audit.SecretRotated, "client:billing", "1", map[string]string{"secret": "sec_1"})}
	if _, err := audit.FindLost(ctx, s, events); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

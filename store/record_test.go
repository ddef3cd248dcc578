package store_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// A record that a newer Mintkeep wrote, or that is damaged, is an error; only a revocation writes over it.
func TestRecordsFailClosed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		d := store.DigestOf("token")
		setToken := func(record string) {
			if b.Server == nil {
				b.Do("HSET", "mk:t:"+hexByte(d[0]), string(d[:]), record)
			} else {
				b.Do("SET", "mk:t:"+string(d[:]), record)
			}
		}
		readClient := map[string]func() error{
			"Client":              func() error { _, err := s.Client(ctx, "a"); return err },
			"ClientAndCredential": func() error { _, _, err := s.ClientAndCredential(ctx, "a", d); return err },
			"UpdateClient": func() error {
				_, err := s.UpdateClient(ctx, "a", store.Cause{}, func(*store.ClientMetadata) (bool, error) { return true, nil })
				return err
			},
			"EnableClient":    func() error { return s.EnableClient(ctx, "a", store.Cause{}) },
			"StartGeneration": func() error { _, err := startGeneration(ctx, s, "a"); return err },
			"AddSecret": func() error {
				_, err := s.AddSecret(ctx, "a", secret(b, "new"), time.Time{}, store.Cause{})
				return err
			},
			"Clients": func() error { _, _, err := s.Clients(ctx, "", "", 10); return err },
		}
		digest := strings.Repeat("d", 32)
		for name, c := range map[string]struct {
			write func()
			want  error
			read  map[string]func() error
		}{
			"newer client":   {func() { b.Do("HSET", "mk:c:a", "meta", `2{"name":"x"}`) }, store.ErrNewerRecord, readClient},
			"newer secret":   {func() { b.Do("HSET", "mk:c:a", "s:x", digest+`2{}`) }, store.ErrNewerRecord, readClient},
			"empty client":   {func() { b.Do("HSET", "mk:c:a", "meta", "") }, store.ErrUnavailable, readClient},
			"half a client":  {func() { b.Do("HSET", "mk:c:a", "meta", `1{"name":"x`) }, store.ErrUnavailable, readClient},
			"wrong member":   {func() { b.Do("HSET", "mk:c:a", "meta", `1{"name":7}`) }, store.ErrUnavailable, readClient},
			"short digest":   {func() { b.Do("HSET", "mk:c:a", "s:x", `1{}`) }, store.ErrUnavailable, readClient},
			"half a secret":  {func() { b.Do("HSET", "mk:c:a", "s:x", digest+`1{`) }, store.ErrUnavailable, readClient},
			"a bare digest":  {func() { b.Do("HSET", "mk:c:a", "s:x", digest) }, store.ErrUnavailable, readClient},
			"another type":   {func() { b.Do("DEL", "mk:c:a"); b.Do("SET", "mk:c:a", "x") }, store.ErrUnavailable, readClient},
			"newer token":    {func() { setToken("2" + strings.Repeat("g", 16)) }, store.ErrNewerRecord, readToken(t, s, d)},
			"newer, shorter": {func() { setToken("2") }, store.ErrNewerRecord, readToken(t, s, d)},
			"empty token":    {func() { setToken("") }, store.ErrUnavailable, readToken(t, s, d)},
			"half a token":   {func() { setToken("1" + strings.Repeat("g", 15)) }, store.ErrUnavailable, readToken(t, s, d)},
			"newer event":    {func() { b.Do("XADD", "mk:audit", "*", "e", "2{}") }, store.ErrNewerRecord, readEvents(t, s)},
			"half an event":  {func() { b.Do("XADD", "mk:audit", "*", "e", "1{") }, store.ErrUnavailable, readEvents(t, s)},
			"no event":       {func() { b.Do("XADD", "mk:audit", "*", "x", "1{}") }, store.ErrUnavailable, readEvents(t, s)},
		} {
			t.Run(name, func(t *testing.T) {
				create(t, s, "a")
				c.write()
				for op, read := range c.read {
					err := read()
					if !errors.Is(err, c.want) || !errors.Is(err, store.ErrUnavailable) {
						t.Errorf("%s: got %v, want %v", op, err, c.want)
					}
				}
				// The revocations work all the same, and leave nothing but the log.
				for op, err := range map[string]error{
					"RevokeToken": s.RevokeToken(ctx, d, store.Cause{}), "DeleteClient": s.DeleteClient(ctx, "a", store.Cause{}),
				} {
					if err != nil {
						t.Errorf("%s: %v", op, err)
					}
				}
				b.Do("DEL", "mk:audit")
				if name == "another type" { // which has no secrets that could be read
					b.Do("DEL", "mk:secrets")
				}
				for key, value := range b.Dump(t) {
					if key != "mk:clients:name" { // the name in the record could not be read
						t.Errorf("left behind: %s %q", key, value)
					}
				}
			})
		}
	})
}

// A client whose record cannot be read can be disabled, and its tokens revoked.
func TestUnreadableClientCanBeRevoked(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := b.Open(t)
		create(t, s, "a")
		b.Do("HSET", "mk:c:a", "meta", "2{}")
		must(t, s.RevokeClientTokens(t.Context(), "a", store.Cause{}))
		if got := b.Do("HEXISTS", "mk:c:a", "gen"); got != int64(0) {
			t.Error("the generation is still there")
		}
		must(t, s.RevokeSecret(t.Context(), "a", "sec_1", store.Cause{}))
		must(t, s.DisableClient(t.Context(), "a", store.Cause{}))
		if got := b.Do("HKEYS", "mk:c:a"); len(got.([]any)) != 2 {
			t.Errorf("fields: %v, want meta and life alone", got)
		}
	})
}

func readToken(t *testing.T, s *store.Store, d store.Digest) map[string]func() error {
	return map[string]func() error{
		"Credential":          func() error { _, err := s.Credential(t.Context(), d); return err },
		"ClientAndCredential": func() error { _, _, err := s.ClientAndCredential(t.Context(), "a", d); return err },
	}
}

func readEvents(t *testing.T, s *store.Store) map[string]func() error {
	return map[string]func() error{
		"Events": func() error { _, _, err := s.Events(t.Context(), store.EventFilter{}); return err },
	}
}

func hexByte(b byte) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[b>>4], digits[b&15]})
}

// The same for users and their keys: a revocation need not understand what it revokes.
func TestUsersFailClosed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		for name, c := range map[string]struct {
			field, value string
			want         error
		}{
			"newer person":     {"meta", `2{"email":"x@example.com"}`, store.ErrNewerRecord},
			"empty person":     {"meta", "", store.ErrUnavailable},
			"half a person":    {"meta", `1{"email":"x`, store.ErrUnavailable},
			"wrong member":     {"meta", `1{"email":7}`, store.ErrUnavailable},
			"newer invite":     {"invite", "2" + strings.Repeat("d", 40), store.ErrNewerRecord},
			"half an invite":   {"invite", "1" + strings.Repeat("d", 39), store.ErrUnavailable},
			"no invite at all": {"invite", "", store.ErrUnavailable},
		} {
			t.Run(name, func(t *testing.T) {
				u := add(t, s, "a@example.com")
				k := makeKey(t, b, s, u, "key", 0)
				b.Do("HSET", "mk:p:"+u.ID, c.field, c.value)
				for op, do := range map[string]func() error{
					"User":         func() error { _, err := s.User(ctx, u.ID); return err },
					"UserByEmail":  func() error { _, err := s.UserByEmail(ctx, "a@example.com"); return err },
					"Users":        func() error { _, _, err := s.Users(ctx, "", "", 10); return err },
					"UpdateUser":   func() error { _, err := s.UpdateUser(ctx, u.ID, store.Cause{}, rename("x")); return err },
					"EnableUser":   func() error { return s.EnableUser(ctx, u.ID, store.Cause{}) },
					"PromoteUser":  func() error { return s.PromoteUser(ctx, u.ID, store.Cause{}) },
					"InviteUser":   func() error { return s.InviteUser(ctx, u.ID, store.Invite{}, store.Cause{}) },
					"RedeemInvite": func() error { return s.RedeemInvite(ctx, u.ID, store.DigestOf("code of a@example.com"), nil) },
				} {
					if err := do(); !errors.Is(err, c.want) || !errors.Is(err, store.ErrUnavailable) {
						t.Errorf("%s: got %v, want %v", op, err, c.want)
					}
				}
				must(t, s.DemoteUser(ctx, u.ID, store.Cause{}))
				must(t, s.DisableUser(ctx, u.ID, store.Cause{}))
				for _, field := range []string{"op", "on"} {
					if b.Do("HEXISTS", "mk:p:"+u.ID, field) != int64(0) {
						t.Errorf("the field %s is still there", field)
					}
				}
				must(t, s.DeleteUser(ctx, u.ID, ended(b, "")))
				if opens(t, b, s, k) || describe(t, s, k.ID).Active {
					t.Error("the key of the deleted person is live")
				}
				if got := people(t, s, "", 10); got != nil {
					t.Errorf("there are %v", got)
				}
			})
		}
	})
}

func TestKeysFailClosed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		u := add(t, s, "a@example.com")
		generations := strings.Repeat("g", 32)
		for name, c := range map[string]struct {
			record, description string // of which one is as it was
			want                error
		}{
			"newer record":          {record: "k2" + generations + "{}", want: store.ErrNewerRecord},
			"another kind":          {record: "x1" + generations + "{}", want: store.ErrNewerRecord},
			"half the generations":  {record: "k1" + generations[:31], want: store.ErrUnavailable},
			"hardly anything":       {record: "k", want: store.ErrUnavailable},
			"half a record":         {record: "k1" + generations + `{"id":"key_`, want: store.ErrUnavailable},
			"no record":             {record: "k1" + generations, want: store.ErrUnavailable},
			"wrong member":          {record: "k1" + generations + `{"expires":"never"}`, want: store.ErrUnavailable},
			"newer description":     {description: "2{}", want: store.ErrNewerRecord},
			"no description":        {description: "-", want: store.ErrUnavailable},
			"half a description":    {description: `1{"user":"`, want: store.ErrUnavailable},
			"a wrong member":        {description: `1{"ended":7}`, want: store.ErrUnavailable},
			"an expiry of nonsense": {description: `1{"expires":"never"}`, want: store.ErrUnavailable},
		} {
			t.Run(name, func(t *testing.T) {
				k := makeKey(t, b, s, u, "damaged", 0)
				ops := map[string]func() error{
					"Credential":          func() error { _, err := s.Credential(ctx, k.Digest); return err },
					"ClientAndCredential": func() error { _, _, err := s.ClientAndCredential(ctx, "a", k.Digest); return err },
					"ExpireKey":           func() error { return s.ExpireKey(ctx, k, b.Clock.Now(), "key_next", store.Cause{}) },
				}
				switch {
				case c.description != "":
					b.Do("SET", "mk:k:"+k.ID, string(k.Digest[:])+strings.TrimPrefix(c.description, "-"))
					ops = map[string]func() error{"Key": func() error { _, err := s.Key(ctx, k.ID); return err }}
					// It does not keep the others from being listed, nor is it passed over.
					listed, _, err := s.Keys(ctx, store.KeyFilter{UserID: u.ID, State: store.StateLive}, "", 10)
					if err != nil || len(listed) != 1 || listed[0].ID != k.ID || !errors.Is(listed[0].Unreadable, c.want) {
						t.Errorf("Keys: got %v, %v", listed, err)
					}
				case b.Server == nil:
					b.Do("HSET", "mk:t:"+hexByte(k.Digest[0]), string(k.Digest[:]), c.record)
				default:
					b.Do("SET", "mk:t:"+string(k.Digest[:]), c.record)
				}
				for op, do := range ops {
					if err := do(); !errors.Is(err, c.want) || !errors.Is(err, store.ErrUnavailable) {
						t.Errorf("%s: got %v, want %v", op, err, c.want)
					}
				}
				// It can be revoked all the same.
				if wasLive, err := s.RevokeKey(ctx, k.ID, ended(b, "damaged")); !wasLive || err != nil {
					t.Errorf("RevokeKey: got %v, %v", wasLive, err)
				}
				_, err := s.Credential(ctx, k.Digest)
				wantErr(t, "ended", err, store.ErrNotFound)
				b.Do("DEL", "mk:k:"+k.ID)
			})
		}
	})
}

// What leaked is revoked, readable or not.
func TestRevokeUnreadableLeaks(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := b.Open(t)
		u := add(t, s, "a@example.com")
		k, described := makeKey(t, b, s, u, "its record is damaged", 0), makeKey(t, b, s, u, "its description is damaged", 0)
		b.Do("SET", "mk:k:"+described.ID, string(described.Digest[:])+"2{}")
		if b.Server == nil {
			b.Do("HSET", "mk:t:"+hexByte(k.Digest[0]), string(k.Digest[:]), "k2")
		} else {
			b.Do("SET", "mk:t:"+string(k.Digest[:]), "k2")
		}
		leaked(t, b, s, k.Digest, described.Digest)
		for _, d := range []store.Digest{k.Digest, described.Digest} {
			_, err := s.Credential(t.Context(), d)
			wantErr(t, "ended", err, store.ErrNotFound)
		}
	})
}

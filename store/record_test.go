package store_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// What a newer Mintkeep wrote, and what is damaged, is neither yes nor no; and nothing writes over it but an end.
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
			"Client":         func() error { _, err := s.Client(ctx, "a"); return err },
			"ClientAndToken": func() error { _, _, err := s.ClientAndToken(ctx, "a", d); return err },
			"UpdateClient": func() error {
				_, err := s.UpdateClient(ctx, "a", func(*store.ClientMetadata) (bool, error) { return true, nil })
				return err
			},
			"EnableClient":    func() error { return s.EnableClient(ctx, "a") },
			"StartGeneration": func() error { _, err := s.StartGeneration(ctx, "a"); return err },
			"AddSecret":       func() error { _, err := s.AddSecret(ctx, "a", secret(b, "new"), time.Time{}); return err },
			"Clients":         func() error { _, _, err := s.Clients(ctx, "", "", 10); return err },
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
				// The ends work all the same, and leave nothing but the log.
				for op, err := range map[string]error{
					"EndToken": s.EndToken(ctx, d), "DeleteClient": s.DeleteClient(ctx, "a"),
				} {
					if err != nil {
						t.Errorf("%s: %v", op, err)
					}
				}
				b.Do("DEL", "mk:audit")
				for key, value := range b.Dump(t) {
					if key != "mk:clients:name" { // the name in the record could not be read
						t.Errorf("left behind: %s %q", key, value)
					}
				}
			})
		}
	})
}

// A client whose record cannot be read can be disabled, and its tokens ended.
func TestUnreadableClientCanBeEnded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := b.Open(t)
		create(t, s, "a")
		b.Do("HSET", "mk:c:a", "meta", "2{}")
		must(t, s.EndClientTokens(t.Context(), "a"))
		if got := b.Do("HEXISTS", "mk:c:a", "gen"); got != int64(0) {
			t.Error("the generation is still there")
		}
		must(t, s.EndSecret(t.Context(), "a", "sec_1"))
		must(t, s.DisableClient(t.Context(), "a"))
		if got := b.Do("HKEYS", "mk:c:a"); len(got.([]any)) != 1 {
			t.Errorf("fields: %v, want meta alone", got)
		}
	})
}

func readToken(t *testing.T, s *store.Store, d store.Digest) map[string]func() error {
	return map[string]func() error{
		"Token":          func() error { _, err := s.Token(t.Context(), d); return err },
		"ClientAndToken": func() error { _, _, err := s.ClientAndToken(t.Context(), "a", d); return err },
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

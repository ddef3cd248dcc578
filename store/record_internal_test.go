package store

import (
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"
)

// refused checks that a decoder's error, if it has one, fails closed.
func refused(t *testing.T, err error) bool {
	t.Helper()
	if err != nil && !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v does not match %v", err, ErrUnavailable)
	}
	return err != nil
}

func FuzzTokenRecord(f *testing.F) {
	for _, seed := range []string{"", "1", "2", "1sixteen bytes....", "1sixteen bytes....{}", "1sixteen bytes..."} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		r, err := parseTokenRecord(value)
		if refused(t, err) {
			return
		}
		if got := string(recordVersion) + string(r.Generation[:]) + string(r.Claims); got != string(value) {
			t.Errorf("%q was read as %q", value, got)
		}
	})
}

func FuzzClientRecord(f *testing.F) {
	digest := DigestOf("x")
	f.Add("", "1", "", "")
	f.Add(`1{"name":"x","created":"2026-01-02T03:04:05Z"}`, "1", "sixteen bytes...", string(digest[:])+`1{"created":"2026-01-02T03:04:05Z"}`)
	f.Add(`1null`, "", "\x00", string(digest[:])+"1")
	f.Add(`2{}`, "1", "sixteen bytes...", "1{}")
	f.Fuzz(func(t *testing.T, meta, on, gen, secret string) {
		c, err := decodeClient("a", map[string]string{metaField: meta, onField: on, genField: gen, secretField + "x": secret})
		if refused(t, err) {
			return
		}
		// What was understood can be written again, and says the same.
		again, err := decodeClient("a", map[string]string{
			metaField: encodeRecord(c.Metadata), onField: on, genField: gen, secretField + "x": encodeSecret(c.Secrets[0]),
		})
		if err != nil || again.Generation != c.Generation || again.Secrets[0].Digest != c.Secrets[0].Digest || again.Metadata.Scope != c.Metadata.Scope {
			t.Errorf("got %+v, %v; want %+v", again, err, c)
		}
	})
}

func FuzzEvent(f *testing.F) {
	for _, seed := range []string{"", "1", "2{}", `1{"at":"2026-01-02T03:04:05Z","detail":{"a":"b"}}`, `1{"detail":null}`, "1[]"} {
		f.Add("1-1", seed)
	}
	f.Fuzz(func(t *testing.T, id, record string) {
		e, err := decodeEvent(redis.XMessage{ID: id, Values: map[string]any{"e": record}})
		if !refused(t, err) && e.ID != id {
			t.Errorf("got the ID %q, want %q", e.ID, id)
		}
	})
}

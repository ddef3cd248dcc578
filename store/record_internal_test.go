package store

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
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

func FuzzCredentialRecord(f *testing.F) {
	for _, seed := range []string{
		"", "1", "2", "1sixteen bytes....", "1sixteen bytes....{}", "1sixteen bytes...", "k", "k1", "k2sixteen bytes....",
		"k1sixteen bytes....sixteen bytes....", `k1sixteen bytes.sixteen bytes.{"id":"key_x","user":"usr_x","expires":1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		r, err := parseCredential(string(value), decodeKeyRecord)
		if refused(t, err) {
			return
		}
		if r.Key == nil {
			if got := string(recordVersion) + string(r.Generation[:]) + string(r.Claims); got != string(value) {
				t.Errorf("%q was read as %q", value, got)
			}
			return
		}
		again, err := parseCredential(string(encodeKeyRecord(r)), decodeKeyRecord)
		if err != nil || again.Generation != r.Generation || !cmp.Equal(again.Key, r.Key, cmpopts.EquateEmpty()) {
			t.Errorf("%q was read as %+v, and that as %+v, %v", value, r, again, err)
		}
	})
}

func FuzzUserRecord(f *testing.F) {
	f.Add("", "", "", "")
	f.Add(`1{"email":"a@b","created":"2026-01-02T03:04:05Z"}`, "sixteen bytes...", "sixteen bytes...", "1"+string(make([]byte, 40)))
	f.Add(`2{}`, "\x00", "short", "2")
	f.Fuzz(func(t *testing.T, meta, gen, op, invite string) {
		u, err := new(decoded).user("a", map[string]string{metaField: meta, genField: gen, operatorField: op, inviteField: invite})
		if refused(t, err) {
			return
		}
		again, err := new(decoded).user("a", map[string]string{
			metaField: encodeRecord(u.Metadata), genField: gen, operatorField: op, inviteField: string(encodeInvite(*u.Invite)),
		})
		if err != nil || again.Generation != u.Generation || again.Operator != u.Operator || *again.Invite != *u.Invite || again.Metadata.Email != u.Metadata.Email {
			t.Errorf("got %+v, %v; want %+v", again, err, u)
		}
	})
}

func FuzzKeyDescription(f *testing.F) {
	digest := DigestOf("x")
	for _, seed := range []string{
		"", "1{}", string(digest[:]), string(digest[:]) + `1{"user":"usr_x","ended":{"at":"2026-01-02T03:04:05Z","by":"b","why":"w"}}`, string(digest[:]) + "2{}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, record string) {
		k, err := decodeKey("key_x", record)
		if refused(t, err) {
			return
		}
		again, err := decodeKey("key_x", string(k.Digest[:])+encodeRecord(k))
		if err != nil || again.Digest != k.Digest || again.UserID != k.UserID || (again.Tombstone == nil) != (k.Tombstone == nil) {
			t.Errorf("%q was read as %+v, and that as %+v, %v", record, k, again, err)
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
		c, err := new(decoded).client("a", map[string]string{metaField: meta, onField: on, genField: gen, secretField + "x": secret})
		if refused(t, err) {
			return
		}
		// What was understood can be written again, and says the same.
		again, err := new(decoded).client("a", map[string]string{
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

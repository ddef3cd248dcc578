package store

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const goodRecord = `{"v":1,"rev":"A","keys":[
	{"id":"k1","alg":"ES256","sealed":"AAEC","public":{"kty":"EC"},"created_at":"2026-01-01T00:00:00Z","published_at":"2026-01-01T00:00:00Z","activated_at":"2026-01-01T00:00:00Z"},
	{"id":"k2","alg":"EdDSA","sealed":"AwQF","public":{"kty":"OKP"},"created_at":"2026-01-01T00:00:00Z","published_at":"2026-01-01T00:00:30Z"},
	{"id":"k0","alg":"RS256","public":{"kty":"RSA"},"created_at":"2025-01-01T00:00:00Z","published_at":"2025-01-01T00:00:30Z","activated_at":"2025-06-01T00:00:00Z","retired_at":"2026-01-01T00:00:00Z","remove_at":"2026-01-02T00:05:00Z"}]}`

func TestDecodeKeyring(t *testing.T) {
	ring, err := decodeKeyring([]byte(goodRecord))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, k := range ring.Keys {
		got[k.ID] = k.State()
	}
	want := map[string]string{"k0": KeyRetired, "k1": KeyActive, "k2": KeyNext}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if ring.Active().ID != "k1" || ring.Next().ID != "k2" {
		t.Errorf("active = %s, next = %s", ring.Active().ID, ring.Next().ID)
	}
	if got, want := string(ring.Active().Sealed), "\x00\x01\x02"; got != want {
		t.Errorf("sealed = %q, want %q", got, want)
	}
	if got, want := ring.Next().PublishedAt, time.Date(2026, 1, 1, 0, 0, 30, 0, time.UTC); !got.Equal(want) {
		t.Errorf("published at %s, want %s", got, want)
	}
}

func TestDecodeKeyringFailsClosed(t *testing.T) {
	for name, c := range map[string]struct {
		record string
		want   error
	}{
		"newer, of another shape":     {`{"v":2,"rev":7,"keys":{"a":1}}`, ErrNewerRecord},
		"newer, of the same shape":    {strings.Replace(goodRecord, `"v":1`, `"v":9`, 1), ErrNewerRecord},
		"no version":                  {strings.Replace(goodRecord, `"v":1,`, ``, 1), ErrKeyringDamaged},
		"negative version":            {strings.Replace(goodRecord, `"v":1`, `"v":-1`, 1), ErrKeyringDamaged},
		"empty":                       {``, ErrKeyringDamaged},
		"cut":                         {goodRecord[:200], ErrKeyringDamaged},
		"null":                        {`null`, ErrKeyringDamaged},
		"no revision":                 {strings.Replace(goodRecord, `"rev":"A",`, ``, 1), ErrKeyringDamaged},
		"no keys":                     {`{"v":1,"rev":"A","keys":[]}`, ErrKeyringDamaged},
		"two active":                  {strings.Replace(goodRecord, `"published_at":"2026-01-01T00:00:30Z"`, `"activated_at":"2026-01-01T00:00:30Z"`, 1), ErrKeyringDamaged},
		"the same key twice":          {strings.Replace(goodRecord, `"k0"`, `"k1"`, 1), ErrKeyringDamaged},
		"a key without algorithm":     {strings.Replace(goodRecord, `"alg":"RS256",`, ``, 1), ErrKeyringDamaged},
		"a key without public part":   {strings.Replace(goodRecord, `"public":{"kty":"RSA"},`, ``, 1), ErrKeyringDamaged},
		"a key retired for ever":      {strings.Replace(goodRecord, `,"remove_at":"2026-01-02T00:05:00Z"`, ``, 1), ErrKeyringDamaged},
		"a time that is none":         {strings.Replace(goodRecord, `"2025-06-01T00:00:00Z"`, `"June"`, 1), ErrKeyringDamaged},
		"a private part that is none": {strings.Replace(goodRecord, `"AAEC"`, `"*"`, 1), ErrKeyringDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := decodeKeyring([]byte(c.record))
			if !errors.Is(err, c.want) || got != nil {
				t.Errorf("got %v, %v; want %v", got, err, c.want)
			}
		})
	}
}

// A record is rejected, or survives being written and read again.
func FuzzDecodeKeyring(f *testing.F) {
	f.Add([]byte(goodRecord))
	f.Add([]byte(`{"v":2}`))
	f.Add([]byte(`{"v":1,"rev":"A","keys":[{"id":"","public":null},{}]}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, record []byte) {
		ring, err := decodeKeyring(record)
		if err != nil {
			if !errors.Is(err, ErrNewerRecord) && !errors.Is(err, ErrKeyringDamaged) {
				t.Errorf("an error without a kind: %v", err)
			}
			return
		}
		if ring.Active().ID == "" || ring.Next().ID == "" {
			t.Fatalf("no active or no next key: %+v", ring)
		}
		written, err := encodeKeyring(*ring)
		if err != nil {
			t.Fatalf("%+v cannot be written: %v", ring, err)
		}
		again, err := decodeKeyring(written)
		if err != nil {
			t.Fatalf("%s cannot be read: %v", written, err)
		}
		rewritten, err := encodeKeyring(*again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(written), string(rewritten)); diff != "" {
			t.Error(diff)
		}
		for i, k := range again.Keys {
			if k.State() != ring.Keys[i].State() || !json.Valid(k.Public) {
				t.Errorf("key %d changed: %+v, %+v", i, ring.Keys[i], k)
			}
		}
	})
}

package store

import (
	"testing"
	"time"
)

// BenchmarkRecord decodes what Redis returned: a client that is in the decode cache, one that is not, a token and an
// API key.
func BenchmarkRecord(b *testing.B) {
	now := time.Now().UTC()
	fields := map[string]string{
		metaField: encodeRecord(ClientMetadata{Name: "Billing", Scope: "read write", GrantTypes: []string{"client_credentials"}, CreatedAt: now}),
		onField:   "1", genField: "sixteen bytes...",
		secretField + "sec_a": encodeSecret(Secret{Digest: DigestOf("a"), LastFour: "abcd", CreatedAt: now}),
	}
	s := &Store{}
	read := func(b *testing.B) {
		if _, err := s.decoded.client("billing", fields); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("client", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			read(b)
		}
	})
	b.Run("client/new", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.decoded.clients.known.Clear()
			s.decoded.secrets.known.Clear()
			read(b)
		}
	})
	for name, value := range map[string][]byte{
		"token": []byte("1sixteen bytes..."),
		"key": encodeKeyRecord(&Credential{
			Generation: NewGeneration(), Key: &KeyRecord{ID: "key_a", UserID: "usr_a", Name: "deploy", Scope: "read write", CreatedAt: now.UnixMilli()},
		}),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := parseCredential(string(value), decodeKeyRecord); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

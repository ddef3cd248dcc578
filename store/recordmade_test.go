package store_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/server/password"
	"github.com/mintkeep/mintkeep/server/seal"
	"github.com/mintkeep/mintkeep/server/signing"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// made is what the records in testdata were created from and what cannot be created twice, so that a server can be
// started on them. It is worth nothing anywhere else.
type made struct {
	MasterKey      string             `json:"master_key"`
	Secrets        [2]string          `json:"client_secrets"` // of billing: the one that ends, and the one that stays
	JWT            string             `json:"jwt"`            // of billing, until 2100
	Opaque         string             `json:"opaque_token"`
	APIKeys        [5]string          `json:"api_keys"`
	Password       string             `json:"password"` // Ada's
	SealedPassword []byte             `json:"sealed_password"`
	Keys           []store.SigningKey `json:"signing_keys"`
}

const (
	recordDir = "testdata/records"
	madeFile  = "made.json"
)

func readMade(t *testing.T) (m made) {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(recordDir, madeFile))
	must(t, err)
	must(t, json.Unmarshal(body, &m))
	for i, k := range m.Keys {
		var compact bytes.Buffer // the file is indented for readers
		must(t, json.Compact(&compact, k.Public))
		m.Keys[i].Public = compact.Bytes()
	}
	return m
}

// makeAll writes the file if there is none, with what the packages above the store make today.
func makeAll(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(recordDir, madeFile)); err == nil {
		return
	}
	key := []byte("a master key for tests, 32 bytes")
	m := made{
		MasterKey: base64.StdEncoding.EncodeToString(key),
		Secrets:   [2]string{credential.NewSecret("mk"), credential.NewSecret("mk")},
		Opaque:    credential.NewToken("mk"),
		Password:  "a password for tests",
	}
	for i := range m.APIKeys {
		m.APIKeys[i] = credential.NewKey("mk")
	}
	v, err := seal.New([][]byte{key})
	must(t, err)
	m.SealedPassword, err = password.New(password.Options{Vault: v}).Hash(t.Context(), adaID, m.Password)
	must(t, err)
	m.Keys, m.JWT = makeSigningKeys(t, key)
	body, err := json.MarshalIndent(m, "", "  ")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(recordDir, madeFile), append(body, '\n'), 0o600))
}

// makeSigningKeys makes an active, a next and a retired key, and a token of the active one.
func makeSigningKeys(t *testing.T, masterKey []byte) (keys []store.SigningKey, jwt string) {
	t.Helper()
	b := storetest.Embedded(t)
	b.Clock.Advance(recordTime.Add(-time.Hour).Sub(b.Clock.Now()))
	r, err := signing.New(signing.Options{
		Store: b.Open(t), MasterKeys: [][]byte{masterKey}, Algorithm: "ES256", TokenTTLMax: 24 * time.Hour, Now: b.Clock.Now,
	})
	must(t, err)
	must(t, r.Load(t.Context()))
	b.Clock.Advance(time.Hour)
	must(t, r.Rotate(t.Context(), signing.NoKeys))
	ring, err := b.Open(t).Keyring(t.Context())
	must(t, err)
	jwt, err = r.Sign(fmt.Appendf(nil,
		`{"iss":"http://localhost:8080","sub":"billing","client_id":"billing","aud":["https://api.example.com"],"scope":"read write","jti":"1","iat":%d,"exp":%d}`,
		recordTime.Unix(), recordFar.Unix()))
	must(t, err)
	return ring.Keys, jwt
}

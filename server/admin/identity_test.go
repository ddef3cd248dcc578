package admin

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/store"
)

func TestNewClientID(t *testing.T) {
	for _, id := range []string{"a", "billing", "A-z_0.9~", "...", ".a", "usr", "user_1", "Usr_1", strings.Repeat("a", 128)} {
		if got, err := newClientID(parse(t, `{"client_id":"`+id+`"}`)); got != id || err != nil {
			t.Errorf("got %q, %v; want %q", got, err, id)
		}
	}
	for _, value := range []string{`""`, `"."`, `".."`, `"usr_1"`, `"key_"`, `"a b"`, `"a/b"`, `"a\n"`, `"é"`, `1`, `"` + strings.Repeat("a", 129) + `"`} {
		_, err := newClientID(object{"client_id": json.RawMessage(value)})
		checkRefusal(t, err, "client_id")
	}
	for _, body := range []string{`{}`, `{"client_id":null}`} {
		one, _ := newClientID(parse(t, body))
		two, _ := newClientID(parse(t, body))
		if checkID(one) != nil || !strings.HasPrefix(one, "c_") || one == two {
			t.Errorf("%s: got %q and %q", body, one, two)
		}
	}
}

func TestNewSecret(t *testing.T) {
	a := New(Options{Config: &config.Config{KeyPrefix: "mk", MasterKeys: [][]byte{masterKey(1)}}})
	made, plain, err := a.newSecret(object{})
	if err != nil || !credential.WellFormed(plain) || made.Digest != store.DigestOf(plain) || made.LastFour != plain[len(plain)-4:] {
		t.Errorf("got %+v, %v", made, err)
	}
	for _, secret := range []string{strings.Repeat("a", 32), strings.Repeat(" ~", 128)} {
		s, plain, err := a.newSecret(parse(t, `{"client_secret":"`+secret+`"}`))
		if err != nil || plain != "" || s.LastFour != "" || s.Digest != store.DigestOf(secret) {
			t.Errorf("imported %d characters: got %+v, %q, %v", len(secret), s, plain, err)
		}
	}
	for _, value := range []string{`""`, `1`, `"` + strings.Repeat("a", 31) + `"`, `"` + strings.Repeat("a", 257) + `"`, `"` + strings.Repeat("é", 32) + `"`, `"` + strings.Repeat("a", 32) + `\u007f"`} {
		if _, _, err := a.newSecret(object{"client_secret": json.RawMessage(value)}); err == nil {
			t.Errorf("%s was imported", value)
		}
	}
}

func TestReadOverlap(t *testing.T) {
	for text, want := range map[string]time.Duration{
		`{}`: 24 * time.Hour, `{"overlap":null}`: 24 * time.Hour, `{"overlap":"0s"}`: 0, `{"overlap":"1h30m"}`: 90 * time.Minute, `{"overlap":"720h"}`: 720 * time.Hour,
	} {
		if got, err := readOverlap(parse(t, text)); got != want || err != nil {
			t.Errorf("%s: got %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{`{"overlap":""}`, `{"overlap":"-1s"}`, `{"overlap":"720h1ns"}`, `{"overlap":"24"}`, `{"overlap":24}`, `{"overlap":"1d"}`} {
		if got, err := readOverlap(parse(t, text)); err == nil {
			t.Errorf("%s: got %v, want a refusal", text, got)
		}
	}
}

package clients

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

func TestNewClientID(t *testing.T) {
	for _, id := range []string{"a", "billing", "A-z_0.9~", "...", ".a", "usr", "user_1", "Usr_1", strings.Repeat("a", 128)} {
		if got, err := newClientID(parse(t, `{"client_id":"`+id+`"}`)); got != id || err != nil {
			t.Errorf("got %q, %v; want %q", got, err, id)
		}
	}
	for _, value := range []string{`""`, `"."`, `".."`, `"usr_1"`, `"key_"`, `"a b"`, `"a/b"`, `"a\n"`, `"é"`, `1`, `"` + strings.Repeat("a", 129) + `"`} {
		_, err := newClientID(web.Object{"client_id": json.RawMessage(value)})
		checkRefusal(t, err, "client_id")
	}
	for _, body := range []string{`{}`, `{"client_id":null}`} {
		one, _ := newClientID(parse(t, body))
		two, _ := newClientID(parse(t, body))
		if CheckID(one) != nil || !strings.HasPrefix(one, "c_") || one == two {
			t.Errorf("%s: got %q and %q", body, one, two)
		}
	}
}

func TestNewSecret(t *testing.T) {
	a := &Registry{Config: &config.Config{KeyPrefix: "mk", MasterKeys: [][]byte{make([]byte, 32)}}, Now: time.Now}
	made, plain, err := a.newSecret(web.Object{}, "c")
	if err != nil || !credential.WellFormed(plain) || made.Digest != store.DigestOf(plain) || made.LastFour != plain[len(plain)-4:] {
		t.Errorf("got %+v, %v", made, err)
	}
	for _, secret := range []string{strings.Repeat("a", 32), strings.Repeat(" ~", 128)} {
		s, plain, err := a.newSecret(parse(t, `{"client_secret":"`+secret+`"}`), "c")
		if err != nil || plain != "" || s.LastFour != "" || s.Digest != store.DigestOf(secret) {
			t.Errorf("imported %d characters: got %+v, %q, %v", len(secret), s, plain, err)
		}
	}
	for _, value := range []string{`""`, `1`, `"` + strings.Repeat("a", 31) + `"`, `"` + strings.Repeat("a", 257) + `"`, `"` + strings.Repeat("é", 32) + `"`, `"` + strings.Repeat("a", 32) + `\u007f"`} {
		if _, _, err := a.newSecret(web.Object{"client_secret": json.RawMessage(value)}, "c"); err == nil {
			t.Errorf("%s was imported", value)
		}
	}
}

package invite_test

import (
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/server/invite"
	"github.com/mintkeep/mintkeep/store"
)

func TestCode(t *testing.T) {
	id := store.NewUserID()
	code, digest := invite.New(id)
	userID, parsed, ok := invite.Parse(code)
	if userID != id || parsed != digest || !ok {
		t.Errorf("got %q, %v, %v; want %q and the digest of the code", userID, parsed, ok, id)
	}
	if again, _ := invite.New(id); again == code {
		t.Error("two codes are the same")
	}
	if got, want := invite.URL("https://auth.example.com", code), "https://auth.example.com/invite/"+code; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestParseRejects(t *testing.T) {
	code, _ := invite.New(store.NewUserID())
	for _, bad := range []string{
		"", code[1:], code + "a", strings.ToUpper(code), code[:51] + "1", code[:51] + "/", code[:50] + "é", code + "\n", "usr_" + code[4:], "\x00" + code[1:],
	} {
		if _, _, ok := invite.Parse(bad); ok {
			t.Errorf("%q is taken for a code", bad)
		}
	}
}

func FuzzParse(f *testing.F) {
	code, _ := invite.New(store.NewUserID())
	for _, seed := range []string{"", code, code + "\n", code[1:], "usr_" + code} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, code string) {
		userID, digest, ok := invite.Parse(code)
		if !ok {
			return
		}
		if len(userID) != len("usr_")+26 || !strings.HasPrefix(code, userID[4:]) || digest != store.DigestOf(code) {
			t.Errorf("%q is %q's", code, userID)
		}
	})
}

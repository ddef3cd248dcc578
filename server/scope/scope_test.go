package scope_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/scope"
)

func TestHas(t *testing.T) {
	for _, tt := range []struct {
		scope, token string
		want         bool
	}{
		{"read", "read", true},
		{"read write", "write", true},
		{"read write", "read", true},
		{"", "read", false},
		{"read", "", false},
		{"", "", false},
		{"reader", "read", false},
		{"read", "reader", false},
		{"mintkeep:keys", "mintkeep", false},
		{"read  write", "", false},
		{"read write", "read write", false},
		{"READ", "read", false},
		{"xmintkeep:admin", scope.Admin, false},
		{"mintkeep:administrator", scope.Admin, false},
	} {
		if got := scope.Has(tt.scope, tt.token); got != tt.want {
			t.Errorf("Has(%q, %q) = %v, want %v", tt.scope, tt.token, got, tt.want)
		}
	}
}

func TestBeyond(t *testing.T) {
	for _, tt := range []struct {
		scope, allowed string
		want           []string
	}{
		{"read", "read write", nil},
		{"", "", nil},
		{"", "read", nil},
		{"write read", "read write", nil},
		{"read", "", []string{"read"}},
		{"read admin x", "x", []string{"read", "admin"}},
		{"mintkeep:admin", "admin mintkeep:", []string{"mintkeep:admin"}},
	} {
		if diff := cmp.Diff(tt.want, scope.Beyond(tt.scope, tt.allowed)); diff != "" {
			t.Errorf("Beyond(%q, %q) (-want +got)\n%s", tt.scope, tt.allowed, diff)
		}
	}
}

func TestWithout(t *testing.T) {
	for _, tt := range [][3]string{
		{"read write", "read", "write"},
		{"read", "read", ""},
		{"read", "write", "read"},
		{"", "read", ""},
		{"a b a", "a", "b"},
		{"reader read", "read", "reader"},
		{"mintkeep:admin mintkeep:keys", scope.Admin, scope.Keys},
	} {
		if got := scope.Without(tt[0], tt[1]); got != tt[2] {
			t.Errorf("Without(%q, %q) = %q, want %q", tt[0], tt[1], got, tt[2])
		}
	}
	all := strings.Join(scope.Own, " read ") + " write"
	if got := scope.WithoutOwn(all); got != "read read write" || scope.HasOwn(got) || !scope.HasOwn(all) {
		t.Errorf("of %q is left %q", all, got)
	}
}

func TestOwn(t *testing.T) {
	for token, want := range map[string]bool{
		scope.Admin: true, scope.Introspect: true, scope.Keys: true, "mintkeep:": true, "mintkeep:new": true,
		"mintkeep": false, "admin": false, "": false, "Mintkeep:admin": false, "my-mintkeep:admin": false,
	} {
		if got := scope.IsOwn(token); got != want {
			t.Errorf("IsOwn(%q) = %v, want %v", token, got, want)
		}
	}
}

// RFC 6749 §3.3.
func TestValid(t *testing.T) {
	for s, want := range map[string]bool{
		"read": true, "read write": true, "!": true, "#[]~": true, "urn:x:y/z?a=b&c": true, "mintkeep:admin": true,
		"": false, " ": false, " read": false, "read ": false, "read  write": false, "read\twrite": false, "read\n": false,
		`re"ad`: false, `re\ad`: false, "réad": false, "read\x7f": false, "read\x00": false,
	} {
		if got := scope.Valid(s); got != want {
			t.Errorf("Valid(%q) = %v, want %v", s, got, want)
		}
	}
}

func FuzzScope(f *testing.F) {
	for _, seed := range []string{"", "read write", " a", "mintkeep:keys x", "a  b"} {
		f.Add(seed, "a")
	}
	f.Fuzz(func(t *testing.T, s, token string) {
		if !scope.Valid(s) || !scope.Valid(token) || strings.Contains(token, " ") {
			return
		}
		if got := scope.Without(s, token); scope.Has(got, token) || len(scope.Beyond(got, s)) > 0 {
			t.Errorf("Without(%q, %q) = %q", s, token, got)
		}
		if got := scope.Beyond(s, s); got != nil {
			t.Errorf("Beyond(%q, itself) = %q", s, got)
		}
		if scope.Has(s, token) != (len(scope.Beyond(token, s)) == 0) {
			t.Errorf("Has and Beyond differ on %q and %q", s, token)
		}
	})
}

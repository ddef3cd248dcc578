package server_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// TestBearerBudget counts the round trips of a request with a bearer credential.
func TestBearerBudget(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		e := newTokenEndpoint(t, b)
		u, _ := users(t, e.Server)
		k := e.Key(t, u, servertest.M{"scope": "read"})
		rs := e.introspector(t)
		tokens := map[string]string{}
		for _, format := range []string{"jwt", "opaque"} {
			tokens[format] = e.Token(t, e.Register(t, servertest.M{"scope": "read", "access_token_format": format}))
		}
		wrongChecksum := k.Plain[:len(k.Plain)-1] + string(otherLetter(k.Plain[len(k.Plain)-1]))
		for what, budget := range map[string]struct {
			trips int
			do    func()
		}{
			"an API key":                 {2, func() { e.Me(t, k.Plain).Want(t, 200, "") }},
			"an opaque token":            {2, func() { e.Me(t, tokens["opaque"]).Want(t, 200, "") }},
			"a JWT":                      {1, func() { e.Me(t, tokens["jwt"]).Want(t, 200, "") }},
			"introspection of a key":     {2, func() { e.Introspect(t, rs, k.Plain) }},
			"no credential":              {0, func() { e.Get(t, mePath).Want(t, 401, "invalid_token") }},
			"junk":                       {0, func() { e.Me(t, "junk").Want(t, 401, "invalid_token") }},
			"a truncated key":            {0, func() { e.Me(t, k.Plain[:len(k.Plain)-1]).Want(t, 401, "invalid_token") }},
			"a key with one letter more": {0, func() { e.Me(t, k.Plain+"0").Want(t, 401, "invalid_token") }},
			"a key in upper case":        {0, func() { e.Me(t, strings.ToUpper(k.Plain)).Want(t, 401, "invalid_token") }},
			"a key, case-flipped":        {0, func() { e.Me(t, caseFlipped(k.Plain)).Want(t, 401, "invalid_token") }},
			"a key with a wrong end":     {0, func() { e.Me(t, wrongChecksum).Want(t, 401, "invalid_token") }},
			"junk at introspection":      {1, func() { e.Introspect(t, rs, caseFlipped(k.Plain)) }},
			"junk that revokes itself":   {0, func() { selfRevoke(t, e.Server, caseFlipped(k.Plain), caseFlipped(k.Plain)).Want(t, 200, "") }},
		} {
			if cost := e.trips(t, budget.do); total(cost) != budget.trips {
				t.Errorf("%s costs the round trips %v, want %d", what, cost, budget.trips)
			}
		}
	})
}

// caseFlipped is a key with the case of one letter changed.
func caseFlipped(key string) string {
	i := strings.IndexFunc(key[3:], func(r rune) bool { return r >= 'A' }) + 3
	return key[:i] + string(rune(key[i]^0x20)) + key[i+1:]
}

func otherLetter(c byte) byte {
	if c == 'x' {
		return 'y'
	}
	return 'x'
}

func TestKeyMaterial(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t))
	u, _ := users(t, s)
	t.Run("a key is shown once", func(t *testing.T) {
		manager := s.Key(t, u, servertest.M{"scope": "read mintkeep:keys"})
		made := s.API(t, "POST", apiKeysPath, manager.Plain, servertest.M{"name": "shown once"}).Want(t, 201, "")
		k := s.NewKey(t, made)
		if got, want := made.Header.Get("Location"), servertest.Issuer+apiKeysPath+"/"+k.ID; got != want {
			t.Errorf("Location: got %q, want %q", got, want)
		}
		for _, path := range []string{apiKeysPath, apiKeysPath + "/" + k.ID, apiKeysPath + "?q=shown"} {
			r := s.API(t, "GET", path, manager.Plain, nil).Want(t, 200, "")
			masked := k.Plain[:7] + "…" + k.Plain[len(k.Plain)-4:]
			if strings.Contains(r.Body, k.Plain) || strings.Contains(r.Body, k.Plain[3:12]) || !strings.Contains(r.Body, masked) {
				t.Errorf("%s: %s", path, r.Body)
			}
		}
		view := s.API(t, "GET", apiKeysPath+"/"+k.ID, manager.Plain, nil).JSON(t)
		want := servertest.M{
			"id": k.ID, "name": "shown once", "scope": "read", "masked": view["masked"], "last_four": k.Plain[len(k.Plain)-4:], "state": "active", "disabled": false,
			"created_at": s.Clock.Now().Format(time.RFC3339Nano), "expires_at": nil, "last_used": nil, "ended": nil, "rotated_to": nil,
		}
		delete(view, "uses_by_day")
		if diff := cmp.Diff(want, view); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		for _, path := range []string{"/admin/keys", "/admin/keys/" + k.ID, "/admin/audit"} {
			if r := s.Admin(t, "GET", path, nil).Want(t, 200, ""); strings.Contains(r.Body, k.Plain[3:40]) {
				t.Errorf("%s shows the key", path)
			}
		}
	})
	t.Run("a thousand keys are unique and unpredictable", func(t *testing.T) {
		seen, letters := map[string]bool{}, [40]map[byte]bool{}
		for range 1000 {
			k := credential.NewKey("mk")
			if seen[k] || len(k) != 3+46 {
				t.Errorf("%q", k)
			}
			seen[k] = true
			for i := range letters {
				if letters[i] == nil {
					letters[i] = map[byte]bool{}
				}
				letters[i][k[3+i]] = true
			}
		}
		for i, found := range letters { // of 62, each is missed with the probability of 1e-7
			if len(found) < 58 {
				t.Errorf("at place %d there are only %d letters", i, len(found))
			}
		}
	})
	t.Run("the 1,001st key is rejected", func(t *testing.T) { tooManyKeys(t, s) })
}

func tooManyKeys(t *testing.T, s *servertest.Server) {
	u := s.User(t, servertest.M{"email": "many@example.com"})
	manager := s.Key(t, u, servertest.M{"scope": "read mintkeep:keys"})
	owner, err := s.Store.User(t.Context(), u.ID)
	if err != nil {
		t.Fatal(err)
	}
	for i := range store.MaxActiveKeys - 1 {
		at := s.Clock.Now()
		k := &store.APIKey{ID: store.NewKeyID(at), UserID: u.ID, Name: fmt.Sprint("n", i), Scope: "read", Masked: "mk_Ab3d…9xQz", CreatedAt: at}
		k.Digest = store.DigestOf(k.ID)
		if err := s.Store.CreateKey(t.Context(), k, owner); err != nil {
			t.Fatal(err)
		}
	}
	make1 := func() servertest.Response {
		return s.API(t, "POST", apiKeysPath, manager.Plain, servertest.M{"name": "one more"})
	}
	if r := make1().Want(t, 409, "conflict"); !strings.Contains(r.Body, "1,000") {
		t.Errorf("the limit is not told: %s", r.Body)
	}
	s.API(t, "POST", apiKeysPath+"/"+manager.ID+"/rotate", manager.Plain, nil).Want(t, 409, "conflict")
	ids := map[string]bool{}
	for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
		var page struct {
			Items []struct{ ID string }
			Next  string `json:"next_cursor"`
		}
		r := s.API(t, "GET", apiKeysPath+"?limit=200&cursor="+cursor, manager.Plain, nil).Want(t, 200, "")
		if err := json.Unmarshal([]byte(r.Body), &page); err != nil || len(page.Items) > 200 || pages > 10 {
			t.Fatalf("page %d of %d: %v", pages, len(page.Items), err)
		}
		for _, item := range page.Items {
			ids[item.ID] = true
		}
		cursor = page.Next
	}
	if len(ids) != store.MaxActiveKeys {
		t.Errorf("%d are listed", len(ids))
	}
	delete(ids, manager.ID)
	for id := range ids {
		s.API(t, "DELETE", apiKeysPath+"/"+id, manager.Plain, nil).Want(t, 204, "")
		break
	}
	s.NewKey(t, make1().Want(t, 201, ""))
}

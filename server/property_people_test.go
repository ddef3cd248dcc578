package server_test

import (
	"net/http"
	"time"

	"pgregory.net/rapid"

	"github.com/mintkeep/mintkeep/server/servertest"
)

// What the machine of TestProperty does to users and to their keys.

func (m *machine) person(rt *rapid.T) *modelUser {
	return one(rt, "user", filter(m.users, func(u *modelUser) bool { return !u.gone }))
}

func (m *machine) patchUser(rt *rapid.T, u *modelUser, change servertest.M) {
	m.either(rt).Admin(m.t, "PATCH", "/admin/users/"+u.ID, change).Want(m.t, 200, "")
}

// AddUser adds a user, who may be an operator, under a new email or that of a deleted user.
func (m *machine) AddUser(rt *rapid.T) {
	if len(filter(m.users, func(u *modelUser) bool { return !u.gone })) >= 4 {
		rt.Skip("enough users")
	}
	u := &modelUser{}
	metadata := servertest.M{"email": m.name("u") + "@example.com", "role": "developer"}
	if gone := filter(m.users, func(u *modelUser) bool { return u.gone && !u.succeeded }); len(gone) > 0 {
		metadata["email"], gone[0].succeeded = gone[0].Email, true
	}
	if rapid.Bool().Draw(rt, "operator") {
		metadata["role"], u.term = "operator", m.number()
	}
	u.User = m.either(rt).User(m.t, metadata)
	m.users = append(m.users, u)
}

// DisableUser disables one.
func (m *machine) DisableUser(rt *rapid.T) {
	u := m.person(rt)
	m.patchUser(rt, u, servertest.M{"disabled": true})
	u.disabled = true
}

// EnableUser enables one again.
func (m *machine) EnableUser(rt *rapid.T) {
	u := one(rt, "disabled user", filter(m.users, func(u *modelUser) bool { return u.disabled && !u.gone }))
	m.patchUser(rt, u, servertest.M{"disabled": false})
	u.disabled = false
}

// ChangeRole promotes a developer or demotes an operator, and may take it back at once: the role has another generation
// then.
func (m *machine) ChangeRole(rt *rapid.T) {
	u := m.person(rt)
	for range rapid.IntRange(1, 2).Draw(rt, "times") {
		if u.term != 0 {
			m.patchUser(rt, u, servertest.M{"role": "developer"})
			u.term = 0
			continue
		}
		m.patchUser(rt, u, servertest.M{"role": "operator"})
		u.term = m.number()
	}
}

// RenameUser changes what no key depends on.
func (m *machine) RenameUser(rt *rapid.T) {
	u := m.person(rt)
	u.Email = m.name("U") + "@example.com"
	m.patchUser(rt, u, servertest.M{"email": u.Email, "name": m.name("Name ")})
}

// DeleteUser deletes one.
func (m *machine) DeleteUser(rt *rapid.T) {
	u := m.person(rt)
	m.either(rt).Admin(m.t, "DELETE", "/admin/users/"+u.ID, nil).Want(m.t, 204, "")
	u.gone = true
}

// expiry draws when a new key expires: never, or some time.
func (m *machine) expiry(rt *rapid.T) (ends time.Time) {
	if d := rapid.SampledFrom([]time.Duration{0, 0, time.Minute, 10 * time.Minute, 2 * time.Hour}).Draw(rt, "lives"); d > 0 {
		ends = m.b.Clock.Now().Add(d)
	}
	return ends
}

// CreateKey has an operator create one.
func (m *machine) CreateKey(rt *rapid.T) {
	u := m.person(rt)
	m.makeKey(rt, u, m.scope(rt, u), m.expiry(rt))
}

// scope draws one that a user may give to a key.
func (m *machine) scope(rt *rapid.T, u *modelUser) string {
	scopes := []string{"read", "read mintkeep:keys"}
	if u.term != 0 {
		scopes = append(scopes, "read mintkeep:keys mintkeep:admin", "read mintkeep:admin")
	}
	return rapid.SampledFrom(scopes).Draw(rt, "scope")
}

func (m *machine) makeKey(rt *rapid.T, u *modelUser, scope string, ends time.Time) {
	metadata := servertest.M{"name": m.name("key "), "scope": scope}
	if !ends.IsZero() {
		metadata["expires_at"] = ends
	}
	k := m.either(rt).Key(m.t, u.User, metadata)
	m.add(&modelCredential{
		plain: k.Plain, keyID: k.ID, user: u, made: "a key", expires: ends,
		manages: has(scope, "mintkeep:keys"), administers: has(scope, "mintkeep:admin"), term: u.term,
	})
}

// manager is an active key that may manage others.
func (m *machine) manager(rt *rapid.T) *modelCredential {
	return one(rt, "manager", m.keys(func(c *modelCredential) bool { return c.manages && m.live(c) }))
}

// CreateKeyByKey has a key create another, which expires no later.
func (m *machine) CreateKeyByKey(rt *rapid.T) {
	by := m.manager(rt)
	ends := m.expiry(rt)
	metadata := servertest.M{"name": m.name("key ")}
	if !ends.IsZero() {
		ends = earlier(ends, by.expires)
		metadata["expires_at"] = ends
	}
	s := m.either(rt)
	k := s.NewKey(m.t, s.API(m.t, "POST", apiKeysPath, by.plain, metadata).Want(m.t, 201, ""))
	m.add(&modelCredential{plain: k.Plain, keyID: k.ID, user: by.user, made: "a key by a key", expires: earlier(ends, by.expires)})
}

// RotateKey has a key rotate another of the same user, or itself: once, or again if the successor was revoked.
func (m *machine) RotateKey(rt *rapid.T) {
	by, s := m.manager(rt), m.either(rt)
	old := one(rt, "key", m.keys(func(c *modelCredential) bool {
		return c.user == by.user && c.at(m.b.Clock.Now()) != unsure && c.replaced() != unsure
	}))
	overlap := rapid.SampledFrom([]time.Duration{0, time.Minute, time.Hour}).Draw(rt, "overlap")
	r := s.API(m.t, "POST", apiKeysPath+"/"+old.keyID+"/rotate", by.plain, servertest.M{"overlap": overlap.String()})
	if !m.live(old) || old.replaced() == mustBeLive {
		r.Want(m.t, http.StatusConflict, "conflict")
		return
	}
	ends := old.expires
	if old.successor != nil {
		ends = old.successor.expires // what it was before the first rotation brought it forward
	}
	k, now := s.NewKey(m.t, r.Want(m.t, 201, "")), m.b.Clock.Now()
	old.successor = &modelCredential{plain: k.Plain, keyID: k.ID, user: by.user, made: "a successor", expires: earlier(ends, by.expires)}
	m.add(old.successor)
	if old.expires = earlier(old.expires, now.Add(overlap)); overlap == 0 {
		old.end("rotated", now)
	}
}

// RevokeKey revokes a key in one of the possible ways, whatever state it is in.
func (m *machine) RevokeKey(rt *rapid.T) {
	c, s := one(rt, "key", m.keys(func(*modelCredential) bool { return true })), m.either(rt)
	how := rapid.SampledFrom([]string{"by itself", "by its owner", "by an operator"}).Draw(rt, "how")
	switch how {
	case "by itself":
		selfRevoke(m.t, s, c.plain, c.plain).Want(m.t, 200, "")
	case "by its owner":
		by := m.manager(rt)
		status, code := 204, ""
		if by.user != c.user {
			status, code = 404, "not_found"
		}
		if s.API(m.t, "DELETE", apiKeysPath+"/"+c.keyID, by.plain, nil).Want(m.t, status, code); status == 404 {
			return
		}
	case "by an operator":
		s.Admin(m.t, "DELETE", "/admin/keys/"+c.keyID, nil).Want(m.t, 204, "")
	}
	c.end("revoked "+how, m.b.Clock.Now())
}

// RevokeForeignKey has a client try, in vain.
func (m *machine) RevokeForeignKey(rt *rapid.T) {
	c := one(rt, "key", m.keys(m.live))
	m.either(rt).Revoke(m.t, m.rs, c.plain).Want(m.t, 400, "invalid_grant")
}

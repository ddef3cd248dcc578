package server_test

import (
	"net/http"
	"time"

	"pgregory.net/rapid"

	"github.com/mintkeep/mintkeep/server/servertest"
)

// What the machine of TestProperty changes of keys that stay.

// there is whether a key is active, or disabled, or its owner is: it can be changed.
func (m *machine) there(c *modelCredential) bool {
	return c.ended == "" && !c.user.gone && (c.expires.IsZero() || m.b.Clock.Now().Before(c.expires))
}

// anyKey is a key in any state, but so near to its expiry that it is not known.
func (m *machine) anyKey(rt *rapid.T) *modelCredential {
	return one(rt, "key", m.keys(func(c *modelCredential) bool {
		return c.expires.IsZero() || c.expires.Sub(m.b.Clock.Now()) > 10*time.Second || !m.b.Clock.Now().Before(c.expires)
	}))
}

// patchKey changes a key as an operator does, or as its owner does through another key; nil: that one may not. A key that is no
// longer there is a conflict.
func (m *machine) patchKey(rt *rapid.T, c *modelCredential, change servertest.M) *servertest.Response {
	s := m.either(rt)
	owners := m.keys(func(by *modelCredential) bool { return by.user == c.user && by.manages && m.live(by) })
	if len(owners) == 0 || rapid.Bool().Draw(rt, "operator") {
		r := s.Admin(m.t, "PATCH", "/admin/keys/"+c.keyID, change)
		return &r
	}
	by := one(rt, "manager", owners)
	r := s.API(m.t, "PATCH", apiKeysPath+"/"+c.keyID, by.plain, change)
	if enables := change["disabled"] == false; enables && c.disabled && m.there(c) && c.administers && !by.opensAdmin() {
		r.Want(m.t, http.StatusForbidden, "insufficient_scope")
		return nil
	}
	return &r
}

// changed is whether a key was changed, as it must be if it is there.
func (m *machine) changed(c *modelCredential, r *servertest.Response) bool {
	if r != nil && !m.there(c) {
		r.Want(m.t, http.StatusConflict, "conflict")
		return false
	}
	if r != nil {
		r.Want(m.t, http.StatusOK, "")
	}
	return r != nil
}

// DisableKey disables one, whatever state it is in.
func (m *machine) DisableKey(rt *rapid.T) {
	if c := m.anyKey(rt); m.changed(c, m.patchKey(rt, c, servertest.M{"disabled": true})) {
		c.disabled = true
	}
}

// EnableKey enables one, whatever state it is in.
func (m *machine) EnableKey(rt *rapid.T) {
	if c := m.anyKey(rt); m.changed(c, m.patchKey(rt, c, servertest.M{"disabled": false})) {
		c.disabled = false
	}
}

// NarrowKey takes Mintkeep's own scopes from one, and tries in vain to give it another.
func (m *machine) NarrowKey(rt *rapid.T) {
	c := m.anyKey(rt)
	if r := m.patchKey(rt, c, servertest.M{"scope": "read"}); !m.changed(c, r) {
		return
	}
	c.manages, c.administers = false, false
	m.patchKey(rt, c, servertest.M{"scope": "read mintkeep:admin"}).Want(m.t, http.StatusBadRequest, "invalid_scope")
}

// ShortenKey brings the expiry of one forward, or tries in vain to put it off.
func (m *machine) ShortenKey(rt *rapid.T) {
	c, now := m.anyKey(rt), m.b.Clock.Now()
	ends := now.Add(rapid.SampledFrom([]time.Duration{time.Minute, 10 * time.Minute, 2 * time.Hour}).Draw(rt, "lives"))
	r := m.patchKey(rt, c, servertest.M{"expires_at": ends})
	if m.there(c) && !c.expires.IsZero() && ends.After(c.expires) {
		r.Want(m.t, http.StatusBadRequest, "invalid_request")
		return
	}
	if m.changed(c, r) {
		c.expires = ends
	}
}

// RevokeKeys revokes several at once, whatever states they are in.
func (m *machine) RevokeKeys(rt *rapid.T) {
	var several []*modelCredential
	var ids []string
	for range rapid.IntRange(1, 2).Draw(rt, "keys") {
		c := one(rt, "key", m.keys(func(*modelCredential) bool { return true }))
		several, ids = append(several, c), append(ids, c.keyID)
	}
	m.either(rt).Admin(m.t, "POST", "/admin/keys/revoke", servertest.M{"ids": ids}).Want(m.t, http.StatusOK, "")
	for _, c := range several {
		c.end("revoked with others", m.b.Clock.Now())
	}
}

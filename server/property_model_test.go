package server_test

import (
	"fmt"
	"slices"
	"time"

	"github.com/mintkeep/mintkeep/server/servertest"
)

// The model of TestProperty: users, clients and credentials, with no more than decides which credential must be active.

type modelUser struct {
	servertest.User
	gone, disabled bool
	succeeded      bool // another user has the email
	term           int  // of office as an operator, each with a number of its own; 0: a developer
}

type modelClient struct {
	servertest.Client
	format         string
	gone, disabled bool
	scope          string
	life           int // another after everything that revokes all tokens
}

// modelCredential is a key of a user or a token of a client.
type modelCredential struct {
	plain   string
	keyID   string
	made    string // how, for the report
	ended   string // how; empty: not
	endedAt time.Time
	expires time.Time

	user        *modelUser
	disabled    bool
	successor   *modelCredential
	manages     bool // has mintkeep:keys
	administers bool // has mintkeep:admin, under this
	term        int

	client *modelClient
	life   int
}

// verdict is what a server must say of a credential.
type verdict int

const (
	mustBeDead verdict = iota
	mustBeLive
	unsure // so near to its expiry that the clock of a real Redis decides
)

func (c *modelCredential) at(now time.Time) verdict {
	switch {
	case c.ended != "" || c.disabled:
		return mustBeDead
	case c.user != nil && (c.user.gone || c.user.disabled):
		return mustBeDead
	case c.client != nil && (c.client.gone || c.client.disabled || c.client.life != c.life):
		return mustBeDead
	case c.expires.IsZero() || now.Before(c.expires.Add(-10*time.Second)):
		return mustBeLive
	case now.Before(c.expires):
		return unsure
	}
	return mustBeDead
}

// end revokes it, if nothing has.
func (c *modelCredential) end(how string, now time.Time) {
	if c.ended == "" {
		c.ended, c.endedAt = how, now
	}
}

// replaced is whether a successor took its place that was not revoked before its expiry and before it had a successor
// of its own. Unsure: it was revoked too near to that time.
func (c *modelCredential) replaced() verdict {
	s := c.successor
	switch {
	case s == nil:
		return mustBeDead
	case s.ended == "" || s.successor != nil:
		return mustBeLive
	case s.expires.IsZero() || s.endedAt.Before(s.expires.Add(-10*time.Second)):
		return mustBeDead
	case s.endedAt.Before(s.expires):
		return unsure
	}
	return mustBeLive
}

// opensAdmin is whether an active key is accepted at /admin.
func (c *modelCredential) opensAdmin() bool {
	return c.administers && c.term != 0 && c.user.term == c.term
}

func (c *modelCredential) String() string {
	s := c.made
	if c.user != nil {
		s += fmt.Sprintf(" of %s (gone %v, disabled %v)", c.user.Email, c.user.gone, c.user.disabled)
	} else {
		s += fmt.Sprintf(" of %s (gone %v, disabled %v, life %d of %d)", c.client.ID, c.client.gone, c.client.disabled, c.life, c.client.life)
	}
	if !c.expires.IsZero() {
		s += " until " + c.expires.Format(time.TimeOnly)
	}
	if c.disabled {
		s += ", disabled"
	}
	if c.ended != "" {
		s += ", " + c.ended
	}
	return s
}

// earlier is the earlier of two times, of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func filter[T any](all []*T, want func(*T) bool) []*T {
	return slices.DeleteFunc(slices.Clone(all), func(x *T) bool { return !want(x) })
}

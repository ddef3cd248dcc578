package oauth

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/url"
	"strconv"
	"time"

	"github.com/mintkeep/mintkeep/server/bearer"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store/feed"
)

// wantsTies is whether the caller of introspection keeps the answer, and so asks on what it depends.
func wantsTies(form url.Values) (bool, error) {
	switch form.Get("ties") {
	case "":
		return false, nil
	case "true":
		return true, nil
	}
	return false, web.InvalidRequest("ties must be true, or omitted")
}

// tie adds to an active answer what a caller that keeps it needs: see the members of [introspection].
func (s *Server) tie(answer *introspection, asked bearer.Presented, principal *bearer.Principal) {
	own := feed.OfCredential(asked.Digest)
	var expires time.Time
	if principal.Key != nil {
		answer.Ties = []feed.Handle{own, feed.OfUser(principal.User.ID)}
		if ms := principal.Key.ExpiresAt; ms != 0 {
			expires = time.UnixMilli(ms)
		}
	} else {
		answer.Ties = []feed.Handle{own, feed.OfClient(principal.Client.ID)}
		expires = time.Unix(principal.Claims.Expires, 0)
	}
	if !expires.IsZero() {
		left := max(expires.Sub(s.now()).Milliseconds(), 0)
		answer.Left = &left
	}
	state := s.state(principal, asked.JWT())
	answer.State = encodeState(state)
}

// credentialState is a digest of all that an active answer says and that may change while the credential stays the same.
type credentialState [8]byte

func encodeState(state credentialState) string { return base64.RawURLEncoding.EncodeToString(state[:]) }

// state is that of an active credential: of its scope, its audience, its expiry, what it is bound to, and its owners. A JWT
// says all that itself, so that it cannot change: its principal need not have claims.
func (s *Server) state(p *bearer.Principal, jwt bool) credentialState {
	const bound = "" // nothing is bound yet
	switch {
	case p.Key != nil:
		return stateOf("key", s.config.Issuer, "", p.User.ID, p.Scope(), strconv.FormatInt(p.Key.ExpiresAt, 10), bound, s.config.Audience)
	case jwt:
		return stateOf("jwt", s.config.Issuer, p.Client.ID)
	}
	c := p.Claims
	parts := []string{"token", c.Issuer, p.Client.ID, c.Subject, c.Scope, strconv.FormatInt(c.Expires, 10), bound}
	return stateOf(append(parts, c.Audience...)...)
}

func stateOf(parts ...string) credentialState {
	text := make([]byte, 0, 512)
	for _, part := range parts {
		text = binary.BigEndian.AppendUint64(text, uint64(len(part))) // "a", "bc" is not "ab", "c"
		text = append(text, part...)
	}
	digest := sha256.Sum256(text)
	return credentialState(digest[:8])
}

package oauth

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/mintkeep/mintkeep/server/bearer"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store/feed"
)

// wantsTies is whether the caller keeps the answer, and so asks what it depends on.
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
	state := s.state(principal)
	answer.State = base64.RawURLEncoding.EncodeToString(state[:])
}

// credentialState is a digest of all that an active answer says and that may change while the credential stays the same.
type credentialState [8]byte

// state is that of an active credential: of its scope, its audience, its expiry, what it is bound to, its owners, and what an
// API key is called and carries. An opaque token has all that in its record. A JWT says it itself, so that it cannot change. Nothing is bound yet.
func (s *Server) state(p *bearer.Principal) credentialState {
	text := make([]byte, 0, 512)
	if key := p.Key; key != nil {
		text = appendPart(text, "key")
		text = appendPart(text, s.config.Issuer)
		text = appendPart(text, p.User.ID)
		text = appendPart(text, p.Scope())
		text = appendPart(text, s.config.Audience)
		text = binary.BigEndian.AppendUint64(text, uint64(key.ExpiresAt))
		text = appendPart(text, key.Name)
		text = appendPart(text, key.RateLimit.String())
		text = appendPart(text, s.username(p))
		for _, name := range slices.Sorted(maps.Keys(key.Metadata)) {
			text = appendPart(text, name)
			text = appendPart(text, key.Metadata[name])
		}
	} else {
		text = appendPart(text, "token")
		text = appendPart(text, s.config.Issuer)
		text = appendPart(text, p.Client.ID)
		text = appendPart(text, p.Record.Claims)
	}
	digest := sha256.Sum256(text)
	return credentialState(digest[:8])
}

// appendPart appends a part and its length before it: "a", "bc" is not "ab", "c".
func appendPart[T string | []byte](text []byte, part T) []byte {
	return append(binary.BigEndian.AppendUint64(text, uint64(len(part))), part...)
}

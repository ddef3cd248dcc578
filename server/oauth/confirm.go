package oauth

import (
	"encoding/base64"
	"net/http"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// maxConfirmed is how many credentials one request may ask about.
const maxConfirmed = 1_000

// Confirm answers POST /oauth/confirm: which of the credentials, whose answers of introspection the caller keeps, are active
// and as they were. It says no more than one bit of each, and that only to a caller who knows the digest, the owners and the
// state.
func (s *Server) Confirm(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.subscriber(r); err != nil {
		return err
	}
	var request confirmRequest
	if err := web.DecodeJSON(r, &request); err != nil {
		return err
	}
	groups, err := request.parse()
	if err != nil {
		return err
	}
	o, err := web.ReadObject(r)
	if err == nil {
		err = onlyOneMethod(r, o)
	}
	if err != nil {
		return err
	}
	owned := make([]store.Owned, len(groups))
	for i, g := range groups {
		owned[i] = store.Owned{ClientID: g.client, UserID: g.user, Digests: g.digests}
	}
	if err := s.store.ReadOwned(r.Context(), owned); err != nil {
		return err
	}
	answer := confirmation{Active: make([]string, len(groups))}
	for i, g := range groups {
		answer.Active[i] = base64.RawURLEncoding.EncodeToString(s.bits(g, owned[i]))
	}
	return web.JSON(w, http.StatusOK, answer)
}

// confirmation has a bitmap for each group, base64url: the first digest is the lowest bit of the first byte.
type confirmation struct {
	Active []string `json:"active"`
}

// bits are set where a credential is active, with the owners and the state that the caller knows.
func (s *Server) bits(g confirmGroup, owned store.Owned) []byte {
	bits := make([]byte, (len(g.digests)+7)/8)
	if g.client != "" && owned.Client == nil || g.user != "" && owned.User == nil {
		return bits
	}
	for i, record := range owned.Credentials {
		p := s.verifier.Owned(record, owned.Client, owned.User)
		if p != nil && s.state(p) == g.states[i] {
			bits[i/8] |= 1 << (i % 8)
		}
	}
	return bits
}

// confirmGroup are credentials of the same owners.
type confirmGroup struct {
	client, user string // as they are looked up; empty: none
	digests      []store.Digest
	states       []credentialState // as digests
}

// confirmRequest is the body. Members that are not known are ignored.
type confirmRequest struct {
	Groups []struct {
		Client  string   `json:"client"`
		User    string   `json:"user"`
		Digests []string `json:"digests"`
		States  []string `json:"states"`
	} `json:"groups"`
}

// parse checks the request. The error names the member that is wrong.
func (q *confirmRequest) parse() ([]confirmGroup, error) {
	total := 0
	for _, g := range q.Groups {
		if len(g.Digests) == 0 {
			return nil, web.InvalidRequest("groups: each group must have digests")
		}
		total += len(g.Digests)
	}
	if total == 0 || total > maxConfirmed {
		return nil, web.InvalidRequest("groups: must have 1 to 1,000 digests in all")
	}
	groups := make([]confirmGroup, len(q.Groups))
	for i, g := range q.Groups {
		var err error
		if groups[i], err = parseGroup(g.Client, g.User, g.Digests, g.States); err != nil {
			return nil, err
		}
	}
	return groups, nil
}

func parseGroup(client, user string, digests, states []string) (confirmGroup, error) {
	g := confirmGroup{digests: make([]store.Digest, len(digests)), states: make([]credentialState, len(digests))}
	switch {
	case client == "" && user == "":
		return g, web.InvalidRequest("groups: each group must have client or user")
	case len(client) > maxClientID || len(user) > maxClientID:
		return g, web.InvalidRequest("groups: client or user is too long")
	case len(states) != len(digests):
		return g, web.InvalidRequest("groups: states must have as many elements as digests")
	}
	if client != "" {
		g.client = Presented{ClientID: client}.lookupID()
	}
	if user != "" {
		g.user = Presented{ClientID: user}.lookupID()
	}
	for i := range digests {
		if !decodeExactly(g.digests[i][:], digests[i]) {
			return g, web.InvalidRequest("groups: digests must be SHA-256 digests in base64url, 43 characters each")
		}
		if !decodeExactly(g.states[i][:], states[i]) {
			return g, web.InvalidRequest("groups: states must be those of introspection, 11 characters each")
		}
	}
	return g, nil
}

// strictBase64 has one text for each value.
var strictBase64 = base64.RawURLEncoding.Strict()

// decodeExactly decodes base64url without padding that has exactly as many bytes as there is room for.
func decodeExactly(into []byte, text string) bool {
	if len(text) != strictBase64.EncodedLen(len(into)) {
		return false
	}
	var sent [43]byte // the longest that is decoded, without memory of its own
	n, err := strictBase64.Decode(into, sent[:copy(sent[:], text)])
	return err == nil && n == len(into)
}

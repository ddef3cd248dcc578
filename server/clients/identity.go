package clients

import (
	"crypto/rand"
	"errors"
	"regexp"
	"strings"

	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

var idGrammar = regexp.MustCompile(`^[A-Za-z0-9._~-]{1,128}$`)

// CheckID says what is wrong with a client's id.
func CheckID(id string) error {
	switch {
	case !idGrammar.MatchString(id):
		return errors.New("must be 1 to 128 of the characters A-Z a-z 0-9 . _ ~ -")
	case strings.HasPrefix(id, "usr_"), strings.HasPrefix(id, "key_"):
		return errors.New("must not begin with usr_ or key_: these are ids of users and keys")
	case credential.WellFormed(id):
		return errors.New("must not have the form of a Mintkeep credential")
	case id == ".", id == "..": // RFC 3986 §5.2.4 takes them out of every path
		return errors.New("must not be . or .., which have another meaning in a URL path")
	}
	return nil
}

// newClientID is the operator's choice, or random.
func newClientID(o web.Object) (string, error) {
	if !o.Has("client_id") {
		return "c_" + strings.ToLower(rand.Text()), nil
	}
	id, err := web.Decode[string](o["client_id"], "a string")
	if err == nil {
		err = CheckID(id)
	}
	if err != nil {
		return "", wrongMember("client_id", err)
	}
	return id, nil
}

const (
	minImported = 32
	maxImported = 256
)

// newSecret imports the secret that the object brings, or its digest, or creates one. plain is what to show, this once:
// nothing of an imported one, which the operator has.
func (g *Registry) newSecret(o web.Object, clientID string) (s store.Secret, plain string, err error) {
	s = store.Secret{ID: store.NewSecretID(), CreatedAt: g.instant()}
	if o.Has(digestMember) {
		if o.Has(secretMember) {
			return s, "", errors.New("must not be sent together with " + secretMember)
		}
		text, err := web.Decode[string](o[digestMember], "a string")
		if err != nil {
			return s, "", err
		}
		s.ByDigest = true
		s.Digest, err = ParseDigest(text, clientID)
		return s, "", err
	}
	if !o.Has(secretMember) {
		plain = credential.NewSecret(g.Config.KeyPrefix)
		s.Digest, s.LastFour = store.DigestOf(plain), credential.LastFour(plain)
		return s, plain, nil
	}
	imported, err := web.Decode[string](o[secretMember], "a string")
	if err != nil {
		return s, "", err
	}
	if !MayBeImported(imported) {
		return s, "", errors.New("must be 32 to 256 printable ASCII characters")
	}
	s.Digest = store.DigestOf(imported)
	return s, "", nil
}

// MayBeImported is whether a text may be the secret of a client that an operator brought.
func MayBeImported(text string) bool {
	return len(text) >= minImported && len(text) <= maxImported && !strings.ContainsFunc(text, notPrintableASCII)
}

func notPrintableASCII(r rune) bool { return r < ' ' || r > '~' }

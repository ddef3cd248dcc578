package signing

import "github.com/go-jose/go-jose/v4"

// Signed is whether a published key has signed the token, a JWS in compact form (RFC 7515 §7.1). It says nothing of the
// claims.
func (r *Ring) Signed(token string) bool {
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{es256, eddsa, rs256})
	if err != nil {
		return false
	}
	header := jws.Signatures[0].Protected
	for _, key := range r.view.Load().ring.Keys {
		if key.ID != header.KeyID || key.Algorithm != header.Algorithm {
			continue
		}
		public, err := published(key)
		if err == nil {
			_, err = jws.Verify(public)
		}
		return err == nil
	}
	return false
}

package oauth

import (
	"context"

	"github.com/mintkeep/mintkeep/store"
)

// bySecret is what the methods that use a secret have in common.
type bySecret struct{}

func (bySecret) BySecret() bool              { return true }
func (bySecret) Unpinned(*store.Client) bool { return true }

// Verify compares the digest of the presented secret. Each kind of rejection costs the same: one digest, and one
// comparison for each secret that a client may have.
func (bySecret) Verify(_ context.Context, s *Server, c *store.Client, p Presented) (Verified, error) {
	now := s.now()
	v := Verified{Digest: store.DigestOf(p.Credential), Rejected: wrongSecret}
	if c != nil && len(c.Secrets) == 0 {
		v.Rejected = noSecret
	}
	secrets := secretsOf(c)
	for i := range secrets {
		switch {
		case !secrets[i].Digest.Equal(v.Digest) || secrets[i].ID == "":
		case secrets[i].ActiveAt(now):
			v.SecretID, v.Until = secrets[i].ID, secrets[i].ExpiresAt
		default:
			v.Rejected = expiredSecret
		}
	}
	if v.SecretID != "" {
		v.Rejected = ""
	}
	return v, nil
}

// formerSecret looks for the digest of a rejected secret among those that c once had: the expired ones that are still
// stored, and the latest that were revoked. The caller knows that it is not an active one. ok is whether it was found;
// lastFour is empty if that secret was imported. It costs the same for each client, an unknown one included.
func formerSecret(c *store.Client, digest store.Digest) (lastFour string, ok bool) {
	var revoked store.FormerSecrets
	if c != nil {
		revoked = c.Former
	}
	lastFour, ok = revoked.Find(digest)
	secrets := secretsOf(c)
	for i := range secrets {
		if secrets[i].Digest.Equal(digest) && secrets[i].ID != "" {
			lastFour, ok = secrets[i].LastFour, true
		}
	}
	return lastFour, ok
}

// secretsOf returns the same number of secrets for each client, an unknown one included. Those without an id pad the array.
func secretsOf(c *store.Client) (secrets [store.MaxSecrets]store.Secret) {
	if c != nil {
		copy(secrets[:], c.Secrets)
	}
	return secrets
}

package store

import "strings"

const (
	// maxFormer is how many revoked secrets of a client are remembered.
	maxFormer = 8
	// formerSize is one of them as it is stored: the digest, and the last four characters.
	formerSize = len(Digest{}) + 4
)

// FormerSecrets are the latest secrets that were revoked, of those that Mintkeep created for one client, newest first. By
// them the audit log names the secret that a service still uses. They decide nothing.
type FormerSecrets string

// Find looks for the digest of a presented secret. It costs the same for each client, one without any included.
func (f FormerSecrets) Find(d Digest) (lastFour string, ok bool) {
	for i := range maxFormer {
		var former Digest
		end := (i + 1) * formerSize
		if end <= len(f) {
			copy(former[:], f[i*formerSize:])
		}
		if former.Equal(d) && end <= len(f) {
			lastFour, ok = string(f[end-4:end]), true
		}
	}
	return lastFour, ok
}

// with are the former secrets once these are revoked too. An imported secret, of which no character is kept, is not
// among them.
func (f FormerSecrets) with(revoked ...Secret) FormerSecrets {
	var b strings.Builder
	for _, secret := range revoked {
		if len(secret.LastFour) == 4 {
			b.Write(secret.Digest[:])
			b.WriteString(secret.LastFour)
		}
	}
	b.WriteString(string(f))
	return FormerSecrets(b.String()[:min(b.Len(), maxFormer*formerSize)])
}

// A field of former secrets has its version in front.
func (f FormerSecrets) encode() string { return string(recordVersion) + string(f) }

// decodeFormer ignores what it cannot read: it is for the audit log alone.
func decodeFormer(field string) FormerSecrets {
	if field == "" || field[0] != recordVersion || (len(field)-1)%formerSize != 0 {
		return ""
	}
	return FormerSecrets(field[1:])
}

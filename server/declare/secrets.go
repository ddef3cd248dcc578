package declare

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/clients"
	"github.com/mintkeep/mintkeep/store"
)

// digests reads the list of a client's secrets.
func (r *reader) digests(e entry, clientID string) (all []string) {
	items := e.value.Content
	if e.value.Kind != yaml.SequenceNode || len(items) == 0 || len(items) > store.MaxSecrets {
		r.wrong(e.place, "must be a list of 1 or 2, each with the sha256 of a secret")
		return nil
	}
	for i, item := range items {
		path := fmt.Sprintf("%s[%d]", e.place.Path, i)
		there := false
		for _, at := range r.entries(item, path) {
			if at.name != sha256Member {
				r.wrong(at.place, "is not known: a secret has sha256 alone, and never itself")
				continue
			}
			there = true
			text, ok := r.str(at.value, at.place)
			if !ok {
				continue
			}
			if _, err := clients.ParseDigest(text, clientID); err != nil {
				r.wrong(at.place, "%v", err)
			} else if slices.Contains(all, strings.ToLower(text)) {
				r.wrong(at.place, "appears twice")
			} else {
				all = append(all, strings.ToLower(text))
			}
		}
		if !there {
			r.wrong(r.place(item, path), "sha256: is missing")
		}
	}
	return all
}

// secretFile reads the file of a client's secret. Only its digest is kept.
func (r *reader) secretFile(e entry, clientID string) []string {
	path, ok := r.str(e.value, e.place)
	if !ok {
		return nil
	}
	secret, err := r.options.ReadSecret(r.file, path)
	if err != nil {
		r.wrong(e.place, "%v", err)
		return nil
	}
	if !clients.MayBeImported(secret) {
		r.wrong(e.place, "the secret in the file must be 32 to 256 printable ASCII characters")
		return nil
	}
	digest := store.DigestOf(secret)
	text := hex.EncodeToString(digest[:])
	if _, err := clients.ParseDigest(text, clientID); err != nil {
		r.wrong(e.place, "%v", err)
	}
	return []string{text}
}

// SecretChange is one change of a client's secrets: one is added, or one is revoked.
type SecretChange struct {
	Add    string // the SHA-256
	Renew  bool   // the client has it already, and it expires
	Keep   bool   // the secret beside it stays; else it expires after the overlap
	Revoke string // the id
}

// secretChanges are what makes a client have the secrets that are declared, in this order. A declared secret that expires is
// added again, by which it does not expire any more. A secret that is not declared is given an expiry by the one that takes its
// place; else it is revoked. One that expires anyway is left to expire.
func secretChanges(declared []string, has []adminapi.Secret) (changes []SecretChange) {
	if declared == nil {
		return nil
	}
	wanted := func(s adminapi.Secret) bool { return slices.Contains(declared, s.SHA256) }
	active := slices.Clone(has) // oldest first
	revoke := func(i int) {
		changes = append(changes, SecretChange{Revoke: active[i].ID})
		active = slices.Delete(active, i, i+1)
	}
	for _, digest := range declared {
		same := slices.IndexFunc(active, func(s adminapi.Secret) bool { return s.SHA256 == digest })
		if same >= 0 && active[same].ExpiresAt == nil {
			continue
		}
		if same >= 0 {
			active = slices.Delete(active, same, same+1)
		}
		for len(active) >= store.MaxSecrets {
			i := slices.IndexFunc(active, func(s adminapi.Secret) bool { return !wanted(s) })
			if i < 0 {
				return changes // the server says the rest
			}
			revoke(i)
		}
		keep := len(active) == 0 || wanted(active[0]) || active[0].ExpiresAt != nil
		changes = append(changes, SecretChange{Add: digest, Renew: same >= 0, Keep: keep})
		if !keep {
			active[0].ExpiresAt = &overlapEnds
		}
		active = append(active, adminapi.Secret{SHA256: digest})
	}
	for i := len(active) - 1; i >= 0; i-- {
		if !wanted(active[i]) && active[i].ExpiresAt == nil {
			revoke(i)
		}
	}
	return changes
}

// overlapEnds stands for the moment at which the overlap of a secret ends, which the server sets.
var overlapEnds time.Time

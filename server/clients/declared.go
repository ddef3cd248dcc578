package clients

import (
	"bytes"
	"errors"
	"math"
	"strings"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// A Mistake is what is wrong with a member of a registration.
type Mistake struct {
	Member string
	Err    error
}

// Check reads a registration away from the server, with everything that is wrong with it by the rules that are the same on all
// servers. The rest is for the server to say: the longest lifetime, and from where keys may be fetched.
func (o Offers) Check(members web.Object) (m store.ClientMetadata, wrong []Mistake) {
	in := rules{maxTTL: math.MaxInt64, offers: o}
	for _, member := range Members {
		if err := member.set(&m, members[member.Name], in); err != nil {
			wrong = append(wrong, Mistake{member.Name, err})
		}
	}
	return m, wrong
}

// CheckRelated says what is wrong between the members of a registration that are right by themselves; nil: nothing.
func CheckRelated(m *store.ClientMetadata, members web.Object) *Mistake {
	var related *web.Error
	if !errors.As(relate(m, members), &related) {
		return nil
	}
	member, why, _ := strings.Cut(related.Description, ": ")
	return &Mistake{member, errors.New(why)}
}

// Change is a member in which two registrations differ, as the audit log has its values.
type Change struct{ Member, Before, After string }

// Changes are the members in which two registrations differ.
func Changes(before, after *store.ClientMetadata) (changes []Change) {
	for _, member := range Members {
		c := Change{member.Name, member.text(before), member.text(after)}
		if c.Before != c.After || member.Name == jwksMember && !bytes.Equal(before.JWKS, after.JWKS) {
			changes = append(changes, c)
		}
	}
	return changes
}

// Narrowed are the members by which a client loses something that its tokens may have, so that the change revokes them. Of a
// client without an audience they may have the server's, which is not known here.
func Narrowed(before, after *store.ClientMetadata) (members []string) {
	lost := rules{}.removed(*before, *after)
	for member, gone := range map[string][]string{"scope": lost.Scopes, "grant_types": lost.Grants, "audience": lost.Audience} {
		if len(gone) > 0 {
			members = append(members, member)
		}
	}
	return members
}

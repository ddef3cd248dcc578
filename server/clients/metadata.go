package clients

import (
	"reflect"
	"time"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// rules are what this server's settings and lists say of metadata.
type rules struct {
	maxTTL   time.Duration
	audience string // of a client that is registered with none
	offers   Offers
	checkURI func(uri string) error // see Registry
}

func (g *Registry) rules() rules {
	return rules{maxTTL: g.Config.TokenTTLMax, audience: g.Config.Audience, offers: g.Offers, checkURI: g.CheckURI}
}

// register parses the whole of a client's metadata.
func (in rules) register(o web.Object) (m store.ClientMetadata, err error) {
	for _, member := range Members {
		if err := member.set(&m, o[member.Name], in); err != nil {
			return m, wrongMember(member.Name, err)
		}
	}
	return m, relate(&m, o)
}

// patch sets the members that o has, and returns the names of those that changed anything.
func (in rules) patch(m *store.ClientMetadata, o web.Object) (changed []string, err error) {
	if changed, err = in.set(m, o); err != nil {
		return nil, err
	}
	return changed, relate(m, o)
}

// set is patch without the rules across members.
func (in rules) set(m *store.ClientMetadata, o web.Object) (changed []string, err error) {
	for _, member := range Members {
		raw, there := o[member.Name]
		if !there {
			continue
		}
		before := *m
		if err := member.set(m, raw, in); err != nil {
			return nil, wrongMember(member.Name, err)
		}
		if !reflect.DeepEqual(before, *m) {
			changed = append(changed, member.Name)
		}
	}
	return changed, nil
}

// narrower is whether a client loses something that its tokens may have.
func (in rules) narrower(before, after store.ClientMetadata) bool {
	return in.removed(before, after).Any()
}

func (in rules) audienceOf(m store.ClientMetadata) []string {
	if len(m.Audience) == 0 {
		return []string{in.audience}
	}
	return m.Audience
}

// wrongMember is the 400 of RFC 7591 §3.2.2. The description names the member, and quotes nothing of its value: that
// might be a secret, or not be printable.
func wrongMember(name string, why error) error {
	e := web.InvalidRequest("%s: %v", name, why)
	e.Code = "invalid_client_metadata"
	return e
}

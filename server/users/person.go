package users

import (
	"encoding/json"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

const (
	minEmail      = 3 // bytes
	maxEmail      = 254
	maxPersonName = 100 // characters
)

// person is what a body says of somebody; nil is what it does not mention.
type person struct {
	email, name, role *string
	disabled          *bool
}

func (p person) promotes() bool { return p.role != nil && *p.role == store.Operator }
func (p person) demotes() bool  { return p.role != nil && *p.role == store.Developer }
func (p person) disables() bool { return p.disabled != nil && *p.disabled }
func (p person) enables() bool  { return p.disabled != nil && !*p.disabled }

// personMembers are what a body may say, in the order of complaints. null is the default, where there is one.
var personMembers = []struct {
	name string
	read func(p *person, raw json.RawMessage) error
}{
	{"email", readEmail},
	{"name", readPersonName},
	{"role", readRole},
	{"disabled", readPersonDisabled},
	{"password", readPassword},
}

func readPerson(o web.Object) (p person, err error) {
	for _, member := range personMembers {
		raw, there := o[member.name]
		if !there {
			continue
		}
		if err := member.read(&p, raw); err != nil {
			return p, wrongOfPerson(member.name, err)
		}
	}
	return p, nil
}

func wrongOfPerson(member string, why error) error { return web.InvalidRequest("%s: %v", member, why) }

func readEmail(p *person, raw json.RawMessage) error {
	if web.IsNull(raw) {
		return errors.New("is missing; everybody has an email address")
	}
	email, err := web.Decode[string](raw, "a string")
	if err != nil {
		return err
	}
	if !web.Printable(email) {
		return errNotAddress
	}
	email = norm.NFC.String(strings.TrimSpace(email))
	p.email = &email
	return checkEmail(email)
}

var errNotAddress = errors.New("must be an address alone, such as ada@example.com: no spaces, commas, angle brackets or invisible characters")

// checkEmail wants one address that a person can be told by. Whether mail arrives there is not for us to say.
func checkEmail(email string) error {
	// As it is compared, it must be one too: a full-width @ counts as an @ there.
	local, domain, _ := strings.Cut(store.FoldEmail(email), "@")
	switch {
	case len(email) < minEmail || len(email) > maxEmail:
		return errors.New("must have 3 to 254 bytes")
	case local == "" || domain == "" || strings.Contains(domain, "@") || strings.Count(email, "@") != 1:
		return errors.New("must be one address with one @, such as ada@example.com")
	case strings.ContainsFunc(email+local+domain, notInEmail):
		return errNotAddress
	}
	return nil
}

// notInEmail are the characters by which two addresses could look alike, or one like two.
func notInEmail(r rune) bool {
	return unicode.IsSpace(r) || strings.ContainsRune("<>,", r) ||
		unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

func readPersonName(p *person, raw json.RawMessage) error {
	p.name = new(string)
	if web.IsNull(raw) {
		return nil
	}
	name, err := web.Decode[string](raw, "a string")
	if err != nil {
		return err
	}
	switch *p.name = strings.TrimSpace(name); {
	case utf8.RuneCountInString(*p.name) > maxPersonName:
		return errors.New("must have at most 100 characters")
	case !web.Printable(name):
		return errors.New("must be printable text in UTF-8")
	}
	return nil
}

func readRole(p *person, raw json.RawMessage) error {
	role := store.Developer
	if !web.IsNull(raw) {
		var err error
		if role, err = web.Decode[string](raw, "a string"); err != nil {
			return err
		}
	}
	if role != store.Developer && role != store.Operator {
		return errors.New("must be developer or operator")
	}
	p.role = &role
	return nil
}

func readPersonDisabled(p *person, raw json.RawMessage) error {
	p.disabled = new(bool)
	if web.IsNull(raw) {
		return nil
	}
	var err error
	*p.disabled, err = web.Decode[bool](raw, "true or false")
	return err
}

// readPassword refuses what would otherwise be passed over, and seem to have worked.
func readPassword(_ *person, raw json.RawMessage) error {
	if web.IsNull(raw) {
		return nil
	}
	return errors.New("is set by the person alone, by the link of the invite")
}

// change makes of what is known what the body says, and tells which members that changed.
func (p person) change(m *store.UserMetadata) (changed []string) {
	if p.email != nil && *p.email != m.Email {
		m.Email = *p.email
		changed = append(changed, "email")
	}
	if p.name != nil && *p.name != m.Name {
		m.Name = *p.name
		changed = append(changed, "name")
	}
	return changed
}

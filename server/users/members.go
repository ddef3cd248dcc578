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
	minEmail = 3   // bytes
	maxEmail = 254 // bytes
	maxName  = 100 // characters
)

// spec is what a body says of a user; nil is what it does not mention.
type spec struct {
	email, name, role, owner *string
	disabled                 *bool
}

func (p spec) promotes() bool { return p.role != nil && *p.role == store.Operator }
func (p spec) demotes() bool  { return p.role != nil && *p.role == store.Developer }
func (p spec) disables() bool { return p.disabled != nil && *p.disabled }
func (p spec) enables() bool  { return p.disabled != nil && !*p.disabled }

// members are what a body may say, in the order of error messages. null is the default, where there is one.
var members = []struct {
	name string
	read func(p *spec, raw json.RawMessage) error
}{
	{"email", readEmail},
	{"name", readName},
	{"role", readRole},
	{"disabled", readDisabled},
	{"managed_by", readOwner},
	{"password", readPassword},
}

func readSpec(o web.Object) (p spec, err error) {
	for _, member := range members {
		raw, there := o[member.name]
		if !there {
			continue
		}
		if err := member.read(&p, raw); err != nil {
			return p, wrongMember(member.name, err)
		}
	}
	return p, nil
}

// Check says what is wrong with a member of a user, by its name in a body.
func Check(name string, raw json.RawMessage) error {
	for _, member := range members {
		if member.name == name {
			return member.read(&spec{}, raw)
		}
	}
	return nil
}

func wrongMember(member string, why error) error { return web.InvalidRequest("%s: %v", member, why) }

func readEmail(p *spec, raw json.RawMessage) error {
	if web.IsNull(raw) {
		return errors.New("is missing; every user has an email address")
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

var errNotAddress = errors.New("must be a plain address such as ada@example.com, without spaces, commas, angle brackets or invisible characters")

// checkEmail wants one address that identifies a user. It does not know whether mail arrives there.
func checkEmail(email string) error {
	// It must be one in the form in which addresses are compared too: there a full-width @ is an @.
	local, domain, _ := strings.Cut(store.FoldEmail(email), "@")
	switch {
	case len(email) < minEmail || len(email) > maxEmail:
		return errors.New("must have 3 to 254 bytes")
	case local == "" || domain == "" || strings.Contains(domain, "@") || strings.Count(email, "@") != 1:
		return errors.New("must be one address with exactly one @, such as ada@example.com")
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

func readName(p *spec, raw json.RawMessage) error {
	p.name = new(string)
	if web.IsNull(raw) {
		return nil
	}
	name, err := web.Decode[string](raw, "a string")
	if err != nil {
		return err
	}
	switch *p.name = strings.TrimSpace(name); {
	case utf8.RuneCountInString(*p.name) > maxName:
		return errors.New("must have at most 100 characters")
	case !web.Printable(name):
		return errors.New("must be printable text in UTF-8")
	}
	return nil
}

func readRole(p *spec, raw json.RawMessage) error {
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

func readDisabled(p *spec, raw json.RawMessage) error {
	p.disabled = new(bool)
	if web.IsNull(raw) {
		return nil
	}
	var err error
	*p.disabled, err = web.Decode[bool](raw, "true or false")
	return err
}

func readOwner(p *spec, raw json.RawMessage) error {
	p.owner = new(string)
	if web.IsNull(raw) {
		return nil
	}
	var err error
	if *p.owner, err = web.Decode[string](raw, "a string"); err != nil {
		return err
	}
	return web.CheckOwner(*p.owner)
}

// readPassword rejects a password: ignored, it would seem to be set.
func readPassword(_ *spec, raw json.RawMessage) error {
	if web.IsNull(raw) {
		return nil
	}
	return errors.New("cannot be set here: the user sets it through the invite link")
}

// apply writes what the body says into m, and returns the members that changed.
func (p spec) apply(m *store.UserMetadata) (changed []string) {
	if p.email != nil && *p.email != m.Email {
		m.Email = *p.email
		changed = append(changed, "email")
	}
	if p.name != nil && *p.name != m.Name {
		m.Name = *p.name
		changed = append(changed, "name")
	}
	if p.owner != nil && *p.owner != m.ManagedBy {
		m.ManagedBy = *p.owner
		changed = append(changed, "managed_by")
	}
	return changed
}

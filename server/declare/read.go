package declare

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/mintkeep/mintkeep/server/clients"
	"github.com/mintkeep/mintkeep/server/users"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// Options are what reading needs to know. Both are required.
type Options struct {
	Offers clients.Offers
	// ReadSecret reads the secret of a client from a file, which a declaration names.
	ReadSecret func(declaration, path string) (string, error)
}

// Declaration is what the files declare.
type Declaration struct {
	Owners  []string // each once
	Clients []*Client
	Users   []*User

	// Files has the name of a file of each owner, for what is deleted because no file has it.
	Files map[string]string
}

// Object is what clients and users have in common.
type Object struct {
	ID    string // of a client; of a user the email address
	Owner string
	Place Place
	// Members are those of the API. A member that is not declared has its default, and is not in it.
	Members web.Object

	places map[string]Place // by the names of the members in the API
}

// Client is a client as it is declared.
type Client struct {
	Object
	Metadata store.ClientMetadata
	Disabled bool
	Secrets  []string // SHA-256 in lower-case hexadecimal; nil: its secrets are not declared
}

// User is a user as they are declared.
type User struct {
	Object
	Name, Role string
	Disabled   bool
}

// File is a file that has been read.
type File struct {
	Name string
	Text []byte
}

// Read reads all files. mistakes are all that is wrong in all of them; then the declaration is not to be applied.
func Read(files []File, o Options) (d *Declaration, mistakes []Mistake) {
	d = &Declaration{Files: map[string]string{}}
	for _, file := range files {
		r := &reader{options: o, file: file.Name}
		r.read(file.Text, d)
		slices.SortStableFunc(r.mistakes, func(a, b Mistake) int { return cmp.Compare(a.Line, b.Line) })
		mistakes = append(mistakes, r.mistakes...)
	}
	mistakes = append(mistakes, d.duplicates()...)
	slices.SortFunc(d.Clients, func(a, b *Client) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(d.Users, func(a, b *User) int { return strings.Compare(a.ID, b.ID) })
	return d, mistakes
}

// duplicates are the objects that are declared twice, in one file or in two.
func (d *Declaration) duplicates() (mistakes []Mistake) {
	first := map[string]Place{}
	check := func(key string, p Place) {
		if before, twice := first[key]; twice {
			mistakes = append(mistakes, Mistake{p, "is declared twice: " + before.File + " has it too"})
			return
		}
		first[key] = p
	}
	for _, c := range d.Clients {
		check("client "+c.ID, c.Place)
	}
	for _, u := range d.Users {
		check("user "+store.FoldEmail(u.ID), u.Place)
	}
	return mistakes
}

// read reads the documents of one file.
func (r *reader) read(text []byte, d *Declaration) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var document yaml.Node
		switch err := decoder.Decode(&document); {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			r.syntax(err)
			return
		case len(document.Content) == 1 && !isNull(document.Content[0]): // else it is empty
			r.document(document.Content[0], d)
		}
	}
}

// yamlError is how the decoder says where a file is not YAML.
var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// syntax notes what is not YAML.
func (r *reader) syntax(err error) {
	p, problem := Place{File: r.file, Line: 1}, err.Error()
	if found := yamlError.FindStringSubmatch(problem); found != nil {
		if line, err := strconv.Atoi(found[1]); err == nil {
			p.Line = line
		}
		problem = problem[len(found[0]):]
	}
	r.wrong(p, "is not YAML: %s", problem)
}

// document reads one document.
func (r *reader) document(body *yaml.Node, d *Declaration) {
	owner, named, version := "", false, false
	at := r.place(body, "")
	var clientNodes, userNodes []entry
	for _, e := range r.entries(body, "") {
		switch e.name {
		case "version":
			if version = true; e.value.Tag != "!!int" || e.value.Value != "1" {
				r.wrong(e.place, "must be 1")
			}
		case "owner":
			owner, named = r.owner(e), true
		case "clients":
			clientNodes = r.entries(e.value, e.name)
		case "users":
			userNodes = r.entries(e.value, e.name)
		default:
			r.wrong(e.place, "is not known: a document has version, owner, clients and users")
		}
	}
	if !version {
		r.wrong(at, "version: is missing: must be 1")
	}
	if !named {
		r.wrong(at, "owner: is missing: it names what this file manages")
	}
	if !slices.Contains(d.Owners, owner) {
		d.Owners = append(d.Owners, owner)
		d.Files[owner] = r.file
	}
	for _, e := range clientNodes {
		d.Clients = append(d.Clients, r.client(e, owner))
	}
	for _, e := range userNodes {
		d.Users = append(d.Users, r.user(e, owner))
	}
}

func (r *reader) owner(e entry) string {
	name, ok := r.str(e.value, e.place)
	if err := web.CheckOwner(name); ok && err != nil {
		r.wrong(e.place, "%v", err)
	}
	return name
}

// object reads the members that a table has, and returns the others.
func (r *reader) object(e entry, owner string, members []member) (o Object, others []entry) {
	o = Object{ID: e.name, Owner: owner, Place: e.place, Members: web.Object{}, places: map[string]Place{}}
	for _, at := range r.entries(e.value, e.place.Path) {
		m := find(members, at.name)
		if m == nil {
			others = append(others, at)
			continue
		}
		o.places[m.inAPI()] = at.place
		if raw := r.value(m, at); raw != nil {
			o.Members[m.inAPI()] = raw
		}
	}
	o.Members["managed_by"], _ = json.Marshal(owner)
	return o, others
}

// client reads a client.
func (r *reader) client(e entry, owner string) *Client {
	known := len(r.mistakes)
	o, others := r.object(e, owner, clientMembers)
	c := &Client{Object: o}
	c.Disabled = string(o.Members["disabled"]) == "true"
	var wrong []clients.Mistake
	c.Metadata, wrong = r.options.Offers.Check(o.Members)
	for _, m := range wrong {
		if m.Member != "managed_by" { // the owner's own
			r.wrong(c.placeOf(m.Member), "%v", m.Err)
		}
	}
	if related := clients.CheckRelated(&c.Metadata, o.Members); related != nil && len(r.mistakes) == known {
		r.wrong(c.placeOf(related.Member), "%v", related.Err)
	}
	if err := clients.CheckID(e.name); err != nil {
		r.wrong(e.place, "%v", err)
	}
	r.secrets(c, others)
	return c
}

// secrets reads the members about a client's secrets, which are all the others that it has.
func (r *reader) secrets(c *Client, others []entry) {
	declared := 0
	for _, at := range others {
		switch at.name {
		case secretsMember:
			declared++
			c.Secrets = r.digests(at, c.ID)
		case secretFileMember:
			declared++
			c.Secrets = r.secretFile(at, c.ID)
		default:
			r.wrong(at.place, "is not known: a client has no such member")
			continue
		}
		if declared == 2 {
			r.wrong(at.place, "a client has %s or %s, not both", secretsMember, secretFileMember)
		}
		if declared > 0 && !r.options.Offers.BySecret(c.Metadata.AuthMethod) {
			r.wrong(at.place, "is not used with this token_endpoint_auth_method")
		}
	}
}

// Rejected is an error of the server about a member, such as "scope: must be …", at its place in the files.
func (o *Object) Rejected(description string) Mistake {
	member, why, named := strings.Cut(description, ": ")
	if _, there := o.places[member]; named && there {
		return Mistake{o.placeOf(member), why}
	}
	return Mistake{o.Place, description}
}

// placeOf is where a member of the API is declared, or the whole object.
func (o *Object) placeOf(member string) Place {
	if p, there := o.places[member]; there {
		return p
	}
	return o.Place
}

// user reads a user.
func (r *reader) user(e entry, owner string) *User {
	o, others := r.object(e, owner, userMembers)
	u := &User{Object: o, Role: store.Developer}
	for name, raw := range o.Members {
		if err := users.Check(name, raw); err != nil && name != "managed_by" {
			r.wrong(u.placeOf(name), "%v", err)
		}
	}
	for _, at := range others {
		r.wrong(at.place, "is not known: a user has name, role and disabled")
	}
	if raw := o.Members["role"]; raw != nil {
		_ = json.Unmarshal(raw, &u.Role)
	}
	if raw := o.Members["name"]; raw != nil {
		_ = json.Unmarshal(raw, &u.Name)
	}
	u.Disabled = string(o.Members["disabled"]) == "true"
	email, _ := json.Marshal(u.ID)
	if strings.TrimSpace(u.ID) != u.ID {
		r.wrong(e.place, "must have no spaces around it")
	} else if err := users.Check("email", email); err != nil {
		r.wrong(e.place, "%v", err)
	}
	return u
}

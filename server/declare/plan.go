package declare

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/clients"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// Live is what a server has.
type Live struct {
	Clients []LiveClient
	Users   []adminapi.User
}

// LiveClient is a client as the API shows it.
type LiveClient struct {
	adminapi.Client
	Metadata store.ClientMetadata

	members web.Object // as the API has them
}

// ReadClient reads a client from the API's answer.
func ReadClient(body json.RawMessage, offers clients.Offers) (c LiveClient, err error) {
	if err := json.Unmarshal(body, &c.Client); err != nil {
		return c, err
	}
	if err := json.Unmarshal(body, &c.members); err != nil {
		return c, err
	}
	c.Metadata, _ = offers.Check(c.members) // what a newer server allows is taken for the default, and so is seen as a difference
	return c, nil
}

// Verb is what is done to an object.
type Verb string

// The verbs, in the order in which they are done.
const (
	Create Verb = "create"
	Update Verb = "change"
	Delete Verb = "delete"
)

// The kinds of objects.
const (
	KindClient = "client"
	KindUser   = "user"
)

// Step is what is done to one object.
type Step struct {
	Verb  Verb
	Kind  string // client or user
	ID    string // of a client; the email address of a user
	Owner string
	File  string

	Members []MemberChange
	Secrets []SecretChange
	Revokes []string // what else it revokes, in words

	// What is declared, and what the server has. Nil: nothing.
	Client     *Client
	User       *User
	LiveClient *LiveClient
	LiveUser   *adminapi.User
}

// MemberChange is a member that changes, with its values as the audit log has them.
type MemberChange struct {
	Name    string // in a file
	Before  string
	After   string
	Revokes string // in words; empty: nothing
	Drift   *Drift // nil: the file has changed, or it is not known what has
}

// Drift is who has changed a member since it was applied, and when.
type Drift struct {
	By string    `json:"by"`
	At time.Time `json:"at"`
}

// Target is the object as the audit log names it; empty: it is not there yet.
func (s *Step) Target() string {
	switch {
	case s.LiveClient != nil:
		return audit.ClientTarget(s.LiveClient.ID)
	case s.LiveUser != nil:
		return audit.UserTarget(s.LiveUser.ID)
	}
	return ""
}

// Revoking is whether the step revokes anything.
func (s *Step) Revoking() bool {
	return len(s.Revokes) > 0 ||
		slices.ContainsFunc(s.Members, func(m MemberChange) bool { return m.Revokes != "" }) ||
		slices.ContainsFunc(s.Secrets, func(c SecretChange) bool { return c.Revoke != "" })
}

// Policy is what may be done to what the files do not simply manage.
type Policy struct {
	Adopt bool // objects without an owner
	Prune bool // delete what the owners have, and no file has
	Spare []Spared
}

// Spared is an object that is never pruned.
type Spared struct{ Kind, ID, Why string }

// Plan is everything that would be done, in its order.
type Plan struct {
	Steps []*Step
	Notes []string // for users: what stays although no file has it
}

// Revoking is whether a step of the plan revokes anything.
func (p *Plan) Revoking() bool { return slices.ContainsFunc(p.Steps, (*Step).Revoking) }

// NewPlan compares what is declared with what a server has. mistakes: it is not to be applied.
func NewPlan(d *Declaration, live Live, policy Policy) (p *Plan, mistakes []Mistake) {
	b := &planner{plan: &Plan{}, policy: policy}
	b.clients(d, live.Clients)
	b.users(d, live.Users)
	order := []Verb{Create, Update, Delete}
	slices.SortStableFunc(b.plan.Steps, func(x, y *Step) int {
		return cmp.Compare(slices.Index(order, x.Verb), slices.Index(order, y.Verb))
	})
	if b.left > 0 && !policy.Prune {
		b.note("%s in no file; --prune deletes what is in none", ownedObjects(b.left))
	}
	return b.plan, b.mistakes
}

func ownedObjects(n int) string {
	if n == 1 {
		return "1 object of these owners is"
	}
	return fmt.Sprintf("%d objects of these owners are", n)
}

type planner struct {
	plan     *Plan
	policy   Policy
	mistakes []Mistake
	left     int // objects of the owners that no file has
}

func (b *planner) note(format string, args ...any) {
	b.plan.Notes = append(b.plan.Notes, fmt.Sprintf(format, args...))
}

// mayManage is whether an object that is there may be changed for this owner.
func (b *planner) mayManage(o *Object, managedBy string) bool {
	switch {
	case managedBy == o.Owner:
		return true
	case managedBy != "":
		b.mistakes = append(b.mistakes, Mistake{o.Place, "is managed by " + managedBy})
	case !b.policy.Adopt:
		b.mistakes = append(b.mistakes, Mistake{o.Place, "exists already and has no owner; --adopt makes it one of " + o.Owner})
	default:
		return true
	}
	return false
}

func (b *planner) clients(d *Declaration, live []LiveClient) {
	has := map[string]*LiveClient{}
	for i := range live {
		has[live[i].ID] = &live[i]
	}
	for _, c := range d.Clients {
		there := has[c.ID]
		delete(has, c.ID)
		if there == nil {
			b.add(&Step{Verb: Create, Kind: KindClient, ID: c.ID, Owner: c.Owner, File: c.Place.File, Client: c})
			continue
		}
		if !b.mayManage(&c.Object, there.ManagedBy) {
			continue
		}
		step := &Step{Verb: Update, Kind: KindClient, ID: c.ID, Owner: c.Owner, File: c.Place.File, Client: c, LiveClient: there}
		step.Members = clientChanges(c, there)
		step.Secrets = secretChanges(c.Secrets, there.Secrets)
		if len(step.Members)+len(step.Secrets) > 0 {
			b.add(step)
		}
	}
	for i := range live {
		if c := &live[i]; has[c.ID] != nil && b.prunes(d, KindClient, c.ID, c.ManagedBy) {
			b.add(&Step{
				Verb: Delete, Kind: KindClient, ID: c.ID, Owner: c.ManagedBy, File: d.Files[c.ManagedBy], LiveClient: c,
				Revokes: append(secretsOf(len(c.Secrets)), "its tokens"),
			})
		}
	}
}

func secretsOf(n int) []string {
	switch n {
	case 0:
		return nil
	case 1:
		return []string{"1 secret"}
	}
	return []string{fmt.Sprintf("%d secrets", n)}
}

func (b *planner) add(s *Step) { b.plan.Steps = append(b.plan.Steps, s) }

// prunes is whether an object that no file has is deleted.
func (b *planner) prunes(d *Declaration, kind, id, managedBy string) bool {
	if managedBy == "" || !slices.Contains(d.Owners, managedBy) {
		return false
	}
	if !b.policy.Prune {
		b.left++
		return false
	}
	for _, s := range b.policy.Spare {
		if s.Kind == kind && s.ID == id {
			b.note("%s %s stays: it is %s", kind, id, s.Why)
			return false
		}
	}
	return true
}

// clientChanges are the members in which a client differs from what is declared.
func clientChanges(c *Client, live *LiveClient) (changes []MemberChange) {
	narrowed := clients.Narrowed(&live.Metadata, &c.Metadata)
	for _, change := range clients.Changes(&live.Metadata, &c.Metadata) {
		m := MemberChange{Name: nameOf(change.Member), Before: change.Before, After: change.After}
		switch {
		case slices.Contains(narrowed, change.Member):
			m.Revokes = "its tokens"
		case m.Name == "jwks":
			m.Revokes = keysRemoved(m.Before, m.After)
		case m.Name == "jwks_uri" && m.Before != "":
			m.Revokes = "the keys at " + m.Before
		}
		changes = append(changes, m)
	}
	if c.Disabled != live.Disabled {
		m := MemberChange{Name: "disabled", Before: fmt.Sprint(live.Disabled), After: fmt.Sprint(c.Disabled)}
		if c.Disabled {
			m.Revokes = "its tokens"
		}
		changes = append(changes, m)
	}
	return changes
}

// keysRemoved says how many of a client's keys, named by their thumbprints, a change takes away.
func keysRemoved(before, after string) string {
	kept, removed := strings.Fields(after), 0
	for _, key := range strings.Fields(before) {
		if !slices.Contains(kept, key) {
			removed++
		}
	}
	switch removed {
	case 0:
		return ""
	case 1:
		return "1 key"
	}
	return fmt.Sprintf("%d keys", removed)
}

// nameOf is the name in a file of a member of the API.
func nameOf(inAPI string) string {
	for _, m := range clientMembers {
		if m.inAPI() == inAPI {
			return m.name
		}
	}
	return inAPI
}

func (b *planner) users(d *Declaration, live []adminapi.User) {
	has := map[string]*adminapi.User{}
	for i := range live {
		has[store.FoldEmail(live[i].Email)] = &live[i]
	}
	for _, u := range d.Users {
		there := has[store.FoldEmail(u.ID)]
		delete(has, store.FoldEmail(u.ID))
		if there == nil {
			b.add(&Step{Verb: Create, Kind: KindUser, ID: u.ID, Owner: u.Owner, File: u.Place.File, User: u})
			continue
		}
		if !b.mayManage(&u.Object, there.ManagedBy) {
			continue
		}
		step := &Step{Verb: Update, Kind: KindUser, ID: there.Email, Owner: u.Owner, File: u.Place.File, User: u, LiveUser: there}
		if step.Members = userChanges(u, there); len(step.Members) > 0 {
			b.add(step)
		}
	}
	for i := range live {
		if u := &live[i]; has[store.FoldEmail(u.Email)] != nil && b.prunes(d, KindUser, u.Email, u.ManagedBy) {
			b.add(&Step{
				Verb: Delete, Kind: KindUser, ID: u.Email, Owner: u.ManagedBy, File: d.Files[u.ManagedBy], LiveUser: u,
				Revokes: []string{"their API keys"},
			})
		}
	}
}

// userChanges are the members in which a user differs from what is declared.
func userChanges(u *User, live *adminapi.User) (changes []MemberChange) {
	add := func(name, before, after, revokes string) {
		if before != after {
			changes = append(changes, MemberChange{Name: name, Before: before, After: after, Revokes: revokes})
		}
	}
	demotion, disabling := "", ""
	if u.Role == store.Developer {
		demotion = "what their API keys may do as an operator's"
	}
	if u.Disabled {
		disabling = "their sessions and their invite"
	}
	add("name", live.Name, strings.TrimSpace(u.Name), "")
	add("role", live.Role, u.Role, demotion)
	add("disabled", fmt.Sprint(live.Disabled), fmt.Sprint(u.Disabled), disabling)
	add("managed_by", live.ManagedBy, u.Owner, "")
	return changes
}

// AsDeclared is whether a client has the members that are declared.
func AsDeclared(c *Client, live *LiveClient) bool { return len(clientChanges(c, live)) == 0 }

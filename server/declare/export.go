package declare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/clients"
	"github.com/mintkeep/mintkeep/store"
)

// Export writes what a server has as files have it: a document for each owner, without any secret or digest. as is the owner of
// what has none; empty: that is left out.
func Export(live Live, offers clients.Offers, as string) ([]byte, error) {
	documents := map[string]*document{}
	of := func(owner string) *document {
		if owner == "" {
			owner = as
		}
		if documents[owner] == nil {
			documents[owner] = &document{}
		}
		return documents[owner]
	}
	for i := range live.Clients {
		d := of(live.Clients[i].ManagedBy)
		d.clients = append(d.clients, pair{live.Clients[i].ID, live.Clients[i].inFile(offers)})
	}
	for i := range live.Users {
		d := of(live.Users[i].ManagedBy)
		d.users = append(d.users, pair{live.Users[i].Email, userInFile(&live.Users[i])})
	}
	delete(documents, "")
	var b bytes.Buffer
	for _, owner := range slices.Sorted(maps.Keys(documents)) {
		if b.Len() > 0 {
			b.WriteString("---\n")
		}
		text, err := documents[owner].yaml(owner)
		if err != nil {
			return nil, err
		}
		b.Write(text)
	}
	return b.Bytes(), nil
}

type document struct{ clients, users pairs }

func (d *document) yaml(owner string) ([]byte, error) {
	all := pairs{{"version", 1}, {"owner", owner}}
	if len(d.clients) > 0 {
		all = append(all, pair{"clients", d.clients})
	}
	if len(d.users) > 0 {
		all = append(all, pair{"users", d.users})
	}
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(all); err != nil {
		return nil, fmt.Errorf("write the declaration of %s: %w", owner, err)
	}
	return b.Bytes(), encoder.Close()
}

// pairs is a mapping in its order.
type pairs []pair

type pair struct {
	name  string
	value any
}

// MarshalYAML makes the mapping. A string that looks like a number or a boolean is quoted.
func (all pairs) MarshalYAML() (any, error) {
	mapping := &yaml.Node{Kind: yaml.MappingNode}
	if len(all) == 0 {
		mapping.Style = yaml.FlowStyle
	}
	for _, p := range all {
		var name, value yaml.Node
		if err := name.Encode(p.name); err != nil {
			return nil, err
		}
		if err := value.Encode(p.value); err != nil {
			return nil, err
		}
		mapping.Content = append(mapping.Content, &name, &value)
	}
	return mapping, nil
}

// inFile are the members of a client that have not their defaults.
func (c *LiveClient) inFile(offers clients.Offers) pairs {
	defaults, _ := offers.Check(nil)
	all := pairs{}
	differ := func(m member) bool {
		if m.name == "disabled" {
			return c.Disabled
		}
		return slices.ContainsFunc(clients.Changes(&defaults, &c.Metadata), func(change clients.Change) bool { return change.Member == m.inAPI() })
	}
	for _, m := range clientMembers {
		if differ(m) {
			all = append(all, pair{m.name, m.inFile(c.members[m.inAPI()])})
		}
	}
	return all
}

func userInFile(u *adminapi.User) pairs {
	all := pairs{}
	if u.Name != "" {
		all = append(all, pair{"name", u.Name})
	}
	if u.Role != store.Developer {
		all = append(all, pair{"role", u.Role})
	}
	if u.Disabled {
		all = append(all, pair{"disabled", true})
	}
	return all
}

// inFile is a value of the API as a file has it.
func (m member) inFile(raw json.RawMessage) any {
	var value any
	if json.Unmarshal(raw, &value) != nil {
		return nil
	}
	switch v := value.(type) {
	case string:
		if m.kind == words {
			return strings.Fields(v)
		}
	case float64:
		return shortest(time.Duration(v) * time.Second)
	}
	return value
}

// shortest is a duration without the units that are zero: 1h, not 1h0m0s.
func shortest(d time.Duration) string {
	switch {
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return d.String()
}

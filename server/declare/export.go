package declare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

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
		d.clients = append(d.clients, yaml.MapItem{Key: live.Clients[i].ID, Value: live.Clients[i].inFile(offers)})
	}
	for i := range live.Users {
		d := of(live.Users[i].ManagedBy)
		d.users = append(d.users, yaml.MapItem{Key: live.Users[i].Email, Value: userInFile(&live.Users[i])})
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

type document struct{ clients, users yaml.MapSlice }

func (d *document) yaml(owner string) ([]byte, error) {
	all := yaml.MapSlice{{Key: "version", Value: 1}, {Key: "owner", Value: owner}}
	if len(d.clients) > 0 {
		all = append(all, yaml.MapItem{Key: "clients", Value: d.clients})
	}
	if len(d.users) > 0 {
		all = append(all, yaml.MapItem{Key: "users", Value: d.users})
	}
	text, err := yaml.Marshal(all)
	if err != nil {
		return nil, fmt.Errorf("write the declaration of %s: %w", owner, err)
	}
	return text, nil
}

// inFile are the members of a client that have not their defaults.
func (c *LiveClient) inFile(offers clients.Offers) yaml.MapSlice {
	defaults, _ := offers.Check(nil)
	all := yaml.MapSlice{}
	differ := func(m member) bool {
		if m.name == "disabled" {
			return c.Disabled
		}
		return slices.ContainsFunc(clients.Changes(&defaults, &c.Metadata), func(change clients.Change) bool { return change.Member == m.inAPI() })
	}
	for _, m := range clientMembers {
		if differ(m) {
			all = append(all, yaml.MapItem{Key: m.name, Value: m.inFile(c.members[m.inAPI()])})
		}
	}
	return all
}

func userInFile(u *adminapi.User) yaml.MapSlice {
	all := yaml.MapSlice{}
	if u.Name != "" {
		all = append(all, yaml.MapItem{Key: "name", Value: u.Name})
	}
	if u.Role != store.Developer {
		all = append(all, yaml.MapItem{Key: "role", Value: u.Role})
	}
	if u.Disabled {
		all = append(all, yaml.MapItem{Key: "disabled", Value: true})
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

package dashboard

import (
	"context"
	"net/url"
	"strings"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/store"
)

// ref is a user, client or key as a page names it: by email or name, with a link to its page and its id in a tooltip. What
// has no id, such as the admin token, is a label alone.
type ref struct {
	Kind  string // user, client or key
	Label string
	ID    string
	Link  string // empty: it has no page that the reader may see
	Gone  string // why it has no name: deleted or unreadable
}

// refs are the users, clients and keys that a page names.
type refs struct{ store.Names }

// longestID bounds an id that is looked up: a caller who was rejected may have claimed a longer one.
const longestID = 200

// refs reads what subjects of the audit log are called, in one round trip: "user:<id>", "client:<id>", "key:<id>". It
// passes over all others.
func (d *Dashboard) refs(ctx context.Context, subjects ...string) (names refs, err error) {
	ids := map[string][]string{}
	for _, subject := range subjects {
		if kind, id, _ := strings.Cut(subject, ":"); id != "" && len(id) <= longestID {
			ids[kind] = append(ids[kind], id)
		}
	}
	names.Names, err = d.store.Names(ctx, ids["user"], ids["client"], ids["key"])
	return names, err
}

// labelsOf are the labels of what has no id.
var labelsOf = map[string]string{
	audit.AdminTokenName: "admin token", audit.NextAdminTokenName: "next admin token", audit.SigningKeysTarget: "signing keys",
	audit.GuardsTarget: "guards",
}

// of is how an operator's page names a subject of the audit log.
func (names refs) of(subject string) ref {
	kind, id, _ := strings.Cut(subject, ":")
	known := map[string]struct {
		names map[string]string
		page  string
	}{
		"user":   {names.Users, "/operator/users/"},
		"client": {names.Clients, "/operator/clients/"},
		"key":    {names.Keys, "/operator/keys/"},
	}
	k, has := known[kind]
	switch {
	case !has || id == "":
		if label := labelsOf[subject]; label != "" {
			return ref{Label: label}
		}
		return ref{Label: subject}
	case names.Unreadable[subject]:
		return ref{Kind: kind, Label: id, ID: id, Gone: "unreadable"}
	case k.names[id] == "":
		return ref{Kind: kind, Label: id, ID: id, Gone: "deleted"}
	}
	return ref{Kind: kind, Label: k.names[id], ID: id, Link: k.page + url.PathEscape(id)}
}

package main

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/store"
)

// withName is an id with its name behind it, if there is one: "key:key_… (nightly backup)".
func withName(id, name string) string {
	_, bare, _ := strings.Cut(id, ":")
	if name == "" || name == id || name == bare {
		return id
	}
	return id + " (" + name + ")"
}

// subjectNames are what subjects of the audit log are called, such as "key:<id>".
type subjectNames map[string]string

// add reads the names of what exists. A table that lacks them is not worth an error.
func (n subjectNames) add(ctx context.Context, s *store.Store, subjects ...string) {
	ids := map[string][]string{}
	for _, subject := range subjects {
		if kind, id, _ := strings.Cut(subject, ":"); id != "" {
			ids[kind] = append(ids[kind], id)
		}
	}
	found, err := s.Names(ctx, ids["user"], ids["client"], ids["key"])
	if err != nil {
		return
	}
	for kind, called := range map[string]map[string]string{"user:": found.Users, "client:": found.Clients, "key:": found.Keys} {
		for id, name := range called {
			n[kind+id] = name
		}
	}
}

// fill adds names of what does not exist any more.
func (n subjectNames) fill(former map[string]string) {
	for subject, name := range former {
		if n[subject] == "" {
			n[subject] = name
		}
	}
}

func (n subjectNames) of(subject string) string { return withName(subject, n[subject]) }

// keyNames are what the key and the user are called that the description of a key names by their ids. The server is asked;
// without its answer the ids stand alone.
type keyNames struct{ revokedBy, disabledBy, successor string }

func keyNamesOf(ctx context.Context, admin *api, body json.RawMessage) (n keyNames) {
	k, err := parsed[adminapi.Key](body)
	if err != nil {
		return n
	}
	if k.RotatedTo != nil {
		n.successor = nameAt(ctx, admin, resource("/admin/keys", *k.RotatedTo))
	}
	if r := k.Revocation; r != nil {
		n.revokedBy = emailOf(ctx, admin, k, r.By)
	}
	n.disabledBy = emailOf(ctx, admin, k, k.DisabledBy)
	return n
}

// emailOf is that of a user who did something with a key; empty if it was no user.
func emailOf(ctx context.Context, admin *api, k adminapi.Key, by string) string {
	switch id, isUser := strings.CutPrefix(by, "user:"); {
	case isUser && id == k.User:
		return k.UserEmail
	case isUser:
		return nameAt(ctx, admin, resource("/admin/users", id))
	}
	return ""
}

// nameAt is the email of a user, or the name of a key, that the server has at this path.
func nameAt(ctx context.Context, admin *api, path string) string {
	body, err := admin.get(ctx, path, url.Values{})
	if err != nil {
		return ""
	}
	named, err := parsed[struct{ Email, Name string }](body)
	if err != nil || named.Email != "" {
		return named.Email
	}
	return named.Name
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/server/declare"
	"github.com/mintkeep/mintkeep/server/oauth"
)

// longestPages are those of a list that is read whole.
func longestPages() url.Values { return url.Values{"limit": {"200"}} }

// live reads what the server has.
func (a *api) live(ctx context.Context, withUsers bool) (live declare.Live, err error) {
	offers := oauth.Offers(oauth.AuthMethods()...)
	for page, err := range a.pages(ctx, "/admin/clients", longestPages()) {
		if err != nil {
			return live, err
		}
		for _, item := range page.Items {
			c, err := declare.ReadClient(item, offers)
			if err != nil {
				return live, fmt.Errorf("the answer is not what Mintkeep sends: %w", err)
			}
			if c.ETag == "" {
				return live, errors.New("the server is of an earlier version, which knows no declarations: update it first")
			}
			live.Clients = append(live.Clients, c)
		}
	}
	if !withUsers {
		return live, nil
	}
	for page, err := range a.pages(ctx, "/admin/users", longestPages()) {
		if err != nil {
			return live, err
		}
		for _, item := range page.Items {
			u, err := parsed[adminapi.User](item)
			if err != nil {
				return live, err
			}
			live.Users = append(live.Users, u)
		}
	}
	return live, nil
}

// spared are the objects that are never pruned: the demo client, and the client or user whose credential the command uses. An
// admin token is of neither, and the server is not asked about it: that would be a rejected request.
func (a *api) spared(ctx context.Context, p process) ([]declare.Spared, error) {
	spared := []declare.Spared{{Kind: declare.KindClient, ID: demoClient, Why: "the demo client"}}
	token := a.token.Reveal()
	if !credential.WellFormed(token) && !strings.HasPrefix(token, "eyJ") {
		return spared, nil
	}
	public, e := *a, newEnvironment(p)
	public.base = e.url() // the listener for operators does not serve it
	if err := e.err(); err != nil {
		return nil, err
	}
	body, err := public.get(ctx, "/api/v1/users/me", nil)
	if err != nil {
		return nil, fmt.Errorf("asking whose credential this is, which is never deleted: %w", err)
	}
	me, err := parsed[struct{ Type, ID, Email string }](body)
	if err != nil {
		return nil, err
	}
	self := declare.Spared{Kind: me.Type, ID: me.ID, Why: "running this command"}
	if me.Type == declare.KindUser {
		self.ID = me.Email
	}
	return append(spared, self), nil
}

// The audit log is read for one object after another if these are few, and else as a whole. Its older part is not worth the
// time.
const (
	fewTargets     = 16
	mostAuditPages = 50
)

// attribute reads the audit log until it is known who has changed each member that differs.
func (a *api) attribute(ctx context.Context, plan *declare.Plan, live declare.Live) error {
	attribution := plan.Attribute()
	targets := attribution.Open()
	if len(targets) > fewTargets {
		targets = []string{""}
	}
	for _, target := range targets {
		query, read := longestPages(), 0
		if target != "" {
			query.Set("target", target)
		}
		for page, err := range a.pages(ctx, "/admin/audit", query) {
			if err != nil {
				return err
			}
			for _, item := range page.Items {
				e, err := parsed[adminapi.Event](item)
				if err != nil {
					return err
				}
				attribution.Add(e)
			}
			if read++; read == mostAuditPages || !attribution.Needs(target) {
				break
			}
		}
	}
	a.nameActors(ctx, plan, live)
	return nil
}

// nameActors writes the email addresses of users in the place of their ids.
func (a *api) nameActors(ctx context.Context, plan *declare.Plan, live declare.Live) {
	emails := map[string]string{}
	for i := range live.Users {
		emails[live.Users[i].ID] = live.Users[i].Email
	}
	for _, step := range plan.Steps {
		for _, m := range step.Members {
			if m.Drift == nil {
				continue
			}
			id, isUser := strings.CutPrefix(m.Drift.By, "user:")
			if !isUser {
				continue
			}
			if _, asked := emails[id]; !asked {
				emails[id] = nameAt(ctx, a, resource("/admin/users", id))
			}
			if emails[id] != "" {
				m.Drift.By = emails[id]
			}
		}
	}
}

package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/declare"
	"github.com/mintkeep/mintkeep/server/oauth"
)

// members are those with which an object is created. "disabled" is not among them: createClient and createUser set it afterwards.
func members(o declare.Object) map[string]any {
	all := map[string]any{}
	for name, raw := range o.Members {
		if name != "disabled" {
			all[name] = raw
		}
	}
	return all
}

// newClient is the request that registers a client.
func newClient(s *declare.Step) map[string]any {
	body := members(s.Client.Object)
	body["client_id"] = s.ID
	if len(s.Client.Secrets) > 0 {
		body["client_secret_sha256"] = s.Client.Secrets[0]
	}
	return body
}

// createdAs creates an object, and reads the answer. unknown is whether it may be there although there is an error.
func createdAs[T any](ctx context.Context, a *applier, s *declare.Step, body map[string]any) (created T, unknown bool, err error) {
	answer, unknown, err := a.admin.create(ctx, a.path(s), body)
	if err != nil {
		return created, unknown, err
	}
	created, err = parsed[T](answer)
	return created, err != nil, err
}

// createClient registers a client. It is not repeated without an answer: a second attempt would find the id taken. A secret
// that the server creates is printed at once, so that nothing that fails later loses it.
func (a *applier) createClient(ctx context.Context, s *declare.Step) error {
	created, unknown, err := createdAs[adminapi.RegisteredClient](ctx, a, s, newClient(s))
	switch {
	case unknown && len(s.Client.Secrets) == 0 && !s.Client.Metadata.HasKeys():
		return fmt.Errorf("%w; the client may have been created, but its secret was not shown: "+
			"if mintkeep client show %[2]s finds the client, run mintkeep client rotate %[2]s for a new secret", err, s.ID)
	case err != nil:
		return err
	}
	if created.Secret != "" {
		a.secret(createdSecret{s.ID, created.Secret})
	}
	for _, digest := range s.Client.Secrets[min(1, len(s.Client.Secrets)):] {
		if err := a.addSecret(ctx, s, declare.SecretChange{Add: digest, Keep: true}); err != nil {
			return err
		}
	}
	if s.Client.Disabled {
		_, err = a.admin.patch(ctx, a.path(s, s.ID), map[string]any{"disabled": true})
	}
	return err
}

func (a *applier) secret(created createdSecret) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.result.Secrets = append(a.result.Secrets, created)
	if err := a.out.done("client %s: secret %s", created.ClientID, created.Secret); err != nil {
		a.errs = append(a.errs, fmt.Errorf("the secret of client %s is lost: %w; mintkeep client rotate creates another", created.ClientID, err))
	}
}

// updateClient replaces the registration, and changes the secrets.
func (a *applier) updateClient(ctx context.Context, s *declare.Step) error {
	if len(s.Members) > 0 {
		if err := a.replace(ctx, s); err != nil {
			return err
		}
	}
	for _, change := range s.Secrets {
		var err error
		if change.Revoke != "" {
			err = a.delete(ctx, a.path(s, s.ID, "secrets", change.Revoke))
		} else {
			err = a.addSecret(ctx, s, change)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) addSecret(ctx context.Context, s *declare.Step, change declare.SecretChange) error {
	body := map[string]any{"client_secret_sha256": change.Add}
	if change.Keep {
		body["keep_previous"] = true
	}
	_, err := a.admin.post(ctx, a.path(s, s.ID, "secrets"), body)
	return err
}

// replace replaces the registration, if that is still what the plan has seen. After a 503 it may have been replaced: then the
// client is as it is declared, and the request is sent again for the version that it has now, so that the server confirms it.
func (a *applier) replace(ctx context.Context, s *declare.Step) error {
	version := s.LiveClient.ETag
	return retrying(ctx, func(try int) error {
		if try > 1 {
			body, err := a.admin.get(ctx, resource("/admin/clients", s.ID), nil)
			if err != nil {
				return err
			}
			now, err := declare.ReadClient(body, oauth.Offers(oauth.AuthMethods()...))
			if err != nil {
				return err
			}
			if declare.AsDeclared(s.Client, &now) {
				version = now.ETag
			}
		}
		_, err := a.admin.call(ctx, http.MethodPut, a.path(s, s.ID), "application/json", s.Client.Members, header{"If-Match", version})
		return err
	})
}

// createUser creates a user, and prints the link by which they set a password.
func (a *applier) createUser(ctx context.Context, s *declare.Step) error {
	body := members(s.User.Object)
	body["email"] = s.ID
	created, unknown, err := createdAs[adminapi.CreatedUser](ctx, a, s, body)
	switch {
	case unknown:
		return fmt.Errorf("%w; the user may have been created, but the invite link was not shown: "+
			"if mintkeep user show %[2]s finds the user, run mintkeep user invite %[2]s for a new link", err, s.ID)
	case err != nil:
		return err
	}
	a.invite(createdInvite{s.ID, created.Invite})
	if s.User.Disabled {
		_, err = a.admin.patch(ctx, a.path(s, created.ID), map[string]any{"disabled": true})
	}
	return err
}

func (a *applier) invite(created createdInvite) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.result.Invites = append(a.result.Invites, created)
	if err := a.out.done("user %s: invite link %s", created.Email, created.URL); err != nil {
		a.errs = append(a.errs, fmt.Errorf("the invite of user %s is lost: %w; mintkeep user invite creates another", created.Email, err))
	}
}

// updateUser sends the members that differ and no others: what another request changes at the same time stays.
func (a *applier) updateUser(ctx context.Context, s *declare.Step) error {
	body := map[string]any{}
	for _, m := range s.Members {
		body[m.Name] = nil // the default
		if raw := s.User.Members[m.Name]; raw != nil {
			body[m.Name] = raw
		}
	}
	return retrying(ctx, func(int) error {
		_, err := a.admin.patch(ctx, a.path(s, s.LiveUser.ID), body)
		return err
	})
}

package admin

import "net/http"

// The handlers, as routes know them: each is guarded, and what it guards cannot be routed to.

// CreateClient answers POST /admin/clients, by the one answer that has the new secret in it.
func (a *Admin) CreateClient(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.createClient)(w, r)
}

// ListClients answers GET /admin/clients.
func (a *Admin) ListClients(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.listClients)(w, r)
}

// ShowClient answers GET /admin/clients/{id}.
func (a *Admin) ShowClient(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.showClient)(w, r)
}

// PatchClient answers PATCH /admin/clients/{id}, a JSON Merge Patch (RFC 7396).
func (a *Admin) PatchClient(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.patchClient)(w, r)
}

// DeleteClient answers DELETE /admin/clients/{id}.
func (a *Admin) DeleteClient(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.deleteClient)(w, r)
}

// RevokeTokens answers POST /admin/clients/{id}/revoke-tokens.
func (a *Admin) RevokeTokens(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.revokeTokens)(w, r)
}

// ListSecrets answers GET /admin/clients/{id}/secrets.
func (a *Admin) ListSecrets(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.listSecrets)(w, r)
}

// RotateSecret answers POST /admin/clients/{id}/secrets.
func (a *Admin) RotateSecret(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.rotateSecret)(w, r)
}

// ShowSecret answers GET /admin/clients/{id}/secrets/{secret_id}.
func (a *Admin) ShowSecret(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.showSecret)(w, r)
}

// RevokeSecret answers DELETE /admin/clients/{id}/secrets/{secret_id}.
func (a *Admin) RevokeSecret(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.endSecret)(w, r)
}

// CreateUser answers POST /admin/users, with the link by which the person sets a password.
func (a *Admin) CreateUser(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.createUser)(w, r)
}

// ListUsers answers GET /admin/users.
func (a *Admin) ListUsers(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.listUsers)(w, r)
}

// ShowUser answers GET /admin/users/{id}.
func (a *Admin) ShowUser(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.showUser)(w, r)
}

// PatchUser answers PATCH /admin/users/{id}, a JSON Merge Patch (RFC 7396).
func (a *Admin) PatchUser(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.patchUser)(w, r)
}

// DeleteUser answers DELETE /admin/users/{id}.
func (a *Admin) DeleteUser(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.deleteUser)(w, r)
}

// InviteUser answers POST /admin/users/{id}/invite.
func (a *Admin) InviteUser(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.inviteUser)(w, r)
}

// CreateKey answers POST /admin/users/{id}/keys, by the one answer that has the new key in it.
func (a *Admin) CreateKey(w http.ResponseWriter, r *http.Request) error {
	return a.GuardMaker(a.createKey)(w, r)
}

// ListKeys answers GET /admin/keys, newest first.
func (a *Admin) ListKeys(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.listKeys)(w, r)
}

// ShowKey answers GET /admin/keys/{id}.
func (a *Admin) ShowKey(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.showKey)(w, r)
}

// RevokeKey answers DELETE /admin/keys/{id}.
func (a *Admin) RevokeKey(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.endKey)(w, r)
}

// ReportLeaks answers POST /admin/keys/report.
func (a *Admin) ReportLeaks(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.reportLeaks)(w, r)
}

// Stats answers GET /admin/stats.
func (a *Admin) Stats(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.stats)(w, r)
}

// SigningKeys answers GET /admin/signing-keys.
func (a *Admin) SigningKeys(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.signingKeys)(w, r)
}

// RotateSigningKey answers POST /admin/signing-keys/rotate.
func (a *Admin) RotateSigningKey(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.rotateSigningKey)(w, r)
}

// Audit answers GET /admin/audit, newest first.
func (a *Admin) Audit(w http.ResponseWriter, r *http.Request) error {
	return a.Guard(a.listEvents)(w, r)
}

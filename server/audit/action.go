package audit

import "strings"

// Action is what was done, as the audit log names it: a noun, a dot and a participle.
type Action string

// The changes and the revocations.
const (
	ClientCreated         Action = "client.created"
	ClientUpdated         Action = "client.updated"
	ClientEnabled         Action = "client.enabled"
	ClientDisabled        Action = "client.disabled"
	ClientDeleted         Action = "client.deleted"
	ClientTokensRevoked   Action = "client.tokens_revoked"
	ClientKeysRefreshed   Action = "client.keys_refreshed" // the set at its jwks_uri
	SecretRotated         Action = "secret.rotated"
	SecretRevoked         Action = "secret.ended"
	SecretLeaked          Action = "secret.leaked"
	TokenLeaked           Action = "token.leaked"
	UserCreated           Action = "user.created"
	UserUpdated           Action = "user.updated"
	UserEnabled           Action = "user.enabled"
	UserDisabled          Action = "user.disabled"
	UserPromoted          Action = "user.promoted"
	UserDemoted           Action = "user.demoted"
	UserDeleted           Action = "user.deleted"
	UserInvited           Action = "user.invited"
	UserPasswordSet       Action = "user.password_set"
	UserPasswordRevoked   Action = "user.password_revoked" // with the sessions and the invite
	UserSignedOut         Action = "user.signed_out"       // everywhere
	SessionCreated        Action = "session.created"
	SessionRevoked        Action = "session.ended"
	KeyCreated            Action = "key.created"
	KeyRotated            Action = "key.rotated"
	KeyRenamed            Action = "key.renamed" // of earlier versions
	KeyUpdated            Action = "key.updated"
	KeyEnabled            Action = "key.enabled"
	KeyDisabled           Action = "key.disabled"
	KeyRevoked            Action = "key.revoked"
	KeyLeaked             Action = "key.leaked"
	SigningKeyRotated     Action = "signing_key.rotated"
	SigningKeyCompromised Action = "signing_key.compromised"
	GuardJoined           Action = "guard.joined" // a client's first poll of the feed in a day
	GuardsProbed          Action = "guard.probed"
	Fenced                Action = "fence"
)

// The rejections: of a credential or a user, at the route that is their target.
const (
	ClientRejected    Action = "client.refused"
	AdminRejected     Action = "admin.refused"
	APIRejected       Action = "api.refused"
	SessionRejected   Action = "session.refused"
	DashboardRejected Action = "dashboard.refused"
)

// Actions are all of them. A test holds the list to the constants.
func Actions() []Action {
	return []Action{
		ClientCreated, ClientUpdated, ClientEnabled, ClientDisabled, ClientDeleted, ClientTokensRevoked, ClientKeysRefreshed,
		SecretRotated, SecretRevoked, SecretLeaked, TokenLeaked,
		UserCreated, UserUpdated, UserEnabled, UserDisabled, UserPromoted, UserDemoted, UserDeleted, UserInvited,
		UserPasswordSet, UserPasswordRevoked, UserSignedOut, SessionCreated, SessionRevoked,
		KeyCreated, KeyRotated, KeyRenamed, KeyUpdated, KeyEnabled, KeyDisabled, KeyRevoked, KeyLeaked,
		SigningKeyRotated, SigningKeyCompromised, GuardJoined, GuardsProbed, Fenced,
		ClientRejected, AdminRejected, APIRejected, SessionRejected, DashboardRejected,
	}
}

const failed = ".failed"

// Failed is the action of an event that follows the record of a change: the change was not made, or its outcome is
// unknown.
func (a Action) Failed() Action { return a + failed }

// CutFailed is the inverse of Failed.
func (a Action) CutFailed() (before Action, ok bool) {
	s, ok := strings.CutSuffix(string(a), failed)
	return Action(s), ok
}

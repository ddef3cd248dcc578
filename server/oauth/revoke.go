package oauth

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/bearer"
	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// Revoke answers POST /oauth/revoke (RFC 7009). A token that is unknown, expired or revoked already is
// a success (§2.2). token_type_hint is not needed: every kind has one record.
func (s *Server) Revoke(w http.ResponseWriter, r *http.Request) error {
	own, err := s.ownKey(r)
	if err != nil {
		return err
	}
	if own != "" {
		err = s.revokeKey(r, own)
	} else {
		err = s.revokeToken(r)
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func (s *Server) revokeToken(r *http.Request) error {
	asked, err := s.inspect(r, bearer.ParseShape)
	if err != nil {
		return err
	}
	if err := s.use(r, asked.caller); err != nil { // before anything is revoked by it
		return err
	}
	web.NeverSample(r.Context())
	switch {
	case asked.presented.Digest == (store.Digest{}): // it cannot be one of ours
		return nil
	case asked.record == nil:
		return answerOf(s.store.ConfirmRevoked(r.Context(), asked.presented.Digest, s.mayHaveIssued(r, asked), asked.caller.ID))
	}
	if asked.record.Key != nil { // a user's, never a client's
		return errForeignToken
	}
	if claims := s.verifier.Issued(asked.presented, asked.record); claims != nil && claims.ClientID != asked.caller.ID {
		return errForeignToken
	}
	return s.store.RevokeToken(r.Context(), asked.presented.Digest, s.audit.Cause(audit.Client(r.Context(), asked.caller.ID), "revoked by its client"))
}

// mayHaveIssued is whether a token without a record may be one that an earlier attempt has revoked: an opaque token or an
// API key with the right checksum, or a JWT of the caller's that was signed here.
func (s *Server) mayHaveIssued(r *http.Request, asked inspection) bool {
	client, isJWT := asked.presented.ClientID()
	if !isJWT {
		return true
	}
	form, err := web.Form(r)
	return err == nil && client == asked.caller.ID && s.ring.Signed(form.Get("token"))
}

// answerOf makes an answer of the error of a revocation that finds nothing.
func answerOf(err error) error {
	if errors.Is(err, store.ErrManyUnknown) {
		return web.TooManyRequests(time.Second)
	}
	return err
}

// ownKey is the API key of a request in which a key revokes itself: it is the bearer and the token, and there
// is no client. Any other use of Bearer is a 400; an access token is a 401, see revokeKey.
func (s *Server) ownKey(r *http.Request) (string, error) {
	bearer := bearerToken(r)
	if bearer == "" {
		return "", nil
	}
	form, err := web.Form(r)
	if err != nil {
		return "", err
	}
	if err := rejectQuery(r); err != nil {
		return "", err
	}
	switch {
	case slices.ContainsFunc(credentialParameters, form.Has):
		return "", errMultipleMethods
	case !form.Has("token"):
		return "", errNoToken
	case form.Get("token") != bearer:
		return "", web.InvalidRequest("An API key can revoke only itself: token must be the key in the Authorization header")
	}
	return bearer, nil
}

// revokeKey revokes the key. One that is unknown here is revoked already, and the caller has guessed: that is counted, and
// only then confirmed. An access token has a client, which must authenticate (RFC 7009 §2.1): the answer is the same
// whether it is active or not.
func (s *Server) revokeKey(r *http.Request, key string) error {
	tokenLike := credential.TokenLike(key, s.config.KeyPrefix)
	t, plausible := bearer.ParseShape(key)
	if !plausible && !tokenLike {
		return nil
	}
	record, err := s.store.Credential(r.Context(), t.Digest)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if record != nil && record.Key != nil {
		web.Note(r.Context(), "key", record.Key.ID)
		own := &store.APIKey{ID: record.Key.ID, UserID: record.Key.UserID, Digest: t.Digest}
		return s.keys.Revoke(r.Context(), own, "revoked by itself", audit.Key(r.Context(), own.UserID, record.Key, record.Key.Scope))
	}
	if over, retryAfter := s.store.CountFailure(r.Context(), store.BearerFailures, "", web.Address(r)); over {
		return web.TooManyRequests(retryAfter)
	}
	if tokenLike || record != nil { // the latter is a token of an earlier brand
		return errInvalidClient
	}
	return answerOf(s.store.ConfirmUnknown(r.Context(), t.Digest))
}

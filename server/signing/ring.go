package signing

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/mintkeep/mintkeep/server/seal"
	"github.com/mintkeep/mintkeep/store"
)

// ErrNotReady: this replica has no key that it may sign with.
var ErrNotReady = errors.New("the signing keys are not ready")

// notReady is ErrNotReady with the reason. It matches store.ErrUnavailable too: the request may be
// repeated, here later or elsewhere now.
type notReady struct{ cause error }

func (e *notReady) Error() string { return ErrNotReady.Error() + ": " + e.cause.Error() }
func (e *notReady) Unwrap() error { return e.cause }
func (e *notReady) Is(target error) bool {
	return target == ErrNotReady || target == store.ErrUnavailable
}

// Options for New. Store, MasterKeys, Algorithm and TokenTTLMax are required.
type Options struct {
	Store *store.Store
	// MasterKeys are 32 bytes each: the first seals, all open.
	MasterKeys [][]byte
	// Algorithm of the next key that is created; those that exist stay as they are.
	Algorithm string
	// Rotation is the age at which an active key is replaced; zero: manual rotation only.
	Rotation time.Duration
	// TokenTTLMax is the longest lifetime of a token that this replica issues: a retired key stays published at least as long.
	TokenTTLMax time.Duration
	// Now defaults to time.Now.
	Now func() time.Time
	// Logger defaults to none.
	Logger *slog.Logger
}

// Ring is the keys as one replica knows them. It is safe for concurrent use.
type Ring struct {
	store    *store.Store
	vault    *seal.Vault
	options  Options
	owner    string // of claims; different in every Ring
	log      *slog.Logger
	failure  atomic.Pointer[string] // of the last reload, as report logged it; empty: none
	view     atomic.Pointer[view]   // never nil
	changing chan struct{}          // has an element while the view is read and replaced
}

// view is what a request sees. It is never changed after it was stored.
type view struct {
	ring store.Keyring
	jwks []byte
	etag string
	// signer is nil when this replica may not sign; err then says why.
	signer *signer
	err    error
}

// New creates an empty Ring; Load or Run fills it.
func New(o Options) (*Ring, error) {
	switch o.Algorithm {
	case es256, eddsa, rs256:
	default:
		return nil, unknownAlgorithm(o.Algorithm)
	}
	v, err := seal.New(o.MasterKeys)
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.MasterKeys = nil // the vault has them
	r := &Ring{store: o.Store, vault: v, options: o, owner: rand.Text(), log: o.Logger, changing: make(chan struct{}, 1)}
	r.view.Store(&view{err: &notReady{errors.New("not loaded yet")}})
	return r, nil
}

// Vault seals under the master keys. What shares it follows [Ring.ReplaceMasterKeys].
func (r *Ring) Vault() *seal.Vault { return r.vault }

// Ready is nil while Sign works; otherwise it matches ErrNotReady and says why.
func (r *Ring) Ready() error { return r.view.Load().err }

// Sign makes an access token of the claims, a JSON object: a JWS in compact form with the header of RFC
// 9068 §2.1.
func (r *Ring) Sign(claims []byte) (string, error) {
	v := r.view.Load()
	if v.signer == nil {
		return "", v.err
	}
	return v.signer.token(claims)
}

// JWKS is the JWK Set to publish (application/jwk-set+json) and its strong ETag, quotes included. It
// stays after a failed reload; before the first load it is nil. The caller must not change it.
func (r *Ring) JWKS() (body []byte, etag string) {
	v := r.view.Load()
	return v.jwks, v.etag
}

// KeyState is what an operator may know of a key.
type KeyState struct {
	ID        string
	Algorithm string
	// State is store.KeyNext, store.KeyActive or store.KeyRetired.
	State                                                    string
	CreatedAt, PublishedAt, ActivatedAt, RetiredAt, RemoveAt time.Time
}

// Keys lists the keys in the order of the JWKS: active, next, retired from the newest.
func (r *Ring) Keys() []KeyState {
	var states []KeyState
	for _, k := range r.view.Load().ring.Keys {
		states = append(states, KeyState{
			ID: k.ID, Algorithm: k.Algorithm, State: k.State(),
			CreatedAt: k.CreatedAt, PublishedAt: k.PublishedAt, ActivatedAt: k.ActivatedAt, RetiredAt: k.RetiredAt, RemoveAt: k.RemoveAt,
		})
	}
	return states
}

// ActiveSince is when the active key was promoted; zero before the first load.
func (r *Ring) ActiveSince() time.Time { return r.view.Load().ring.Active().ActivatedAt }

// apply makes a ring that was read or written the one that requests see. A key that does not open is an
// error, but the whole JWKS is published all the same: the other replicas rely on it. This replica
// stops signing only if it cannot open the active key.
func (r *Ring) apply(ring *store.Keyring) error {
	old := r.view.Load()
	if ring.Revision != "" && ring.Revision == old.ring.Revision && old.err == nil {
		return r.openable(ring.Next())
	}
	body, etag, err := keySet(ring.Keys)
	if err != nil {
		return r.stop(err)
	}
	v := &view{ring: *ring, jwks: body, etag: etag}
	active := ring.Active()
	if v.signer, err = r.signer(active); err != nil {
		v.err = &notReady{err}
		r.view.Store(v)
		return err
	}
	r.view.Store(v)
	if active.ID != old.ring.Active().ID {
		r.log.Info("signing with key", "kid", active.ID, "alg", active.Algorithm, "since", active.ActivatedAt)
	}
	return r.openable(ring.Next())
}

// stop prevents signing until a ring can be read again, and keeps the JWKS: old tokens can still be
// verified.
func (r *Ring) stop(err error) error {
	v := *r.view.Load()
	v.ring.Revision, v.signer, v.err = "", nil, &notReady{err}
	r.view.Store(&v)
	return err
}

func (r *Ring) openable(key store.SigningKey) error {
	_, err := r.signer(key)
	return err
}

// signer opens a key. The private part is sealed to the key's id, so it is the one whose public part is
// published.
func (r *Ring) signer(key store.SigningKey) (*signer, error) {
	pair, err := r.open(key)
	if err != nil {
		return nil, err
	}
	return newSigner(key.ID, pair)
}

package keys

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/bearer"
	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// Keeper sees to keys. All fields are required.
type Keeper struct {
	Store  *store.Store
	Config *config.Config
	Now    func() time.Time
}

// The actions, as the audit trail names them.
const (
	keyCreated = "key.created"
	keyRotated = "key.rotated"
	keyRenamed = "key.renamed"
	keyRevoked = "key.revoked"
)

// Target is the name of a key in the audit trail.
func Target(id string) string { return "key:" + id }

// Maker is who makes a key.
type Maker struct {
	Actor string           // as the audit trail calls them
	Key   *store.KeyRecord // the key that they act by; nil for a person or the admin token
	Scope string           // of that key, at this moment
}

// expiry is that of the key that they act by; zero: never, or they act by none.
func (m Maker) expiry() time.Time {
	if m.Key == nil || m.Key.ExpiresAt == 0 {
		return time.Time{}
	}
	return time.UnixMilli(m.Key.ExpiresAt).UTC()
}

// MakerOf is the holder of a credential as a maker of keys.
func MakerOf(h *bearer.Holder) Maker {
	return Maker{Actor: h.Actor(), Key: h.Key, Scope: h.Scope()}
}

// Made is a new key. Plain is the key itself, to be shown this once.
type Made struct {
	*store.APIKey
	Plain string
}

// Make makes a key for its owner.
func (k *Keeper) Make(r *http.Request, owner *store.User, wish Wish, by Maker) (*Made, error) {
	granted, err := k.grant(owner, wish, by)
	if err != nil {
		return nil, err
	}
	return k.make(r, owner, granted, by, web.Act{
		Actor: by.Actor, Action: keyCreated,
		Detail: map[string]string{"user": owner.ID, "name": granted.Name, "scope": granted.Scope},
	})
}

func (k *Keeper) make(r *http.Request, owner *store.User, granted *store.APIKey, by Maker, act web.Act) (*Made, error) {
	ctx := r.Context()
	// Looked at before the record is made; that it stays so is for the store to see.
	if err := k.Store.RoomForKey(ctx, owner.ID); err != nil {
		return nil, tooMany(err)
	}
	plain := credential.NewKey(k.Config.KeyPrefix)
	granted.CreatedAt = web.Time(k.Now())
	granted.ID, granted.UserID, granted.CreatedBy = store.NewKeyID(granted.CreatedAt), owner.ID, by.Actor
	granted.Digest, granted.Masked = store.DigestOf(plain), credential.Mask(plain)
	if act.Target == "" {
		act.Target = Target(granted.ID)
	} else {
		act.Detail["successor"] = granted.ID
	}
	if err := web.Change(r, k.Store, k.Now(), act, func(ctx context.Context) error {
		return k.Store.CreateKey(ctx, granted, owner)
	}); err != nil {
		return nil, tooMany(err)
	}
	return &Made{granted, plain}, nil
}

func tooMany(err error) error {
	if errors.Is(err, store.ErrTooManyKeys) {
		return web.Conflict("The person has 1,000 live keys, and may have no more; revoke one first")
	}
	return err
}

// Rotate makes a successor of a live key with the same rights. The old one ends after the overlap, or sooner if
// it would have expired.
func (k *Keeper) Rotate(r *http.Request, owner *store.User, old *store.APIKey, overlap time.Duration, by Maker) (*Made, error) {
	record, err := k.rotatable(r.Context(), old)
	if err != nil {
		return nil, err
	}
	granted, err := succeed(owner, old, record, by)
	if err != nil {
		return nil, err
	}
	act := web.Act{
		Actor: by.Actor, Action: keyRotated, Target: Target(old.ID),
		Detail: map[string]string{"user": owner.ID, "overlap": overlap.String()},
	}
	made, err := k.make(r, owner, granted, by, act)
	if err != nil {
		return nil, err
	}
	if err := k.replace(r.Context(), old, made.ID, overlap, by); err != nil {
		// Nobody has seen the successor, and nobody will.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), time.Second)
		defer cancel()
		_, _ = k.Store.RevokeKey(ctx, made.ID, store.Cause{At: web.Time(k.Now()), Actor: store.Actor{Name: by.Actor}, Reason: "the rotation failed"})
		act.Action += web.Failed
		web.Ended(r, k.Store, k.Now(), act)
		if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict) {
			return nil, web.Conflict("The key was ended or rotated at the same moment; look at it and repeat")
		}
		return nil, err
	}
	return made, nil
}

// rotatable refuses to rotate a key that has ended, or was rotated. A rotation whose answer was lost, or that was not
// confirmed, stands in the record alone.
func (k *Keeper) rotatable(ctx context.Context, old *store.APIKey) (*store.KeyRecord, error) {
	record, err := k.Store.Credential(ctx, old.Digest)
	if !old.Active || errors.Is(err, store.ErrNotFound) || err == nil && record.Key == nil {
		return nil, web.Conflict("The key has ended; make a new one")
	}
	if err != nil {
		return nil, err
	}
	if old.RotatedTo = record.Key.RotatedTo; old.RotatedTo != "" {
		err = k.takeBack(ctx, old)
	}
	return record.Key, err
}

// takeBack refuses to rotate a key a second time, unless nobody can use what came of the first: the rotation stopped
// half-way, or its successor was ended, and had none of its own. The key's own expiry was brought forward then, and is
// that of the successor again.
func (k *Keeper) takeBack(ctx context.Context, old *store.APIKey) error {
	successor, err := k.Store.Key(ctx, old.RotatedTo)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	case successor.Tombstone == nil || successor.RotatedTo != "":
		return web.Conflict("The key was rotated already; its successor is %s", old.RotatedTo)
	}
	old.ExpiresAt = successor.ExpiresAt
	return nil
}

// replace brings the end of the old key forward, at once if there is no overlap.
func (k *Keeper) replace(ctx context.Context, old *store.APIKey, successor string, overlap time.Duration, by Maker) error {
	now := web.Time(k.Now())
	old.RotatedAt, old.RotatedBy = now, by.Actor
	if overlap > 0 {
		return k.Store.ExpireKey(ctx, old, now.Add(overlap), successor, store.Cause{At: now, Actor: store.Actor{Name: by.Actor}, Reason: "rotated"})
	}
	old.RotatedTo, old.ExpiresAt = successor, now
	live, err := k.Store.RevokeKeys(ctx, []*store.APIKey{old}, store.Cause{At: now, Actor: store.Actor{Name: by.Actor}, Reason: "rotated"})
	if err == nil && len(live) == 0 {
		err = store.ErrNotFound
	}
	return err
}

// Rename gives a live key another name, which [CheckName] has seen.
func (k *Keeper) Rename(r *http.Request, key *store.APIKey, name, actor string) error {
	if !key.Active {
		return web.Conflict("The key has ended")
	}
	if name == key.Name {
		return nil
	}
	act := web.Act{Actor: actor, Action: keyRenamed, Target: Target(key.ID), Detail: map[string]string{"user": key.UserID, "name": name}}
	return web.Change(r, k.Store, k.Now(), act, func(ctx context.Context) error {
		return k.Store.RenameKey(ctx, key, name)
	})
}

// End ends a key for good. To end one that has ended is no error and not recorded again; so what may have ended is.
func (k *Keeper) End(r *http.Request, key *store.APIKey, actor, reason string) error {
	now := web.Time(k.Now())
	live, err := k.Store.RevokeKey(r.Context(), key.ID, store.Cause{At: now, Actor: store.Actor{Name: actor}, Reason: reason})
	if errors.Is(err, store.ErrNotFound) && key.Digest != (store.Digest{}) {
		// Its description was lost; the record alone makes it live.
		live, err = true, k.Store.RevokeToken(r.Context(), key.Digest, store.Cause{At: now, Actor: store.Actor{Name: actor}, Reason: reason})
	}
	act := web.Act{
		Actor: actor, Action: keyRevoked, Target: Target(key.ID),
		Detail: map[string]string{"user": key.UserID, "reason": reason},
	}
	switch unconfirmed := errors.Is(err, store.ErrUnconfirmed); {
	case live && (err == nil || unconfirmed):
		web.Ended(r, k.Store, now, act)
	case errors.Is(err, store.ErrUnavailable) && !unconfirmed:
		web.Attempted(r, k.Store, now, act)
	}
	return err
}

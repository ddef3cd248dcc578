package fence

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/invite"
	"github.com/mintkeep/mintkeep/server/scope"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/redisdb"
)

// actor is who fences.
var actor = audit.Tool("mintkeep fence")

// Options for Run. Store is required.
type Options struct {
	Store  *store.Store
	Plan   Plan
	DryRun bool             // counts, and changes nothing
	Now    func() time.Time // nil: time.Now

	// Progress is told how many are done of what. May be nil.
	Progress func(done int, what string)
}

// Result is what was done, or would be.
type Result struct {
	Clients int // whose tokens were revoked
	Users   int // whose sessions were
	Listed  int // of both, that were missing in the lists
	Steps   []Done
	Fence   int64 // 0: none was made

	// What the operator has to look at, as the store is after it.
	Reviews []Review     // of the plan, without what the restored data has already
	Lost    []audit.Lost // what the export says exists
	Locked  []string     // clients that are enabled and have no active secret
}

// Done is a step and what came of it.
type Done struct {
	Step
	Outcome string // Planned, Revoked, Absent or Newer
	Err     error  // it could not be replayed because of the record
}

// What comes of a step.
const (
	Planned = "planned"   // by a dry run
	Revoked = "revoked"   // now, or before
	Absent  = "not found" // the backup is older than what was revoked
	Newer   = "newer"     // what exists was created after the event
)

var errNewer = errors.New("what exists is newer")

// Run revokes all that a restored Redis may have brought back, replays the plan, and fences. The error is that of Redis:
// then there is no fence, the result says how far it came, and the operator repeats it.
func Run(ctx context.Context, o Options) (Result, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Progress == nil {
		o.Progress = func(int, string) {}
	}
	r := &run{Options: o, ctx: ctx}
	if o.DryRun {
		return r.preview()
	}
	err := r.revokeAll()
	if err == nil {
		err = r.replay()
	}
	if err == nil {
		err = r.look()
	}
	if err == nil {
		err = r.recordDeletions()
	}
	if err == nil {
		err = r.fence()
	}
	return r.result, err
}

// run is one Run.
type run struct {
	Options
	ctx    context.Context //nolint:containedctx // it lasts as long as the call of Run
	result Result
}

func (r *run) preview() (Result, error) {
	var err error
	if r.result.Clients, r.result.Users, err = r.Store.CountRecords(r.ctx); err != nil {
		return r.result, err
	}
	for _, step := range r.Plan.Steps {
		r.result.Steps = append(r.result.Steps, Done{Step: step, Outcome: Planned})
	}
	return r.result, r.look()
}

func (r *run) revokeAll() (err error) {
	if r.result.Clients, err = r.Store.RevokeAllTokens(r.ctx, r.cause(), func(n int) { r.Progress(n, "clients") }); err != nil {
		return err
	}
	if r.result.Users, err = r.Store.RevokeAllSessions(r.ctx, r.cause(), func(n int) { r.Progress(n, "users") }); err != nil {
		return err
	}
	r.result.Listed, err = r.Store.ListAll(r.ctx)
	return err
}

func (r *run) replay() error {
	for i, step := range r.Plan.Steps {
		done := Done{Step: step, Outcome: Revoked}
		switch err := r.try(step); {
		case errors.Is(err, store.ErrNotFound):
			done.Outcome = Absent
		case errors.Is(err, errNewer):
			done.Outcome = Newer
		case unanswered(err):
			return err
		case err != nil:
			done.Outcome, done.Err = "", err
		}
		r.result.Steps = append(r.result.Steps, done)
		r.Progress(i+1, "revocations replayed")
	}
	return nil
}

// tries is how often a step is tried that gets no answer.
const tries = 3

// try replays a step, and again while it gets no answer although Redis answers: one connection may have broken. A step may be
// repeated; what a repetition does not find any more was revoked by the attempt before.
func (r *run) try(step Step) (err error) {
	for n := range tries {
		err = step.replay(r, step.Event)
		if n > 0 && errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if !unanswered(err) || r.Store.Ping(r.ctx) != nil {
			return err
		}
	}
	return err
}

// unanswered is whether it is unknown what the store holds, and not because of the record: then what was to be revoked may be
// active, and there must be no fence. Any other error of Redis, such as LOADING or READONLY, is no answer about the record.
func unanswered(err error) bool {
	return errors.Is(err, store.ErrUnavailable) && redisdb.ErrorPrefix(err) != "WRONGTYPE" &&
		!errors.Is(err, redisdb.ErrDamaged) && !errors.Is(err, store.ErrNewerRecord)
}

// fence records itself first: from then on replicas serve.
func (r *run) fence() (err error) {
	what := audit.Record{Action: audit.Fenced, Target: audit.StoreTarget, Detail: map[string]string{
		"clients": strconv.Itoa(r.result.Clients), "people": strconv.Itoa(r.result.Users), "replayed": strconv.Itoa(len(r.result.Steps)),
	}}
	if err := r.Store.Audit(r.ctx, what.Event(r.now(), actor)); err != nil {
		return err
	}
	r.result.Fence, err = r.Store.Fence(r.ctx)
	return err
}

// cause is that of what is revoked whether or not the log has it.
func (r *run) cause() store.Cause {
	return store.Cause{At: r.now(), Actor: actor, Reason: "fence"}
}

func (r *run) now() time.Time { return r.Now().UTC().Truncate(time.Second) }

// idOf is the id in the target of an event: "client:billing".
func idOf(e store.Event) string {
	_, id, _ := strings.Cut(e.Target, ":")
	return id
}

// causeOf is the cause of the event, for its replay.
func causeOf(e store.Event, reason string) store.Cause {
	return store.Cause{At: e.At, Actor: audit.Actor{Name: e.Actor}, Reason: reason}
}

func (r *run) revokeKey(e store.Event) error {
	why := e.Detail["reason"]
	switch {
	case e.Action == string(audit.KeyLeaked):
		why = store.LeakReason
	case why == "":
		why = strings.TrimPrefix(e.Action, "key.")
	}
	_, err := r.Store.RevokeKey(r.ctx, idOf(e), causeOf(e, why))
	return err
}

func (r *run) disableKey(e store.Event) error {
	key, err := r.Store.Key(r.ctx, idOf(e))
	if err != nil {
		return err
	}
	return r.Store.DisableKey(r.ctx, key, causeOf(e, ""))
}

func (r *run) narrowScope(e store.Event) error {
	return r.updateKey(e, func(k *store.APIKey) {
		for _, token := range scope.Beyond(k.Scope, e.Detail["scope"]) {
			k.Scope = scope.Without(k.Scope, token)
		}
	})
}

func (r *run) narrowExpiry(e store.Event) error {
	at, err := time.Parse(time.RFC3339, e.Detail["expires_at"])
	if err != nil {
		return err
	}
	return r.updateKey(e, func(k *store.APIKey) {
		if k.ExpiresAt.IsZero() || at.Before(k.ExpiresAt) {
			k.ExpiresAt = at
		}
	})
}

func (r *run) updateKey(e store.Event, change func(*store.APIKey)) error {
	key, err := r.Store.Key(r.ctx, idOf(e))
	if err != nil {
		return err
	}
	_, err = r.Store.UpdateKey(r.ctx, key, causeOf(e, ""), func(k *store.APIKey) error { change(k); return nil })
	return err
}

func (r *run) revokeSecret(e store.Event) error {
	return r.Store.RevokeSecret(r.ctx, idOf(e), e.Detail["secret"], causeOf(e, e.Action))
}

// revokeReplaced revokes the secrets that a rotation found, but for the one that it created.
func (r *run) revokeReplaced(e store.Event) error {
	c, err := r.Store.Client(r.ctx, idOf(e))
	if err != nil {
		return err
	}
	for _, secret := range c.Secrets {
		if secret.ID == e.Detail["secret"] || !secret.CreatedAt.Before(e.At) {
			continue
		}
		if err := r.Store.RevokeSecret(r.ctx, c.ID, secret.ID, causeOf(e, e.Action)); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}

func (r *run) deleteClient(e store.Event) error { return r.ofClient(e, r.Store.DeleteClient) }

func (r *run) disableClient(e store.Event) error { return r.ofClient(e, r.Store.DisableClient) }

// ofClient revokes a client that existed before the event. One that was registered again under the id is left alone; one
// that cannot be read is not.
func (r *run) ofClient(e store.Event, revoke func(context.Context, string, store.Cause) error) error {
	c, err := r.Store.Client(r.ctx, idOf(e))
	if err == nil && c.Metadata.CreatedAt.After(e.At) {
		return errNewer
	}
	if errors.Is(err, store.ErrNotFound) {
		return err
	}
	return revoke(r.ctx, idOf(e), causeOf(e, e.Action))
}

func (r *run) deleteUser(e store.Event) error {
	return r.Store.DeleteUser(r.ctx, idOf(e), causeOf(e, "the user was deleted"))
}

func (r *run) disableUser(e store.Event) error {
	return r.Store.DisableUser(r.ctx, idOf(e), causeOf(e, e.Action))
}

func (r *run) demoteUser(e store.Event) error {
	return r.Store.DemoteUser(r.ctx, idOf(e), causeOf(e, e.Action))
}

// renewOperator gives the user a new generation as an operator: keys lose what they could do under the one before.
func (r *run) renewOperator(e store.Event) error {
	if err := r.demoteUser(e); err != nil {
		return err
	}
	return r.Store.PromoteUser(r.ctx, idOf(e), causeOf(e, e.Action))
}

// revokePassword revokes the password and the link that a user had before the event. Once there is a newer link the backup
// is younger than the event, and has no password.
func (r *run) revokePassword(e store.Event) error {
	u, err := r.Store.User(r.ctx, idOf(e))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return err
	case err == nil && u.Invite != nil && !invitedAt(u).Before(e.At):
		return errNewer
	}
	return r.Store.RevokePassword(r.ctx, idOf(e), causeOf(e, e.Action))
}

// invitedAt is when a user's link was made.
func invitedAt(u *store.User) time.Time { return u.Invite.ExpiresAt.Add(-invite.Lifetime) }

// revokeInvite revokes the link that a user had before the event: the next one has replaced it, or it was used.
func (r *run) revokeInvite(e store.Event) error {
	u, err := r.Store.User(r.ctx, idOf(e))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return err
	case err == nil && u.Invite == nil:
		return nil
	case err == nil && !invitedAt(u).Before(e.At):
		return errNewer
	}
	return r.Store.RevokeInvite(r.ctx, idOf(e), causeOf(e, e.Action))
}

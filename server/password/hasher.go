package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"net/netip"
	"runtime"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"github.com/mintkeep/mintkeep/server/seal"
	"github.com/mintkeep/mintkeep/store"
)

// Cost is what one hash takes (RFC 9106 §3.1).
type Cost struct {
	Memory uint32 // KiB
	Passes uint32
	Lanes  uint8
}

// Recommended is the minimum that the OWASP Password Storage Cheat Sheet names for argon2id.
var Recommended = Cost{Memory: 19 << 10, Passes: 2, Lanes: 1}

const (
	saltBytes = 16 // as RFC 9106 §3.1 recommends
	sumBytes  = 32
)

// Options for New. Vault is required.
type Options struct {
	// Vault seals the hashes.
	Vault *seal.Vault
	// Cost of a new hash; one that is stored keeps its own. Zero: [Recommended].
	Cost Cost
	// Parallel is how many hashes are computed at once. Zero: half as many as there are processors, and at least
	// one, so that the rest of the server has the others.
	Parallel int
	// From is the address of the caller whom ctx belongs to: networks that wait take turns. Nil: all are one network.
	From func(ctx context.Context) netip.Addr
}

// Hasher hashes passwords and compares them with hashes. It is safe for concurrent use.
type Hasher struct {
	vault *seal.Vault
	cost  Cost
	from  func(ctx context.Context) netip.Addr
	queue queue
	sum   func(password string, r record) []byte
}

// New creates a Hasher.
func New(o Options) *Hasher {
	if o.Cost == (Cost{}) {
		o.Cost = Recommended
	}
	if o.Parallel == 0 {
		o.Parallel = max(1, runtime.GOMAXPROCS(0)/2)
	}
	if o.From == nil {
		o.From = func(context.Context) netip.Addr { return netip.Addr{} }
	}
	return &Hasher{
		vault: o.Vault, cost: o.Cost, from: o.From, sum: sum,
		queue: queue{free: o.Parallel, waiting: map[netip.Prefix][]chan struct{}{}},
	}
}

// Hash computes what is stored of a user's password, which [Check] has accepted. If ctx is done before there is room
// to compute it, or too many wait, the error matches store.ErrUnavailable.
func (h *Hasher) Hash(ctx context.Context, userID, password string) (sealed []byte, err error) {
	r := record{cost: h.cost, salt: make([]byte, saltBytes), sum: make([]byte, sumBytes)}
	_, _ = rand.Read(r.salt) // never fails: crypto/rand ends the process instead
	if r.sum, err = h.take(ctx, password, r); err != nil {
		return nil, err
	}
	return h.vault.Seal(r.encode(), sealedFor(userID)), nil
}

// Verify is whether sealed was computed from this password for this user. If sealed is empty, because there is no such
// user or no password was set, it takes as long and is false.
//
// rehash asks the caller, who has the password now, to store a new Hash of it: the cost has changed, or the master
// key. The error matches store.ErrUnavailable, as Hash's does, also if the stored hash cannot be read.
func (h *Hasher) Verify(ctx context.Context, userID string, sealed []byte, password string) (ok, rehash bool, err error) {
	r := record{cost: h.cost, salt: make([]byte, saltBytes), sum: make([]byte, sumBytes)}
	set := len(sealed) > 0
	if set {
		if r, err = h.open(userID, sealed); err != nil {
			return false, false, err
		}
	}
	got, err := h.take(ctx, password, r)
	if err != nil {
		return false, false, err
	}
	ok = subtle.ConstantTimeCompare(got, r.sum) == 1 && set
	return ok, ok && (r.cost != h.cost || h.vault.Stale(sealed, sealedFor(userID))), nil
}

// Reseal seals a result of Hash under the vault's first master key, as seal.Vault.Reseal does. It needs no password.
func Reseal(v *seal.Vault, userID string, sealed []byte) (fresh []byte, err error) {
	return v.Reseal(sealed, sealedFor(userID))
}

func (h *Hasher) open(userID string, sealed []byte) (record, error) {
	plain, err := h.vault.Open(sealed, sealedFor(userID))
	if err != nil {
		return record{}, fmt.Errorf("MINTKEEP_MASTER_KEY does not decrypt the password hash of %s: add the previous master key "+
			"to the comma-separated list; if that key is lost, create a new invite for the user: %w: %w", userID, store.ErrUnavailable, err)
	}
	r, err := parse(plain)
	if err != nil {
		return record{}, fmt.Errorf("password hash of %s: %w: %w", userID, store.ErrUnavailable, err)
	}
	return r, nil
}

// sealedFor is the context of a user's hash; signing keys have another.
func sealedFor(userID string) []byte { return []byte("password of " + userID) }

// take waits for a turn and computes the sum of the password, with the cost and the salt of r.
func (h *Hasher) take(ctx context.Context, password string, r record) ([]byte, error) {
	if err := h.queue.enter(ctx, h.from(ctx)); err != nil {
		return nil, fmt.Errorf("wait for a turn to hash a password: %w: %w", store.ErrUnavailable, err)
	}
	defer h.queue.leave()
	return h.sum(password, r), nil
}

func sum(password string, r record) []byte {
	// One password can be typed as different code points, with another keyboard (SP 800-63B-4 §3.1.1.2).
	text := norm.NFC.Bytes([]byte(password))
	return argon2.IDKey(text, r.salt, r.cost.Passes, r.cost.Memory, r.cost.Lanes, uint32(len(r.sum)))
}

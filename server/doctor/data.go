package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/password"
	"github.com/mintkeep/mintkeep/server/seal"
	"github.com/mintkeep/mintkeep/server/signing"
	"github.com/mintkeep/mintkeep/store"
)

const (
	// recordsRead of each kind, and recordsTime for all, bound the integrity scan.
	recordsRead = 10_000
	recordsTime = 5 * time.Second
	// passwordsTried is enough to see that a master key is missing.
	passwordsTried = 200
	// rotationGrace is how late a rotation may be: replicas look every 10 s, and a reload takes its time.
	rotationGrace = 5 * time.Minute
)

// data checks what Redis holds.
func data(ctx context.Context, o Options) []Check {
	vault, err := seal.New(o.Config.MasterKeys)
	if err != nil {
		return []Check{{Name: "master key", State: Fail, Found: err.Error(), Fix: "set MINTKEEP_MASTER_KEY: openssl rand -base64 32"}}
	}
	ring, err := o.Store.Keyring(ctx)
	size, sizeErr := o.Store.AuditSize(ctx)
	checks := []Check{auditLog(size, sizeErr), signingKeys(ring, err, o.Config, o.Now())}
	if err == nil {
		checks = append(checks, masterKey(vault, ring))
	}

	hashes := map[string][]byte{}
	var locked []string
	sets := map[string]string{}
	scanning, cancel := context.WithTimeout(ctx, recordsTime)
	defer cancel()
	scans := o.Store.ScanRecords(scanning, recordsRead, func(c *store.Client) {
		if c.Locked(o.Now()) {
			locked = append(locked, c.ID)
		}
		if uri := c.Metadata.JWKSURI; uri != "" && c.Enabled {
			sets[uri] = c.ID
		}
	}, func(u *store.User) {
		if len(u.Password) > 0 && len(hashes) < passwordsTried {
			hashes[u.ID] = u.Password
		}
	})
	checks = append(checks, passwords(vault, hashes)...)
	for _, c := range scans {
		checks = append(checks, records(c))
	}
	checks = append(checks, secrets(locked)...)
	checks = append(checks, lost(ctx, o.Store))
	return append(checks, keySets(ctx, o.Config, sets)...)
}

// auditLog tells how much memory the changes in the audit log take, of what they may.
func auditLog(size int64, err error) Check {
	c := Check{Name: "log size", State: OK, Found: bytes(size) + " of changes, of at most " + bytes(store.AuditBytes)}
	switch {
	case err != nil:
		c.State, c.Found = Unknown, "not measured: "+cause(err)
	case size*100 > store.AuditBytes*memoryGone:
		c.State, c.Fix = Warn, "export it (mintkeep audit) more often: the oldest changes are dropped, though they are younger than 90 days"
	}
	return c
}

// signingKeys checks the age of the active key. err is that of Keyring.
func signingKeys(ring *store.Keyring, err error, cfg *config.Config, now time.Time) Check {
	c := Check{Name: "signing keys", State: OK}
	switch {
	case errors.Is(err, store.ErrNotFound):
		c.Found = "none yet: the first start creates them"
		return c
	case errors.Is(err, store.ErrNewerRecord):
		c.State, c.Found, c.Fix = Fail, "a newer version of Mintkeep wrote them", "upgrade this one"
		return c
	case errors.Is(err, store.ErrKeyringDamaged):
		c.State, c.Found = Fail, err.Error()
		c.Fix = "restore it from a backup; or stop every replica and delete it: new keys are created at the next start, and no earlier JWT can be verified offline"
		return c
	case err != nil:
		c.State, c.Found = Unknown, "not read: "+cause(err)
		return c
	}
	active := ring.Active()
	c.Found = fmt.Sprintf("%s, %s old", active.Algorithm, age(now.Sub(active.ActivatedAt)))
	if cfg.SigningRotation == 0 {
		c.Found += "; rotated manually only"
		return c
	}
	due := active.ActivatedAt.Add(cfg.SigningRotation)
	if promotable := ring.Next().PublishedAt.Add(signing.PromotableAfter); promotable.After(due) {
		due = promotable
	}
	c.Found += "; next rotation " + due.UTC().Format(time.RFC3339)
	if now.After(due.Add(rotationGrace)) {
		c.State, c.Found = Warn, c.Found+", which is overdue"
		c.Fix = "check that a server runs, and read its log: it rotates by itself"
	}
	return c
}

const (
	wrongKey = "check first that MINTKEEP_MASTER_KEY is that of the running replicas, and correct it; " +
		"only while you are changing it, add the previous key: new,old"
	rekeyThen = "once every replica has this list, run mintkeep rekey; then the old key can go (docs/operations.md, Changing the master key)"
)

// masterKey opens the two keys that have a private part.
func masterKey(vault *seal.Vault, ring *store.Keyring) Check {
	c := Check{Name: "master key", State: OK, Found: "decrypts the signing keys"}
	for _, key := range []store.SigningKey{ring.Active(), ring.Next()} {
		fresh, err := signing.Reseal(vault, key)
		if err != nil {
			c.State, c.Found, c.Fix = Fail, fmt.Sprintf("does not decrypt the %s signing key, %s", key.State(), key.ID), wrongKey
			return c
		}
		if fresh != nil {
			c.State, c.Found, c.Fix = Warn, "decrypts the signing keys, but only with an old key of the list", rekeyThen
		}
	}
	return c
}

// passwords opens some of the hashes, given by the ids of their owners. Without hashes there is no check.
func passwords(vault *seal.Vault, hashes map[string][]byte) []Check {
	if len(hashes) == 0 {
		return nil
	}
	var closed, stale int
	var one string
	for id, sealed := range hashes {
		switch fresh, err := password.Reseal(vault, id, sealed); {
		case err != nil:
			closed++
			one = max(one, id)
		case fresh != nil:
			stale++
		}
	}
	c := Check{Name: "passwords", State: OK, Found: fmt.Sprintf("the master key decrypts all %d that were tried", len(hashes))}
	switch {
	case closed > 0:
		c.State, c.Fix = Fail, wrongKey+"; if it is lost, send these users new invites"
		c.Found = fmt.Sprintf("the master key does not decrypt %d of %d that were tried, such as that of %s", closed, len(hashes), one)
	case stale > 0:
		c.State, c.Fix = Warn, rekeyThen
		c.Found = fmt.Sprintf("%d of %d that were tried can be decrypted only with an old key of the list", stale, len(hashes))
	}
	return []Check{c}
}

// records is the result of the integrity scan for one kind of record.
func records(r store.RecordScan) Check {
	c := Check{Name: r.Kind, State: OK, Found: fmt.Sprintf("%d, all readable", r.Read)}
	switch {
	case r.Newer.Count > 0:
		c.State, c.Fix = Fail, "a newer version of Mintkeep wrote them: upgrade this one"
		c.Found = unreadable(r)
	case r.Damaged.Count > 0:
		c.State, c.Fix = Fail, "delete and create them again, or restore a backup; requests that need them are rejected until then"
		c.Found = unreadable(r)
	case r.Partial && r.Read == 0:
		c.State, c.Found = Unknown, "not read: "+cause(r.Err)
	case r.Read == 0:
		c.Found = "none"
	case r.Partial:
		c.Found = fmt.Sprintf("the first %d are readable; the others were not tried", r.Read)
	}
	return c
}

func unreadable(r store.RecordScan) string {
	var parts []string
	if r.Damaged.Count > 0 {
		parts = append(parts, some(r.Damaged, "damaged"))
	}
	if r.Newer.Count > 0 {
		parts = append(parts, some(r.Newer, "newer"))
	}
	return fmt.Sprintf("of %d, these cannot be read: %s", r.Read, strings.Join(parts, "; "))
}

func some(u store.Unreadable, what string) string {
	ids := strings.Join(u.IDs, ", ")
	if u.Count > len(u.IDs) {
		ids += ", …"
	}
	return fmt.Sprintf("%d %s, %s", u.Count, what, ids)
}

// age is in days, or hours, or minutes.
func age(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", d/time.Hour)
	}
	return fmt.Sprintf("%d minutes", d/time.Minute)
}

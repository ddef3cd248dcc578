package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/mintkeep/mintkeep/server/adminapi"
)

// keyAnswer is any answer about one API key: created or rotated, with the key itself, or shown.
type keyAnswer struct {
	adminapi.Key
	Plain    string             `json:"key"`
	Previous *adminapi.Previous `json:"previous"`
}

// keyTable shows the ids of the keys, which commands take, those of their owners only if it is wide, and their uses only if they
// are asked for.
func keyTable(wide, uses bool) table {
	if uses {
		return usesTable(wide)
	}
	return tableOf(func(k adminapi.Key) []string {
		lastUsed := ""
		if k.LastUsed != nil {
			lastUsed = stamp(&k.LastUsed.At)
		}
		return append([]string{k.ID}, inFront(wide, k.User, owner(k), k.Name, k.Masked, k.Scope, keyState(k), lastUsed, keyExpiry(k))...)
	}, append([]string{"KEY ID"}, inFront(wide, "USER ID", "OWNER", "NAME", "KEY", "SCOPE", "STATE", "LAST USED", "EXPIRES")...)...)
}

// usesTable shows the busiest keys.
func usesTable(wide bool) table {
	return tableOf(func(k adminapi.Key) []string {
		uses, rejected := "", ""
		if w := k.LastWeek; w != nil {
			uses, rejected = strconv.FormatInt(w.Uses, 10), strconv.FormatInt(w.Rejected, 10)
		}
		return append([]string{k.ID}, inFront(wide, k.User, owner(k), k.Name, keyState(k), uses, rejected)...)
	}, append([]string{"KEY ID"}, inFront(wide, "USER ID", "OWNER", "NAME", "STATE", "USES 7D", "REJECTED 7D")...)...)
}

// owner is the email of a key's owner. One who is deleted has an id alone.
func owner(k adminapi.Key) string { return cmp.Or(k.UserEmail, k.User) }

// keyState is the state of a key in words. Version 0.1.0 knew live and ended.
func keyState(k adminapi.Key) string {
	switch {
	case k.State == "live":
		return "active"
	case k.State != "ended":
		return k.State
	case k.Revocation != nil && k.Revocation.By == "" && (k.Revocation.Reason == "expired" || k.Revocation.Reason == "rotated"):
		return "expired"
	}
	return "revoked"
}

func keyExpiry(k adminapi.Key) string {
	switch {
	case k.ExpiresAt == nil && k.Revocation != nil: // it was revoked before
		return ""
	case k.ExpiresAt == nil:
		return "never"
	}
	return stamp(k.ExpiresAt)
}

func keyUse(u *adminapi.KeyUse) string {
	switch {
	case u == nil:
		return ""
	case u.From == "":
		return stamp(&u.At)
	}
	return stamp(&u.At) + " from " + u.From
}

func keyRevocation(r *adminapi.KeyRevocation, by string) string {
	if r == nil {
		return ""
	}
	text := stamp(r.At)
	if r.By != "" {
		text = strings.TrimSpace(text + " by " + cmp.Or(by, r.By))
	}
	if r.Reason == "" {
		return text
	}
	return strings.TrimPrefix(text+": "+r.Reason, ": ")
}

// metadataLine is the metadata in the order of its names.
func metadataLine(metadata map[string]string) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(metadata)) {
		pairs = append(pairs, name+"="+metadata[name])
	}
	return strings.Join(pairs, ", ")
}

// disabledLine is since when a key is disabled, and by whom.
func disabledLine(k adminapi.Key, by string) string {
	if k.DisabledAt == nil {
		return ""
	}
	text := stamp(k.DisabledAt)
	if k.DisabledBy == "" {
		return text
	}
	return text + " by " + cmp.Or(by, k.DisabledBy)
}

// usesLine sums the uses by day up.
func usesLine(days []adminapi.KeyDay) string {
	if len(days) == 0 {
		return ""
	}
	var sum adminapi.KeyCounts
	for _, day := range days {
		sum.Uses, sum.Rejected = sum.Uses+day.Uses, sum.Rejected+day.Rejected
	}
	return fmt.Sprintf("%d accepted, %d rejected in %d days", sum.Uses, sum.Rejected, len(days))
}

// previous is the key that a rotation replaced.
func (k keyAnswer) previous() string {
	if k.Previous == nil {
		return ""
	}
	return k.Previous.ID + ", expires " + stamp(&k.Previous.ExpiresAt)
}

// key shows one key, with the key itself if the answer has it.
func (p printer) key(body json.RawMessage, called keyNames) error {
	if p.json {
		return p.pretty(body)
	}
	k, err := parsed[keyAnswer](body)
	if err != nil {
		return err
	}
	err = p.facts(
		fact{"key id", k.ID},
		fact{"key", k.Plain},
		fact{"key", k.Masked},
		fact{"owner", k.UserEmail},
		fact{"user id", k.User},
		fact{"name", k.Name},
		fact{"description", k.Description},
		fact{"scope", k.Scope},
		fact{"rate limit", k.RateLimit},
		fact{"metadata", metadataLine(k.Metadata)},
		fact{"state", keyState(k.Key)},
		fact{"disabled", disabledLine(k.Key, called.disabledBy)},
		fact{"created", stamp(&k.CreatedAt)},
		fact{"last used", keyUse(k.LastUsed)},
		fact{"uses", usesLine(k.Days)},
		fact{"expires", keyExpiry(k.Key)},
		fact{keyState(k.Key), keyRevocation(k.Revocation, called.revokedBy)},
		fact{"rotated to", withName(orEmpty(k.RotatedTo), called.successor)},
		fact{"previous key", k.previous()},
	)
	if err != nil || k.Plain == "" {
		return err
	}
	p.note("Store the key now: it is not shown again.")
	return nil
}

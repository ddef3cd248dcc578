package main

import (
	"encoding/json"
	"strings"

	"github.com/mintkeep/mintkeep/server/adminapi"
)

// keyAnswer is any answer about one API key: created, with the key itself, or shown.
type keyAnswer struct {
	adminapi.Key
	Plain string `json:"key"`
}

var keyTable = tableOf(func(k adminapi.Key) []string {
	lastUsed := ""
	if k.LastUsed != nil {
		lastUsed = stamp(&k.LastUsed.At)
	}
	return []string{k.ID, k.User, k.Name, k.Masked, k.Scope, k.State, lastUsed, keyExpiry(k)}
}, "KEY ID", "USER", "NAME", "KEY", "SCOPE", "STATE", "LAST USED", "EXPIRES")

func keyExpiry(k adminapi.Key) string {
	if k.ExpiresAt == nil {
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

func keyRevocation(r *adminapi.KeyRevocation) string {
	if r == nil {
		return ""
	}
	text := stamp(r.At)
	if r.By != "" {
		text = strings.TrimSpace(text + " by " + r.By)
	}
	if r.Reason == "" {
		return text
	}
	return strings.TrimPrefix(text+": "+r.Reason, ": ")
}

// key shows one key, with the key itself if the answer has it.
func (p printer) key(body json.RawMessage) error {
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
		fact{"user", k.User},
		fact{"name", k.Name},
		fact{"scope", k.Scope},
		fact{"state", k.State},
		fact{"created", stamp(&k.CreatedAt)},
		fact{"last used", keyUse(k.LastUsed)},
		fact{"expires", keyExpiry(k.Key)},
		fact{"ended", keyRevocation(k.Revocation)},
		fact{"rotated to", orEmpty(k.RotatedTo)},
	)
	if err != nil || k.Plain == "" {
		return err
	}
	p.note("Store the key now: it is not shown again.")
	return nil
}

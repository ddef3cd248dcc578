package main

import (
	"encoding/json"
	"strings"
)

// keyView is what people are shown of an API key.
type keyView struct {
	ID        string   `json:"id"`
	Key       string   `json:"key"`
	User      string   `json:"user"`
	Name      string   `json:"name"`
	Scope     string   `json:"scope"`
	Masked    string   `json:"masked"`
	State     string   `json:"state"`
	CreatedAt string   `json:"created_at"`
	ExpiresAt string   `json:"expires_at"`
	LastUsed  keyUse   `json:"last_used"`
	Ended     keyEnded `json:"ended"`
	RotatedTo string   `json:"rotated_to"`
}

// keyUse is when a key was last used, and from which address or through which
// client.
type keyUse struct {
	At   string `json:"at"`
	From string `json:"from"`
}

func (u keyUse) String() string {
	if u.From == "" {
		return u.At
	}
	return u.At + " from " + u.From
}

// keyEnded is how a key ended.
type keyEnded struct {
	At     string `json:"at"`
	By     string `json:"by"`
	Reason string `json:"reason"`
}

func (e keyEnded) String() string {
	text := e.At
	if e.By != "" {
		text = strings.TrimSpace(text + " by " + e.By)
	}
	if e.Reason == "" {
		return text
	}
	return strings.TrimPrefix(text+": "+e.Reason, ": ")
}

var keyTable = tableOf(func(k keyView) []string {
	return []string{k.ID, k.User, k.Name, k.Masked, k.Scope, k.State, k.LastUsed.At, k.expires()}
}, "KEY ID", "USER", "NAME", "KEY", "SCOPE", "STATE", "LAST USED", "EXPIRES")

func (k keyView) expires() string {
	if k.ExpiresAt == "" {
		return "never"
	}
	return k.ExpiresAt
}

// key shows one key, with the key itself if the answer has it.
func (p printer) key(body json.RawMessage) error {
	if p.json {
		return p.pretty(body)
	}
	k, err := parsed[keyView](body)
	if err != nil {
		return err
	}
	err = p.facts(
		fact{"key id", k.ID},
		fact{"key", k.Key},
		fact{"key", k.Masked},
		fact{"user", k.User},
		fact{"name", k.Name},
		fact{"scope", k.Scope},
		fact{"state", k.State},
		fact{"created", k.CreatedAt},
		fact{"last used", k.LastUsed.String()},
		fact{"expires", k.expires()},
		fact{"ended", k.Ended.String()},
		fact{"rotated to", k.RotatedTo},
	)
	if err != nil || k.Key == "" {
		return err
	}
	p.note("Store the key now: it is not shown again.")
	return nil
}

package guard

import "strings"

// owner is the client of a token, or the user of a key.
func (c *Credential) owner() string {
	if c.ClientID != "" {
		return c.ClientID
	}
	return c.Subject
}

// share has a credential use the tie's copy of its owner's name.
func (t *tie) share(c *Credential) {
	if c.ClientID == t.name {
		c.ClientID = t.name
	}
	if c.Subject == t.name {
		c.Subject = t.name
	}
}

// lists are the scopes and audiences of the verdicts. Many verdicts have the same, which is kept once.
type lists map[string]*list

type list struct {
	items []string
	refs  int
}

func listKey(items []string) string { return strings.Join(items, "\x00") }

func (l lists) share(items []string) []string {
	if len(items) == 0 {
		return items
	}
	key := listKey(items)
	known := l[key]
	if known == nil {
		known = &list{items: items}
		l[key] = known
	}
	known.refs++
	return known.items
}

func (l lists) release(items []string) {
	if len(items) == 0 {
		return
	}
	key := listKey(items)
	if known := l[key]; known != nil {
		if known.refs--; known.refs == 0 {
			delete(l, key)
		}
	}
}

package dashboard

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/store"
)

// keyFilter is what a list of keys may be narrowed to.
type keyFilter struct {
	value, label string
	state        store.KeyState
	unused       bool // of these, those that were not used for 90 days
}

// keyFilters are those of the lists; the first is the default.
var keyFilters = []keyFilter{
	{"active", "Active or disabled", store.StateLive, false},
	{"expiring", "Expires soon", store.StateExpiring, false},
	{"unused", "Not used for 90 days", store.StateLive, true},
	{"disabled", "Disabled", store.StateDisabled, false},
	{"inactive", "Revoked or expired", store.StateEnded, false},
	{"expired", "Expired", store.StateExpired, false},
	{"revoked", "Revoked", store.StateRevoked, false},
	{"rotated", "Rotated", store.StateRotated, false},
	{"leaked", "Leaked", store.StateLeaked, false},
	{"all", "All", store.AnyState, false},
}

// filterOf is the filter that an address names, or the default.
func filterOf(value string) keyFilter {
	if i := slices.IndexFunc(keyFilters, func(f keyFilter) bool { return f.value == value }); i >= 0 {
		return keyFilters[i]
	}
	return keyFilters[0]
}

// States are the choices of the filter.
func (l *keyList) States() (choices []choice) {
	for _, f := range keyFilters {
		choices = append(choices, choice{f.value, f.label, "", f.value == l.State})
	}
	return choices
}

// column heads a column of a list, which it sorts by.
type column struct {
	Label  string
	URL    string // of the list in the order of the column, or in the other order; empty: the list is not sorted
	Sorted string // ascending or descending: the list is; empty: it is in the order of another column
}

// newestFirst is how lists are sorted at first.
const newestFirst = "-created"

// keyColumn is a column that a list may have.
type keyColumn struct {
	name, label string
	backwards   bool // sorted from its greatest value at first
	compare     func(a, b keyRow) int
	of          string // owner or operator: in their lists alone
}

var keyColumns = []keyColumn{
	{"name", "Name", false, by(func(k keyRow) string { return strings.ToLower(k.Name) }), ""},
	{"key", "Key", false, by(func(k keyRow) string { return k.Masked }), ""},
	{"owner", "Owner", false, by(func(k keyRow) string { return k.Owner.Label }), "operator"},
	{"scopes", "Scopes", false, by(func(k keyRow) string { return k.Scope }), ""},
	{"created", "Created", true, byTime(func(k keyRow) *time.Time { return &k.CreatedAt }, time.Time{}), "owner"},
	{"used", "Last used", true, byUse, ""},
	{"uses", "30 days", true, by(func(k keyRow) int64 { return k.Days.uses() }), ""},
	{"expires", "Expires", false, byTime(func(k keyRow) *time.Time { return k.ExpiresAt }, time.Unix(1<<40, 0)), ""},
	{"status", "Status", false, by(keyRow.rank), ""},
}

func by[T cmp.Ordered](value func(keyRow) T) func(a, b keyRow) int {
	return func(a, b keyRow) int { return cmp.Compare(value(a), value(b)) }
}

// byTime orders by points in time; none is the one that stands for it.
func byTime(value func(keyRow) *time.Time, none time.Time) func(a, b keyRow) int {
	of := func(k keyRow) time.Time {
		if at := value(k); at != nil {
			return *at
		}
		return none
	}
	return func(a, b keyRow) int { return of(a).Compare(of(b)) }
}

func (k keyRow) usedAt() *time.Time {
	if k.LastUsed == nil {
		return nil
	}
	return &k.LastUsed.At
}

var byUse = byTime(keyRow.usedAt, time.Time{})

// orderOf compares as an address asks for it; nil: it names no column.
func orderOf(sort string) func(a, b keyRow) int {
	name, backwards := strings.CutPrefix(sort, "-")
	i := slices.IndexFunc(keyColumns, func(c keyColumn) bool { return c.name == name })
	switch {
	case i < 0:
		return nil
	case backwards:
		return func(a, b keyRow) int { return keyColumns[i].compare(b, a) }
	}
	return keyColumns[i].compare
}

// columns are the heads of the table.
func (l *keyList) columns() (heads []column) {
	sorted, backwards := strings.CutPrefix(l.Sort, "-")
	for _, c := range keyColumns {
		if c.of == "operator" && !l.Operator || c.of == "owner" && l.Operator {
			continue
		}
		head := column{Label: c.label}
		if l.Pages > 0 {
			back := c.backwards
			if c.name == sorted {
				head.Sorted, back = "ascending", !backwards
				if backwards {
					head.Sorted = "descending"
				}
			}
			order := c.name
			if back {
				order = "-" + order
			}
			head.URL = l.url(order, 1)
		}
		heads = append(heads, head)
	}
	return heads
}

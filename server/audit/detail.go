package audit

import (
	"maps"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/mintkeep/mintkeep/server/web"
)

// Before is the suffix of a member's name under which the detail of an event has what the member was before a change. Its
// new value stands under its own name. The detail is flat, one text a name, because a replica of the previous version reads
// the same log.
const Before = "_before"

// maxValue bounds a value in bytes, and so an event, whose names are few. The longest scope fits. Of a longer audience the
// rest is cut.
const maxValue = 4096

// Granted is the record with a member of what is created. An empty value, which is the default, is left out.
func (what Record) Granted(member, value string) Record {
	if value == "" {
		return what
	}
	return what.with(member, value)
}

// Changed is the record with a member that changes. An empty value is the default, or none.
func (what Record) Changed(member, from, to string) Record {
	return what.with(member, to).with(member+Before, from)
}

// Again is the record of a revocation that held before: an earlier attempt may have left no record.
func (what Record) Again() Record { return what.with("outcome", "already_revoked") }

// Reason is the detail of a rejection.
func Reason(reason string) map[string]string { return map[string]string{"reason": reason} }

// Moment is a time as a detail has it; empty for the zero time, which is never.
func Moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return web.Time(t).Format(time.RFC3339Nano)
}

// bounded is a detail whose values are cut.
func bounded(detail map[string]string) map[string]string {
	var cut map[string]string
	for name, value := range detail {
		if len(value) <= maxValue {
			continue
		}
		if cut == nil {
			cut = maps.Clone(detail)
		}
		end := maxValue
		for end > 0 && !utf8.RuneStart(value[end]) {
			end--
		}
		cut[name] = value[:end] + "… (" + strconv.Itoa(len(value)) + " bytes)"
	}
	if cut == nil {
		return detail
	}
	return cut
}

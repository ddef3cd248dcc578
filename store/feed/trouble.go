package feed

import (
	"errors"
	"fmt"
	"time"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// Why guards get no answer.
var (
	errNoLook     = unavailable("the feed was not read yet")
	errNotPrimary = unavailable("the feed was read from a Redis that is not the primary")
	errUntrusted  = unavailable("this Redis may have lost writes, so the feed is not read")
	errBehind     = unavailable("the feed was read from a Redis that has less than the one that is written to")
	errMore       = unavailable("there is more in the feed than was read")
	errGone       = unavailable("what was read of the feed is gone")
	errUnmarked   = unavailable("the feed has no mark of this Redis yet")
)

// reasons has a word for each trouble. Those without one occur at each start.
var reasons = []struct {
	trouble error
	reason  string
}{
	{errNoLook, ""},
	{errMore, ""},
	{errUnmarked, ""},
	{errNotPrimary, "not_primary"},
	{errUntrusted, "untrusted"},
	{errBlind, "blind"},
	{errBehind, "behind"},
	{errGone, "gone"},
	{errMixed, "mixed_versions"},
}

const unreachable = "unreachable"

// Reasons are the words that [Feed.OnTrouble] has.
func Reasons() []string {
	words := []string{unreachable}
	for _, r := range reasons {
		if r.reason != "" {
			words = append(words, r.reason)
		}
	}
	return words
}

func reasonOf(trouble error) string {
	if trouble == nil {
		return ""
	}
	for _, r := range reasons {
		if errors.Is(trouble, r.trouble) {
			return r.reason
		}
	}
	return unreachable
}

func unavailable(text string) error { return fmt.Errorf("%w: %s", redisdb.ErrUnavailable, text) }

// tellTrouble tells the observers, if the reason has changed. The caller holds the lock.
func (f *Feed) tellTrouble(trouble error) {
	if reason := reasonOf(trouble); reason != "" && reason != reasonOf(f.trouble) {
		for _, observe := range f.onTrouble {
			observe(reason)
		}
	}
}

// warnAfter is how long trouble lasts before it is logged.
const warnAfter = time.Second

// warning is what is logged of a trouble.
type warning struct {
	since  time.Time // zero: there is none
	logged bool
}

// logTrouble logs trouble that lasts. Most looks that do not count are followed at once by one that does. The caller holds the lock.
func (f *Feed) logTrouble(err error) {
	w := &f.warning
	switch {
	case err == nil:
		if w.logged {
			f.Logger.Info("guards are answered again")
		}
		*w = warning{}
	case w.since.IsZero():
		w.since = time.Now()
	case !w.logged && time.Since(w.since) >= warnAfter:
		f.Logger.Warn("the feed cannot be read; guards ask at each call", "error", err)
		w.logged = true
	}
}

package feed

import (
	"errors"
	"fmt"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// Why guards get no answer.
var (
	errNoLook     = unavailable("the feed was not read yet")
	errNotPrimary = unavailable("the feed was read from a Redis that is not the primary")
	errUntrusted  = unavailable("this Redis may have lost writes, so the feed is not read")
	errMoved      = unavailable("the connection to the feed was replaced while it was read")
	errBehind     = unavailable("the feed was read from a Redis that has less than the one that is written to")
	errMore       = unavailable("there is more in the feed than was read")
	errGone       = unavailable("what was read of the feed is gone")
	errUnmarked   = unavailable("the feed has no mark of this Redis yet")
)

// reasons are the troubles in a word each. What each start has is none.
var reasons = []struct {
	trouble error
	reason  string
}{
	{errNoLook, ""},
	{errMore, ""},
	{errUnmarked, ""},
	{errNotPrimary, "not_primary"},
	{errUntrusted, "untrusted"},
	{errMoved, "replaced"},
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

// tellTrouble tells the observers, if it is another one than before. The caller holds the lock.
func (f *Feed) tellTrouble(trouble error) {
	if reason := reasonOf(trouble); reason != "" && reason != reasonOf(f.trouble) {
		for _, observe := range f.onTrouble {
			observe(reason)
		}
	}
}

func (f *Feed) logTrouble(err error) {
	if err == nil {
		f.Logger.Info("guards are answered again")
	} else if !errors.Is(err, errNoLook) {
		f.Logger.Warn("the feed cannot be read; guards ask at each call", "error", err)
	}
}

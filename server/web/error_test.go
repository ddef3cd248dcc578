package web

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
)

// later is an error that knows when a retry may succeed.
type later time.Duration

func (later) Error() string               { return "later" }
func (later) Is(target error) bool        { return target == store.ErrUnavailable }
func (l later) RetryAfter() time.Duration { return time.Duration(l) }

// A 503 says when to retry, as far as that is known.
func TestRetryAfter(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"not known":          {fmt.Errorf("read: %w", store.ErrUnavailable), "2"},
		"known":              {fmt.Errorf("read: %w", later(12*time.Second)), "12"},
		"begun":              {errors.Join(later(11*time.Second + time.Millisecond)), "12"},
		"less than a second": {later(time.Millisecond), "1"},
	} {
		w := httptest.NewRecorder()
		answer(tt.err).SetHeaders(w)
		if got := w.Header().Get("Retry-After"); got != tt.want || answer(tt.err).Status != 503 {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

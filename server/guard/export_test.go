package guard

import (
	"encoding/base64"
	"time"
)

// NewWithClocks makes a guard whose two clocks are those of the test.
func NewWithClocks(c Config, now func() (mono, wall time.Duration)) (*Guard, error) {
	return newGuard(c, func() instant {
		mono, wall := now()
		return instant{mono, wall}
	})
}

// The limits that tests reach.
const (
	MaxQuestions = maxQuestions
	MaxWaiting   = maxWaiting
)

// HandleOf is the handle of a credential.
func HandleOf(credential string) string {
	h := digestOf(credential).handle()
	return base64.RawURLEncoding.EncodeToString(h[:])
}

package store

import (
	"errors"
	"fmt"
	"testing"
)

func TestUnavailableKeepsVerdicts(t *testing.T) {
	for _, verdict := range []error{nil, ErrNotFound, ErrExists, ErrConflict, ErrUnavailable, ErrNewerRecord} {
		if got := unavailable("op", verdict); got != verdict {
			t.Errorf("unavailable(%v) = %v", verdict, got)
		}
	}
	wrapped := fmt.Errorf("client: %w", ErrConflict)
	if got := unavailable("op", wrapped); got != wrapped {
		t.Errorf("unavailable(%v) = %v", wrapped, got)
	}
}

func TestNewerRecordIsUnavailable(t *testing.T) {
	err := fmt.Errorf("client: %w", ErrNewerRecord)
	if !errors.Is(err, ErrUnavailable) || !errors.Is(err, ErrNewerRecord) {
		t.Errorf("%v does not match both", err)
	}
	if errors.Is(ErrUnavailable, ErrNewerRecord) {
		t.Error("ErrUnavailable matches ErrNewerRecord")
	}
}

package store

import "context"

// ForgetKeys does what Run does once a minute.
func ForgetKeys(ctx context.Context, s *Store) error { return s.forgetKeys(ctx) }

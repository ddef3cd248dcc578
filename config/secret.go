package config

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// A Secret is a string that does not print itself: not in an error, a log line,
// a dump of the struct around it or JSON.
type Secret string

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

func (s Secret) String() string                   { return redacted }
func (s Secret) Format(f fmt.State, _ rune)       { _, _ = io.WriteString(f, redacted) }
func (s Secret) LogValue() slog.Value             { return slog.StringValue(redacted) }
func (s Secret) MarshalText() (b []byte, _ error) { return []byte(redacted), nil }

// MasterKeys are the keys that encrypt signing keys at rest: the first seals, all
// open. Like a Secret they do not print themselves.
type MasterKeys [][]byte

func (k MasterKeys) String() string                   { return redacted }
func (k MasterKeys) Format(f fmt.State, _ rune)       { _, _ = io.WriteString(f, redacted) }
func (k MasterKeys) LogValue() slog.Value             { return slog.StringValue(redacted) }
func (k MasterKeys) MarshalText() (b []byte, _ error) { return []byte(redacted), nil }

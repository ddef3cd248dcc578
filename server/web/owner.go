package web

import (
	"errors"
	"regexp"
)

// owner is the name of a declaration, which manages clients and users.
var owner = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// CheckOwner says what is wrong with the name of an owner.
func CheckOwner(name string) error {
	if !owner.MatchString(name) {
		return errors.New("must be 1 to 64 of the characters A-Z a-z 0-9 . _ -, the first a letter or a digit")
	}
	return nil
}

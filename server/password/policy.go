package password

import (
	_ "embed" // the list
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// How many characters a password has. There are no rules of composition.
const (
	MinLength = 12
	MaxLength = 1000
)

// Check is what is wrong with a password that a user chose, in words that follow "password: " and never quote it.
// notThese must not be the password because others know them: the user's name and email address.
//
// It follows NIST SP 800-63B-4 §3.1.1.2: any printable characters, spaces too; no rules of composition; none of the
// common passwords.
func Check(password string, notThese ...string) error {
	if !utf8.ValidString(password) {
		return errors.New("must be text in UTF-8")
	}
	text := norm.NFC.String(password)
	switch n := utf8.RuneCountInString(text); {
	case strings.ContainsFunc(text, unprintable):
		return errors.New("must contain only printable characters")
	case n < MinLength:
		return fmt.Errorf("must have at least %d characters", MinLength)
	case n > MaxLength:
		return fmt.Errorf("must have at most %d characters", MaxLength)
	case repeats(text):
		return errors.New("must not repeat a single character")
	}
	bare := bareOf(text)
	for _, known := range notThese {
		name, _, _ := strings.Cut(known, "@")
		if strings.EqualFold(text, norm.NFC.String(known)) || bare != "" && (bare == bareOf(known) || bare == bareOf(name)) {
			return errors.New("must not be your name or email address")
		}
	}
	if common[bare] {
		return errors.New("is too common; choose another")
	}
	return nil
}

// unprintable is a character that cannot be seen or typed. The two that join or part letters are needed to write Persian,
// the languages of India, and many an emoji.
func unprintable(r rune) bool {
	return !unicode.IsPrint(r) && !unicode.Is(unicode.Zs, r) && !unicode.Is(unicode.Join_Control, r) || r == utf8.RuneError
}

func repeats(text string) bool {
	lower := strings.ToLower(text)
	first, _ := utf8.DecodeRuneInString(lower)
	return strings.Trim(lower, string(first)) == ""
}

// bareOf is the letters and digits of a text, in lower case: a password without the decoration that is often added
// to a common one.
func bareOf(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFKC.String(text))
}

//go:embed common.txt
var commonList string

// common are passwords that are long enough but guessed first, in the form of bareOf.
var common = func() map[string]bool {
	set := map[string]bool{}
	for word := range strings.FieldsSeq(commonList) {
		set[word] = true
	}
	return set
}()

package password_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/mintkeep/mintkeep/server/password"
)

const (
	tooShort    = "must have at least 12 characters"
	tooLong     = "must have at most 1000 characters"
	unprintable = "must contain only printable characters"
	repeated    = "must not repeat a single character"
	known       = "must not be your name or email address"
	triedFirst  = "is too common; choose another"
)

func TestCheck(t *testing.T) {
	for _, c := range []struct{ name, password, want string }{
		{"the shortest", "kohlrabi ist", ""},
		{"letters alone", "xkqjvwzmplhb", ""},
		{"digits alone", "719305826174", ""},
		{"spaces inside", "four score and seven years ago", ""},
		{"spaces around", "  kohlrabi  ", ""},
		{"any script", "пароль из слов", ""},
		{"twelve ideographs", "天地玄黃宇宙洪荒日月盈昃", ""},
		{"emoji", "🐎🔋📎👩‍🚀🌍🌎🌏🚀⭐🌙☀️", ""},
		{"no-break space", "kohlrabi\u00a0ist\u2003gut", ""},
		{"the longest", strings.Repeat("kohlrabi. ", 100), ""},
		{"the longest, in four bytes each", strings.Repeat("🐎🔋", 500), ""},
		{"a common one with more", "password1234 tulip", ""},
		{"punctuation alone", "!? .. !? .. !?", ""},

		{"empty", "", tooShort},
		{"a character too few", "kohlrabi is", tooShort},
		{"twelve bytes, not characters", "пароль", tooShort},
		{"twelve points, eleven characters", "kohlrabe\u0301 is", tooShort},
		{"a character too many", strings.Repeat("kohlrabi. ", 100) + "x", tooLong},
		{"not UTF-8", "kohlrabi \xff\xfe gut", "must be text in UTF-8"},
		{"control character", "kohlrabi\x00 ist gut", unprintable},
		{"tab", "kohlrabi\tist gut", unprintable},
		{"line break", "kohlrabi ist gut\n", unprintable},
		{"turns text around", "kohlrabi\u202eist gut", unprintable},
		{"replacement character", "kohlrabi \ufffd ist gut", unprintable},
		{"private use", "kohlrabi \ue000 ist gut", unprintable},
		{"one letter", strings.Repeat("a", 20), repeated},
		{"one letter, large and small", "aAaAaAaAaAaA", repeated},
		{"spaces", strings.Repeat(" ", 12), repeated},
		{"one emoji", strings.Repeat("🐎", 12), repeated},
		{"common", "password1234", triedFirst},
		{"common, in capitals", "PassWord1234", triedFirst},
		{"common, decorated", "Password-1234!", triedFirst},
		{"common, full width", "ｐａｓｓｗｏｒｄ１２３４", triedFirst},
		{"keyboard", "1qaz2wsx3edc", triedFirst},
		{"comic strip", "Correct Horse Battery Staple", triedFirst},
		{"the product", "mintkeep-mintkeep", triedFirst},
		{"e-mail address", "ada.lovelace@example.com", known},
		{"e-mail address, in capitals", "Ada.Lovelace@Example.COM", known},
		{"first half of it", "ada.lovelace", known},
		{"name", "Augusta Ada King", known},
		{"name, decorated", "augusta_ada_king!", known},
		{"name, with more", "augusta ada king of lovelace", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			if err := password.Check(c.password, "ada.lovelace@example.com", "Augusta Ada King"); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("%q: got %q, want %q", c.password, got, c.want)
			}
		})
	}
}

// A user without a name has no name to keep out of the password.
func TestCheckWithoutName(t *testing.T) {
	for _, names := range [][]string{nil, {""}, {"", "@"}, {"!!!", "…"}} {
		if err := password.Check("?! ?! ?! ?! ?!", names...); err != nil {
			t.Errorf("%q: %v", names, err)
		}
	}
}

// FuzzCheck: every password gets a verdict, and the verdict does not contain it.
func FuzzCheck(f *testing.F) {
	f.Add("four score and seven", "a@b.example")
	f.Add("\xff\xfe\x00", "\xff")
	f.Add(strings.Repeat("e\u0301", 600), "@")
	f.Fuzz(func(t *testing.T, typed, name string) {
		if password.Check(typed, name) != nil {
			return
		}
		if n := utf8.RuneCountInString(norm.NFC.String(typed)); n < password.MinLength || n > password.MaxLength {
			t.Errorf("%q is accepted, with %d characters", typed, n)
		}
		if !utf8.ValidString(typed) || strings.EqualFold(typed, name) {
			t.Errorf("%q is accepted, of %q", typed, name)
		}
	})
}

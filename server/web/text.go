package web

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable is whether a name or a remark can stand in a line: it has nothing that breaks the line, or reverses the text
// around it. Package json makes U+FFFD of bytes that are not UTF-8.
func Printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r == utf8.RuneError || unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
	})
}

package credential

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"
	"slices"
)

// Pattern is the regular expression, in RE2's syntax, of a brand's credentials: API keys, client secrets and
// opaque access tokens. It cannot check the checksum; [WellFormed] does.
func Pattern(brand string) string {
	return fmt.Sprintf(`\b%s[st]?_[0-9A-Za-z]{%d}\b`, regexp.QuoteMeta(brand), random+checksum)
}

// Scan reads text of any length and yields every well-formed credential in it, of any brand: the brand may
// have changed since a credential leaked. A credential that occurs twice is yielded twice. A failure to read
// is yielded last.
//
// The checksum decides, and not the characters on either side: a leak comes as JSON within JSON ("\nmk_…"), in
// URLs ("%22mk_…") and cut out of lines. NUL bytes are skipped, so that UTF-16, as PowerShell writes it, reads
// like ASCII. A few kilobytes are held at a time.
func Scan(r io.Reader) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		s := scanner{text: make([]byte, 0, window)}
		for {
			more, err := s.read(r)
			for found := range s.credentials {
				if !yield(found, nil) {
					return
				}
			}
			if err != nil {
				yield("", err)
				return
			}
			if !more {
				return
			}
			s.forget()
		}
	}
}

const (
	window = 64 << 10
	body   = random + checksum // what follows the underscore
)

// scanner holds the piece of the text that is being searched.
type scanner struct {
	text []byte
	next int // every underscore before this was tried
}

// read adds to the text; more is whether there may be more.
func (s *scanner) read(r io.Reader) (more bool, err error) {
	held := len(s.text)
	n, err := r.Read(s.text[held:cap(s.text)])
	fresh := slices.DeleteFunc(s.text[held:held+n], func(b byte) bool { return b == 0 })
	s.text = s.text[:held+len(fresh)]
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	return true, err
}

// credentials yields what is found around each underscore that has a whole body behind it.
func (s *scanner) credentials(yield func(string) bool) {
	for whole := len(s.text) - body; s.next < whole; {
		i := bytes.IndexByte(s.text[s.next:whole], '_')
		if i < 0 {
			s.next = whole
			return
		}
		underscore := s.next + i
		s.next = underscore + 1
		if found := around(s.text, underscore); found != "" && !yield(found) {
			return
		}
	}
}

// around returns the credential whose prefix ends with this underscore, or nothing. Where its brand begins is
// unknown: a letter before it may belong to the text. The checksum covers the brand, and so decides.
func around(text []byte, underscore int) string {
	end := underscore + 1 + body
	if bytes.ContainsFunc(text[underscore+1:end], func(r rune) bool { return !base62(r) }) {
		return ""
	}
	for start := underscore - 1; start >= max(0, underscore-maxPrefix); start-- {
		if s := string(text[start:end]); WellFormed(s) {
			return s
		}
	}
	return ""
}

func base62(r rune) bool {
	return '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z'
}

// forget drops the text in which no further credential can begin.
func (s *scanner) forget() {
	drop := max(0, s.next-maxPrefix)
	s.text = s.text[:copy(s.text, s.text[drop:])]
	s.next -= drop
}

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// Words that this project once had for what the field has a name for, in lower case. A plural counts as its singular.
var avoidedWords = []string{
	"bury",         // tombstone
	"census",       // integrity scan
	"ending",       // revocation; in Redis: deletion
	"frugal",       // descriptor reserve
	"holder",       // principal
	"maker",        // audit.Actor
	"memo",         // decode cache
	"pulse",        // heartbeat
	"shut to heal", // breaker: replaying
	"tallies",      // counters
	"turnstile",    // admission control
	"untold",       // unacknowledged
	"visitor",      // audit.Actor
	"wish",         // request spec
}

// TestWords holds every identifier and comment in Go, every document, template and schema to the words of the field.
// Strings in Go are free: some are names that other programs see.
func TestWords(t *testing.T) {
	found := map[string][]string{}
	root := os.DirFS("../..")
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == ".git"):
			return fs.SkipDir
		case d.IsDir() || !slices.Contains([]string{".go", ".md", ".html", ".yaml", ".yml"}, path.Ext(name)):
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		places := []string{string(text)}
		if path.Ext(name) == ".go" {
			if places, err = goWords(name, text); err != nil {
				return err
			}
		}
		for _, place := range places {
			if word := avoided(place); word != "" && !slices.Contains(found[path.Dir(name)], name+": "+word) {
				found[path.Dir(name)] = append(found[path.Dir(name)], name+": "+word)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, places := range found {
		t.Errorf("words that the field does not use:\n\t%s", strings.Join(places, "\n\t"))
	}
}

func TestAvoided(t *testing.T) {
	for text, want := range map[string]string{
		"makerOf": "maker", "newWish": "wish", "LIMIT_HOLDER": "holder", "the endings of": "ending", "shutToHeal": "shut to heal", "HTTPPulse2": "pulse",
		"placeholder sending pending spending memory mementos": "", "MemoryLimit": "", "wished": "",
	} {
		if got := avoided(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// goWords are the identifiers and the comments of a file.
func goWords(name string, source []byte) ([]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var words []string
	for _, group := range file.Comments {
		words = append(words, group.Text())
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			words = append(words, id.Name)
		}
		return true
	})
	return words, nil
}

// avoided is the first avoided word in a text or an identifier; empty if there is none.
func avoided(text string) string {
	for _, hump := range humps {
		text = hump.ReplaceAllString(text, "$1 $2")
	}
	words := " " + strings.Join(strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) }), " ") + " "
	for _, word := range avoidedWords {
		for _, plural := range []string{"", "s", "es"} {
			if strings.Contains(words, " "+word+plural+" ") {
				return word
			}
		}
	}
	return ""
}

// humps are where a word of a camelCase identifier ends and the next begins.
var humps = []*regexp.Regexp{regexp.MustCompile(`([a-z0-9])([A-Z])`), regexp.MustCompile(`([A-Z])([A-Z][a-z])`)}

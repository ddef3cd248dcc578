package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strconv"
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

// Words and phrases that no text for users has: templates, strings and help in Go, documents, openapi.yaml. Beside each is what
// to say instead.
var unusedPhrases = []string{
	"anew",        // again; re-encrypt, create
	"anybody",     // any user
	"audit trail", // audit log
	"by hand",     // manually
	"carried out", // applied
	"dead",        // revoked
	"everybody",   // all users
	"for good",    // permanently
	"has ended",   // is revoked, has expired
	"have ended",  // are revoked, have expired
	"in vain",     // timed out, without success
	"live key",    // active API key
	"live secret", // active secret
	"live token",  // active token
	"lives on",    // stays valid
	"mend",        // fix
	"mended",      // fixed
	"mends",       // fixes
	"mistake",     // error
	"nobody",      // no user; the passive voice
	"of before",   // previous, earlier
	"people",      // users
	"person",      // user
	"sees to",     // manages
	"somebody",    // a user; another request
	"whoever",     // if you; a caller who
}

// TestPlainWords holds what users read to plain words. Names in code spans, which other programs see, are free.
func TestPlainWords(t *testing.T) {
	if testing.Short() {
		t.Skip("it is one call after another: the race detector sees nothing in it")
	}
	t.Parallel()
	eachText(t, func(name string, text []byte) {
		var places []string
		var err error
		switch ext := path.Ext(name); {
		case ext == ".go" && !strings.HasSuffix(name, "_test.go") && !testPackages.MatchString(name):
			places, err = goTexts(name, text)
		case ext == ".md" || ext == ".html" || ext == ".yaml" && !strings.HasPrefix(name, "."):
			places = []string{names.ReplaceAllString(string(text), " ` ")}
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, place := range places {
			word := unused(place)
			if word != "" {
				t.Errorf("%s: %q is not used: see unusedPhrases for the term of the field\n\t%.300s", name, word, place)
			}
		}
	})
}

// names are what other programs see: blocks of code, code spans, and words with an underscore.
var names = regexp.MustCompile("(?s)```.*?```|`[^`\n]*`|\\w+_\\w+")

// testPackages are imported by tests alone: no user reads their texts.
var testPackages = regexp.MustCompile(`/(storetest|servertest|processtest|faults|load)/`)

// goTexts are the strings of a file that are texts: what has a space. Of a struct tag they are the parts that the help shows.
func goTexts(name string, source []byte) ([]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var texts []string
	tags := map[*ast.BasicLit]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			if n.Tag == nil {
				return true
			}
			tags[n.Tag] = true
			if tag, err := strconv.Unquote(n.Tag.Value); err == nil {
				for _, part := range []string{"help", "absent", "empty", "placeholder"} {
					texts = append(texts, reflect.StructTag(tag).Get(part))
				}
			}
		case *ast.BasicLit:
			if text, err := strconv.Unquote(n.Value); n.Kind == token.STRING && !tags[n] && err == nil && strings.Contains(text, " ") {
				texts = append(texts, text)
			}
		}
		return true
	})
	return texts, nil
}

// unused is the first unused phrase in a text; empty if there is none.
func unused(text string) string { return among(unusedPhrases, text) }

func TestUnused(t *testing.T) {
	for text, want := range map[string]string{
		"Mend the request": "mend", "1,000 live keys": "live key", "the tokens of\nbefore": "of before", "The key has ended.": "has ended",
		"recommend an amendment": "", "a personal token": "", "people's": "people", "before it has expired": "",
	} {
		if got := unused(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// TestWords holds every identifier and comment in Go, every document, template and schema to the words of the field.
// Strings in Go are free: some are names that other programs see.
func TestWords(t *testing.T) {
	if testing.Short() {
		t.Skip("it is one call after another: the race detector sees nothing in it")
	}
	t.Parallel()
	found := map[string][]string{}
	eachText(t, func(name string, text []byte) {
		places := []string{string(text)}
		if path.Ext(name) == ".go" {
			var err error
			if places, err = goWords(name, text); err != nil {
				t.Fatal(err)
			}
		}
		for _, place := range places {
			if word := avoided(place); word != "" && !slices.Contains(found[path.Dir(name)], name+": "+word) {
				found[path.Dir(name)] = append(found[path.Dir(name)], name+": "+word)
			}
		}
	})
	for _, places := range found {
		t.Errorf("words that the field does not use:\n\t%s", strings.Join(places, "\n\t"))
	}
}

// eachText calls a function with every Go file, document, template and schema of the module.
func eachText(t *testing.T, do func(name string, text []byte)) {
	t.Helper()
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
		if err == nil {
			do(name, text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
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
	return among(avoidedWords, text)
}

// among is the first of these words or phrases, or its plural, in a text; empty if there is none.
func among(phrases []string, text string) string {
	words := " " + strings.Join(strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) }), " ") + " "
	for _, word := range phrases {
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

package store_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/store/storetest"
)

// facts are the values in a script, by their place. What is random has a name instead, in each place where it
// stands.
func facts(t *testing.T, script []string) map[string]string {
	t.Helper()
	all := map[string]string{}
	var names []string
	for _, line := range script {
		words := storetest.Words(t, line)
		if len(words) == 0 {
			continue
		}
		if words[0] == "ZADD" { // the member is the name, and the score the value
			words[2], words[3] = words[3], words[2]
		}
		last := len(words) - 1
		name := storetest.Line(words[:last]...)
		all[name] = words[last]
		names = append(names, randomIn(name, words[last])...)
	}
	named := strings.NewReplacer(names...)
	for name, value := range all {
		all[name] = named.Replace(value)
	}
	return all
}

var (
	generationField = regexp.MustCompile(`^HSET mk:[cp]:\S+ (gen|op|sess)$`)
	ringRevision    = regexp.MustCompile(`"rev":"([^"]+)"`)
)

// randomIn is what is random in a value, each with its name and its length behind it: a generation, which stands as
// numbers in JSON, or the revision of the ring.
func randomIn(name, value string) []string {
	switch {
	case generationField.MatchString(name):
		called := fmt.Sprintf("<%s, %d bytes>", name, len(value))
		numbers := make([]string, len(value))
		for i := range len(value) {
			numbers[i] = strconv.Itoa(int(value[i]))
		}
		return []string{value, called, "[" + strings.Join(numbers, ",") + "]", `"` + called + `"`}
	case name == "SET mk:signing-keys":
		if rev := ringRevision.FindStringSubmatch(value); rev != nil {
			return []string{rev[1], fmt.Sprintf("<revision, %d bytes>", len(rev[1]))}
		}
	}
	return nil
}

// anyValue is what is read for being there: an expiry, and the field by which a client or user is enabled.
func anyValue(name string) bool {
	return strings.HasPrefix(name, "EXPIRE ") || strings.HasPrefix(name, "HSET ") && strings.HasSuffix(name, " on")
}

// alike says whether a reader of was can read now as well: it is the same, or JSON behind the same prefix, with all the
// members that were there, of the same values.
func alike(was, now string) bool {
	before, ok1 := jsonIn(was)
	after, ok2 := jsonIn(now)
	if !ok1 || !ok2 || strings.TrimSuffix(was, before) != strings.TrimSuffix(now, after) {
		return was == now
	}
	var a, b any
	_, _ = json.Unmarshal([]byte(before), &a), json.Unmarshal([]byte(after), &b)
	return covers(b, a)
}

func covers(now, was any) bool {
	switch was := was.(type) {
	case map[string]any:
		now, ok := now.(map[string]any)
		for name, value := range was {
			ok = ok && covers(now[name], value)
		}
		return ok
	case []any:
		now, ok := now.([]any)
		ok = ok && len(now) == len(was)
		for i := range was {
			ok = ok && covers(now[i], was[i])
		}
		return ok
	}
	return cmp.Equal(now, was)
}

// jsonIn is the object at the end of a value, behind a version, a digest or generations.
func jsonIn(value string) (string, bool) {
	for i := range len(value) {
		if value[i] == '{' && json.Valid([]byte(value[i:])) {
			return value[i:], true
		}
	}
	return "", false
}

func TestAlike(t *testing.T) {
	const was = `1{"a":1,"b":{"c":[{"d":"x"}]}}`
	for now, want := range map[string]bool{
		was: true,
		`1{"b":{"c":[{"e":2,"d":"x"}],"f":0},"a":1,"g":null}`: true,
		`2{"a":1,"b":{"c":[{"d":"x"}]}}`:                      false, // another version
		`1{"b":{"c":[{"d":"x"}]}}`:                            false, // a member is gone
		`1{"a":"1","b":{"c":[{"d":"x"}]}}`:                    false, // of another type
		`1{"a":1,"b":{"c":[]}}`:                               false,
		`1{"a":1,"b":{"c":[{"d":"y"}]}}`:                      false,
		"1":                                                   false,
	} {
		if got := alike(was, now); got != want {
			t.Errorf("%s: got %v, want %v", now, got, want)
		}
	}
	if alike("x", "y") || !alike("x", "x") {
		t.Error("what is no JSON is compared otherwise than byte by byte")
	}
}

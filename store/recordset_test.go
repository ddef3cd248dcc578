package store_test

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/store/storetest"
)

// The records of earlier versions are in testdata/records, a file for each, and the newest is recordFile. This
// version reads them all, and writes such that the version of the newest file reads it: replicas of both run side by
// side during an upgrade, and an upgrade can be taken back.
//
// -update writes the newest file again. That is right when the version of a record was raised, and after a kind of
// record was added: give recordFile the next name first and leave the old files as they are, for they are in the Redis
// of those who run that version. It is wrong as a way to make a difference go away.
const recordFile = "1.redis"

var update = flag.Bool("update", false, "write testdata/records/"+recordFile+" anew; see store/recordset_test.go for when")

// younger are the kinds of records, as doc.go's table names them, that came after recordFile was written.
var younger = map[string]bool{
	"mk:epoch": true, "mk:epoch:<n>:<i>": true, "mk:fence": true, "mk:secrets:<digest>": true, "mk:f:<bucket>:<the same>": true,
	"mk:audit:<0 to 31>": true, "mk:clients:word": true, "mk:users:word": true, "mk:keys:word": true,
	"mk:nc:<client id>:<0 to 2>": true, "mk:nd:<client id>:<0 to 2>": true,
	"mk:j:<16 bytes of digest>": true, "mk:epoch:alive": true, "mk:epoch:alive:<epoch key>": true,
	"mk:nt:requests:<0 to 7>": true, "mk:nt:rejected:<0 to 7>": true, "mk:nt:keys:<0 to 8>": true, "mk:kf:<16 bytes of digest>": true, "mk:feed": true, "mk:feed:beats:{mk:feed}": true,
	"mk:guards": true, "mk:guards:of:<replica>": true, "mk:guards:joined:<client>": true, "mk:kl:<user id>": true,
}

const recordHead = `# Everything that a Mintkeep of records 1 keeps in Redis, at 2026-01-02T03:04:05Z, as the commands that write it. What it was
# made from is in made.json. See store/recordset_test.go.`

// atRecordTime sets a backend's clock, before anything is stored there.
func atRecordTime(b *storetest.Backend) { b.Clock.Advance(recordTime.Sub(b.Clock.Now())) }

// written is the script of what this version writes.
func written(t *testing.T, b *storetest.Backend) []string {
	t.Helper()
	atRecordTime(b)
	readMade(t).write(t, b, b.Open(t))
	return b.Script(t)
}

func readScript(t *testing.T, file string) []string {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(recordDir, file))
	must(t, err)
	return strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")
}

// eachServer runs on what an upgrade finds its records in. The embedded store ends with its process.
func eachServer(t *testing.T, f func(t *testing.T, b *storetest.Backend)) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		if b.Server == nil {
			t.Skip("nothing in the embedded store is older than its process")
		}
		f(t, b)
	})
}

// This version reads what earlier ones wrote.
func TestReadsEarlierRecords(t *testing.T) {
	t.Parallel()
	if *update {
		makeAll(t)
		script := append([]string{recordHead}, written(t, storetest.Redis(t).Backend(t))...)
		must(t, os.WriteFile(filepath.Join(recordDir, recordFile), []byte(strings.Join(script, "\n")+"\n"), 0o600))
	}
	files, err := filepath.Glob(filepath.Join(recordDir, "*.redis"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no records: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			eachServer(t, func(t *testing.T, b *storetest.Backend) {
				atRecordTime(b)
				b.Play(t, readScript(t, filepath.Base(file)))
				readMade(t).readsAll(t, b)
			})
		})
	}
}

// The version before reads what this one writes: it is what that one wrote itself, and more at most where more is
// ignored, as TestIgnoresWhatIsNew has it.
func TestEarlierVersionReadsRecords(t *testing.T) {
	eachServer(t, func(t *testing.T, b *storetest.Backend) {
		before, now := facts(t, readScript(t, recordFile)), facts(t, written(t, b))
		for _, name := range slices.Sorted(maps.Keys(before)) {
			got, there := now[name]
			switch was := before[name]; {
			case !there:
				t.Errorf("%s is not written any more", name)
			case strings.HasSuffix(name, " on"): // its existence is what it says
			case !alike(was, got) && !anyValue(name):
				t.Errorf("%s is written differently: (-before +now)\n%s", name, cmp.Diff(was, got))
			}
		}
		keys := map[string]bool{}
		for name := range before {
			keys[storetest.Words(t, name)[1]] = true
		}
		for name := range now {
			if _, there := before[name]; !there && strings.HasPrefix(name, "EXPIRE ") && keys[storetest.Words(t, name)[1]] {
				t.Errorf("%s: it did not expire before", name)
			}
		}
	})
}

// What a newer version adds is ignored: a member of a record, a field of a hash that is not a right, another key.
// Whatever must not be ignored raises the version of the record.
func TestIgnoresWhatIsNew(t *testing.T) {
	eachServer(t, func(t *testing.T, b *storetest.Backend) {
		atRecordTime(b)
		script, added := readScript(t, recordFile), 0
		for i, line := range script {
			words := storetest.Words(t, line)
			for j, word := range words {
				claims := strings.HasPrefix(line, `SET "mk:t:`) && word[0] == '1' // which the store gives back as they are
				if body, ok := jsonIn(word); ok && !claims {
					head := strings.TrimSuffix(word, body)
					words[j] = head + strings.Replace(body, "{", `{"of_a_newer_version":{"n":[1]},`, 1)
					added++
				}
			}
			if len(words) > 0 {
				script[i] = storetest.Line(words...)
			}
		}
		if added < 15 {
			t.Errorf("only %d records have members", added)
		}
		for _, key := range []string{"mk:c:billing", "mk:c:old", "mk:p:usr_ada", "mk:p:usr_bob"} {
			script = append(script, storetest.Line("HSET", key, "newer", "2{}"))
		}
		script = append(script, storetest.Line("SET", "mk:newer:billing", "2{}"))
		b.Play(t, script)
		readMade(t).readsAll(t, b)
	})
}

// A record of every kind in doc.go's table is there.
func TestRecordsAreComplete(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	must(t, err)
	var keys []string
	for _, line := range readScript(t, recordFile) {
		if words := storetest.Words(t, line); len(words) > 1 {
			keys = append(keys, words[1])
		}
	}
	kinds := regexp.MustCompile(`(?m)^//\t(mk:.+?)  `).FindAllStringSubmatch(string(doc), -1)
	if len(kinds) < 30 {
		t.Errorf("the table has only %d kinds", len(kinds))
	}
	for _, kind := range kinds {
		pattern := regexp.MustCompile(`<[^>]+>`).ReplaceAllString(regexp.QuoteMeta(kind[1]), "(?s:.+)")
		if kind[1] == "mk:ping" || kind[1] == "mk:t:<2 hex digits>" || younger[kind[1]] { // never written; the embedded store's
			continue
		}
		if !slices.ContainsFunc(keys, regexp.MustCompile("^"+pattern+"$").MatchString) {
			t.Errorf("there is no %s in %s: let write (recordnouns_test.go) make one, and put it in younger, or in the next file", kind[1], recordFile)
		}
	}
}

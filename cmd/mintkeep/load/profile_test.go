package load

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

var profiles = flag.String("profiles", "", "the folder for the profiles of -load=profile")

// What the server does while it is under load, for go tool pprof.
func TestProfile(t *testing.T) {
	wanted(t, "profile")
	s := newStand(t, storetest.Redis(t), "MINTKEEP_PPROF=true")
	dir := *profiles
	if dir == "" {
		t.Fatal("-profiles names no folder")
	}
	key := servertest.NewSigner(t, "k1", "ES256")
	s.registerWithKey("both", key)
	for name, newJob := range map[string]func() job{
		"issue": s.issue, "introspect": s.introspect, "me": s.me,
		"assertion": func() job { return s.byAssertion(key, int(lasts.Seconds()*10_000)) },
	} {
		for kind, of := range map[string]string{"cpu": "profile", "allocs": "allocs"} {
			done := make(chan error)
			file := filepath.Join(dir, name+"."+kind)
			j := newJob()
			seconds := max(1, int(lasts.Seconds())-1)
			go func() {
				done <- save(file, fmt.Sprintf("%s/debug/pprof/%s?seconds=%d", s.server.Metrics(), of, seconds))
			}()
			closed(t, s.addr(), 32, *lasts, j).served(t)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			fmt.Println("go tool pprof -top", file)
		}
	}
}

func save(file, url string) error {
	answer, err := http.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, answer.Body); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

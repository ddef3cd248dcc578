package server_test

import (
	"crypto/tls"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// Reload reads the certificate at once, whether or not its files look changed.
func TestReloadCertificate(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, certFile, keyFile, 1)
	one := servertest.New(t, storetest.Embedded(t), "MINTKEEP_TLS_CERT="+certFile, "MINTKEEP_TLS_KEY="+keyFile)
	one.Server.Hurry(func(p *server.Timeouts) { p.Certificate = time.Hour })
	s := serve(t, one)
	serial := func() int64 {
		t.Helper()
		c, err := tls.Dial("tcp", s.addr, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	writeCertificate(t, certFile, keyFile, 2)
	if got := serial(); got != 1 {
		t.Errorf("before the reload: serial %d", got)
	}
	one.Server.Reload(t.Context(), one.Config)
	if got := serial(); got != 2 || !strings.Contains(one.Log.String(), `"changed":"MINTKEEP_TLS_CERT"`) {
		t.Errorf("after it: serial %d\n%s", got, one.Log)
	}
	if err := os.WriteFile(keyFile, []byte("not a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	one.Server.Reload(t.Context(), one.Config)
	if got := serial(); got != 2 || !strings.Contains(one.Log.String(), `"level":"ERROR","msg":"MINTKEEP_TLS_CERT cannot be used`) ||
		!strings.Contains(one.Log.String(), `"level":"WARN","msg":"not everything could be reloaded","changed":"nothing","kept":"MINTKEEP_TLS_CERT"`) {
		t.Errorf("with a bad key: serial %d\n%s", got, one.Log)
	}
}

// A cursor follows the master keys: one of before stays good, and one of after is good where the old key is gone.
func TestReloadMasterKeys(t *testing.T) {
	b := storetest.Embedded(t)
	s := servertest.New(t, b)
	for range 3 {
		s.Register(t, servertest.M{"scope": "read"})
	}
	cursor := func(s *servertest.Server, query string) string {
		t.Helper()
		return s.Admin(t, http.MethodGet, clientsPath+"?limit=1"+query, nil).Want(t, http.StatusOK, "").JSON(t)["next_cursor"].(string)
	}
	before := cursor(s, "")
	fresh, old := *s.Config, s.Config.MasterKeys[0]
	key := []byte("abcdefghijklmnopqrstuvwxyz012345")
	fresh.MasterKeys = [][]byte{key, old}
	s.Server.Reload(t.Context(), &fresh)
	after := cursor(s, "&cursor="+before)

	later := servertest.New(t, b, "MINTKEEP_MASTER_KEY=YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXowMTIzNDU=")
	later.Admin(t, http.MethodGet, clientsPath+"?limit=1&cursor="+after, nil).Want(t, http.StatusOK, "")
	later.Admin(t, http.MethodGet, clientsPath+"?limit=1&cursor="+before, nil).Want(t, http.StatusBadRequest, "invalid_request")
}

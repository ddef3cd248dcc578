package servertest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/mintkeep/mintkeep/server/servertest"
)

// early answers before it has read the whole request.
type early struct{ reply }

func (e early) RoundTrip(req *http.Request) (*http.Response, error) {
	if _, err := io.ReadFull(req.Body, make([]byte, 5)); err != nil {
		return nil, err
	}
	return e.reply.RoundTrip(&http.Request{})
}

// TestBodyIsNotReadAhead sends a body whose writer waits for the answer. What is known of it would be wrong if it
// were all of it.
func TestBodyIsNotReadAhead(t *testing.T) {
	reader, writer := io.Pipe()
	defer reader.Close()
	go func() { _, _ = io.WriteString(writer, "grant_type=password") }()

	said := &recorder{TB: t}
	next := early{reply{200, jsonHeader(), `{"token_type":"bearer","expires_in":3600}`}}
	if _, err := servertest.Validating(said, next, []byte(spec)).RoundTrip(tokenRequest(t, reader)); err != nil {
		t.Fatal(err)
	}
	check(t, said.errors)
}

// TestBrokenBody leaves a body that breaks off to the caller, whole up to the break.
func TestBrokenBody(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `{"id":`)
	}))
	defer srv.Close()
	client := &http.Client{Transport: servertest.Validating(t, http.DefaultTransport, []byte(spec))}
	resp, err := client.Get(srv.URL + "/keys/1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if string(got) != `{"id":` || err != io.ErrUnexpectedEOF {
		t.Errorf("got %q, %v, want the part that came and %v", got, err, io.ErrUnexpectedEOF)
	}
}

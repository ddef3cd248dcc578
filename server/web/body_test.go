package web

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
)

func TestBodyKinds(t *testing.T) {
	const form, object, merge = "application/x-www-form-urlencoded", "application/json", "application/merge-patch+json"
	for _, test := range []struct {
		kind              Body
		contentType, sent string
		status            int
		read              string
	}{
		{NoBody, "", "ignored", 200, ""},
		{FormBody, form, "a=b", 200, "a=b"},
		{FormBody, form, "", 200, ""},
		{FormBody, form + "; charset=UTF-8", "a=b", 200, "a=b"},
		{FormBody, "Application/X-WWW-Form-URLEncoded", "a=b", 200, "a=b"},
		{FormBody, object, "a=b", 415, ""},
		{FormBody, "", "a=b", 415, ""},
		{FormBody, form + ", " + object, "a=b", 415, ""},
		{FormBody, form, strings.Repeat("x", BodyLimit), 200, strings.Repeat("x", BodyLimit)},
		{FormBody, form, strings.Repeat("x", BodyLimit+1), 413, ""},
		{JSONBody, object, "{}", 200, "{}"},
		{JSONBody, merge, "{}", 415, ""},
		{JSONBody, "", "", 415, ""},
		{MaybeJSON, "", "", 200, ""},
		{MaybeJSON, object, "{}", 200, "{}"},
		{MaybeJSON, form, "a=b", 415, ""},
		{MergePatch, merge, "{}", 200, "{}"},
		{MergePatch, object, "{}", 200, "{}"},
		{MergePatch, form, "{}", 415, ""},
	} {
		for _, chunked := range []bool{false, true} {
			if chunked && test.kind == MaybeJSON && test.sent == "" {
				continue // a chunked body is a body, be it an empty one
			}
			r := httptest.NewRequest(http.MethodPost, "/r/x", strings.NewReader(test.sent))
			if chunked {
				r.ContentLength, r.TransferEncoding = -1, []string{"chunked"}
			}
			if test.contentType != "" {
				r.Header.Set("Content-Type", test.contentType)
			}
			read := ""
			w, _ := serve(&Adapter{}, test.kind, func(w http.ResponseWriter, r *http.Request) error {
				read = string(from(r.Context()).body)
				return ok(w, r)
			}, r)
			if w.Code != test.status || read != test.read {
				t.Errorf("kind %d, %q, %d bytes, chunked %v: got %d, read %d bytes", test.kind, test.contentType, len(test.sent), chunked, w.Code, len(read))
			}
			if closes := w.Header().Get("Connection") == "close"; closes != (chunked || test.status != 200) {
				t.Errorf("kind %d, %q, %d bytes, chunked %v: closes: %v", test.kind, test.contentType, len(test.sent), chunked, closes)
			}
		}
	}
}

// failing is a body that breaks off.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestBodyBreaksOff(t *testing.T) {
	for err, want := range map[error]int{os.ErrDeadlineExceeded: 408, io.ErrUnexpectedEOF: 400, io.EOF: 400} {
		r := httptest.NewRequest(http.MethodPost, "/r/x", failing{err})
		r.ContentLength = 10
		r.Header.Set("Content-Type", "application/json")
		w, _ := serve(&Adapter{}, JSONBody, ok, r)
		if w.Code != want || errorCode(w) != "invalid_request" || w.Header().Get("Connection") != "close" {
			t.Errorf("%v: got %d %q %s", err, w.Code, w.Header().Get("Connection"), w.Body)
		}
	}
}

// A body takes memory as it arrives, not as it was announced.
func TestBodyMemory(t *testing.T) {
	const callers = 200
	arrived := make(chan struct{}, callers)
	var held [callers]*http.Request
	pipes := make([]*io.PipeWriter, callers)
	var done sync.WaitGroup
	before := heap()
	for i := range held {
		body, w := io.Pipe()
		held[i] = httptest.NewRequest(http.MethodPost, "/r/x", body)
		held[i].Header.Set("Content-Type", "application/x-www-form-urlencoded")
		held[i].ContentLength = BodyLimit
		pipes[i] = w
		done.Go(func() {
			if _, err := FormBody.read(httptest.NewRecorder(), held[i]); err == nil {
				t.Error("a body that was cut off is read")
			}
		})
		go func() {
			_, _ = w.Write([]byte("grant_type="))
			arrived <- struct{}{}
		}()
	}
	for range callers {
		<-arrived
	}
	if each := (heap() - before) / callers; each > BodyLimit/4 {
		t.Errorf("a caller who has sent 11 bytes takes %d", each)
	}
	for _, w := range pipes {
		_ = w.CloseWithError(io.ErrUnexpectedEOF)
	}
	done.Wait()
}

// heap is the memory in use, in bytes.
func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

func TestContentEncoding(t *testing.T) {
	for _, test := range []struct {
		lines []string
		want  int
	}{
		{[]string{"identity"}, 200},
		{[]string{"IDENTITY"}, 200},
		{[]string{""}, 200},
		{[]string{"gzip"}, 415},
		{[]string{"identity, gzip"}, 415},
		{[]string{"identity", "gzip"}, 415},
	} {
		r := httptest.NewRequest(http.MethodPost, "/r/x", strings.NewReader("{}"))
		r.Header["Content-Encoding"] = test.lines
		r.Header.Set("Content-Type", "application/json")
		if w, _ := serve(&Adapter{}, JSONBody, ok, r); w.Code != test.want {
			t.Errorf("%q: got %d, want %d", test.lines, w.Code, test.want)
		}
	}
}

func TestDecodeJSON(t *testing.T) {
	for body, want := range map[string]string{
		`{"name":"x","other":1}`:    "",
		`{"name":"x"} `:             "",
		`{"name":1}`:                "name must not be a JSON number",
		`{"name":"x"}{}`:            "one JSON value and nothing after it",
		`{"name":"x"}]`:             "must be a JSON object|one JSON value and nothing after it",
		`[]`:                        "must be a JSON object",
		``:                          "The body is missing",
		"\xef\xbb\xbf{}":            "must be a JSON object",
		`{"name":NaN}`:              "must be a JSON object",
		strings.Repeat("[", 20_000): "must be a JSON object",
		`{"n":` + strings.Repeat(`{"n":`, 12_000) + `1`: "must be a JSON object",
	} {
		r := httptest.NewRequest(http.MethodPost, "/r/x", strings.NewReader(body))
		r.ContentLength, r.TransferEncoding = -1, []string{"chunked"}
		r.Header.Set("Content-Type", "application/json")
		w, _ := serve(&Adapter{}, JSONBody, func(w http.ResponseWriter, r *http.Request) error {
			var v struct {
				Name string `json:"name"`
			}
			if err := DecodeJSON(r, &v); err != nil {
				return err
			}
			return ok(w, r)
		}, r)
		found := want == "" && w.Code == 200
		for _, w2 := range strings.Split(want, "|") {
			found = found || want != "" && w.Code == 400 && strings.Contains(w.Body.String(), w2)
		}
		if !found {
			t.Errorf("%.60q: got %d %s, want %q", body, w.Code, w.Body, want)
		}
	}
}

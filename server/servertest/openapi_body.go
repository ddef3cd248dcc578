package servertest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync"
)

// recordLimit is more than any route takes. What is longer is sent and not recorded: some tests send endless bodies.
const recordLimit = 1 << 20

// record returns the request to send in place of req, and the recorder of its body. A body is not read ahead, because it
// may be a pipe whose writer waits for the answer.
func record(req *http.Request) (*http.Request, *recorder) {
	r := &recorder{replay: req.GetBody}
	if req.Body == nil || req.Body == http.NoBody {
		r.complete = true
		return req, r
	}
	if req.GetBody != nil {
		return req, r // the body can be read a second time
	}
	r.from = req.Body
	sent := req.Clone(req.Context())
	sent.Body = r
	return sent, r
}

// recorder keeps what the transport reads, which may go on while the answer is read.
type recorder struct {
	from   io.ReadCloser
	replay func() (io.ReadCloser, error)

	mu       sync.Mutex
	kept     []byte
	complete bool
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.kept) <= recordLimit {
		r.kept = append(r.kept, p[:n]...)
	}
	r.complete = r.complete || errors.Is(err, io.EOF)
	return n, err
}

func (r *recorder) Close() error { return r.from.Close() }

// bytes is the body, and whether that is all of it.
func (r *recorder) bytes() ([]byte, bool) {
	if r.replay != nil {
		body, err := r.replay()
		if err != nil {
			return nil, false
		}
		defer body.Close()
		b, err := io.ReadAll(io.LimitReader(body, recordLimit+1))
		return b, err == nil && len(b) <= recordLimit
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Clone(r.kept), r.complete && len(r.kept) <= recordLimit
}

// replay reads the body of resp and gives resp an equal one, with the same error at its end if there was any.
func replay(resp *http.Response) ([]byte, error) {
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	var again io.Reader = bytes.NewReader(body)
	if err != nil {
		again = io.MultiReader(again, failing{err})
	}
	resp.Body = io.NopCloser(again)
	return body, err
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

// BodyLimit is the longest body that is read, in bytes; a longer one is 413.
const BodyLimit = 64 << 10

// Body is the kind of body that a route takes.
type Body int

const (
	// NoBody: the route takes none; one that is sent is not read.
	NoBody Body = iota
	// FormBody is application/x-www-form-urlencoded (RFC 6749 appendix B).
	FormBody
	// JSONBody is application/json.
	JSONBody
	// MaybeJSON is JSONBody, or nothing.
	MaybeJSON
	// MergePatch is application/merge-patch+json (RFC 7396), or application/json.
	MergePatch
)

// types are the content types of each kind, the one to recommend first.
var types = map[Body][]string{
	FormBody:   {"application/x-www-form-urlencoded"},
	JSONBody:   {"application/json"},
	MaybeJSON:  {"application/json"},
	MergePatch: {"application/merge-patch+json", "application/json"},
}

// read returns the whole body once its type and length are right.
func (b Body) read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if b == NoBody || b == MaybeJSON && r.ContentLength == 0 {
		return nil, nil
	}
	if err := b.checkType(r); err != nil {
		w.Header()["Connection"] = closing // the body will not be read
		return nil, err
	}
	if r.ContentLength > BodyLimit {
		w.Header()["Connection"] = closing
		return nil, tooLarge()
	}
	body, err := readAll(http.MaxBytesReader(w, r.Body, BodyLimit), r.ContentLength)
	var long *http.MaxBytesError
	switch {
	case err == nil && len(body) == 0 && (b == JSONBody || b == MergePatch):
		return nil, InvalidRequest("The body is missing")
	case err == nil:
		return body, nil
	case errors.As(err, &long):
		// MaxBytesReader closes the connection itself only if w is net/http's; here it is gin's. Without this header
		// net/http reads up to 256 KiB more before it sends the answer.
		w.Header()["Connection"] = closing
		return nil, tooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.Header()["Connection"] = closing
		return nil, &Error{Status: http.StatusRequestTimeout, Code: "invalid_request", Description: "The body did not arrive in time"}
	default:
		w.Header()["Connection"] = closing
		return nil, InvalidRequest("The body could not be read")
	}
}

// ahead is how much memory a body gets before it arrives, at most. Announcing a length costs a caller nothing.
const ahead = 4 << 10

// readAll reads a body of announced length; a short one in one piece.
func readAll(r io.Reader, length int64) ([]byte, error) {
	if length < 0 || length > ahead {
		return io.ReadAll(r)
	}
	body := make([]byte, length)
	_, err := io.ReadFull(r, body)
	return body, err
}

func (b Body) checkType(r *http.Request) error {
	for _, encoding := range r.Header.Values("Content-Encoding") {
		if encoding != "" && !strings.EqualFold(encoding, "identity") {
			return unsupported("Content-Encoding is not supported; send the body uncompressed")
		}
	}
	given := r.Header.Values("Content-Type")
	if len(given) == 1 {
		if slices.Contains(types[b], given[0]) {
			return nil
		}
		parsed, parameters, err := mime.ParseMediaType(given[0])
		if err == nil && slices.Contains(types[b], parsed) {
			return b.checkCharset(parameters)
		}
	}
	return unsupported("Content-Type must be " + types[b][0])
}

// checkCharset rejects a form in another encoding than UTF-8 (RFC 6749 appendix B), which would be read wrong. JSON has
// no other (RFC 8259 §8.1).
func (b Body) checkCharset(parameters map[string]string) error {
	charset, given := parameters["charset"]
	if b == FormBody && given && !strings.EqualFold(charset, "utf-8") {
		return unsupported("The charset of Content-Type must be utf-8")
	}
	return nil
}

func unsupported(description string) *Error {
	return &Error{Status: http.StatusUnsupportedMediaType, Code: "invalid_request", Description: description}
}

func tooLarge() *Error {
	return &Error{Status: http.StatusRequestEntityTooLarge, Code: "invalid_request", Description: "The body is longer than 64 KiB"}
}

// Form parses the body of a FormBody route. A parameter that stands twice is rejected, but for the
// names in repeatable (RFC 6749 §3.2, RFC 8707 §2); an empty one is dropped, which is how the same
// section reads "parameters sent without a value". The query is never read.
func Form(r *http.Request, repeatable ...string) (url.Values, error) {
	form, err := url.ParseQuery(string(from(r.Context()).body))
	if err != nil {
		return nil, InvalidRequest("The body is not valid application/x-www-form-urlencoded")
	}
	for name, values := range form {
		if !utf8.ValidString(name) {
			return nil, InvalidRequest("The name of a parameter is not valid UTF-8")
		}
		if len(values) > 1 && !slices.Contains(repeatable, name) {
			return nil, InvalidRequest("A parameter is repeated")
		}
		kept := values[:0]
		for _, value := range values {
			if !utf8.ValidString(value) {
				return nil, InvalidRequest("The value of a parameter is not valid UTF-8")
			}
			if value != "" {
				kept = append(kept, value)
			}
		}
		if len(kept) == 0 {
			delete(form, name)
		} else {
			form[name] = kept
		}
	}
	return form, nil
}

// DecodeJSON reads the one JSON value of a JSON route's body into v. Members that v does not have are
// ignored, as RFC 7591 §2 asks. An absent body of a MaybeJSON route leaves v as it is.
func DecodeJSON(r *http.Request, v any) error {
	body := from(r.Context()).body
	if len(body) == 0 && r.ContentLength == 0 {
		return nil
	}
	if json.Unmarshal(body, v) == nil {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(body)) // which tells what is wrong
	err := d.Decode(v)
	if err == nil {
		_, err = d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		return InvalidRequest("The body must contain one JSON value and nothing after it")
	}
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field != "" {
		return InvalidRequest("%s must not be a JSON %s", wrong.Field, wrong.Value)
	}
	return InvalidRequest("The body must be a JSON object")
}

// JSON writes v as the body of a success.
func JSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	writeBody(w, status, body)
	return nil
}

// NoContent writes a 204.
func NoContent(w http.ResponseWriter) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func writeBody(w http.ResponseWriter, status int, body []byte) {
	w.Header()["Content-Type"] = jsonContent
	w.WriteHeader(status)
	_, _ = w.Write(body) // a caller who went away gets no answer
}

package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/mintkeep/mintkeep/server/web"
)

// object is a JSON object whose members are read one by one, by their exact names: which are there
// matters to a merge patch, and those that are not ours are ignored (RFC 7591 §2).
type object map[string]json.RawMessage

// readObject reads the body; none, where a route allows that, is the empty object.
func readObject(r *http.Request) (object, error) {
	o := object{}
	if err := web.DecodeJSON(r, &o); err != nil {
		return nil, err
	}
	if o == nil { // null
		return nil, web.InvalidRequest("The body is not the JSON object that this route takes")
	}
	return o, nil
}

// has says whether a member has a value. One that is null is as good as absent wherever that is not a
// patch.
func (o object) has(name string) bool { return !isNull(o[name]) }

func isNull(raw json.RawMessage) bool { return raw == nil || string(raw) == "null" }

// decode reads a member's value; kind says what it must be.
func decode[T any](raw json.RawMessage, kind string) (v T, err error) {
	if json.Unmarshal(raw, &v) != nil {
		return v, errors.New("must be " + kind)
	}
	return v, nil
}

// wrongMember is the 400 of RFC 7591 §3.2.2. The description names the member, and quotes nothing of
// its value: that might be a secret, or not be fit to print.
func wrongMember(name string, why error) error {
	return &web.Error{
		Status: http.StatusBadRequest, Code: "invalid_client_metadata",
		Description: fmt.Sprintf("%s: %v", name, why),
	}
}

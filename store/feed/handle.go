package feed

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"sync"
)

// Handle names something on which answers of introspection depend: a credential, a client, a user. Guards do not know
// which.
type Handle [16]byte

// OfCredential is the handle of the credential with this SHA-256 digest. A guard can compute it.
func OfCredential(digest [sha256.Size]byte) Handle { return Handle(digest[:16]) }

// OfClient is the handle of a client, on which all its tokens depend.
func OfClient(id string) Handle { return handleOf("client", id) }

// OfUser is the handle of a user, on which all their API keys depend.
func OfUser(id string) Handle { return handleOf("user", id) }

// OfAuthentication is the handle of what a client authenticates with: its secrets and its public keys. No answer of introspection
// depends on it. Replicas forget by it that they have authenticated the client.
func OfAuthentication(clientID string) Handle { return handleOf("authentication", clientID) }

func handleOf(kind, id string) Handle {
	digest := sha256.Sum256([]byte(kind + "\x00" + id))
	return Handle(digest[:16])
}

// String is base64url without padding, 22 characters.
func (h Handle) String() string { return base64.RawURLEncoding.EncodeToString(h[:]) }

// MarshalText is [Handle.String].
func (h Handle) MarshalText() ([]byte, error) {
	return base64.RawURLEncoding.AppendEncode(nil, h[:]), nil
}

// maxEntryHandles is how many handles one entry has.
const maxEntryHandles = 256

// encodeHandles is the value of the field v.
func encodeHandles(handles []Handle) string {
	text := make([]byte, 0, len(handles)*len(Handle{}))
	for _, h := range handles {
		text = append(text, h[:]...)
	}
	return string(text)
}

// decodeHandles is false if the text is none of encodeHandles.
func decodeHandles(text string) (handles []Handle, ok bool) {
	const size = len(Handle{})
	if len(text) == 0 || len(text)%size != 0 || len(text) > maxEntryHandles*size {
		return nil, false
	}
	handles = make([]Handle, 0, len(text)/size)
	for part := range slices.Chunk([]byte(text), size) {
		handles = append(handles, Handle(part))
	}
	return handles, true
}

// Voids are handles in the order of the feed, each once. Many answers share them, and their JSON.
type Voids struct {
	handles []Handle
	encode  sync.Once
	text    []byte
}

// Handles are the handles; not to be changed. The receiver may be nil.
func (v *Voids) Handles() []Handle {
	if v == nil {
		return nil
	}
	return v.handles
}

// MarshalJSON is an array of strings, as [Handle.String]. It is made once.
func (v *Voids) MarshalJSON() ([]byte, error) {
	if v == nil {
		return []byte("[]"), nil
	}
	var err error
	v.encode.Do(func() { v.text, err = json.Marshal(append([]Handle{}, v.handles...)) })
	return v.text, err
}

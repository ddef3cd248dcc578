package dashboard

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"

	"github.com/mintkeep/mintkeep/server/web"
)

//go:embed static
var staticFiles embed.FS

// static are the files that pages refer to, by a name that changes with what is in them, so that a browser may
// keep them forever.
type static struct {
	names map[string]string // app.css → app.0123456789ab.css
	files map[string][]byte // by the latter
}

func newStatic() (static, error) {
	s := static{map[string]string{}, map[string][]byte{}}
	entries, err := fs.ReadDir(staticFiles, "static")
	if err != nil {
		return s, err
	}
	for _, entry := range entries {
		body, err := staticFiles.ReadFile("static/" + entry.Name())
		if err != nil {
			return s, err
		}
		sum := sha256.Sum256(body)
		ext := path.Ext(entry.Name())
		name := entry.Name()[:len(entry.Name())-len(ext)] + "." + hex.EncodeToString(sum[:6]) + ext
		s.names[entry.Name()], s.files[name] = name, body
	}
	return s, nil
}

func (s static) url(name string) string { return "/static/" + s.names[name] }

// Static answers GET /static/{name}.
func (d *Dashboard) Static(w http.ResponseWriter, r *http.Request) error {
	name := web.Path(r, "name")
	body, there := d.static.files[name]
	if !there {
		return web.NotFound("File")
	}
	h := w.Header()
	h.Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Del("Pragma")
	_, _ = w.Write(body)
	return nil
}

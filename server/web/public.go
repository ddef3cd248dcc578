package web

import "net/http"

// publicFor is the Cache-Control of public documents. It is half of the ten
// minutes for which a signing key is published before it signs.
const publicFor = "public, max-age=300"

// Public marks a document that is the same for every caller, also for a script of another origin.
func Public(w http.ResponseWriter, contentType string) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", publicFor)
	h.Del("Pragma")
	h.Set("Access-Control-Allow-Origin", "*")
}

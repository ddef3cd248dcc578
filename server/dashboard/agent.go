package dashboard

import "strings"

// browsers and systems are told by the first word of the User-Agent that is found, in this order: most browsers name others
// too, behind which they hide (RFC 9110 §10.1.5 has no fixed form).
var (
	browsers = []struct{ word, name string }{
		{"Edg/", "Edge"},
		{"EdgA/", "Edge"},
		{"EdgiOS/", "Edge"},
		{"OPR/", "Opera"},
		{"SamsungBrowser/", "Samsung Internet"},
		{"Firefox/", "Firefox"},
		{"FxiOS/", "Firefox"},
		{"CriOS/", "Chrome"},
		{"Chromium/", "Chromium"},
		{"Chrome/", "Chrome"},
		{"Safari/", "Safari"},
	}
	systems = []struct{ word, name string }{
		{"iPhone", "iPhone"},
		{"iPad", "iPad"},
		{"Android", "Android"},
		{"CrOS", "ChromeOS"},
		{"Windows", "Windows"},
		{"Macintosh", "macOS"},
		{"Linux", "Linux"},
		{"FreeBSD", "FreeBSD"},
	}
)

// browserOf is a User-Agent in a few words: Chrome on Linux. One that is not a known browser's stays as it is.
func browserOf(agent string) string {
	if agent == "" {
		return "unknown browser"
	}
	browser := ""
	for _, b := range browsers {
		if strings.Contains(agent, b.word) {
			browser = b.name
			break
		}
	}
	if browser == "" || !strings.HasPrefix(agent, "Mozilla/") {
		return agent
	}
	for _, s := range systems {
		if strings.Contains(agent, s.word) {
			return browser + " on " + s.name
		}
	}
	return browser
}

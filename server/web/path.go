package web

import (
	"net/url"
	"strings"
)

// wellFormed is whether each segment of the path as it was sent, decoded once, is of unreserved characters (RFC 3986
// §2.3) alone and no dot segment. Each route and each id is so; a path that is not may mean another to a proxy.
func wellFormed(u *url.URL) bool {
	path := u.EscapedPath()
	if path == "/" {
		return true
	}
	for segment := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		segment, err := url.PathUnescape(segment)
		if err != nil || segment == "" || segment == "." || segment == ".." || strings.ContainsFunc(segment, reserved) {
			return false
		}
	}
	return true
}

func reserved(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '.', r == '_', r == '~':
		return false
	}
	return true
}

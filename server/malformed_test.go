package server_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// raw is an Authorization header with these bytes in it.
func raw(userinfo string) servertest.Edit {
	return servertest.Header("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(userinfo)))
}

// wantLines holds the log to one JSON object a line, with no control character in it.
func wantLines(t *testing.T, s *servertest.Server) {
	t.Helper()
	for line := range strings.SplitSeq(strings.TrimSuffix(s.Log.String(), "\n"), "\n") {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil || record["msg"] == nil {
			t.Errorf("not a line of the log: %q", line)
		}
		if strings.ContainsAny(line, "\x1b\x00\r\u2028\u202e") {
			t.Errorf("a control character is in the log: %q", line)
		}
	}
}

func TestMalformedCredentials(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t), behindProxy)
	c := s.Register(t, servertest.M{"client_id": "cafe", "scope": "read"})
	nth := 0
	try := func(t *testing.T, edits ...servertest.Edit) servertest.Response { // each from an address of its own
		t.Helper()
		nth++
		return s.Post(t, "/oauth/token", grant, append(edits, address("198.51.100.%d", nth%250))...)
	}
	t.Run("a long header", func(t *testing.T) {
		within(t, answerLimit, func() {
			wantRefusal(t, try(t, servertest.Header("Authorization", "Basic "+strings.Repeat("QUFB", 6000))), 400, 401)
		})
	})
	t.Run("empty id and secret", func(t *testing.T) {
		for _, header := range []string{"Basic OjpAOjo=", "Basic Og==", "Basic", "Basic ", "Basic =", "Basic Og", "", "Negotiate Og==", "Bearer " + c.Secret, "Basic Og==,Og=="} {
			wantRefusal(t, try(t, servertest.Header("Authorization", header)), 400, 401)
		}
		wantRefusal(t, try(t, raw(c.ID+":")), 401)
		wantRefusal(t, try(t, raw(":"+c.Secret)), 401)
	})
	t.Run("control characters and invalid UTF-8", func(t *testing.T) {
		for _, bad := range []string{"\r", "\n", "\r\n", "\x00", "\t", "\x7f", "\u0080", "\u2028", "\u202e", "\x1b[31m", "\xff", "\xc0\xaf", "caf\xe9"} {
			wantRefusal(t, try(t, raw(c.ID+bad+":"+c.Secret)).Want(t, 400, "invalid_request"), 400)
			wantRefusal(t, try(t, raw(c.ID+":"+c.Secret+bad)).Want(t, 400, "invalid_request"), 400)
			wantRefusal(t, try(t, raw(url.QueryEscape(c.ID+bad)+":"+c.Secret)).Want(t, 400, "invalid_request"), 400)
			form := url.Values{"grant_type": {"client_credentials"}, "client_id": {c.ID + bad}, "client_secret": {c.Secret}}.Encode()
			wantRefusal(t, s.Post(t, "/oauth/token", form).Want(t, 400, "invalid_request"), 400)
		}
		wantRefusal(t, try(t, raw("\xef\xbb\xbf"+c.ID+":"+c.Secret)), 400, 401)
		wantLines(t, s)
	})
	t.Run("long id and secret", func(t *testing.T) {
		for _, n := range []int{257, 1024, 10_000, 20_000} {
			wantRefusal(t, try(t, raw(strings.Repeat("a", n)+":"+c.Secret)), 400)
			wantRefusal(t, try(t, raw(c.ID+":"+strings.Repeat("a", max(n, 513)))), 400)
			wantRefusal(t, s.Post(t, "/oauth/token", grant+"&client_id="+strings.Repeat("a", n)+"&client_secret=x"), 400)
		}
	})
	t.Run("ids are compared as bytes", func(t *testing.T) {
		for _, id := range []string{"Cafe", "CAFE", "café", "cafe\u0301", "ｃａｆｅ", "cafe ", "cafe\u200b", "ᴄafe"} {
			wantRefusal(t, try(t, servertest.Client{ID: id, Secret: c.Secret}.Basic()), 400, 401)
		}
	})
	s.Token(t, c)
}

func TestMalformedParameters(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t), behindProxy)
	c := s.Register(t, servertest.M{"scope": "read", "audience": []string{"https://a.example", "https://b.example"}})
	v := serve(t, s)
	post := func(t *testing.T, path, form string, edits ...servertest.Edit) servertest.Response {
		t.Helper()
		return s.Post(t, path, form, append([]servertest.Edit{c.Basic()}, edits...)...)
	}
	t.Run("each parameter twice", func(t *testing.T) {
		for _, name := range []string{"grant_type", "scope", "client_id", "client_secret", "token", "token_type_hint", "client_assertion", "client_assertion_type", "unknown"} {
			for _, path := range []string{"/oauth/token", "/oauth/introspect", "/oauth/revoke"} {
				for _, twice := range []string{name + "=a&" + name + "=a", name + "=a&" + name + "=", name + "=&" + name + "="} {
					wantRefusal(t, post(t, path, twice+"&other=x").Want(t, 400, "invalid_request"), 400)
				}
			}
		}
		post(t, "/oauth/token", grant+"&resource=https://a.example&resource=https://b.example").Want(t, 200, "")
	})
	t.Run("parameters in the query", func(t *testing.T) {
		for _, query := range []string{"grant_type=password", grant, "scope=write", "client_id=x", "client_secret=" + c.Secret, "token=x", "client%5Fsecret=x", "client_secret=x;y", "client_secret", "%zz"} {
			r := post(t, "/oauth/token?"+query, grant)
			wantRefusal(t, r.Want(t, 400, "invalid_request"), 400)
		}
		post(t, "/oauth/token?other=x", grant).Want(t, 200, "")
		wantRefusal(t, post(t, "/oauth/token?"+grant, ""), 400)
	})
	t.Run("malformed encodings", func(t *testing.T) {
		for _, form := range []string{grant + ";scope=read", grant + "&scope=%", grant + "&scope=%zz", grant + "&scope=%u0041", grant + "&scope=%c0%af", grant + "&%c0%af=x", grant + "&x=\xff"} {
			wantRefusal(t, post(t, "/oauth/token", form).Want(t, 400, "invalid_request"), 400)
		}
		wantRefusal(t, post(t, "/oauth/token", grant+"&scope=%00"), 400)
		wantRefusal(t, post(t, "/oauth/token", "grant_type=client_credentials%00"), 400)
		post(t, "/oauth/token", "&&&&"+grant+"&=v&a&").Want(t, 200, "")
	})
	t.Run("JSON, XML and other bodies", func(t *testing.T) {
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {c.ID}, "client_secret": {c.Secret}}.Encode()
		for _, body := range []string{
			`{"grant_type":"client_credentials"}`, `[]`, strings.Repeat("[", 10_000), `{"a":1,"a":2}`, `NaN`, `1e999`, "\xef\xbb\xbf{}",
			`<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>`, "a,b\n1,2\n", form,
		} {
			for _, contentType := range []string{"application/json", "application/xml", "text/plain", "text/csv", "application/octet-stream"} {
				r := s.Post(t, "/oauth/token", body, servertest.Header("Content-Type", contentType))
				wantRefusal(t, r.Want(t, 415, "invalid_request"), 415)
			}
			if body != form {
				wantRefusal(t, post(t, "/oauth/token", body), 400)
			}
		}
	})
	t.Run("compressed bodies", func(t *testing.T) {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write([]byte(grant))
		_ = w.Close()
		for _, encoding := range []string{"gzip", "deflate", "br", "zstd", "gzip, gzip", "x-gzip", "identity, gzip", "aws-chunked"} {
			r := post(t, "/oauth/token", b.String(), servertest.Header("Content-Encoding", encoding))
			wantRefusal(t, r.Want(t, 415, "invalid_request"), 415)
		}
		wantRefusal(t, post(t, "/oauth/token", b.String()), 400)
	})
	t.Run("another charset than UTF-8", func(t *testing.T) {
		for _, charset := range []string{"iso-8859-1", "UTF-16", "us-ascii", `"windows-1252"`, "utf-7", `""`, "utf-8-sig"} {
			for _, path := range []string{"/oauth/token", "/oauth/introspect", "/oauth/revoke"} {
				r := post(t, path, grant, servertest.Header("Content-Type", formType+"; charset="+charset))
				wantRefusal(t, r.Want(t, 415, "invalid_request"), 415)
			}
		}
		for _, parameters := range []string{"; charset=utf-8", ";charset=UTF-8", `; charset="utf-8"`, `; charset="Utf-8"`, "; CHARSET=UTF-8", ";", "; x=y"} {
			post(t, "/oauth/token", grant, servertest.Header("Content-Type", formType+parameters)).Want(t, 200, "")
		}
	})
	t.Run("malformed Content-Type", func(t *testing.T) {
		for _, contentType := range []string{
			"", "/", "application", "application/", "/x-www-form-urlencoded", "application/x-www-form-urlencoded/x", "a b", "*/*", "application/*",
			formType + ", " + formType, formType + "x", "<script>canary</script>", strings.Repeat("canary", 1400), "multipart/form-data",
		} {
			r := post(t, "/oauth/token", grant, servertest.Header("Content-Type", contentType))
			wantRefusal(t, r, 400, 415)
			if strings.Contains(r.Body+fmt.Sprint(r.Header), "canary") {
				t.Errorf("reflected: %s", r.Body)
			}
		}
		two := tokenHead(c) + "Content-Type: text/plain\r\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(grant), grant)
		wantRefusal(t, v.once(t, "two", two, 400, 415), 400, 415)
	})
	wantLines(t, s)
	s.Token(t, c)
}

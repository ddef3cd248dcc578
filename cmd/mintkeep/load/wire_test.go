package load

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// patience is how long an answer may take before it counts as none.
const patience = 20 * time.Second

// answer is an answer of the server. The body is valid until the next request on the connection.
type answer struct {
	status     int
	retryAfter string
	body       []byte
}

func (a answer) String() string { return fmt.Sprintf("%d %s", a.status, bytes.TrimSpace(a.body)) }

// wire is one connection, and as much of HTTP/1.1 as the answers here need: net/http's client would take as much of
// the processors as the server.
type wire struct {
	addr string
	conn net.Conn
	r    *bufio.Reader
	body []byte
	last bool // the server closes the connection
}

func dial(addr string) (*wire, error) {
	w := &wire{addr: addr}
	return w, w.redial()
}

func (w *wire) redial() (err error) {
	if w.conn, err = net.DialTimeout("tcp", w.addr, patience); err == nil {
		w.r, w.last = bufio.NewReaderSize(w.conn, 2<<10), false
	}
	return err
}

func (w *wire) close() { _ = w.conn.Close() }

// ask sends a request, which is whole, and reads the answer.
func (w *wire) ask(request []byte) (answer, error) {
	if w.last {
		w.close()
		if err := w.redial(); err != nil {
			return answer{}, err
		}
	}
	_ = w.conn.SetDeadline(time.Now().Add(patience))
	if _, err := w.conn.Write(request); err != nil {
		return answer{}, err
	}
	return w.read()
}

func (w *wire) read() (a answer, err error) {
	line, err := w.r.ReadSlice('\n')
	if err != nil || len(line) < 12 {
		return a, fmt.Errorf("status line %q: %w", line, err)
	}
	if a.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return a, err
	}
	length := -1
	for {
		line, err := w.r.ReadSlice('\n')
		if err != nil {
			return a, err
		}
		name, value, _ := strings.Cut(strings.TrimSpace(string(line)), ": ")
		switch name {
		case "":
			a.body, err = w.readBody(length)
			return a, err
		case "Content-Length":
			if length, err = strconv.Atoi(value); err != nil {
				return a, err
			}
		case "Retry-After":
			a.retryAfter = value
		case "Connection":
			w.last = value == "close"
		}
	}
}

func (w *wire) readBody(length int) ([]byte, error) {
	if length < 0 {
		return nil, fmt.Errorf("the answer has no Content-Length")
	}
	if cap(w.body) < length {
		w.body = make([]byte, length)
	}
	_, err := io.ReadFull(w.r, w.body[:length])
	return w.body[:length], err
}

// post is a request with a form. One whose form authenticates the client has no authorization.
func post(path, authorization, form string) []byte {
	if authorization != "" {
		authorization = "Authorization: " + authorization + "\r\n"
	}
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: localhost\r\n%s"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", path, authorization, len(form), form)
}

func get(path, authorization string) []byte {
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: %s\r\n\r\n", path, authorization)
}

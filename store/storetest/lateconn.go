package storetest

import (
	"cmp"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// lateConn is one connection: near is the store's, far the server's.
type lateConn struct {
	p         *LateProxy
	near, far *net.TCPConn
	farClosed chan struct{} // closed when the server has closed the connection

	mu   sync.Mutex
	next *Held // holds the next answer
	late *Held // was delivered, and the next answer is its own
}

// commands carries what the store sends. While a piece is held, what follows waits in the kernel, the end of the
// connection too.
func (c *lateConn) commands() {
	defer c.far.CloseWrite()
	buffer := make([]byte, 256<<10)
	for {
		n, err := c.near.Read(buffer)
		if err != nil {
			return
		}
		h := c.p.take(buffer[:n])
		if h != nil && !h.answer && !h.wait(c.farClosed) {
			h.decide(false)
			return
		}
		c.expect(h)
		if _, err := c.far.Write(buffer[:n]); err != nil {
			return // answers ends too
		}
	}
}

// expect notes what the next answer is to h, before it can come.
func (c *lateConn) expect(h *Held) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case h == nil:
	case h.answer:
		c.next = h
	default:
		c.late = h
	}
}

func (c *lateConn) expected() (next, late *Held) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next, late = c.next, c.late
	c.next, c.late = nil, nil
	return next, late
}

// answers carries what the server sends, until it closes the connection. A store that is gone already misses them.
func (c *lateConn) answers() {
	buffer := make([]byte, 256<<10)
	for {
		n, err := c.far.Read(buffer)
		if err != nil {
			return
		}
		next, late := c.expected()
		if late != nil {
			late.decide(true)
		}
		if next != nil && !next.wait(nil) {
			next.decide(false)
			return
		}
		_, err = c.near.Write(c.p.announce(buffer[:n]))
		if next != nil {
			next.decide(err == nil)
		}
	}
}

// announce replaces the ports of the servers by those of the proxy in an answer that names addresses. All have the same
// host and the same length.
func (p *LateProxy) announce(answer []byte) []byte {
	text := string(answer)
	if !strings.Contains(text, "127.0.0.1") {
		return answer
	}
	ports := map[string]string{}
	for _, w := range p.ways {
		_, server, _ := net.SplitHostPort(w.server)
		_, ports[server], _ = net.SplitHostPort(w.listens)
	}
	return []byte(number.ReplaceAllStringFunc(text, func(port string) string { return cmp.Or(ports[port], port) }))
}

var number = regexp.MustCompile(`[0-9]+`)

// commandsIn reads the commands of a piece, as arrays of RESP. Of one that is cut off, it has the words that are whole.
func commandsIn(piece []byte) (commands [][]string) {
	rest := string(piece)
	length := func(kind byte) int {
		line, after, ok := strings.Cut(rest, "\r\n")
		if !ok || line == "" || line[0] != kind {
			return -1
		}
		rest = after
		n, err := strconv.Atoi(line[1:])
		if err != nil {
			return -1
		}
		return n
	}
	for {
		var words []string
		for n := length('*'); n > 0; n-- {
			size := length('$')
			if size < 0 || len(rest) < size+2 {
				break
			}
			words = append(words, rest[:size])
			rest = rest[size+2:]
		}
		if len(words) == 0 {
			return commands
		}
		words[0] = strings.ToLower(words[0])
		commands = append(commands, words)
	}
}

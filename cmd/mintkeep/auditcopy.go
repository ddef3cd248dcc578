package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/mintkeep/mintkeep/config"
)

// auditCopy is what MINTKEEP_AUDIT_LOG names. The events of the audit log are copied to it, a line of JSON each, through a
// logSink: no request waits for it. What cannot be written is counted, and logged once a minute at most.
type auditCopy struct {
	path string // empty: stdout
	log  *slog.Logger
	lost func(events int)

	to       io.Writer // this and the next two are used by Write alone, which the sink calls from one goroutine
	torn     bool      // the last line was written in part
	reported time.Time
	reopened atomic.Pointer[os.File] // replaces to at the next Write
}

const auditReportEvery = time.Minute

// openAuditCopy returns nil if the setting is off. lost is told of events that are not written.
func openAuditCopy(cfg *config.Config, stdout io.Writer, log *slog.Logger, lost func(events int)) (*auditCopy, error) {
	switch cfg.AuditLog {
	case config.AuditOff:
		return nil, nil //nolint:nilnil // there is none, and that is no error
	case config.AuditStdout:
		return &auditCopy{to: stdout, log: log, lost: lost}, nil
	}
	c := &auditCopy{path: cfg.AuditLog, log: log, lost: lost}
	file, err := c.open()
	if err != nil {
		return nil, usageError{fmt.Errorf("MINTKEEP_AUDIT_LOG: %w; the folder must exist and be writable", err)}
	}
	c.to, c.torn = file, cutShort(file)
	return c, nil
}

// open opens the file. Its lines name users and addresses, so a new one is for this user alone.
func (c *auditCopy) open() (*os.File, error) {
	// A pipe without a reader would block the server.
	if info, err := os.Stat(c.path); err == nil && !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: c.path, Err: errors.New("not a regular file")}
	}
	file, err := os.OpenFile(c.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if errors.Is(err, fs.ErrPermission) { // it may be one that this user may only write
		if writable, e := os.OpenFile(c.path, os.O_WRONLY|os.O_APPEND, 0o600); e == nil {
			return writable, nil
		}
	}
	return file, err
}

// cutShort is whether the last line of a file has no end, as after a power loss. If that cannot be read it is taken for so: an
// empty line does no harm.
func cutShort(file *os.File) bool {
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return err != nil
	}
	var last [1]byte
	_, err = file.ReadAt(last[:], info.Size()-1)
	return err != nil || last[0] != '\n'
}

// sink is where the events are written; closing it waits a little for the last of them.
func (c *auditCopy) sink() *logSink {
	s := newLogSink(c)
	s.onDrop = func() { c.lost(1) }
	s.onDropped = func(lines int) {
		c.log.Error("events of the audit log were not written to MINTKEEP_AUDIT_LOG, because writing is slow", "events", lines)
	}
	return s
}

// Reopen opens the file again, after a rotation. If it cannot, the previous one stays in use.
func (c *auditCopy) Reopen() error {
	if c == nil || c.path == "" {
		return nil
	}
	file, err := c.open()
	if err != nil {
		return err
	}
	if unused := c.reopened.Swap(file); unused != nil {
		_ = unused.Close()
	}
	return nil
}

// Write writes lines. It reports what it cannot write, and never fails.
func (c *auditCopy) Write(lines []byte) (int, error) {
	if fresh := c.reopened.Swap(nil); fresh != nil {
		if previous, ok := c.to.(io.Closer); ok {
			_ = previous.Close()
		}
		c.to, c.torn = fresh, cutShort(fresh)
	}
	n, err := 0, error(nil)
	if c.torn { // or the next line would be part of it
		_, err = c.to.Write([]byte("\n"))
	}
	if err == nil {
		n, err = c.to.Write(lines)
		c.torn = n > 0 && lines[n-1] != '\n'
	}
	if err != nil {
		c.report(bytes.Count(lines[n:], []byte("\n")), err)
	}
	return len(lines), nil
}

func (c *auditCopy) report(events int, err error) {
	c.lost(events)
	if time.Since(c.reported) < auditReportEvery {
		return
	}
	c.reported = time.Now()
	c.log.Error("events of the audit log were not written to MINTKEEP_AUDIT_LOG", "events", events, "error", err)
}

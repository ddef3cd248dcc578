package storetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// process is a redis-server, running or not, that keeps its port and its files.
type process struct {
	kind kind
	args []string // for redis-server, after ours
	dir  string
	port port
	bus  port // of a cluster's nodes among themselves

	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has ended
	frozen bool

	rdb *redis.Client // for the test itself, watched by nobody
}

type kind string

const (
	standalone kind = "redis"
	cluster    kind = "cluster"
	sentinel   kind = "sentinel"
	node       kind = "node" // of a cluster that the test puts together
)

// patience is how long a test waits for a server to come or go.
const patience = 60 * time.Second

// newProcess starts a server on free ports.
func newProcess(k kind, args ...string) (*process, error) {
	p := &process{kind: k, args: args}
	var err error
	if p.dir, err = workDir(); err != nil {
		return nil, err
	}
	for _, of := range []*port{&p.port, &p.bus} {
		if *of, err = reservePort(); err != nil {
			return nil, err
		}
	}
	p.rdb = redis.NewClient(rawOptions(p.addr()))
	if err := p.start(); err != nil {
		p.remove()
		return nil, err
	}
	return p, nil
}

// rawOptions are for a client by which a test looks at a server.
func rawOptions(addr string) *redis.Options {
	return &redis.Options{
		Addr: addr, Protocol: 2, DisableIdentity: true, ContextTimeoutEnabled: true,
		MaxRetries: -1, DialerRetries: 1, PipelinePoolSize: -1,
		DialTimeout: 20 * time.Second, ReadTimeout: 20 * time.Second, WriteTimeout: 20 * time.Second,
	}
}

func (p *process) addr() string  { return p.port.addr() }
func (p *process) running() bool { return p.cmd != nil }

// start runs the server, on the port and the files that it had, and waits until it serves.
func (p *process) start() error {
	if p.running() {
		return errors.New("redis-server runs already")
	}
	args, err := p.commandLine()
	if err != nil {
		return err
	}
	cmd := exec.Command("sh", append([]string{"-c", launcher, "sh"}, args...)...)
	cmd.Dir = p.dir
	if err := cmd.Start(); err != nil {
		return err
	}
	p.cmd, p.exited = cmd, make(chan struct{})
	go func(exited chan struct{}) {
		_ = cmd.Wait()
		close(exited)
	}(p.exited)

	if err := p.await(); err != nil {
		log, _ := os.ReadFile(filepath.Join(p.dir, "redis.log"))
		_ = p.end(syscall.SIGKILL)
		return fmt.Errorf("redis-server: %w\n%s", err, log)
	}
	return nil
}

func (p *process) commandLine() ([]string, error) {
	args := []string{
		"--port", strconv.Itoa(p.port.number), "--bind", "127.0.0.1", "--dir", p.dir,
		"--pidfile", filepath.Join(p.dir, pidFile), "--logfile", filepath.Join(p.dir, "redis.log"),
		"--daemonize", "no",
	}
	switch p.kind {
	case sentinel:
		// Sentinels insist on a file that they can write to.
		conf := filepath.Join(p.dir, "sentinel.conf")
		if err := os.WriteFile(conf, []byte(strings.Join(p.args, "\n")+"\n"), 0o600); err != nil {
			return nil, err
		}
		return append([]string{conf, "--sentinel"}, args...), nil
	case cluster, node:
		args = append(args, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(p.bus.number), "--cluster-announce-ip", "127.0.0.1")
	}
	// A replica gets what there is at once, and not after the 5 s in which others might come.
	return append(append(args, "--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"), p.args...), nil
}

// await polls until the server answers, and a cluster's node has its slots and is content with them,
// which takes it two seconds after every start.
func (p *process) await() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		err := p.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return errors.New("ended at once")
		case <-ctx.Done():
			return fmt.Errorf("is not ready: %w", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (p *process) ready(ctx context.Context) error {
	if err := p.rdb.Ping(ctx).Err(); err != nil {
		return err
	}
	info, err := p.rdb.Info(ctx, "server").Result()
	if err != nil {
		return err
	}
	if !strings.Contains(info, fmt.Sprintf("process_id:%d\r\n", p.cmd.Process.Pid)) {
		return fmt.Errorf("%s is another server's, which was faster", p.addr())
	}
	if p.kind != cluster {
		return nil
	}
	info, err = p.rdb.ClusterInfo(ctx).Result()
	switch {
	case err != nil:
		return err
	case strings.Contains(info, "cluster_slots_assigned:0"):
		if err := p.rdb.ClusterAddSlotsRange(ctx, 0, 16383).Err(); err != nil {
			return err
		}
		return errors.New("slots just assigned")
	case !strings.Contains(info, "cluster_state:ok"):
		return errors.New("cluster state is not ok")
	}
	return nil
}

// end signals the server to go and waits until it has.
func (p *process) end(sig syscall.Signal) error {
	if !p.running() {
		return errors.New("redis-server does not run")
	}
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.exited:
	case <-time.After(patience):
		return fmt.Errorf("redis-server is still there after signal %v", sig)
	}
	p.gone()
	return nil
}

// gone notes that the server has ended.
func (p *process) gone() {
	p.cmd, p.frozen = nil, false
	_ = os.Remove(filepath.Join(p.dir, pidFile))
}

// freeze stops the process without its leave, or lets it go on.
func (p *process) freeze(on bool) error {
	if !p.running() {
		return errors.New("redis-server does not run")
	}
	// By the command, since package syscall has these signals on some systems only.
	sig := "-CONT"
	if on {
		sig = "-STOP"
	}
	if out, err := exec.Command("kill", sig, strconv.Itoa(p.cmd.Process.Pid)).CombinedOutput(); err != nil {
		return fmt.Errorf("kill %s: %w: %s", sig, err, out)
	}
	p.frozen = on
	return nil
}

// remove ends the server and leaves nothing of it.
func (p *process) remove() {
	if p.running() {
		_ = p.end(syscall.SIGKILL)
	}
	_ = p.rdb.Close()
	_ = os.RemoveAll(p.dir)
	p.port.release()
	p.bus.release()
}

package argon

import (
	"context"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// process is one that computes hashes, one after another. It is started by the first and ended when there was none for a while.
type process struct {
	command []string

	mu   sync.Mutex // held while a hash is computed
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  io.ReadCloser
	rest *time.Timer
}

const idleProcess = time.Minute

// derive computes the key; false when the process could not, and the caller has to.
func (p *process) derive(h Hash, password string) ([]byte, bool) {
	request, err := h.request(password)
	if err != nil {
		return nil, false
	}
	defer clear(request)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rest != nil {
		p.rest.Stop()
	}
	if p.cmd == nil && p.start() != nil {
		return nil, false
	}
	key := make([]byte, keySize)
	if _, err := p.in.Write(request); err == nil {
		if _, err = io.ReadFull(p.out, key); err == nil {
			p.rest = time.AfterFunc(idleProcess, p.close)
			return key, true
		}
	}
	p.end()
	return nil, false
}

func (p *process) start() (err error) {
	// It ends when its input does, not with any one request's context.
	cmd := exec.CommandContext(context.WithoutCancel(context.Background()), p.command[0], p.command[1:]...) //nolint:gosec,forbidigo // the program itself
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	if p.in, err = cmd.StdinPipe(); err != nil {
		return err
	}
	if p.out, err = cmd.StdoutPipe(); err != nil {
		return err
	}
	if err = cmd.Start(); err != nil {
		return err
	}
	p.cmd = cmd
	return nil
}

func (p *process) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rest != nil {
		p.rest.Stop()
	}
	p.end()
}

func (p *process) end() {
	if p.cmd == nil {
		return
	}
	_ = p.in.Close()
	_ = p.cmd.Wait() // it ends with its input, after at most the hash under way
	p.cmd = nil
}

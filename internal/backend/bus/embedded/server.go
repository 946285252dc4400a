// Package embedded runs the bus's NATS server inside this process. It opens no port unless it is asked to, keeps its streams in a
// folder, and writes every message to disk before it confirms it.
package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"ward/internal/backend/bus"
	"ward/internal/base/fault"
)

// Config says where the server keeps its streams. The zero value of a field takes the default beside it.
type Config struct {
	Dir      string // created when missing; one process at a time
	Listen   string // host:port for clients outside of this process; none
	MaxBytes int64  // of all streams on disk; 4 GB
	Name     string // of this process; "ward"
}

const startLimit = 10 * time.Second

// Open starts the server and connects to it. Closing the bus ends the server.
//
// Errors: Invalid when Dir or Listen can't be used, Internal when the server does not start.
func Open(ctx context.Context, config Config, deps bus.Deps) (*bus.Bus, error) {
	if config.Dir == "" {
		return nil, fault.Invalid("the embedded bus needs a folder")
	}
	if config.MaxBytes == 0 {
		config.MaxBytes = 4 << 30
	}
	if config.Name == "" {
		config.Name = "ward"
	}
	if err := os.MkdirAll(config.Dir, 0o700); err != nil {
		return nil, fault.Invalid("the embedded bus's folder %s can't be made", config.Dir).With(err)
	}
	options := &server.Options{
		ServerName: config.Name, DontListen: true, NoSigs: true, NoLog: true, NoSystemAccount: false, DisableJetStreamBanner: true,
		JetStream: true, StoreDir: config.Dir, JetStreamMaxStore: config.MaxBytes, JetStreamMaxMemory: 16 << 20,
		SyncAlways: true, SyncInterval: time.Minute,
	}
	if config.Listen != "" {
		host, port, err := net.SplitHostPort(config.Listen)
		number, numberErr := strconv.Atoi(port)
		if err != nil || numberErr != nil {
			return nil, fault.Invalid("the embedded bus can't listen on %q: write host:port", config.Listen)
		}
		options.DontListen, options.Host, options.Port = false, host, number
	}
	s, err := server.NewServer(options)
	if err != nil {
		return nil, fault.Invalid("the embedded bus's settings don't fit").With(err)
	}
	if deps.Logger != nil {
		s.SetLoggerV2(logger{deps.Logger}, false, false, false)
	}
	if err := ctx.Err(); err != nil {
		return nil, err //nolint:wrapcheck // the caller's own
	}
	go s.Start()
	end := func() {
		s.Shutdown()
		s.WaitForShutdown()
	}
	if !s.ReadyForConnections(startLimit) || !s.JetStreamEnabled() {
		end()
		return nil, fault.Internal("the embedded bus did not start in %s within %v: is another process using it?", config.Dir, startLimit)
	}
	b, err := bus.ConnectEmbedded(bus.Config{Name: config.Name, Server: s}, deps, end)
	if err != nil {
		end()
		return nil, err
	}
	return b, nil
}

// logger hands the server's words to slog.
type logger struct{ to *slog.Logger }

func (l logger) Noticef(format string, v ...any) { l.to.Debug("nats: " + fmt.Sprintf(format, v...)) }
func (l logger) Warnf(format string, v ...any)   { l.to.Warn("nats: " + fmt.Sprintf(format, v...)) }
func (l logger) Fatalf(format string, v ...any)  { l.to.Error("nats: " + fmt.Sprintf(format, v...)) }

func (l logger) Errorf(format string, v ...any) { l.to.Error("nats: " + fmt.Sprintf(format, v...)) }
func (l logger) Debugf(string, ...any)          {}
func (l logger) Tracef(string, ...any)          {}

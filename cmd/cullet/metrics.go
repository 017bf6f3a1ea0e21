package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/cullet-vision/cullet/internal/metrics"
)

// serveMetrics answers GET /metrics at an address of its own, which asks for no key, until
// what it returns is closed. The server's own address never does.
func serveMetrics(s *server, failed chan<- error) (io.Closer, error) {
	listener, err := net.Listen("tcp", s.settings.MetricsAddr)
	if err != nil {
		return nil, fmt.Errorf("listening for --metrics-addr: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.metrics.Handler())
	h := &http.Server{Handler: mux, ReadHeaderTimeout: readHeaders, ReadTimeout: readHeaders, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute}
	go func() {
		if err := h.Serve(listener); err != http.ErrServerClosed {
			failed <- err
		}
	}()
	s.log.Info("metrics are served", "url", "http://"+listener.Addr().String()+"/metrics")
	if at, ok := listener.Addr().(*net.TCPAddr); ok && !at.IP.IsLoopback() {
		s.log.Warn("the metrics are open to everybody who reaches --metrics-addr: no key is asked for", "addr", at.String())
	}
	return h, nil
}

// newMetrics makes the server's metrics, nil where nobody is to read them.
func (s settings) newMetrics(g *ground) *metrics.Metrics {
	if s.MetricsAddr == "" {
		return nil
	}
	return metrics.New(metrics.Source{DB: g.db, Log: g.log})
}

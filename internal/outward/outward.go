// Package outward is how the server sends requests to addresses that a user gave:
// webhooks, and whatever else is fetched by URL.
//
// Invariants: unless the operator allows private networks, no connection is made to
// an address that is not a public one, whatever name or spelling led to it. That is
// looked at when the connection is made, on the address itself, so that a name which
// changes its meaning in between changes nothing. Nothing goes through a proxy, no
// redirect is followed, and only http and https are spoken.
package outward

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/cullet-vision/cullet"
)

// Guard says where requests may go.
type Guard struct {
	AllowPrivate bool          // the operator allows private networks
	Resolver     *net.Resolver // nil: the machine's own
}

// MaxURL is the longest address, in bytes.
const MaxURL = 2000

// CheckURL refuses what no request is sent to, and returns the address as it is kept.
// It is there for a quick answer to people: what a name leads to is looked at when
// the connection is made.
func (g Guard) CheckURL(raw string) (string, error) {
	raw = strings.TrimSpace(raw)
	switch {
	case raw == "":
		return "", cullet.E(cullet.Invalid, "the address is missing; it looks like https://example.com/hook")
	case len(raw) > MaxURL:
		return "", cullet.E(cullet.Invalid, "the address is %d bytes long; %d is the most", len(raw), MaxURL)
	}
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" {
		return "", cullet.E(cullet.Invalid, "this is no address; it looks like https://example.com/hook")
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return "", cullet.E(cullet.Invalid, "the address must begin with https:// or http://")
	case u.User != nil:
		return "", cullet.E(cullet.Invalid, "the address holds a name or password before the @; leave it out, deliveries are signed")
	case u.Hostname() == "":
		return "", cullet.E(cullet.Invalid, "the address names no host; it looks like https://example.com/hook")
	}
	u.Fragment, u.RawFragment = "", ""
	if g.AllowPrivate {
		return u.String(), nil
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	ip, err := netip.ParseAddr(host)
	if err == nil && !Public(ip) || host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return "", private(host)
	}
	return u.String(), nil
}

// private refuses an address, in words that a person can act on.
func private(host string) error {
	return cullet.E(cullet.Invalid, "%.100s is in a private network; the server sends nothing there unless its operator starts it with --allow-private-urls", host)
}

// Refused is why a connection was not made.
type Refused struct{ Addr netip.Addr }

func (e *Refused) Error() string {
	return fmt.Sprintf("%s is in a private network, and the operator does not allow requests there (--allow-private-urls)", e.Addr)
}

// control is called with the address itself, after names were looked up and before
// a connection is made.
func (g Guard) control(_, address string, _ syscall.RawConn) error {
	if g.AllowPrivate {
		return nil
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%q is no address to connect to: %w", address, err)
	}
	if !Public(at.Addr()) {
		return &Refused{at.Addr()}
	}
	return nil
}

// Dial makes a connection to a host and port, to a public address alone.
func (g Guard) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Control: g.control, Resolver: g.Resolver}
	return d.DialContext(ctx, network, address)
}

// Limits of an answer, beside those of who reads its body.
const (
	maxHeaders = 32 << 10
	idle       = 30 * time.Second
)

// Client returns a client whose requests take at most the given time, all in all.
func (g Guard) Client(timeout time.Duration) *http.Client {
	return &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  nil, // a proxy would connect where we may not
			DialContext:            g.Dial,
			ForceAttemptHTTP2:      true,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    timeout,
			ResponseHeaderTimeout:  timeout,
			MaxResponseHeaderBytes: maxHeaders,
			MaxIdleConnsPerHost:    2,
			IdleConnTimeout:        idle,
			DisableCompression:     true, // no answer unfolds into more than was sent
		},
	}
}

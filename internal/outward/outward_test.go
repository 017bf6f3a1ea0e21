package outward_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cullet-vision/cullet"
	"github.com/cullet-vision/cullet/internal/outward"
)

// TestPublic walks the edges of the networks that are no public ones.
func TestPublic(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "100.100.100.200", "127.0.0.1", "127.255.0.3",
		"169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.168.1.1", "198.18.0.1", "198.19.255.255", "224.0.0.1", "239.1.1.1",
		"240.0.0.1", "255.255.255.255", "168.63.129.16",
		"::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.1.2.3", "::ffff:0:127.0.0.1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1",
		"64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:c0a8:101::1", "2001::1", "2001:0:1::", "2001:db8::1", "100::1", "5f00::1", "3fff::1",
		"2606:4700::5efe:10.0.0.1", "2606:4700::200:5efe:127.0.0.1", "4000::1"} {
		if outward.Public(netip.MustParseAddr(s)) {
			t.Errorf("%s counts as public", s)
		}
	}
	for _, s := range []string{"1.1.1.1", "9.255.255.255", "11.0.0.1", "100.63.255.255", "100.128.0.1", "126.255.255.255", "128.0.0.1", "172.15.255.255", "172.32.0.1",
		"192.167.255.255", "192.169.0.1", "198.17.255.255", "223.255.255.255", "::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::1", "2606:4700:4700::1111",
		"2a00:1450:4001::200e", "2606:4700::5efe:1.1.1.1"} {
		if !outward.Public(netip.MustParseAddr(s)) {
			t.Errorf("%s does not count as public", s)
		}
	}
	if outward.Public(netip.Addr{}) {
		t.Error("no address counts as public")
	}
}

// TestCheckURL: what people may enter.
func TestCheckURL(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{"https://example.com/hook": "https://example.com/hook", " http://example.com:8080/?a=b#frag ": "http://example.com:8080/?a=b",
		"https://1.1.1.1/": "https://1.1.1.1/", "https://[2606:4700:4700::1111]:8443/": "https://[2606:4700:4700::1111]:8443/", "HTTPS://Example.com": "https://Example.com"} {
		if got, err := (outward.Guard{}).CheckURL(raw); err != nil || got != want {
			t.Errorf("%q is %q, %v, want %q", raw, got, err, want)
		}
	}
	for _, raw := range []string{"", "example.com", "//example.com", "ftp://example.com", "file:///etc/passwd", "gopher://example.com", "javascript:alert(1)", "http:example.com",
		"https://", "https:///path", "https://user:secret@example.com/", "https://user@example.com", "http://exa mple.com", "http://[::1", "https://example.com:port/",
		"https://example.com/" + strings.Repeat("a", outward.MaxURL), "http://127.0.0.1/", "http://localhost:8080", "http://LOCALHOST./", "http://a.localhost/",
		"http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://10.1.2.3/", "http://169.254.169.254/latest/meta-data/", "http://[fe80::1%25eth0]/", "http://0/../\x00"} {
		got, err := (outward.Guard{}).CheckURL(raw)
		if cullet.CodeOf(err) != cullet.Invalid {
			t.Errorf("%.80q is taken as %q, %v", raw, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the refusal of %q tells its password: %v", raw, err)
		}
	}
	if _, err := (outward.Guard{AllowPrivate: true}).CheckURL("http://127.0.0.1:9000/hook"); err != nil {
		t.Errorf("a private address that the operator allows: %v", err)
	}
}

// hidden are addresses at which our own machine, or a network's inside, answers.
var hidden = []string{"127.0.0.1", "127.8.9.10", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "10.1.2.3", "192.168.0.1", "172.20.0.1", "169.254.169.254", "100.64.3.4",
	"fd12::1", "fe80::1", "64:ff9b::7f00:1", "2002:7f00:1::1", "224.0.0.5", "255.255.255.255"}

// spellings are ways in which a host can be written that leads to an IPv4 address.
func spellings(ip netip.Addr) []string {
	if ip = ip.Unmap(); ip.Is6() {
		b := ip.As16()
		long := make([]string, 8)
		for n := range long {
			long[n] = fmt.Sprintf("%04X", binary.BigEndian.Uint16(b[2*n:]))
		}
		return []string{ip.String(), strings.Join(long, ":")}
	}
	b := ip.As4()
	n := binary.BigEndian.Uint32(b[:])
	return []string{ip.String(), fmt.Sprint(n), fmt.Sprintf("0x%x", n), fmt.Sprintf("0%o", n), fmt.Sprintf("%d.%d", b[0], n&0xffffff),
		fmt.Sprintf("%#x.%#x.%#x.%#x", b[0], b[1], b[2], b[3]), fmt.Sprintf("%04o.%04o.%04o.%04o", b[0], b[1], b[2], b[3]),
		"::ffff:" + ip.String(), fmt.Sprintf("::ffff:%x:%x", n>>16, n&0xffff), "::" + ip.String(), fmt.Sprintf("64:ff9b::%x:%x", n>>16, n&0xffff),
		fmt.Sprintf("2002:%x:%x::", n>>16, n&0xffff), "rebound.example", ip.String() + ".nip.example"}
}

// TestNoWayInside: whatever address, however it is spelled, and whatever a name
// leads to at this moment, no request reaches a private network.
func TestNoWayInside(t *testing.T) {
	t.Parallel()
	var reached atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer server.Close()
	port := server.Listener.Addr().(*net.TCPAddr).Port
	rapid.Check(t, func(rt *rapid.T) {
		to := netip.MustParseAddr(rapid.SampledFrom(hidden).Draw(rt, "address"))
		if rapid.Bool().Draw(rt, "any loopback") {
			to = netip.AddrFrom4([4]byte{127, byte(rapid.IntRange(0, 255).Draw(rt, "b")), byte(rapid.IntRange(0, 255).Draw(rt, "c")), byte(rapid.IntRange(1, 254).Draw(rt, "d"))})
		}
		host := rapid.SampledFrom(spellings(to)).Draw(rt, "spelling")
		g := outward.Guard{Resolver: names(func() netip.Addr { return to })}
		c := g.Client(2 * time.Second)
		defer c.CloseIdleConnections()
		u := url.URL{Scheme: "http", Host: net.JoinHostPort(host, fmt.Sprint(port)), Path: "/"}
		res, err := c.Get(u.String())
		if err == nil {
			res.Body.Close()
			rt.Fatalf("a request to %s was answered %s", u.String(), res.Status)
		}
	})
	if n := reached.Load(); n != 0 {
		t.Errorf("%d requests reached the machine itself", n)
	}
	// The same names with what the operator allows: the test can fail.
	g := outward.Guard{AllowPrivate: true, Resolver: names(func() netip.Addr { return netip.MustParseAddr("127.0.0.1") })}
	res, err := g.Client(5 * time.Second).Get(fmt.Sprintf("http://rebound.example:%d/", port))
	if err != nil || reached.Load() != 1 {
		t.Fatalf("with private networks allowed: %v, %d requests", err, reached.Load())
	}
	res.Body.Close()
}

// TestRebinding: a name that led outside when it was looked at, and inside when the
// connection is made, leads nowhere.
func TestRebinding(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was reached") }))
	defer server.Close()
	first := true
	g := outward.Guard{Resolver: names(func() netip.Addr {
		if first {
			first = false
			return netip.MustParseAddr("1.1.1.1")
		}
		return netip.MustParseAddr("127.0.0.1")
	})}
	if ips, err := g.Resolver.LookupNetIP(t.Context(), "ip4", "rebound.example"); err != nil || len(ips) != 1 || !outward.Public(ips[0]) {
		t.Fatalf("the name leads to %v, %v", ips, err)
	}
	_, err := g.Client(5 * time.Second).Get(fmt.Sprintf("http://rebound.example:%d/", server.Listener.Addr().(*net.TCPAddr).Port))
	var refused *outward.Refused
	if !errors.As(err, &refused) || refused.Addr.String() != "127.0.0.1" {
		t.Errorf("the request ended with %v", err)
	}
}

// TestNoRedirectNoProxy: an answer that leads elsewhere is the answer.
func TestNoRedirectNoProxy(t *testing.T) {
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed, or the proxy used") }))
	defer inside.Close()
	t.Setenv("HTTP_PROXY", inside.URL)
	t.Setenv("http_proxy", inside.URL)
	outside := httptest.NewServer(http.RedirectHandler(inside.URL, http.StatusFound))
	defer outside.Close()
	g := outward.Guard{AllowPrivate: true, Resolver: names(func() netip.Addr { return netip.MustParseAddr("127.0.0.1") })}
	res, err := g.Client(5 * time.Second).Get(fmt.Sprintf("http://hook.example:%d/", outside.Listener.Addr().(*net.TCPAddr).Port))
	if err != nil || res.StatusCode != http.StatusFound {
		t.Fatalf("%v, %v", res, err)
	}
	res.Body.Close()
}

// FuzzURL: an address that is taken is one that a request can be made of, without a
// password, and names no private address.
func FuzzURL(f *testing.F) {
	for _, s := range []string{"https://example.com/hook?a=b", "http://127.0.0.1", "http://[::ffff:7f00:1]/", "http://2130706433/", "http://0x7f.1/", "http://a@b/", "http://%31%32%37.0.0.1/",
		"http://127.0.0.1%00.example.com/", "http://localhost%2e/", "http://[fe80::1%25lo]/", "http://ⓛocalhost/", "http://127。0。0。1/", "http://exam\tple.com", "http:\\\\127.0.0.1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		kept, err := (outward.Guard{}).CheckURL(raw)
		if err != nil {
			if cullet.CodeOf(err) != cullet.Invalid {
				t.Fatalf("%q is refused as %v", raw, err)
			}
			return
		}
		r, err := http.NewRequest(http.MethodPost, kept, nil)
		if err != nil {
			t.Fatalf("%q is kept as %q, of which no request can be made: %v", raw, kept, err)
		}
		if s := r.URL.Scheme; s != "http" && s != "https" || r.URL.User != nil || r.URL.Hostname() == "" {
			t.Fatalf("%q is kept as %q", raw, kept)
		}
		if ip, err := netip.ParseAddr(r.URL.Hostname()); err == nil && !outward.Public(ip) {
			t.Fatalf("%q names the private address %s", raw, ip)
		}
		if again, err := (outward.Guard{}).CheckURL(kept); err != nil || again != kept {
			t.Fatalf("%q is kept as %q, and that as %q, %v", raw, kept, again, err)
		}
	})
}

// names is a resolver in which every name leads to the address that answer gives
// when it is asked.
func names(answer func() netip.Addr) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go serveName(theirs, answer)
		return ours, nil
	}}
}

// serveName answers questions of DNS, framed as over TCP, with one address.
func serveName(c net.Conn, answer func() netip.Addr) {
	defer c.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		q := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, q); err != nil || len(q) < 17 {
			return
		}
		end := 12
		for q[end] != 0 {
			end += int(q[end]) + 1
		}
		end += 5
		kind := binary.BigEndian.Uint16(q[end-4:])
		a := append([]byte{q[0], q[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, q[12:end]...)
		if ip := answer().Unmap(); kind == 1 && ip.Is4() || kind == 28 && ip.Is6() {
			a[7] = 1
			a = append(a, 0xc0, 12, byte(kind>>8), byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(len(ip.AsSlice())))
			a = append(a, ip.AsSlice()...)
		}
		if _, err := c.Write(append([]byte{byte(len(a) >> 8), byte(len(a))}, a...)); err != nil {
			return
		}
	}
}

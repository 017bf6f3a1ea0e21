package outward

import "net/netip"

// The networks that are no public ones, as the registries of special addresses list
// them (IANA, RFC 6890 and its followers). Of IPv6 only what is given out as global
// is public, so that what is not known yet is refused.
var (
	private4 = prefixes("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
		"192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
		"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
		"168.63.129.16/32") // what a machine of Azure asks about itself
	global6  = netip.MustParsePrefix("2000::/3")
	private6 = prefixes("2001::/23", "2001:db8::/32", "2620:4f:8000::/48", "3fff::/20")

	nat64  = netip.MustParsePrefix("64:ff9b::/96")
	sixTo4 = netip.MustParsePrefix("2002::/16")
)

func prefixes(all ...string) []netip.Prefix {
	p := make([]netip.Prefix, len(all))
	for n, s := range all {
		p[n] = netip.MustParsePrefix(s)
	}
	return p
}

// Public says whether an address is one that everybody may reach: no loopback, no
// private, link-local, shared, multicast or reserved network, no address at which a
// cloud's machine asks about itself, and none of these wrapped into IPv6.
func Public(ip netip.Addr) bool {
	if !ip.IsValid() || ip.Zone() != "" {
		return false
	}
	ip = ip.Unmap()
	if ip.Is4() {
		return !within(private4, ip)
	}
	b := ip.As16()
	switch {
	case nat64.Contains(ip):
		return Public(netip.AddrFrom4([4]byte(b[12:])))
	case !global6.Contains(ip) || within(private6, ip):
		return false
	case sixTo4.Contains(ip) && !Public(netip.AddrFrom4([4]byte(b[2:6]))):
		return false
	}
	// An interface's id that holds an IPv4 address (ISATAP).
	if b[9] == 0 && b[8]&^0x02 == 0 && b[10] == 0x5e && b[11] == 0xfe {
		return Public(netip.AddrFrom4([4]byte(b[12:])))
	}
	return true
}

func within(all []netip.Prefix, ip netip.Addr) bool {
	for _, p := range all {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

package machine

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"path"
)

// Bearers of resource 0 of object 4.
const (
	bearerWLAN     = 21
	bearer802154   = 23
	bearerEthernet = 41
)

// Route is the default route.
type Route struct {
	Interface string
	Gateway   netip.Addr // invalid if the network has none
}

// defaultRoute reads proc/net/route below the root: columns in tabs, addresses as words of the machine's byte order in hexadecimal.
func defaultRoute(root fs.FS) (Route, bool) {
	text, err := fs.ReadFile(root, "proc/net/route")
	if err != nil {
		return Route{}, false
	}
	return parseRoute(text)
}

func parseRoute(text []byte) (Route, bool) {
	for line := range bytes.Lines(text) {
		f := bytes.Fields(line)
		if len(f) < 8 || string(f[1]) != "00000000" || string(f[7]) != "00000000" {
			continue
		}
		r := Route{Interface: string(f[0])}
		var word [4]byte
		if n, err := hex.Decode(word[:], f[2][:min(len(f[2]), 8)]); err == nil && n == 4 {
			var address [4]byte
			binary.NativeEndian.PutUint32(address[:], binary.BigEndian.Uint32(word[:]))
			if ip := netip.AddrFrom4(address); !ip.IsUnspecified() {
				r.Gateway = ip
			}
		}
		return r, true
	}
	return Route{}, false
}

// bearer is what an interface's link is.
func bearer(root fs.FS, name string) int64 {
	if _, err := fs.Stat(root, path.Join("sys/class/net", name, "wireless")); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return bearerWLAN
	}
	return bearerEthernet
}

// maxAddresses bounds what object 4 lists.
const maxAddresses = 8

// addresses are those of the machine that others may reach it by.
func addresses() []netip.Addr {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var out []netip.Addr
	for _, a := range all {
		prefix, err := netip.ParsePrefix(a.String())
		if err == nil && prefix.Addr().IsGlobalUnicast() && len(out) < maxAddresses {
			out = append(out, prefix.Addr())
		}
	}
	return out
}

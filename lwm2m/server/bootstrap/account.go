package bootstrap

import (
	"time"

	"github.com/edgehold/edgehold/lwm2m"
)

// Mode is how a device secures its connection to a server (resource 2 of object 0).
type Mode uint8

// Modes of security.
const (
	PSK         Mode = 0
	Certificate Mode = 2
	NoSec       Mode = 3
)

// Account is one server that a device is told of.
type Account struct {
	URI      string // coaps://host:5684
	Short    uint16 // Short Server ID, 1 to 65534
	Mode     Mode
	Identity []byte // PSK identity, or the device's certificate (DER)
	Key      []byte // pre-shared key, or the certificate's private key
	Server   []byte // the server's certificate
	Lifetime time.Duration
	Binding  string // "U" if empty
}

// Resources of the Security (0) and Server (1) objects.
const (
	securityURI, securityBootstrap, securityMode, securityIdentity, securityServer, securityKey, securityShort = 0, 1, 2, 3, 4, 5, 10

	serverShort, serverLifetime, serverStoring, serverBinding = 0, 1, 6, 7
)

// Accounts returns the instances of objects 0 and 1 that stand for accounts. They are numbered from first, which is to leave
// out the device's account at the bootstrap server: that is 0 as a rule.
func Accounts(first uint16, accounts ...Account) lwm2m.Tree {
	var t lwm2m.Tree
	for i, a := range accounts {
		t = append(t, a.security(first+uint16(i))...)
		t = append(t, a.server(uint16(i))...)
	}
	t.Sort()
	return t
}

func (a Account) security(instance uint16) lwm2m.Tree {
	at := func(resource uint16, v lwm2m.Value) lwm2m.Record {
		return lwm2m.Record{Path: lwm2m.PathOf(0, instance, resource), Value: v}
	}
	return lwm2m.Tree{
		at(securityURI, lwm2m.String(a.URI)), at(securityBootstrap, lwm2m.Boolean(false)), at(securityMode, lwm2m.Integer(int64(a.Mode))),
		at(securityIdentity, lwm2m.Opaque(a.Identity)), at(securityServer, lwm2m.Opaque(a.Server)), at(securityKey, lwm2m.Opaque(a.Key)),
		at(securityShort, lwm2m.Integer(int64(a.Short))),
	}
}

func (a Account) server(instance uint16) lwm2m.Tree {
	at := func(resource uint16, v lwm2m.Value) lwm2m.Record {
		return lwm2m.Record{Path: lwm2m.PathOf(1, instance, resource), Value: v}
	}
	lifetime, binding := a.Lifetime, a.Binding
	if lifetime <= 0 {
		lifetime = 24 * time.Hour
	}
	if binding == "" {
		binding = "U"
	}
	return lwm2m.Tree{
		at(serverShort, lwm2m.Integer(int64(a.Short))), at(serverLifetime, lwm2m.Integer(int64(lifetime/time.Second))),
		at(serverStoring, lwm2m.Boolean(false)), at(serverBinding, lwm2m.String(binding)),
	}
}

// hasKeys reports whether a tree holds what nobody but the device may see.
func hasKeys(t lwm2m.Tree) bool {
	for _, r := range t {
		switch p := r.Path; {
		case p.Depth() >= 3 && p.Object() == 0 && p.Resource() == securityKey && r.Value.Text() != "":
			return true
		case p.Object() == 21 && p.Depth() >= 3: // OSCORE
			return true
		}
	}
	return false
}

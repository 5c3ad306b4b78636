package client

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
)

// Resources of the Security object.
const (
	securityURI         = 0
	securityBootstrap   = 1
	securityMode        = 2
	securityIdentity    = 3
	securityServerKey   = 4
	securityKey         = 5
	securityShortID     = 10
	securityHoldOff     = 11
	securityTimeout     = 12
	securityMatching    = 13
	securitySNI         = 14
	securityCertificate = 15
)

// Resources of the Server object.
const (
	serverShortID          = 0
	serverLifetime         = 1
	serverPMin             = 2
	serverPMax             = 3
	serverDisable          = 4
	serverDisableTimeout   = 5
	serverStoring          = 6
	serverBinding          = 7
	serverUpdateTrigger    = 8
	serverBootstrapTrigger = 9
	serverLastBootstrapped = 12
	serverPriority         = 13
	serverInitialDelay     = 14
	serverFailureBlock     = 15
	serverFailureBootstrap = 16
	serverRetryCount       = 17
	serverRetryTimer       = 18
	serverSequenceDelay    = 19
	serverSequenceCount    = 20
	serverMuteSend         = 23
	serverNotificationMode = 26
)

// Mode is how a connection is secured (resource 2 of the Security object).
type Mode int64

const (
	PSK         Mode = 0
	RawKey      Mode = 1 // not supported
	Certificate Mode = 2
	NoSec       Mode = 3
)

// Account is what a device needs to reach one server, an instance of the Security object.
type Account struct {
	URI       string
	Bootstrap bool
	Short     uint16 // Short Server ID; 0 for a bootstrap server
	Mode      Mode
	Identity  string // PSK identity, or the certificate (DER)
	Key       string // PSK, or the private key (DER, PKCS#8)
	ServerKey string // the server's certificate or its authority's (DER)
	Usage     uint64 // of ServerKey: resource 15, 3 (the server's own) if not told
	SNI       string

	HoldOff time.Duration // before the first Bootstrap-Request
	Timeout time.Duration // bootstrap accounts: how long after a success the account goes; 0 keeps it

	// What the Server object holds of it. A zero Lifetime is a day, an empty Binding that of the URI.
	Lifetime time.Duration
	Binding  string
	// SendAllowed lets the device use Send, which is off in the Server object unless it says otherwise.
	SendAllowed bool
}

// records are the account as instances of the Security and of the Server object.
func (a Account) records(instance uint16) lwm2m.Tree {
	security := lwm2m.PathOf(objectSecurity, instance)
	t := lwm2m.Tree{
		{Path: security.Child(securityURI), Value: lwm2m.String(a.URI)},
		{Path: security.Child(securityBootstrap), Value: lwm2m.Boolean(a.Bootstrap)},
		{Path: security.Child(securityMode), Value: lwm2m.Integer(int64(a.Mode))},
		{Path: security.Child(securityIdentity), Value: lwm2m.OpaqueString(a.Identity)},
		{Path: security.Child(securityServerKey), Value: lwm2m.OpaqueString(a.ServerKey)},
		{Path: security.Child(securityKey), Value: lwm2m.OpaqueString(a.Key)},
	}
	if a.Bootstrap {
		return append(t, lwm2m.Record{Path: security.Child(securityHoldOff), Value: lwm2m.Integer(int64(a.HoldOff / time.Second))},
			lwm2m.Record{Path: security.Child(securityTimeout), Value: lwm2m.Integer(int64(a.Timeout / time.Second))})
	}
	t = append(t, lwm2m.Record{Path: security.Child(securityShortID), Value: lwm2m.Integer(int64(a.Short))})
	if a.SNI != "" {
		t = append(t, lwm2m.Record{Path: security.Child(securitySNI), Value: lwm2m.String(a.SNI)})
	}
	if a.Usage != 0 {
		t = append(t, lwm2m.Record{Path: security.Child(securityCertificate), Value: lwm2m.Unsigned(a.Usage)})
	}
	return append(t, a.server(instance)...)
}

func (a Account) server(instance uint16) lwm2m.Tree {
	server := lwm2m.PathOf(objectServer, instance)
	lifetime, binding := a.Lifetime, a.Binding
	if lifetime == 0 {
		lifetime = 24 * time.Hour
	}
	if binding == "" {
		binding = "U"
		if strings.Contains(a.URI, "+tcp:") {
			binding = "T"
		}
	}
	return lwm2m.Tree{
		{Path: server.Child(serverShortID), Value: lwm2m.Integer(int64(a.Short))},
		{Path: server.Child(serverLifetime), Value: lwm2m.Integer(int64(lifetime / time.Second))},
		{Path: server.Child(serverStoring), Value: lwm2m.Boolean(true)},
		{Path: server.Child(serverBinding), Value: lwm2m.String(binding)},
		{Path: server.Child(serverMuteSend), Value: lwm2m.Boolean(!a.SendAllowed)},
	}
}

// account reads an instance of the Security object.
func account(security *Table, instance uint16) Account {
	at := func(resource uint16) lwm2m.Value {
		return security.Value(lwm2m.PathOf(objectSecurity, instance, resource))
	}
	a := Account{
		URI: at(securityURI).Text(), Bootstrap: at(securityBootstrap).Boolean(), Mode: Mode(at(securityMode).Integer()),
		Identity: at(securityIdentity).Text(), ServerKey: at(securityServerKey).Text(), Key: at(securityKey).Text(),
		Short: uint16(at(securityShortID).Integer()), SNI: at(securitySNI).Text(), Usage: 3,
		HoldOff: time.Duration(at(securityHoldOff).Integer()) * time.Second,
		Timeout: time.Duration(at(securityTimeout).Integer()) * time.Second,
	}
	if v := at(securityCertificate); !v.IsNone() {
		a.Usage = v.Unsigned()
	}
	return a
}

// Target is where a server is.
type Target struct {
	Scheme  string // coap, coaps, coap+tcp, coaps+tcp
	Address string // host:port
	Prefix  string // path before /rd and /bs, without a slash at its end
	Host    string // as the URI names it, for certificates
}

var schemes = map[string]string{"coap": "5683", "coaps": "5684", "coap+tcp": "5683", "coaps+tcp": "5684"}

// Target takes the server's URI apart.
func (a Account) Target() (Target, error) {
	u, err := url.Parse(a.URI)
	if err != nil {
		return Target{}, fmt.Errorf("server URI: %w", err)
	}
	standard, known := schemes[u.Scheme]
	if !known || u.Hostname() == "" {
		return Target{}, fmt.Errorf("server URI %q: want coap, coaps, coap+tcp or coaps+tcp and a host", a.URI)
	}
	if secure := strings.HasPrefix(u.Scheme, "coaps"); secure != (a.Mode != NoSec) {
		return Target{}, fmt.Errorf("server URI %q does not go with security mode %d", a.URI, a.Mode)
	}
	port := u.Port()
	if port == "" {
		port = standard
	}
	return Target{Scheme: u.Scheme, Address: joinHostPort(u.Hostname(), port), Prefix: strings.TrimRight(u.Path, "/"), Host: u.Hostname()}, nil
}

func joinHostPort(host, port string) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + port
}

package config

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/edgehold/edgehold/plugins/registry"
)

// Registry says how artefacts are fetched, and whether this node hands out its own.
type Registry struct {
	// Credentials is the path of a file in the form of Docker's config.json. Programs that it names as helpers are not run.
	Credentials string `json:"credentials,omitempty"`
	// Logins are credentials by host[:port]; they go before the file.
	Logins map[string]RegistryLogin `json:"logins,omitempty"`
	// CA is the path of further certificates that registries are checked against, PEM.
	CA string `json:"ca,omitempty"`
	// Mirrors are asked before the registry of a reference, in this order, host[:port] each.
	Mirrors []string `json:"mirrors,omitempty"`
	// PlainHTTP lists hosts that are reached without TLS. Those of this machine are anyway.
	PlainHTTP []string `json:"plain_http,omitempty"`
	// TLSHosts lists hosts of this machine that are reached over TLS all the same.
	TLSHosts []string `json:"tls_hosts,omitempty"`
	// TokenHosts lists hosts besides a registry's own that may be sent its credentials in exchange for a token.
	TokenHosts []string `json:"token_hosts,omitempty"`
	// Stall is how long a transfer may bring next to nothing before it is broken off and gone on with.
	Stall Duration `json:"stall,omitempty"`
	// StoreBytes bounds what modules and downloads may take on the disk.
	StoreBytes int64 `json:"store_bytes,omitempty"`
	// Mirror has this node hand out its modules to others.
	Mirror Mirror `json:"mirror,omitzero"`
}

// RegistryLogin is what a registry wants to know.
type RegistryLogin struct {
	Username string `json:"username,omitempty"`
	// PasswordFile is the path of a file with the password, or a token, and nothing else.
	PasswordFile string `json:"password_file,omitempty"`
}

// Mirror is a read-only registry of what a node has. Whoever reaches it may pull.
type Mirror struct {
	// Listen is a TCP address; empty is no mirror.
	Listen string `json:"listen,omitempty"`
	TLS    TLS    `json:"tls,omitzero"`
	// Plain leaves TLS out, which only a loopback or private address may.
	Plain bool `json:"plain,omitempty"`
}

const (
	defaultStall      = 30 * time.Second
	defaultStoreBytes = 1 << 30
	minStoreBytes     = 16 << 20
)

func (r *Registry) setDefaults() {
	r.Stall = cmp.Or(r.Stall, Duration(defaultStall))
	r.StoreBytes = cmp.Or(r.StoreBytes, defaultStoreBytes)
}

func (r *Registry) validate(p *problems) {
	p.between("registry.stall", r.Stall, time.Second, 10*time.Minute)
	p.require(r.StoreBytes >= minStoreBytes, "registry.store_bytes", fmt.Sprintf("is %d", r.StoreBytes), "choose 16777216 (16 MiB) or more")
	if _, err := r.Client(); err != nil {
		hint := "correct the path or the host"
		if coded := (interface{ ErrorHint() string })(nil); errors.As(err, &coded) {
			hint = coded.ErrorHint()
		}
		p.require(false, "registry", "can't be used: "+err.Error(), hint)
	}
	m := r.Mirror
	if m.Listen == "" {
		return
	}
	p.address("registry.mirror.listen", m.Listen)
	secure := m.TLS.Certificate != "" && m.TLS.Key != ""
	p.require(secure != m.Plain, "registry.mirror", "needs either tls or plain: true", "give certificate and key")
	p.require(!m.Plain || registry.IsPrivate(m.Listen), "registry.mirror.plain", "is for loopback and private addresses alone", "name such an address in registry.mirror.listen, or give a certificate")
}

// Client is what fetches artefacts.
func (r *Registry) Client() (*registry.Client, error) {
	logins := map[string]registry.Login{}
	for host, l := range r.Logins {
		password, err := readBounded(l.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("read the password for %s: %w", host, err)
		}
		logins[host] = registry.Login{Username: l.Username, Password: strings.TrimSpace(string(password))}
	}
	return registry.New(registry.Config{
		CredentialsFile: r.Credentials, Logins: logins, CAFile: r.CA, Mirrors: r.Mirrors, PlainHTTP: r.PlainHTTP, TLSHosts: r.TLSHosts, TokenHosts: r.TokenHosts,
		Stall: time.Duration(r.Stall),
	})
}

// resolve makes the paths relative to the folder that the configuration lies in.
func (r *Registry) resolve(absolute func(string) string) {
	for _, p := range []*string{&r.Credentials, &r.CA, &r.Mirror.TLS.Certificate, &r.Mirror.TLS.Key} {
		*p = absolute(*p)
	}
	for host, l := range r.Logins {
		l.PasswordFile = absolute(l.PasswordFile)
		r.Logins[host] = l
	}
}

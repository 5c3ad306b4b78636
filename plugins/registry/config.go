package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

// Config says how registries are reached. Its zero value reaches public ones over TLS, and those of this machine over either.
type Config struct {
	// CredentialsFile is a file in the form of Docker's config.json. Only what stands in it is used; programs that it names
	// as helpers are not run.
	CredentialsFile string
	// Logins are credentials by host[:port]; they go before the file.
	Logins map[string]Login
	// CAFile holds further certificates that servers are checked against, PEM.
	CAFile string
	// PlainHTTP lists the hosts, host[:port], that are reached without TLS. Those of this machine need not be listed.
	PlainHTTP []string
	// TLSHosts lists hosts of this machine that are reached over TLS all the same.
	TLSHosts []string
	// Mirrors are asked before the registry of a reference, in this order, host[:port] each, under the same repository.
	Mirrors []string
	// TokenHosts are hosts besides a registry's own that may be sent its credentials in exchange for a token.
	TokenHosts []string
	// Stall is how long a transfer may bring less than a KiB; 0 means 30 s.
	Stall time.Duration
	// Attempts bounds how often a broken transfer is gone on with; 0 means 5.
	Attempts int
	// Wait is how long to wait before going on after the given number of failures; nil doubles from 200 ms.
	Wait func(failures int) time.Duration
}

// Login is what a registry wants to know.
type Login struct{ Username, Password string }

const maxCredentialsBytes = 1 << 20

// credentialsOf returns a function that never gives one host's credentials for another one.
func (c *Config) credentialsOf() (auth.CredentialFunc, error) {
	store := credentials.NewMemoryStore()
	if c.CredentialsFile != "" {
		raw, err := readBounded(c.CredentialsFile, maxCredentialsBytes)
		if err == nil {
			store, err = credentials.NewMemoryStoreFromDockerConfig(raw)
		}
		if err != nil {
			return nil, badConfig("read the credentials in "+c.CredentialsFile, err, "give a file in the form of Docker's config.json")
		}
	}
	fromFile := credentials.Credential(store)
	return func(ctx context.Context, host string) (auth.Credential, error) {
		if l, ok := c.Logins[host]; ok {
			return auth.Credential{Username: l.Username, Password: l.Password}, nil
		}
		return fromFile(ctx, host)
	}, nil
}

// tls returns what servers are checked against.
func (c *Config) tls() (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile == "" {
		return t, nil
	}
	raw, err := readBounded(c.CAFile, maxCredentialsBytes)
	if err != nil {
		return nil, badConfig("read the certificates in "+c.CAFile, err, "give a PEM file")
	}
	if t.RootCAs, err = x509.SystemCertPool(); err != nil {
		t.RootCAs = x509.NewCertPool()
	}
	if !t.RootCAs.AppendCertsFromPEM(raw) {
		return nil, badConfig("read the certificates in "+c.CAFile, errors.New("there is no certificate in it"), "give a PEM file")
	}
	return t, nil
}

func badConfig(what string, err error, hint string) error {
	return &Error{Code: CodeConfig, What: what, Why: err.Error(), Hint: hint, Err: err}
}

// readBounded reads a regular file that is no longer than limit.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, &fs.PathError{Op: "read", Path: path, Err: errors.New("it is no regular file")})
	}
	raw, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(raw)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return raw, err
}

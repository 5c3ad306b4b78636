package main

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/edgehold/edgehold/lwm2m/client"
	"github.com/edgehold/edgehold/lwm2m/durable"
)

// account says which server the device has, and what it shows it.
func (s *settings) account() (client.Account, error) {
	a := client.Account{URI: s.Server, Bootstrap: s.Bootstrap, Short: 1, Mode: client.NoSec, Lifetime: time.Duration(s.Lifetime)}
	if s.Bootstrap {
		a.Short = 0
	}
	if s.Server == "" {
		return a, errors.New("it has no server")
	}
	u, err := url.Parse(s.Server)
	if err != nil || u.Host == "" {
		return a, fmt.Errorf("the server %q is no address such as coaps://gateway:5684", s.Server)
	}
	scheme, overTCP := strings.CutSuffix(u.Scheme, "+tcp")
	psk, certificate := s.PSKKeyFile != "", s.Certificate != "" || s.Key != "" || s.ServerCA != ""
	switch {
	case scheme != "coap" && scheme != "coaps":
		return a, fmt.Errorf("the server's scheme is %q: write coap://, coaps://, coap+tcp:// or coaps+tcp://", u.Scheme)
	case scheme == "coap" && (psk || certificate):
		return a, fmt.Errorf("a key is given, and %s:// does not use it: write coaps", u.Scheme)
	case scheme == "coap":
		return a, nil
	case psk && certificate:
		return a, errors.New("a pre-shared key and a certificate are given: leave one out")
	case certificate:
		return s.certified(a)
	case overTCP:
		return a, errors.New("coaps+tcp:// needs a certificate: give --certificate, --key and --server-ca")
	case psk:
		return s.shared(a)
	default:
		return a, errors.New("coaps:// needs a key: give --psk-key-file, or --certificate, --key and --server-ca")
	}
}

// shared gives a the pre-shared key.
func (s *settings) shared(a client.Account) (client.Account, error) {
	a.Mode, a.Identity = client.PSK, s.PSKIdentity
	if a.Identity == "" {
		a.Identity = s.Endpoint
	}
	raw, err := readSecret(s.PSKKeyFile)
	if err != nil {
		return a, err
	}
	key, err := hex.DecodeString(string(bytes.TrimSpace(raw)))
	if err != nil || len(key) == 0 {
		return a, fmt.Errorf("the key %s is not made of hexadecimal digits", s.PSKKeyFile)
	}
	a.Key = string(key)
	return a, nil
}

// certified gives a the certificates, as the Security object holds them: in DER, the key in PKCS #8.
func (s *settings) certified(a client.Account) (client.Account, error) {
	if s.Certificate == "" || s.Key == "" || s.ServerCA == "" {
		return a, errors.New("a certificate needs all of --certificate, --key and --server-ca")
	}
	own, err := readCertificate(s.Certificate)
	if err != nil {
		return a, err
	}
	authority, err := readCertificate(s.ServerCA)
	if err != nil {
		return a, err
	}
	key, err := readPrivateKey(s.Key)
	if err != nil {
		return a, err
	}
	a.Mode, a.Identity, a.Key, a.ServerKey, a.Usage = client.Certificate, own, key, authority, trustAnchor
	return a, nil
}

// trustAnchor is the certificate usage of an authority (resource 15 of the Security object, RFC 6698 section 2.1.1).
const trustAnchor = 2

func readCertificate(file string) (der string, err error) {
	raw, err := durable.Read(file, maxKeyFile)
	if err != nil {
		return "", err
	}
	b, _ := pem.Decode(raw)
	if b == nil || b.Type != "CERTIFICATE" {
		return "", fmt.Errorf("%s holds no certificate in PEM", file)
	}
	if _, err := x509.ParseCertificate(b.Bytes); err != nil {
		return "", fmt.Errorf("the certificate %s: %w", file, err)
	}
	return string(b.Bytes), nil
}

func readPrivateKey(file string) (der string, err error) {
	raw, err := readSecret(file)
	if err != nil {
		return "", err
	}
	b, _ := pem.Decode(raw)
	if b == nil {
		return "", fmt.Errorf("%s holds no key in PEM", file)
	}
	if _, err := x509.ParsePKCS8PrivateKey(b.Bytes); err == nil {
		return string(b.Bytes), nil
	}
	key, err := x509.ParseECPrivateKey(b.Bytes) // as `openssl ecparam -genkey` writes it
	if err != nil {
		return "", fmt.Errorf("the key %s is neither PKCS #8 nor an EC key", file)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	return string(pkcs8), err
}

// readSecret reads a file that nobody else may read.
func readSecret(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("others may read %s (mode %o): chmod 600 it", file, info.Mode().Perm())
	}
	return durable.Read(file, maxKeyFile)
}

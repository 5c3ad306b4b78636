package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgehold/edgehold/lwm2m/client"
)

// A certificate and its key, PKCS #8 or as openssl's ecparam writes it, become what the Security object holds.
func TestCertificates(t *testing.T) {
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sensor-1"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	keep := func(name, kind string, der []byte, mode os.FileMode) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode); err != nil {
			t.Fatal(err)
		}
		return file
	}
	certificate := keep("crt", "CERTIFICATE", der, 0o644)
	private, ec, open := keep("key", "PRIVATE KEY", pkcs8, 0o600), keep("ec", "EC PRIVATE KEY", sec1, 0o600), keep("open", "PRIVATE KEY", pkcs8, 0o644)

	for _, server := range []string{"coaps://gateway:5684", "coaps+tcp://gateway:5684"} {
		for _, file := range []string{private, ec} {
			a, err := (&settings{Server: server, Certificate: certificate, Key: file, ServerCA: certificate}).account()
			if err != nil {
				t.Fatal(err)
			}
			if a.Mode != client.Certificate || a.Identity != string(der) || a.Key != string(pkcs8) || a.ServerKey != string(der) || a.Usage != trustAnchor {
				t.Errorf("%s, %s: got mode %d, usage %d, and other bytes than were written", server, filepath.Base(file), a.Mode, a.Usage)
			}
		}
	}
	for want, s := range map[string]settings{
		"needs all of":         {Server: "coaps://g:1", Certificate: certificate, Key: private},
		"others may read":      {Server: "coaps://g:1", Certificate: certificate, Key: open, ServerCA: certificate},
		"holds no certificate": {Server: "coaps://g:1", Certificate: private, Key: private, ServerCA: certificate},
		"neither PKCS #8":      {Server: "coaps://g:1", Certificate: certificate, Key: keep("odd", "PRIVATE KEY", der, 0o600), ServerCA: certificate},
		"leave one out":        {Server: "coaps://g:1", PSKKeyFile: private, Certificate: certificate},
		"needs a certificate":  {Server: "coaps+tcp://g:1", PSKKeyFile: private},
		"does not use it":      {Server: "coap+tcp://g:1", PSKKeyFile: private},
		"needs a key":          {Server: "coaps://g:1"},
	} {
		if _, err := s.account(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

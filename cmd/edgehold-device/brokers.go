package main

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"

	"github.com/edgehold/edgehold/lwm2m/device/route"
	"github.com/edgehold/edgehold/lwm2m/durable"
)

// broker is what lets the device in at an MQTT broker. It is never in a route's URI, which every server may read.
type broker struct {
	User         string `json:"user"`
	PasswordFile string `json:"password_file"`
	CA           string `json:"ca"` // file of certificates that vouch for it, or "system"; routes to it have to be mqtts:// then
}

const (
	maxCA    = 256 << 10
	systemCA = "system" // those that this machine trusts
)

// brokers reads what the settings name, with every problem at once.
func (s *settings) brokers() (map[string]route.Broker, error) {
	all, problems := map[string]route.Broker{}, []error(nil)
	for _, address := range slices.Sorted(maps.Keys(s.Brokers)) {
		b, err := s.Brokers[address].read(address)
		if err != nil {
			problems = append(problems, fmt.Errorf("the broker %s: %w", address, err))
		}
		all[address] = b
	}
	return all, errors.Join(problems...)
}

func (b broker) read(address string) (known route.Broker, err error) {
	if host, port, err := net.SplitHostPort(address); err != nil || host == "" || port == "" {
		return known, errors.New("write it as HOST:PORT")
	}
	known.User = b.User
	if b.PasswordFile != "" {
		password, err := readSecret(b.PasswordFile)
		if err != nil {
			return known, err
		}
		known.Password = string(bytes.TrimRight(password, "\r\n"))
	}
	switch b.CA {
	case "":
		return known, nil
	case systemCA:
		known.Roots, err = x509.SystemCertPool()
		return known, err
	}
	raw, err := durable.Read(b.CA, maxCA)
	if err != nil {
		return known, err
	}
	known.Roots = x509.NewCertPool()
	if !known.Roots.AppendCertsFromPEM(raw) {
		return known, fmt.Errorf("%s has no certificate in PEM", b.CA)
	}
	return known, nil
}

package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/edgehold/edgehold/lwm2m/client"
	"github.com/edgehold/edgehold/lwm2m/device"
	"github.com/edgehold/edgehold/lwm2m/durable"
	"github.com/edgehold/edgehold/plugins/parcel"
)

// settings are what a person can set, in a file or by flags; flags win.
type settings struct {
	Endpoint    string   `json:"endpoint"`
	Server      string   `json:"server"`    // coap://HOST:PORT, coaps://HOST:PORT, or either with +tcp
	Bootstrap   bool     `json:"bootstrap"` // the server is a bootstrap server
	PSKIdentity string   `json:"psk_identity"`
	PSKKeyFile  string   `json:"psk_key_file"` // hexadecimal digits
	Certificate string   `json:"certificate"`  // file in PEM, as the two below
	Key         string   `json:"key"`
	ServerCA    string   `json:"server_ca"`  // certificate that the server's is checked against
	TrustKeys   []string `json:"trust_keys"` // files: NAME.pub of `edgehold trust`
	StateDir    string   `json:"state_dir"`
	Lifetime    duration `json:"lifetime"`
	Queue       bool     `json:"queue_mode"`
	Simulate    bool     `json:"simulate"`
	Distance    float64  `json:"simulated_distance_metres"`
	Sample      duration `json:"sample_interval"`
	Listen      string   `json:"listen"`
	LogLevel    string   `json:"log_level"`

	FirmwareCommand []string `json:"firmware_command"` // applies an image, whose file is its last argument
	FirmwareVersion string   `json:"firmware_version"` // that runs

	Brokers    map[string]broker             `json:"brokers"` // of routes, by HOST:PORT
	Offer      device.Offer                  `json:"offer"`
	Parameters map[string]map[string]float64 `json:"parameters"`
	Limits     limits                        `json:"limits"`
}

type limits struct {
	MemoryBytes  uint64   `json:"memory_bytes"`
	Fuel         uint64   `json:"fuel"`
	Deadline     duration `json:"deadline"`
	PackageBytes int64    `json:"package_bytes"`
}

// duration is written "10s".
type duration time.Duration

func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = duration(v)
	return err
}

func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// maxConfig bounds a configuration file, in bytes.
const maxConfig = 256 << 10

// maxKeyFile bounds a file with a key or a certificate, in bytes.
const maxKeyFile = 16 << 10

// parse reads flags, and the file that they name.
func parse(name string, args []string, errs io.Writer) (*settings, error) {
	s := &settings{Lifetime: duration(5 * time.Minute), LogLevel: "info"}
	f := flag.NewFlagSet("edgehold-device "+name, flag.ContinueOnError)
	f.SetOutput(errs)
	file := f.String("config", "", "`file` with settings in JSON; flags win")
	f.StringVar(&s.Endpoint, "endpoint", "", "endpoint `name`, by which servers know the device")
	f.StringVar(&s.Server, "server", "", "`address` of the server: coap://HOST:PORT, coaps://HOST:PORT, or either with +tcp")
	f.BoolVar(&s.Bootstrap, "bootstrap", false, "the server is a bootstrap server")
	f.StringVar(&s.PSKIdentity, "psk-identity", "", "`identity` for coaps; the endpoint name if left out")
	f.StringVar(&s.PSKKeyFile, "psk-key-file", "", "`file` with the key for coaps, in hexadecimal digits")
	f.StringVar(&s.Certificate, "certificate", "", "`file` with the device's certificate, in PEM; in place of a PSK")
	f.StringVar(&s.Key, "key", "", "`file` with the certificate's private key, in PEM")
	f.StringVar(&s.ServerCA, "server-ca", "", "`file` with the certificate that the server's is checked against, in PEM")
	f.Func("trust-key", "`file` of a public key whose packages are taken; may be given several times", func(v string) error {
		s.TrustKeys = append(s.TrustKeys, v)
		return nil
	})
	f.StringVar(&s.StateDir, "state-dir", "", "`folder` for packages, routes and accounts")
	f.TextVar(&s.Lifetime, "lifetime", s.Lifetime, "`time` of the registration")
	f.BoolVar(&s.Queue, "queue", false, "sleep between updates (queue mode)")
	f.BoolVar(&s.Simulate, "simulate", false, "sensors and a radio from models, which say so")
	f.Float64Var(&s.Distance, "distance", 0, "`metres` from a simulated radio to its gateway; 10 if left out")
	f.TextVar(&s.Sample, "sample", duration(10*time.Second), "`time` between two looks at the sensors")
	f.StringVar(&s.Listen, "listen", "", "`address` where values for routes come in by CoAP, HOST:PORT; any free port if left out")
	f.StringVar(&s.LogLevel, "log-level", s.LogLevel, "debug, info, warn or error")
	if err := f.Parse(args); err != nil {
		return nil, &problem{code: "usage.flag", what: "read the flags", why: err.Error(), shown: true}
	}
	if f.NArg() > 0 {
		return nil, &problem{code: "usage.argument", what: "read the command line", why: fmt.Sprintf("%q is no flag", f.Arg(0)), hint: "see `edgehold-device " + name + " --help`"}
	}
	if *file == "" {
		return s, nil
	}
	return s, s.overlay(*file, f, args)
}

// overlay reads the file, and the flags once more over it.
func (s *settings) overlay(file string, f *flag.FlagSet, args []string) error {
	raw, err := durable.Read(file, maxConfig)
	if err != nil {
		return explain("config.unreadable", "read the configuration "+file, err, "name a file with --config")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(s); err != nil {
		return explain("config.invalid", "read the configuration "+file, err, "see the table of settings in cmd/edgehold-device/README.md")
	}
	s.TrustKeys = s.TrustKeys[:len(s.TrustKeys):len(s.TrustKeys)]
	return f.Parse(args)
}

// device makes the configuration of a device, with every problem at once.
func (s *settings) device(log *slog.Logger) (device.Config, error) {
	var problems []error
	account, err := s.account()
	problems = append(problems, err)
	keys, err := s.keys()
	problems = append(problems, err)
	brokers, err := s.brokers()
	problems = append(problems, err)
	c := device.Config{
		Endpoint: s.Endpoint, Accounts: []client.Account{account}, StateDir: s.StateDir, TrustKeys: keys,
		Simulate: s.Simulate, Distance: s.Distance, SampleInterval: time.Duration(s.Sample), Root: os.DirFS("/"), Listen: s.Listen,
		Brokers: brokers, Offer: s.Offer, Parameters: s.Parameters, QueueMode: s.Queue, Stay: true, Logger: log,
		FirmwareCommand: s.FirmwareCommand, FirmwareVersion: s.FirmwareVersion,
		Limits: device.Limits{Memory: s.Limits.MemoryBytes, Fuel: s.Limits.Fuel, Deadline: time.Duration(s.Limits.Deadline), Package: s.Limits.PackageBytes},
	}
	problems = append(problems, s.addresses(), c.Validate())
	if err := errors.Join(problems...); err != nil {
		return c, &problem{code: "config.invalid", what: "make a device of the settings", why: strings.ReplaceAll(err.Error(), "\n", "; "),
			hint: "edgehold-device run --endpoint NAME --server coap://HOST:5683 --state-dir DIR --trust-key FILE"}
	}
	return c, nil
}

// addresses reports what no socket would take, nor a server: better here than after the start.
func (s *settings) addresses() error {
	var problems []error
	if u, err := url.Parse(s.Server); err == nil && u.Port() != "" && !isPort(u.Port(), 1) {
		problems = append(problems, fmt.Errorf("the port of the server %q is no number from 1 to 65535", s.Server))
	}
	if _, port, err := net.SplitHostPort(s.Listen); s.Listen != "" && (err != nil || !isPort(port, 0)) {
		problems = append(problems, fmt.Errorf("listen %q: write HOST:PORT, such as 127.0.0.1:5690 or :5690", s.Listen))
	}
	if s.Lifetime < duration(time.Second) {
		problems = append(problems, fmt.Errorf("a lifetime of %s: it is at least 1s", time.Duration(s.Lifetime)))
	}
	if strings.ContainsFunc(s.Endpoint, func(r rune) bool { return !unicode.IsPrint(r) }) || !utf8.ValidString(s.Endpoint) {
		problems = append(problems, fmt.Errorf("the endpoint name %q has characters that can't be shown", s.Endpoint))
	}
	return errors.Join(problems...)
}

func isPort(text string, least uint64) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n >= least
}

func (s *settings) keys() (keys []ed25519.PublicKey, err error) {
	var problems []error
	for _, file := range s.TrustKeys {
		raw, err := durable.Read(file, maxKeyFile)
		if err == nil {
			var k ed25519.PublicKey
			if k, err = parcel.ParseKey(raw); err == nil {
				keys = append(keys, k)
				continue
			}
		}
		problems = append(problems, fmt.Errorf("the trusted key %s: %w", filepath.Base(file), err))
	}
	return keys, errors.Join(problems...)
}

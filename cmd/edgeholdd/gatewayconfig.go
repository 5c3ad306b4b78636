package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"path"
	"path/filepath"
	"strings"

	"github.com/edgehold/edgehold/agents/node/config"
)

// gatewayConfig is the configuration file of `edgeholdd gateway`. The zero value with its defaults serves DTLS and UDP on
// the standard ports and MQTT on a unix socket; devices need credentials, or to be on the list of those that do not.
type gatewayConfig struct {
	// Name of this gateway, which a broker keeps as gateway/<name>.
	Name string `json:"name,omitempty"`
	// StateDirectory holds the log of registrations, observations, waiting requests and security associations.
	StateDirectory string            `json:"state_directory,omitempty"`
	LwM2M          gatewayLwM2M      `json:"lwm2m,omitzero"`
	MQTT           gatewayMQTT       `json:"mqtt,omitzero"`
	Packages       gatewayPackages   `json:"packages,omitzero"`
	Bootstrap      gatewayBootstrap  `json:"bootstrap,omitzero"`
	Metrics        gatewayMonitoring `json:"metrics,omitzero"`
}

// gatewayLwM2M says where devices come in, and who they may be.
type gatewayLwM2M struct {
	UDP     []string `json:"udp,omitempty"`     // without security; [] for none
	DTLS    string   `json:"dtls,omitempty"`    // "none" for none
	TCP     []string `json:"tcp,omitempty"`     // without security
	TLS     []string `json:"tls,omitempty"`     // needs certificate, key and client_ca
	Sockets int      `json:"sockets,omitempty"` // for each UDP address

	Certificate string `json:"certificate,omitempty"`
	Key         string `json:"key,omitempty"`
	ClientCA    string `json:"client_ca,omitempty"`

	Credentials string   `json:"credentials,omitempty"`
	NoSec       []string `json:"nosec,omitempty"`  // patterns of endpoint names
	Models      string   `json:"models,omitempty"` // folder of further object definitions in OMA's XML
	MaxDevices  int      `json:"max_devices,omitempty"`
	Challenge   float64  `json:"challenge,omitempty"` // registrations a second from unknown addresses without security; 0 never asks
}

// gatewayMQTT says where applications are.
type gatewayMQTT struct {
	Listen      []string      `json:"listen,omitempty"` // of the embedded broker
	Certificate string        `json:"certificate,omitempty"`
	Key         string        `json:"key,omitempty"`
	ClientCA    string        `json:"client_ca,omitempty"`
	Users       []gatewayUser `json:"users,omitempty"`
	Broker      gatewayBroker `json:"broker,omitzero"` // another one, instead of the embedded
	Values      string        `json:"values,omitempty"`
	EmbedModels bool          `json:"embed_models,omitempty"`
}

// gatewayUser may connect to the embedded broker.
type gatewayUser struct {
	Name     string   `json:"name"`
	Password string   `json:"password,omitempty"` // as `edgeholdd gateway hash-password` prints it
	Things   []string `json:"things,omitempty"`
	ReadOnly bool     `json:"read_only,omitempty"`
}

// gatewayBroker is a broker elsewhere.
type gatewayBroker struct {
	Address      string `json:"address,omitempty"`
	User         string `json:"user,omitempty"`
	PasswordFile string `json:"password_file,omitempty"`
	CA           string `json:"ca,omitempty"`
	Certificate  string `json:"certificate,omitempty"`
	Key          string `json:"key,omitempty"`
}

// gatewayPackages says whose workloads devices get.
type gatewayPackages struct {
	Keys []string `json:"keys,omitempty"` // files of public keys, NAME.pub of `edgehold trust`
}

// gatewayBootstrap is a bootstrap server beside the gateway, which tells devices to register here.
type gatewayBootstrap struct {
	DTLS     string          `json:"dtls,omitempty"`   // its address; off if empty
	Server   string          `json:"server,omitempty"` // URI of this gateway, as devices reach it: coaps://HOST:5684
	Lifetime config.Duration `json:"lifetime,omitempty"`
}

// gatewayMonitoring is where Prometheus finds the gateway.
type gatewayMonitoring struct {
	Listen string `json:"listen,omitempty"` // a loopback address; off if empty
}

// Values of a fresh installation.
const (
	defaultGatewayState = config.DefaultState + "/gateway"
	defaultMQTTSocket   = "unix:///run/edgehold/mqtt.sock"
	valuesNative        = "native"
	valuesStrings       = "strings"
	none                = "none"
)

func loadGatewayConfig(file string, overrides []string) (gatewayConfig, error) {
	var c gatewayConfig
	if err := config.Read(file, overrides, nil, "edgeholdd gateway example", &c); err != nil {
		return c, err
	}
	c.resolve(filepath.Dir(file))
	c.setDefaults()
	if err := c.validate(); err != nil {
		return c, fmt.Errorf("configuration %s: %w", file, err)
	}
	return c, nil
}

// resolve makes relative paths begin at the file's folder.
func (c *gatewayConfig) resolve(dir string) {
	paths := []*string{
		&c.StateDirectory, &c.LwM2M.Certificate, &c.LwM2M.Key, &c.LwM2M.ClientCA, &c.LwM2M.Credentials, &c.LwM2M.Models,
		&c.MQTT.Certificate, &c.MQTT.Key, &c.MQTT.ClientCA, &c.MQTT.Broker.PasswordFile, &c.MQTT.Broker.CA, &c.MQTT.Broker.Certificate, &c.MQTT.Broker.Key,
	}
	for i := range c.Packages.Keys {
		paths = append(paths, &c.Packages.Keys[i])
	}
	for _, p := range paths {
		*p = absolute(dir, *p)
	}
	for i, address := range c.MQTT.Listen {
		if socket, ok := strings.CutPrefix(address, "unix://"); ok {
			c.MQTT.Listen[i] = "unix://" + absolute(dir, socket)
		}
	}
}

func absolute(dir, p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	if abs, err := filepath.Abs(filepath.Join(dir, p)); err == nil {
		return abs
	}
	return p
}

func (c *gatewayConfig) setDefaults() {
	c.Name = cmp.Or(c.Name, "gateway")
	c.StateDirectory = cmp.Or(c.StateDirectory, defaultGatewayState)
	c.LwM2M.DTLS = cmp.Or(c.LwM2M.DTLS, ":5684")
	c.LwM2M.Sockets = cmp.Or(c.LwM2M.Sockets, 1)
	c.MQTT.Values = cmp.Or(c.MQTT.Values, valuesNative)
	if c.LwM2M.UDP == nil {
		c.LwM2M.UDP = []string{":5683"}
	}
	if c.MQTT.Listen == nil && c.MQTT.Broker.Address == "" {
		c.MQTT.Listen = []string{defaultMQTTSocket}
	}
}

// validate reports every problem at once, each with its key.
func (c *gatewayConfig) validate() error {
	var p gatewayProblems
	p.require(c.Name != "" && !strings.ContainsAny(c.Name, "/+#\x00"), "name", fmt.Sprintf("is %q", c.Name), "leave out / + and #")
	c.LwM2M.validate(&p)
	c.MQTT.validate(&p)
	c.Bootstrap.validate(&p)
	if c.Metrics.Listen != "" {
		host, _, err := net.SplitHostPort(c.Metrics.Listen)
		ip := net.ParseIP(host)
		p.require(err == nil && (host == "localhost" || ip != nil && ip.IsLoopback()), "metrics.listen", fmt.Sprintf("is %q", c.Metrics.Listen),
			"write a loopback address, for example 127.0.0.1:9465: it has no security")
	}
	return errors.Join(p...)
}

func (l *gatewayLwM2M) validate(p *gatewayProblems) {
	p.addresses("lwm2m.udp", l.UDP)
	p.addresses("lwm2m.tcp", l.TCP)
	p.addresses("lwm2m.tls", l.TLS)
	if l.DTLS != none {
		p.addresses("lwm2m.dtls", []string{l.DTLS})
	}
	p.require(l.DTLS != none || len(l.UDP)+len(l.TCP)+len(l.TLS) > 0, "lwm2m", "has no address at all", "give udp, dtls, tcp or tls")
	p.require((l.Certificate == "") == (l.Key == "") && (l.Certificate == "") == (l.ClientCA == ""), "lwm2m.certificate", "stands without key and client_ca, or they without it",
		"give all three, or none")
	p.require(len(l.TLS) == 0 || l.Certificate != "", "lwm2m.tls", "needs a certificate", "give certificate, key and client_ca")
	p.require(l.Sockets >= 1 && l.Sockets <= 64, "lwm2m.sockets", fmt.Sprintf("is %d", l.Sockets), "choose 1 to 64")
	p.require(l.Challenge >= 0, "lwm2m.challenge", "is below zero", "leave it out, or give registrations a second")
	p.require(l.MaxDevices >= 0, "lwm2m.max_devices", "is below zero", "leave it out, or give a number")
	for _, pattern := range l.NoSec {
		_, err := path.Match(pattern, "")
		p.require(err == nil && pattern != "", "lwm2m.nosec", fmt.Sprintf("has %q", pattern), `write names with * and ?, for example "lab-*"`)
	}
}

func (m *gatewayMQTT) validate(p *gatewayProblems) {
	p.require(m.Values == valuesNative || m.Values == valuesStrings, "mqtt.values", fmt.Sprintf("is %q", m.Values), "choose native or strings")
	p.require(m.Broker.Address == "" || len(m.Listen) == 0, "mqtt.broker", "is given beside mqtt.listen", "choose one: the embedded broker, or another")
	p.require((m.Certificate == "") == (m.Key == ""), "mqtt.certificate", "and mqtt.key belong together", "give both, or none")
	p.require((m.Broker.Certificate == "") == (m.Broker.Key == ""), "mqtt.broker.certificate", "and mqtt.broker.key belong together", "give both, or none")
	for _, address := range m.Listen {
		scheme, _, ok := strings.Cut(address, "://")
		p.require(ok && (scheme == "mqtt" || scheme == "mqtts" || scheme == "unix"), "mqtt.listen", fmt.Sprintf("has %q", address),
			"write unix:///PATH, mqtt://HOST:PORT or mqtts://HOST:PORT")
		p.require(scheme != "mqtts" || m.Certificate != "", "mqtt.listen", "has an mqtts address without a certificate", "give mqtt.certificate and mqtt.key")
		p.require(scheme == "unix" || len(m.Users) > 0, "mqtt.users", "is empty, and the network may connect", "name who may, or listen on a unix socket only")
	}
}

func (b *gatewayBootstrap) validate(p *gatewayProblems) {
	if b.DTLS == "" {
		return
	}
	p.addresses("bootstrap.dtls", []string{b.DTLS})
	p.require(strings.HasPrefix(b.Server, "coaps://"), "bootstrap.server", fmt.Sprintf("is %q", b.Server), "give this gateway's URI as devices reach it, for example coaps://gateway.example:5684")
}

// gatewayProblems collects what is wrong.
type gatewayProblems []error

func (p *gatewayProblems) require(ok bool, key, what, hint string) {
	if !ok {
		*p = append(*p, &config.Error{Key: key, What: what, Hint: hint})
	}
}

func (p *gatewayProblems) addresses(key string, all []string) {
	for _, a := range all {
		_, port, err := net.SplitHostPort(a)
		p.require(err == nil && port != "", key, fmt.Sprintf("has %q", a), "write host:port, or :port for all addresses")
	}
}

package route

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// Kind is what a URI of a route names.
type Kind uint8

// The kinds.
const (
	Local  Kind = iota + 1 // an output or input of a workload
	Listen                 // a path of this device
	CoAP                   // a path of a CoAP server
	MQTT                   // a topic of a broker
)

// End is one end of a route.
type End struct {
	Kind     Kind
	Workload uint16 // of Local
	Name     string // of Local: the output or input; else the path with its first slash, or the topic
	Address  string // of CoAP and MQTT: host:port
	Secure   bool   // of MQTT: by TLS
}

// maxURI bounds a URI, in bytes, as the object's definition does.
const maxURI = 255

// ErrURI says that a URI names no end of a route.
var ErrURI = errors.New("it names no end of a route")

func bad(uri, why string) error { return fmt.Errorf("read %.80q: %s: %w", uri, why, ErrURI) }

// ParseOrigin reads where a route begins.
func ParseOrigin(uri string) (End, error) {
	u, err := split(uri)
	if err != nil {
		return End{}, err
	}
	switch u.Scheme {
	case "local":
		return localEnd(uri, u)
	case "coap":
		if strings.Contains(u.Host, ":") || strings.ContainsAny(u.Host, "[]@") {
			return End{}, bad(uri, "an origin is a name that this device listens on, such as coap://endpoint1")
		}
		return End{Kind: Listen, Name: "/" + strings.TrimSuffix(u.Host+u.Path, "/")}, nil
	}
	return End{}, bad(uri, "an origin is local://INSTANCE/OUTPUT or coap://NAME")
}

// ParseDestination reads where a route ends.
func ParseDestination(uri string) (End, error) {
	u, err := split(uri)
	if err != nil {
		return End{}, err
	}
	switch u.Scheme {
	case "local":
		return localEnd(uri, u)
	case "coap":
		return remoteEnd(uri, u, CoAP, "5683")
	case "mqtt", "mqtts":
		port := map[string]string{"mqtt": "1883", "mqtts": "8883"}[u.Scheme]
		e, err := remoteEnd(uri, u, MQTT, port)
		e.Secure = u.Scheme == "mqtts"
		e.Name = strings.TrimPrefix(e.Name, "/")
		if err == nil && (e.Name == "" || strings.ContainsAny(e.Name, "+#\x00")) {
			err = bad(uri, "a topic is not empty and has no + or #")
		}
		return e, err
	}
	return End{}, bad(uri, "a destination is local://INSTANCE/INPUT, coap://HOST:PORT/PATH, mqtt://HOST:PORT/TOPIC or mqtts://HOST:PORT/TOPIC")
}

func split(uri string) (*url.URL, error) {
	if len(uri) > maxURI {
		return nil, bad(uri, "it is longer than 255 bytes")
	}
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, bad(uri, "it is no URI of a scheme, a host and a path alone")
	}
	return u, nil
}

func localEnd(uri string, u *url.URL) (End, error) {
	id, err := strconv.ParseUint(u.Host, 10, 16)
	name := strings.TrimPrefix(u.Path, "/")
	if err != nil || id == 65535 || strconv.FormatUint(id, 10) != u.Host || name == "" || strings.Contains(name, "/") {
		return End{}, bad(uri, "write local://INSTANCE/NAME, such as local://1/temp_avg")
	}
	return End{Kind: Local, Workload: uint16(id), Name: name}, nil
}

func remoteEnd(uri string, u *url.URL, k Kind, port string) (End, error) {
	if p := u.Port(); p != "" {
		port = p
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || u.Hostname() == "" {
		return End{}, bad(uri, "its port is no number from 1 to 65535")
	}
	if len(u.Path) < 2 {
		return End{}, bad(uri, "it names no path")
	}
	return End{Kind: k, Address: net.JoinHostPort(u.Hostname(), port), Name: u.Path}, nil
}

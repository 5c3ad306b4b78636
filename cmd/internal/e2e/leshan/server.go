package leshan

import (
	"encoding/hex"
	"net"
)

// ServerConfig says what a server is.
type ServerConfig struct {
	Plain, Secure string // addresses of the loopback
	Endpoint      string // of the device; the one that registers by PSK has "-psk" behind it
	Identity      string
	Key           []byte
	Models        []string // files with definitions of objects beyond those of the core
}

// StartServer starts a server. It says "listening", and then what happens; it answers a line such as "read SENML_CBOR /3/0" with one that
// begins with "answer 205".
func StartServer(c ServerConfig) (*Process, error) {
	path, err := classpath(serverProgram)
	if err != nil {
		return nil, err
	}
	_, plain, err := net.SplitHostPort(c.Plain)
	if err != nil {
		return nil, err
	}
	_, secure, err := net.SplitHostPort(c.Secure)
	if err != nil {
		return nil, err
	}
	arguments := []string{plain, secure, c.Endpoint, c.Identity, hex.EncodeToString(c.Key)}
	return launch(path, "Host", append(arguments, c.Models...))
}

// Package apiclient speaks to an agent's HTTP interface over its unix socket or over TLS, with the types of package api.
// It does not retry, cache or log: it makes one request for each call, and every failure is an error with a code, the cause and a hint.
package apiclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/edgehold/edgehold/agents/api"
)

const (
	maxAnswerBytes = 64 << 20
	// askFirstBytes is the size from which on the agent is asked whether it wants a body before it is sent.
	askFirstBytes = 1 << 20
	dialTimeout   = 5 * time.Second
)

// Config says how to reach an agent. Either Socket or Server is set.
type Config struct {
	// Socket is the path of the agent's unix socket.
	Socket string
	// Server is the agent's host:port or https URL.
	Server string
	// Token is sent to Server.
	Token string
	// CAFile has the certificates, in PEM, that Server's is checked against; empty means the system's.
	CAFile string
}

// Client speaks to one agent. It may be used concurrently.
type Client struct {
	base  string
	where string // for error messages
	token string
	http  *http.Client
}

// New returns a client. It connects with the first request.
func New(c Config) (*Client, error) {
	if (c.Socket == "") == (c.Server == "") {
		return nil, errors.New("reach the agent: give either a socket or a server")
	}
	if c.Socket != "" {
		return unixClient(c.Socket), nil
	}
	return tlsClient(c)
}

func unixClient(path string) *Client {
	var dialer net.Dialer
	transport := newTransport()
	transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", path)
	}
	return &Client{base: "http://edgehold", where: path, http: &http.Client{Transport: transport}}
}

func tlsClient(c Config) (*Client, error) {
	host := strings.TrimSuffix(strings.TrimPrefix(c.Server, "https://"), "/")
	if strings.Contains(host, "://") || host == "" {
		return nil, fmt.Errorf("reach the agent at %q: it must be host:port or an https address", c.Server)
	}
	if c.Token == "" {
		return nil, fmt.Errorf("reach the agent at %s: a token is needed", host)
	}
	roots, err := rootsFrom(c.CAFile)
	if err != nil {
		return nil, err
	}
	transport := newTransport()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots}
	transport.ForceAttemptHTTP2 = true
	return &Client{base: "https://" + host, where: host, token: c.Token, http: &http.Client{Transport: transport}}, nil
}

// rootsFrom returns nil, which stands for the system's, for an empty path.
func rootsFrom(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read certificates: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read certificates: %s holds no certificate in PEM", path)
	}
	return roots, nil
}

func newTransport() *http.Transport {
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSHandshakeTimeout:   dialTimeout,
		ExpectContinueTimeout: dialTimeout,
		MaxIdleConns:          2,
		IdleConnTimeout:       time.Minute,
		Proxy:                 nil, // an agent is spoken to directly
	}
}

// Where names the agent for a person: the socket's path, or host:port.
func (c *Client) Where() string { return c.where }

// Close gives idle connections up.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// call is one request.
type call struct {
	method, path string
	query        url.Values
	mediaType    string
	body         []byte
	header       http.Header
}

// do sends a request and decodes the answer into T; T is struct{} when there is none.
func do[T any](ctx context.Context, c *Client, r call) (out T, err error) {
	response, err := c.send(ctx, r)
	if err != nil {
		return out, err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusNoContent {
		return out, nil
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxAnswerBytes)).Decode(&out); err != nil {
		return out, unreadable(c.where, r, err)
	}
	return out, nil
}

// send returns the response of a request that succeeded; the caller closes its body.
func (c *Client) send(ctx context.Context, r call) (*http.Response, error) {
	address := c.base + r.path
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, r.method, address, bytes.NewReader(r.body))
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", c.where, err)
	}
	if r.header != nil {
		request.Header = r.header
	}
	if r.mediaType != "" {
		request.Header.Set("Content-Type", r.mediaType)
	}
	if len(r.body) >= askFirstBytes {
		request.Header.Set("Expect", "100-continue")
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if response.StatusCode >= 300 {
		defer response.Body.Close()
		return nil, problemFrom(c.where, r, response)
	}
	return response, nil
}

func get[T any](ctx context.Context, c *Client, path string, query url.Values) (T, error) {
	return do[T](ctx, c, call{method: http.MethodGet, path: path, query: query})
}

// sendJSON sends a body as JSON.
func sendJSON[T any](ctx context.Context, c *Client, method, path string, body any) (out T, err error) {
	text, err := json.Marshal(body)
	if err != nil {
		return out, fmt.Errorf("write request: %w", err)
	}
	return do[T](ctx, c, call{method: method, path: path, mediaType: "application/json", body: text})
}

// escape makes a name one segment of a path.
func escape(name string) string { return url.PathEscape(name) }

// Version returns what the daemon is.
func (c *Client) Version(ctx context.Context) (api.Version, error) {
	return get[api.Version](ctx, c, "/v1/version", nil)
}

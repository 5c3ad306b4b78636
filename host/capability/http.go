package capability

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/edgehold/edgehold/wasmabi"
)

// httpPort makes requests.
type httpPort struct {
	reach
	most   uint64
	client *http.Client
}

const (
	maxRedirects    = 3
	maxHeaderBytes  = 16 << 10 // that a server may send
	keptHeaderBytes = 6 << 10  // that a guest is given
	idleConnection  = 30 * time.Second
)

func newHTTP(r *wasmabi.CapabilityRequest, c Config) *httpPort {
	h := &httpPort{reach: newReach(r, c), most: bytesOf(r)}
	h.client = &http.Client{
		// No proxy: it would do the connecting in our place. No compression: what is counted is what travels.
		Transport: &http.Transport{
			DialContext: h.dial, DisableCompression: true, MaxResponseHeaderBytes: maxHeaderBytes, MaxIdleConns: 2, MaxConnsPerHost: 2,
			IdleConnTimeout: idleConnection,
		},
		CheckRedirect: h.redirect,
	}
	return h
}

// Close gives idle connections back.
func (h *httpPort) Close() error {
	h.client.CloseIdleConnections()
	return nil
}

func (h *httpPort) call(ctx context.Context, op uint32, in, dst []byte) ([]byte, error) {
	if op != wasmabi.HandleHTTP {
		return dst, unknownOp("http", op)
	}
	var m wasmabi.HTTPRequest
	if err := wasmabi.DecodeHTTPRequest(in, &m); err != nil {
		return dst, invalid("use http", err)
	}
	request, err := h.request(ctx, &m)
	if err != nil {
		return dst, err
	}
	what := m.Method + " " + request.URL.Redacted()
	response, err := h.client.Do(request)
	if err != nil {
		return dst, because(what, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, int64(h.most)+1))
	switch {
	case err != nil:
		return dst, failed(wasmabi.CodeUnreached, what, "the answer breaks off", err)
	case uint64(len(body)) > h.most:
		return dst, limited(what, "the answer has more than %d bytes", h.most)
	}
	return wasmabi.AppendHTTPResponse(dst, &wasmabi.HTTPResponse{
		Status: uint32(response.StatusCode), Header: headers(response.Header), Body: body,
	}), nil
}

// because tells a refusal of ours, found while connecting or redirecting, from a failure.
func because(what string, err error) error {
	if own, ok := errors.AsType[*Error](err); ok {
		return own
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return failed(wasmabi.CodeUnreached, what, "no answer", err)
}

func (h *httpPort) request(ctx context.Context, m *wasmabi.HTTPRequest) (*http.Request, error) {
	op := "request " + m.Method + " " + m.URL
	u, err := url.Parse(m.URL)
	if err != nil {
		return nil, denied("make a request", "its URL can't be read")
	}
	if err := h.admit(m.Method, u); err != nil {
		return nil, err
	}
	if uint64(len(m.Body)) > h.most {
		return nil, limited(op, "a body may have %d bytes", h.most)
	}
	request, err := http.NewRequestWithContext(ctx, m.Method, m.URL, bytes.NewReader(m.Body))
	if err != nil {
		return nil, denied(op, "it can't be made: %v", err)
	}
	request.Header.Set("User-Agent", "edgehold")
	for _, l := range m.Header {
		name := http.CanonicalHeaderKey(l.Name)
		if slices.Contains(ownHeaders, name) || strings.HasPrefix(name, "Proxy-") {
			return nil, denied(op, "the header %s is the host's", name)
		}
		request.Header.Add(name, l.Value)
	}
	return request, nil
}

// ownHeaders say where a message goes and where it ends: a guest that could set them could speak to somebody else.
var ownHeaders = []string{"Connection", "Content-Length", "Expect", "Host", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// admit judges a method and a URL.
func (h *httpPort) admit(method string, u *url.URL) error {
	op := method + " " + u.Redacted()
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return denied(op, "its scheme is neither http nor https")
	case u.User != nil:
		return denied(op, "it carries a user; use a header")
	case u.Port() == "":
		return denied(op, "it names no port")
	case u.Hostname() != strings.ToLower(u.Hostname()):
		return denied(op, "its host is not in lower case")
	}
	return h.permits(method, net.JoinHostPort(u.Hostname(), u.Port()))
}

// redirect judges where a server sends us. A URL without a port has its scheme's.
func (h *httpPort) redirect(next *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return limited("follow a redirect", "it is the %dth", len(via))
	}
	if next.URL.Port() == "" {
		next.URL.Host = net.JoinHostPort(next.URL.Hostname(), map[string]string{"http": "80", "https": "443"}[next.URL.Scheme])
	}
	if via[0].URL.Scheme == "https" && next.URL.Scheme != "https" {
		return denied("follow a redirect to "+next.URL.Redacted(), "it leaves https")
	}
	return h.admit(next.Method, next.URL)
}

// headers returns the first value of each header, sorted, as many as fit.
func headers(all http.Header) []wasmabi.Label {
	var out []wasmabi.Label
	size := 0
	for name, values := range all {
		l := wasmabi.Label{Name: strings.ToLower(name), Value: strings.ToValidUTF8(values[0], "?")}
		if len(l.Name) > wasmabi.MaxName || len(l.Value) > wasmabi.MaxText {
			continue
		}
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b wasmabi.Label) int { return strings.Compare(a.Name, b.Name) })
	for i, l := range out {
		if size += len(l.Name) + len(l.Value) + 8; size > keptHeaderBytes || i == wasmabi.MaxHeaders {
			return out[:i]
		}
	}
	return out
}

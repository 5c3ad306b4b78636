package capability

import (
	"io"
	"net"
	"net/http"
	"slices"

	"github.com/edgehold/edgehold/wasmabi"
)

// NewClient returns a client that makes the requests that capabilities of kind http grant, for an engine that makes them itself.
// Each request, and each redirection, goes through the first capability that permits it. A URL without a port has its scheme's.
func NewClient(requests []wasmabi.CapabilityRequest, c Config) *http.Client {
	t := &granted{}
	for i := range requests {
		if requests[i].Kind == wasmabi.CapabilityHTTP {
			t.ports = append(t.ports, newHTTP(&requests[i], c))
		}
	}
	return &http.Client{Transport: t, CheckRedirect: t.redirect, Timeout: c.Limits.withDefaults().Timeout}
}

// granted is the transport of such a client.
type granted struct{ ports []*httpPort }

// RoundTrip implements http.RoundTripper.
func (t *granted) RoundTrip(r *http.Request) (*http.Response, error) {
	u := *r.URL
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	}
	err := denied(r.Method+" "+u.Redacted(), "the manifest does not ask for it")
	for _, p := range t.ports {
		if err = p.admit(r.Method, &u); err == nil {
			return p.roundTrip(r)
		}
	}
	if r.Body != nil {
		r.Body.Close()
	}
	return nil, err
}

func (h *httpPort) roundTrip(r *http.Request) (*http.Response, error) {
	what := r.Method + " " + r.URL.Redacted()
	r = r.Clone(r.Context())
	r.Host = "" // who is spoken to is who was judged
	for name := range r.Header {
		if slices.Contains(ownHeaders, http.CanonicalHeaderKey(name)) {
			delete(r.Header, name)
		}
	}
	if r.Body != nil {
		r.Body = &bounded{r.Body, int64(h.most), what}
	}
	response, err := h.client.Transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	response.Body = &bounded{response.Body, int64(h.most), what}
	return response, nil
}

func (t *granted) redirect(next *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return limited("follow a redirect", "it is the %dth", len(via))
	}
	if via[0].URL.Scheme == "https" && next.URL.Scheme != "https" {
		return denied("follow a redirect to "+next.URL.Redacted(), "it leaves https")
	}
	return nil // where it leads is judged when it is followed
}

// bounded fails once more is read than may be, rather than cutting it off.
type bounded struct {
	io.ReadCloser
	left int64
	what string
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, limited(b.what, "a body has more bytes than were granted")
	}
	return n, err
}

package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

const (
	maxRedirects    = 4
	stallBytes      = 1024 // what has to come within Config.Stall
	maxHeaderBytes  = 64 << 10
	maxConnsPerHost = 4
)

// httpClient is the client that everything goes through.
func (c *Config) httpClient() (*http.Client, error) {
	t, err := c.tls()
	if err != nil {
		return nil, err
	}
	base := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: c.Stall}).DialContext, TLSClientConfig: t,
		TLSHandshakeTimeout: c.Stall, ResponseHeaderTimeout: c.Stall, MaxResponseHeaderBytes: maxHeaderBytes,
		MaxConnsPerHost: maxConnsPerHost, MaxIdleConnsPerHost: 1, IdleConnTimeout: 15 * time.Second,
		DisableCompression: true, // digests are of what is transferred
		ForceAttemptHTTP2:  true,
	}
	return &http.Client{Transport: &guard{base: base, config: c}, CheckRedirect: checkRedirect}, nil
}

// checkRedirect bounds redirects and never lets one leave TLS. The authorization does not leave the origin of the first
// request: the client of package auth sees to that before it asks here.
func checkRedirect(next *http.Request, via []*http.Request) error {
	first := via[0].URL
	refuse := func(why string) error {
		return &Error{Code: CodeRedirect, What: "follow a redirect of " + first.Host, Why: why, Hint: "tell the registry's operator; nothing was sent there"}
	}
	switch {
	case len(via) > maxRedirects:
		return refuse(fmt.Sprintf("there are more than %d in a row", maxRedirects))
	case next.URL.Scheme != "https" && next.URL.Scheme != "http":
		return refuse(fmt.Sprintf("it leads to %q", clip(next.URL.Scheme)))
	case next.URL.Scheme == "http" && slices.ContainsFunc(via, func(r *http.Request) bool { return r.URL.Scheme == "https" }):
		return refuse("it leads from https to http")
	case next.URL.User != nil:
		return refuse("it carries a user name")
	case next.Method != http.MethodGet && next.Method != http.MethodHead:
		return refuse("it is of a " + next.Method)
	}
	return nil
}

// guard watches every request: credentials for whom they are not meant, plain HTTP that was not allowed, transfers that
// stall.
type guard struct {
	base   http.RoundTripper
	config *Config
}

type registryKey struct{}

// toRegistry notes in a context whom a request is for.
func toRegistry(ctx context.Context, host string) context.Context {
	return context.WithValue(ctx, registryKey{}, host)
}

// RoundTrip implements [http.RoundTripper].
func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := g.check(r); err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	w := &watch{stall: g.config.Stall, cancel: cancel, cause: func() error { return context.Cause(ctx) }, host: r.URL.Host}
	w.timer = time.AfterFunc(math.MaxInt64, w.look)
	w.timer.Reset(w.stall) // now that look can find the timer
	r = r.Clone(ctx)
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &watchedBody{r.Body, w, func() {}}
	}
	response, err := g.base.RoundTrip(r)
	if err != nil {
		w.end()
		return nil, w.explain(err)
	}
	response.Body = &watchedBody{response.Body, w, w.end}
	return response, nil
}

// check refuses what must not be sent.
func (g *guard) check(r *http.Request) error {
	host, _ := r.Context().Value(registryKey{}).(string)
	if r.URL.Scheme == "http" && !g.config.plain(r.URL.Host) {
		return &Error{Code: CodeRedirect, What: "reach " + r.URL.Host, Why: "it would be without TLS", Hint: "list the host under registry.plain_http if that is meant"}
	}
	secret := r.Header.Get("Authorization") != "" || r.Method == http.MethodPost && !strings.HasPrefix(r.URL.Path, "/v2/")
	if secret && !strings.EqualFold(r.URL.Host, host) && !slices.Contains(g.config.TokenHosts, r.URL.Host) {
		return &Error{Code: CodeDenied, What: "log in to " + host, Why: "it wants its credentials to be sent to " + r.URL.Host,
			Hint: "list that host under registry.token_hosts if that is meant"}
	}
	return nil
}

// plain reports whether a host may be reached without TLS.
func (c *Config) plain(host string) bool {
	return slices.Contains(c.PlainHTTP, host) || isLoopback(host) && !slices.Contains(c.TLSHosts, host)
}

// watch gives up a transfer that brings less than stallBytes within stall.
type watch struct {
	stall  time.Duration
	host   string
	timer  *time.Timer
	bytes  atomic.Int64 // since the last look
	cancel context.CancelCauseFunc
	cause  func() error
}

func (w *watch) look() {
	if w.bytes.Swap(0) < stallBytes {
		w.cancel(&Error{Code: CodeStalled, What: "transfer with " + w.host, Why: fmt.Sprintf("less than %d bytes came in %s", stallBytes, w.stall),
			Hint: "try again: what has come is kept; or use a mirror that is nearer"})
		return
	}
	w.timer.Reset(w.stall)
}

func (w *watch) end() {
	w.timer.Stop()
	w.cancel(nil)
}

// explain says why a transfer ended: because of us, if it was us.
func (w *watch) explain(err error) error {
	var stalled *Error
	if errors.As(w.cause(), &stalled) {
		return stalled
	}
	return err
}

type watchedBody struct {
	io.ReadCloser
	watch *watch
	ended func()
}

// Read counts what goes through.
func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.watch.bytes.Add(int64(n))
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.watch.explain(err)
	}
	return n, err
}

// Close ends the watch.
func (b *watchedBody) Close() error {
	b.ended()
	return b.ReadCloser.Close()
}

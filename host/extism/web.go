package extism

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/edgehold/edgehold/host"
)

// web makes a plugin's HTTP requests: to the hosts that it was granted, redirections included, and no further.
type web struct {
	hosts  []string
	most   int64 // bytes of an answer's body
	client *http.Client
}

// maxRedirects bounds how often one request is sent on.
const maxRedirects = 5

func newWeb(hosts []string, most int64, transport http.RoundTripper) *web {
	w := &web{hosts: hosts, most: most}
	w.client = &http.Client{Transport: transport, CheckRedirect: w.follow}
	return w
}

func (w *web) follow(r *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("redirected more than %d times", maxRedirects)
	}
	return w.allow(r.URL)
}

// request is a plugin's description of one.
type request struct {
	URL     string            `json:"url"`
	Method  string            `json:"method"`
	Headers map[string]string `json:"headers"`
}

// Call makes a request: see host.HTTPRequestOp.
func (w *web) Call(ctx context.Context, op uint32, in, dst []byte) ([]byte, error) {
	if op != host.HTTPRequestOp || len(in) < 4 {
		return dst, host.ErrInvalid
	}
	n := binary.LittleEndian.Uint32(in)
	if in = in[4:]; uint64(n) > uint64(len(in)) {
		return dst, host.ErrInvalid
	}
	r, err := w.read(ctx, in[:n], in[n:])
	if err != nil {
		return dst, err
	}
	answer, err := w.client.Do(r)
	if err != nil {
		return dst, err
	}
	defer answer.Body.Close()
	return w.answer(answer, dst)
}

func (w *web) read(ctx context.Context, description, body []byte) (*http.Request, error) {
	var q request
	if err := json.Unmarshal(description, &q); err != nil {
		return nil, fmt.Errorf("%w: its description: %w", host.ErrInvalid, err)
	}
	u, err := url.Parse(q.URL)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", host.ErrInvalid, err)
	}
	if err := w.allow(u); err != nil {
		return nil, err
	}
	// The body is the guest's own memory, and an http.Client may read it after Do has returned.
	r, err := http.NewRequestWithContext(ctx, strings.ToUpper(q.Method), q.URL, bytes.NewReader(bytes.Clone(body)))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", host.ErrInvalid, err)
	}
	for name, value := range q.Headers {
		r.Header.Set(name, value)
	}
	return r, nil
}

// allow refuses what the plugin was not granted.
func (w *web) allow(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%w: %s is neither http nor https", host.ErrDenied, u.Redacted())
	}
	for _, pattern := range w.hosts {
		if matches(pattern, u.Hostname()) {
			return nil
		}
	}
	return fmt.Errorf("%w: HTTP request to %s is not allowed", host.ErrDenied, u.Redacted())
}

// matches compares a host's name, whatever its case, with a pattern in which * stands for any text.
func matches(pattern, name string) bool {
	pieces := strings.Split(strings.ToLower(pattern), "*")
	name, ok := strings.CutPrefix(strings.ToLower(name), pieces[0])
	if !ok {
		return false
	}
	if len(pieces) == 1 {
		return name == ""
	}
	for _, piece := range pieces[1 : len(pieces)-1] {
		_, after, found := strings.Cut(name, piece)
		if !found {
			return false
		}
		name = after
	}
	return strings.HasSuffix(name, pieces[len(pieces)-1])
}

var errTooLong = errors.New("the answer is longer than it may be")

func (w *web) answer(a *http.Response, dst []byte) ([]byte, error) {
	headers := make(map[string]string, len(a.Header))
	for name, values := range a.Header {
		headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	text, err := json.Marshal(headers)
	if err != nil {
		return dst, err
	}
	body, err := io.ReadAll(io.LimitReader(a.Body, w.most+1))
	if err != nil {
		return dst, err
	}
	if int64(len(body)) > w.most {
		return dst, fmt.Errorf("%w: %d bytes", errTooLong, w.most)
	}
	dst = binary.LittleEndian.AppendUint32(dst, uint32(a.StatusCode))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(text)))
	return append(append(dst, text...), body...), nil
}

package registry

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"
)

// Client reaches registries and folders. Its methods may be called from any goroutine.
type Client struct {
	config Config
	auth   *auth.Client
	idle   func()
}

const (
	defaultStall    = 30 * time.Second
	defaultAttempts = 5
)

// New makes a client. It reads the files that the configuration names, once.
func New(c Config) (*Client, error) {
	if c.Stall <= 0 {
		c.Stall = defaultStall
	}
	if c.Attempts <= 0 {
		c.Attempts = defaultAttempts
	}
	if c.Wait == nil {
		c.Wait = func(failures int) time.Duration { return 200 * time.Millisecond << min(failures-1, 6) }
	}
	for _, host := range slices.Concat(c.Mirrors, c.PlainHTTP, c.TLSHosts, c.TokenHosts) {
		if !hostForm.MatchString(host) {
			return nil, &Error{Code: CodeConfig, What: "reach " + clip(host), Why: "that is no host[:port]", Hint: "leave out https:// and the path"}
		}
	}
	h, err := c.httpClient()
	if err != nil {
		return nil, err
	}
	secrets, err := c.credentialsOf()
	if err != nil {
		return nil, err
	}
	a := &auth.Client{Client: h, Credential: secrets, Cache: auth.NewCache()}
	a.SetUserAgent("edgehold")
	return &Client{config: c, auth: a, idle: h.CloseIdleConnections}, nil
}

// Close gives up connections that are kept for later.
func (c *Client) Close() { c.idle() }

// at returns the place of a reference itself, where things are written.
func (c *Client) at(r Reference) (place, error) {
	if r.Scheme == Folder {
		return &folder{filepath.Clean(r.Path)}, nil
	}
	return c.repository(r.Host, r.Repository)
}

// sources returns the places to read a reference from, in order: the mirrors, then itself.
func (c *Client) sources(r Reference) (all []place, err error) {
	if r.Scheme == OCI {
		for _, host := range c.config.Mirrors {
			p, err := c.repository(host, r.Repository)
			if err != nil {
				return nil, err
			}
			all = append(all, p)
		}
	}
	p, err := c.at(r)
	return append(all, p), err
}

// Tags lists the tags of a reference's repository or folder, sorted.
func (c *Client) Tags(ctx context.Context, r Reference) ([]string, error) {
	p, err := c.at(r)
	if err != nil {
		return nil, err
	}
	all, err := p.tags(ctx)
	slices.Sort(all)
	return all, explain("list the tags of "+r.WithTag("").String(), err)
}

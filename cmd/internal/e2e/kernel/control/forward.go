package control

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Forward joins every connection that l accepts to one of the guest's sockets ("unix", "/run/x.sock" or "tcp",
// "127.0.0.1:80"), so that ordinary clients outside reach servers inside. It returns when l is closed or ctx is done, after
// the conversations have ended.
func (c *Client) Forward(ctx context.Context, l net.Listener, network, address string) {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var conversations sync.WaitGroup
	defer conversations.Wait()
	for {
		outside, err := l.Accept()
		if err != nil {
			return
		}
		conversations.Go(func() { c.join(ctx, outside, network, address) })
	}
}

// join carries bytes both ways until either side ends the conversation.
func (c *Client) join(ctx context.Context, outside net.Conn, network, address string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { outside.Close() })() // ends a write to a client that does not read, too
	defer outside.Close()
	late := time.AfterFunc(answerWithin, cancel)
	resp, err := c.send(ctx, http.MethodPost, pathConnect, url.Values{"network": {network}, "name": {address}}, reading{outside})
	late.Stop()
	if err != nil {
		return
	}
	defer resp.Body.Close()
	io.Copy(outside, resp.Body) //nolint:errcheck // either side may end the conversation
}

// reading is the request body: closing it ends a pending read and leaves the other direction open.
type reading struct{ net.Conn }

func (r reading) Close() error { return r.SetReadDeadline(time.Unix(1, 0)) }

package apiclient

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"strconv"

	"github.com/edgehold/edgehold/agents/api"
)

const maxEventBytes = 16 << 20

// errStreamEnded says that the agent ended a stream without a word.
var errStreamEnded = errors.New("the agent ended the stream")

// Events yields what happens from now on, or after the event numbered after, until the context ends or the caller stops. An
// event of kind stream.dropped or daemon.stopping is the last one.
func (c *Client) Events(ctx context.Context, after uint64) iter.Seq2[api.Event, error] {
	header := http.Header{}
	if after > 0 {
		header.Set("Last-Event-ID", strconv.FormatUint(after, 10))
	}
	return func(yield func(api.Event, error) bool) {
		for message, err := range c.messages(ctx, call{method: http.MethodGet, path: "/v1/events", header: header}) {
			var event api.Event
			if err == nil {
				err = json.Unmarshal(message.data, &event)
			}
			if !yield(event, err) || err != nil || isLast(event) {
				return
			}
		}
	}
}

func isLast(e api.Event) bool {
	return e.Kind == api.EventDropped || e.Kind == api.EventDaemonStopping || e.Kind == api.EventRevoked
}

// watch yields the changes of a list. A problem that the agent sends is an error.
func watch[T any](ctx context.Context, c *Client, path string, query url.Values) iter.Seq2[api.Change[T], error] {
	query = maps.Clone(query)
	if query == nil {
		query = url.Values{}
	}
	query.Set("watch", "true")
	return func(yield func(api.Change[T], error) bool) {
		for message, err := range c.messages(ctx, call{method: http.MethodGet, path: path, query: query}) {
			var change api.Change[T]
			if err == nil {
				change, err = changeOf[T](message)
			}
			if !yield(change, err) || err != nil {
				return
			}
		}
	}
}

func changeOf[T any](m message) (change api.Change[T], err error) {
	switch m.name {
	case "change":
		err = json.Unmarshal(m.data, &change)
	case "problem":
		p := new(api.Problem)
		if err = json.Unmarshal(m.data, p); err == nil {
			err = p
		}
	default:
		var last api.Event
		if err = json.Unmarshal(m.data, &last); err == nil {
			err = fmt.Errorf("watch: %s", last.Message)
		}
	}
	return change, err
}

// messages yields server-sent events. The last pair has an error unless the context ended or the caller stopped.
func (c *Client) messages(ctx context.Context, r call) iter.Seq2[message, error] {
	return func(yield func(message, error) bool) {
		response, err := c.send(ctx, r)
		if err != nil {
			if ctx.Err() == nil {
				yield(message{}, err)
			}
			return
		}
		defer response.Body.Close()
		for m, err := range decodeMessages(response.Body) {
			if err != nil && ctx.Err() != nil {
				return
			}
			if !yield(m, err) {
				return
			}
		}
	}
}

// message is one server-sent event (WHATWG HTML, section 9.2.6) as far as agents send them.
type message struct {
	name string
	data []byte
}

func decodeMessages(body io.Reader) iter.Seq2[message, error] {
	return func(yield func(message, error) bool) {
		lines := bufio.NewScanner(body)
		lines.Buffer(make([]byte, 0, 64<<10), maxEventBytes)
		var m message
		for lines.Scan() {
			line := lines.Bytes()
			name, value, _ := bytes.Cut(line, []byte(":"))
			value = bytes.TrimPrefix(value, []byte(" "))
			switch {
			case len(line) == 0:
				if m.data != nil && !yield(m, nil) {
					return
				}
				m = message{}
			case string(name) == "event":
				m.name = string(value)
			case string(name) == "data":
				m.data = append(m.data, value...)
			}
		}
		err := lines.Err()
		if err == nil {
			err = errStreamEnded
		}
		yield(message{}, err)
	}
}

package client

import (
	"fmt"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/codec"
)

// content answers with values, in the format that the request accepts.
func (c *Client) content(m *coap.Message, p lwm2m.Path, values lwm2m.Tree) (*coap.Message, error) {
	accept, given := m.Uint(coap.Accept)
	f := lwm2m.Format(accept)
	if !given {
		f = c.preferred(p)
	}
	return c.encode(f, p, values)
}

// preferred is the format of an answer to who does not say what it accepts: a single value stands by itself, as every server can read it.
func (c *Client) preferred(p lwm2m.Path) lwm2m.Format {
	kind, multiple, known := c.tree.Kind(p)
	switch {
	case !known || multiple && p.Depth() < 4:
		return lwm2m.FormatSenMLCBOR
	case kind == lwm2m.KindOpaque:
		return lwm2m.FormatOpaque
	default:
		return lwm2m.FormatText
	}
}

func (c *Client) encode(f lwm2m.Format, p lwm2m.Path, values lwm2m.Tree) (*coap.Message, error) {
	payload, err := codec.Append(nil, f, p, values)
	if err != nil {
		return nil, fmt.Errorf("answer %s as %s: %w", p, f, ErrNoFormat)
	}
	reply := &coap.Message{Code: coap.Content, Payload: payload}
	reply.SetUint(coap.ContentFormat, uint32(f))
	return reply, nil
}

// decode reads the values of a request that writes. Who names no format sends what the server of LwM2M 1.0 did: plain text or TLV.
func (c *Client) decode(m *coap.Message, p lwm2m.Path) (lwm2m.Tree, error) {
	if len(m.Payload) > c.limits.Payload {
		return nil, fmt.Errorf("write %s: %d bytes: %w", p, len(m.Payload), ErrTooLarge)
	}
	f := lwm2m.FormatTLV
	if number, given := m.Uint(coap.ContentFormat); given {
		f = lwm2m.Format(number)
	} else if p.Depth() > 2 {
		f = lwm2m.FormatText
	}
	if !readable(f) {
		return nil, fmt.Errorf("write %s as %s: %w", p, f, ErrFormat)
	}
	values, err := codec.Decode(f, p, m.Payload, types{c.tree})
	if err != nil {
		return nil, fmt.Errorf("write %s: %w: %w", p, err, ErrBadRequest)
	}
	if len(values) > c.limits.Records {
		return nil, fmt.Errorf("write %s: %d values: %w", p, len(values), ErrTooLarge)
	}
	return values, nil
}

// readable are the formats of values that this device takes.
func readable(f lwm2m.Format) bool {
	switch f.Canonical() {
	case lwm2m.FormatText, lwm2m.FormatOpaque, lwm2m.FormatCBOR, lwm2m.FormatSenMLJSON, lwm2m.FormatSenMLCBOR, lwm2m.FormatTLV, lwm2m.FormatCBORTree, lwm2m.FormatJSON:
		return true
	default:
		return false
	}
}

// types tells a codec what the device's resources hold.
type types struct{ *tree }

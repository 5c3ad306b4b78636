package mqtt

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// Content types of payloads. A payload without one is JSON.
const (
	TypeJSON = "application/json"
	TypeCBOR = "application/cbor"
)

func contentType(isCBOR bool) string {
	if isCBOR {
		return TypeCBOR
	}
	return TypeJSON
}

func encode(v any, isCBOR bool) ([]byte, error) {
	if isCBOR {
		return appendCBOR(nil, v)
	}
	return appendJSON(make([]byte, 0, 256), v)
}

// decode reads a payload that has to be a map.
func decode(b []byte, isCBOR bool) (map[string]any, error) {
	parse := parseJSON
	if isCBOR {
		parse = parseCBOR
	}
	v, err := parse(b)
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%w is no map", errPayload)
	}
	return m, nil
}

// encodeRequest is the payload of r.
func encodeRequest(r *Request) ([]byte, error) {
	m := map[string]any{"operation": string(r.Operation)}
	if r.Data != nil {
		m["data"] = r.Data
	}
	return encode(m, r.CBOR)
}

func (r *Request) decode(b []byte) error {
	m, err := decode(b, r.CBOR)
	if err != nil {
		return err
	}
	name, _ := m["operation"].(string)
	op, ok := operation(name)
	if !ok {
		return fmt.Errorf("%w has no operation that is one of GET, POST, PUT, DELETE, OBSERVE, CANCEL and DISCOVER", errPayload)
	}
	r.Operation, r.Data = op, m["data"]
	return nil
}

func encodeResponse(r *Response, isCBOR bool) ([]byte, error) {
	m := map[string]any{"response_code": int64(r.Code)}
	putObjects(m, r.Objects)
	if r.Data != nil {
		m["data"] = r.Data
	}
	if r.Model != nil {
		model, err := generic(r.Model, isCBOR)
		if err != nil {
			return nil, err
		}
		m["sdfModel"] = model
	}
	putError(m, r.Error)
	return encode(m, isCBOR)
}

// generic makes of a document of any type one that both encodings can write.
func generic(v any, isCBOR bool) (any, error) {
	if _, plain := v.(map[string]any); plain || !isCBOR {
		return v, nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode model: %w", err)
	}
	return parseJSON(raw)
}

func decodeResponse(b []byte, isCBOR bool) (*Response, error) {
	m, err := decode(b, isCBOR)
	if err != nil {
		return nil, err
	}
	code, ok := m["response_code"].(int64)
	if !ok || code < 0 || code > math.MaxUint16 {
		return nil, fmt.Errorf("%w has no response_code", errPayload)
	}
	r := &Response{Code: Code(code), Data: m["data"], Model: m["sdfModel"], Error: takeError(m)}
	if r.Error != nil {
		r.Error.Status = r.Code
	}
	r.Objects, err = takeObjects(m)
	return r, err
}

func encodeNotification(n *Notification, isCBOR bool) ([]byte, error) {
	m := map[string]any{}
	putObjects(m, n.Objects)
	if !n.Time.IsZero() {
		m["time"] = float64(n.Time.UnixMilli()) / 1e3
	}
	putError(m, n.Error)
	return encode(m, isCBOR)
}

func (n *Notification) decode(b []byte, isCBOR bool) error {
	m, err := decode(b, isCBOR)
	if err != nil {
		return err
	}
	n.Time, n.Error = takeTime(m["time"]), takeError(m)
	n.Objects, err = takeObjects(m)
	return err
}

// takeTime reads seconds since 1970, as SDF's unix-time (RFC 9880, 4.7) is.
func takeTime(v any) time.Time {
	var s float64
	switch v := v.(type) {
	case int64:
		s = float64(v)
	case float64:
		s = v
	}
	if s <= 0 || s > 1<<40 {
		return time.Time{}
	}
	return time.UnixMilli(int64(math.Round(s * 1e3)))
}

func putObjects(m map[string]any, o Objects) {
	if o == nil {
		return
	}
	objects := make(map[string]any, len(o))
	for name, instances := range o {
		list := make([]any, len(instances))
		for i, in := range instances {
			properties := in.Properties
			if properties == nil {
				properties = map[string]any{}
			}
			list[i] = map[string]any{"label": int64(in.Label), "sdfProperty": properties}
		}
		objects[name] = list
	}
	m["sdfObject"] = objects
}

func takeObjects(m map[string]any) (Objects, error) {
	v, there := m["sdfObject"]
	if !there {
		return nil, nil
	}
	objects, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%w: sdfObject is no map", errPayload)
	}
	o := make(Objects, len(objects))
	for name, v := range objects {
		list, _ := v.([]any)
		instances := make([]Instance, 0, len(list))
		for _, v := range list {
			in, err := takeInstance(v)
			if err != nil {
				return nil, fmt.Errorf("%w: sdfObject %q: %w", errPayload, name, err)
			}
			instances = append(instances, in)
		}
		o[name] = instances
	}
	return o, nil
}

func takeInstance(v any) (Instance, error) {
	m, _ := v.(map[string]any)
	n, ok := m["label"].(int64)
	if !ok || n < 0 || n > math.MaxUint16 {
		return Instance{}, fmt.Errorf("label %v is not the number of an instance", m["label"])
	}
	properties, _ := m["sdfProperty"].(map[string]any)
	return Instance{Label: uint16(n), Properties: properties}, nil
}

func putError(m map[string]any, e *Error) {
	if e == nil {
		return
	}
	m["error"] = map[string]any{"code": e.Code, "message": e.Message, "why": e.Why, "hint": e.Hint}
}

func takeError(m map[string]any) *Error {
	v, ok := m["error"].(map[string]any)
	if !ok {
		return nil
	}
	text := func(k string) string { s, _ := v[k].(string); return cut(s, maxExplanation) }
	return &Error{Code: text("code"), Message: text("message"), Why: text("why"), Hint: text("hint")}
}

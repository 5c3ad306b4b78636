package adapter

import "github.com/edgehold/edgehold/wasmabi"

// handle is a way out.
type handle struct {
	host  Host
	index uint32
}

var errNoHandle = &wasmabi.Error{Code: wasmabi.CodeNotGranted, Message: "use a capability that was not found at initialisation"}

func (h handle) call(op uint32, in []byte) ([]byte, error) {
	if h.host == nil {
		return nil, errNoHandle
	}
	status, out := h.host.Call(h.index, op, in)
	if status == wasmabi.StatusOK {
		return out, nil
	}
	e := new(wasmabi.Error)
	if wasmabi.DecodeError(out, e) != nil || e.Message == "" {
		e = &wasmabi.Error{Code: wasmabi.CodeFailed, Message: "the host says " + status.String()}
	}
	return nil, e
}

// HTTP makes requests to the hosts that were granted. Get it from [Setup.HTTP].
type HTTP struct {
	handle
	granted *wasmabi.CapabilityRequest
}

// Request is an HTTP request. URL has to name the port.
type Request = wasmabi.HTTPRequest

// Response is the answer. A status of 4xx or 5xx is an answer too.
type Response = wasmabi.HTTPResponse

// Header is one line of a header.
type Header = wasmabi.Label

// URL is a path on the first host that was granted, by http.
func (h HTTP) URL(path string) string { return h.at("http", path) }

// SecureURL is a path on the first host that was granted, by https.
func (h HTTP) SecureURL(path string) string { return h.at("https", path) }

func (h HTTP) at(scheme, path string) string {
	if h.granted == nil || len(h.granted.Hosts) == 0 {
		return ""
	}
	return scheme + "://" + h.granted.Hosts[0] + path
}

// Do makes a request. An error of a device that does not answer is [Away].
func (h HTTP) Do(r *Request) (*Response, error) {
	out, err := h.call(wasmabi.HandleHTTP, wasmabi.AppendHTTPRequest(nil, r))
	if err != nil {
		return nil, err
	}
	response := new(Response)
	return response, wasmabi.DecodeHTTPResponse(out, response)
}

// Get returns the body at a path on the first host. A status that is not 2xx is an error, 503 one that may pass.
func (h HTTP) Get(path string) ([]byte, error) {
	return h.body(&Request{Method: "GET", URL: h.URL(path)})
}

// PutJSON sends a document to a path on the first host and returns the answer's body.
func (h HTTP) PutJSON(path string, document []byte) ([]byte, error) {
	return h.body(&Request{Method: "PUT", URL: h.URL(path), Header: []Header{{Name: "content-type", Value: "application/json"}}, Body: document})
}

const statusUnavailable = 503

func (h HTTP) body(r *Request) ([]byte, error) {
	response, err := h.Do(r)
	if err != nil {
		return nil, err
	}
	if response.Status/100 == 2 {
		return response.Body, nil
	}
	e := &wasmabi.Error{Code: "adapter.http-status", Message: r.Method + " " + r.URL + " answers " + Text(float64(response.Status))}
	e.Retryable = response.Status == statusUnavailable
	return nil, e
}

// Files reads and writes files that exist. Get it from [Setup.Files].
type Files struct {
	handle
	granted *wasmabi.CapabilityRequest
}

// List returns the files that a pattern of the manifest matches, sorted.
func (f Files) List(pattern string) ([]string, error) {
	out, err := f.call(wasmabi.HandleFileList, wasmabi.AppendFile(nil, &wasmabi.File{Path: pattern}))
	if err != nil {
		return nil, err
	}
	var names wasmabi.Names
	err = wasmabi.DecodeNames(out, &names)
	return names.Names, err
}

// Read returns a file's content.
func (f Files) Read(path string) ([]byte, error) {
	return f.call(wasmabi.HandleFileRead, wasmabi.AppendFile(nil, &wasmabi.File{Path: path}))
}

// ReadText is Read without white space around.
func (f Files) ReadText(path string) (string, error) {
	b, err := f.Read(path)
	for len(b) > 0 && b[len(b)-1] <= ' ' {
		b = b[:len(b)-1]
	}
	for len(b) > 0 && b[0] <= ' ' {
		b = b[1:]
	}
	return string(b), err
}

// Write gives a file new content, by one write.
func (f Files) Write(path string, data []byte) error {
	_, err := f.call(wasmabi.HandleFileWrite, wasmabi.AppendFile(nil, &wasmabi.File{Path: path, Data: data}))
	return err
}

// WriteText is Write of a line.
func (f Files) WriteText(path, line string) error { return f.Write(path, []byte(line+"\n")) }

// KV is a small store that outlives the instance. Get it from [Setup.KV].
type KV struct{ handle }

// Get returns a key's value; an error that [IsNotFound] when there is none.
func (s KV) Get(key string) ([]byte, error) {
	return s.call(wasmabi.HandleKVGet, wasmabi.AppendItem(nil, &wasmabi.Item{Key: key}))
}

// Set gives a key a value.
func (s KV) Set(key string, value []byte) error {
	_, err := s.call(wasmabi.HandleKVSet, wasmabi.AppendItem(nil, &wasmabi.Item{Key: key, Value: value}))
	return err
}

// Delete forgets a key.
func (s KV) Delete(key string) error {
	_, err := s.call(wasmabi.HandleKVDelete, wasmabi.AppendItem(nil, &wasmabi.Item{Key: key}))
	return err
}

// CoAP makes confirmable requests over UDP. Get it from [Setup.CoAP].
type CoAP struct {
	handle
	granted *wasmabi.CapabilityRequest
}

// CoAPRequest is a request; CoAPResponse the answer.
type (
	CoAPRequest  = wasmabi.CoAPRequest
	CoAPResponse = wasmabi.CoAPResponse
)

// URI is a path on the first host that was granted.
func (c CoAP) URI(path string) string {
	if c.granted == nil || len(c.granted.Hosts) == 0 {
		return ""
	}
	return "coap://" + c.granted.Hosts[0] + path
}

// Do makes a request. An error of a device that does not answer is [Away].
func (c CoAP) Do(r *CoAPRequest) (*CoAPResponse, error) {
	out, err := c.call(wasmabi.HandleCoAP, wasmabi.AppendCoAPRequest(nil, r))
	if err != nil {
		return nil, err
	}
	response := new(CoAPResponse)
	return response, wasmabi.DecodeCoAPResponse(out, response)
}

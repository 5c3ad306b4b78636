package guest

import (
	"encoding/binary"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/edgehold/edgehold/wasmabi"
)

// Web says which of the session's handles takes a plugin's HTTP requests, and how it speaks.
type Web struct {
	Handle uint32
	// Messages is set for the handles that other adapters have, which take the messages of the ABI. Otherwise the handle takes
	// what the plugin wrote, with bodies as long as memory allows.
	Messages bool
}

// HTTPOp is the operation of a handle that takes what the plugin wrote: its description behind the length of that, and the body.
// The answer is status, length of the headers' JSON, headers and body.
const HTTPOp = 0

// exchange is the answer to a plugin's last HTTP request.
type exchange struct {
	status  int32
	headers []byte // as JSON
}

func httpRequest(s *scope, stack []uint64) {
	s.ask("http_request")
	g := s.plugin
	g.http = exchange{headers: g.http.headers[:0]}
	web := g.settings.Web
	description := s.given(stack[0])
	var body []byte
	if stack[1] != 0 {
		body = s.given(stack[1])
	}
	op, in := uint32(HTTPOp), []byte(nil)
	if web.Messages {
		op, in = wasmabi.HandleHTTP, s.message(description, body)
	} else {
		in = written(description, body)
	}
	s.meter.charge(int64(len(in)))
	s.kept.drop()
	status := s.perform(s, web.Handle, op, in)
	if s.observer != nil {
		s.observer.HostCall(web.Handle, op, in, s.kept.result, status)
	}
	if status != wasmabi.StatusOK {
		s.refuseRequest(status)
	}
	answer, ok := g.http.read(s.kept.result, web.Messages)
	if !ok {
		stop(KindTrap, "the host's answer to its HTTP request has no form")
	}
	stack[0] = s.give(answer)
}

func written(description, body []byte) []byte {
	in := binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(description)+len(body)), uint32(len(description)))
	return append(append(in, description...), body...)
}

// message makes the ABI's message of a request. Ports are written there, as grants name them.
func (i *Instance) message(description, body []byte) []byte {
	var q struct {
		URL     string            `json:"url"`
		Method  string            `json:"method"`
		Headers map[string]string `json:"headers"`
	}
	if err := json.Unmarshal(description, &q); err != nil {
		stop(KindTrap, "its HTTP request is not the JSON object expected: %v", err)
	}
	m := wasmabi.HTTPRequest{Method: strings.ToUpper(q.Method), URL: withPort(q.URL), Body: body}
	if m.Method == "" {
		m.Method = "GET"
	}
	for name, value := range q.Headers {
		m.Header = append(m.Header, wasmabi.Label{Name: name, Value: value})
	}
	slices.SortFunc(m.Header, func(a, b wasmabi.Label) int { return strings.Compare(a.Name, b.Name) })
	return wasmabi.AppendHTTPRequest(nil, &m)
}

// withPort writes the port that a URL leaves out. What is no URL is judged by the handle.
func withPort(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Port() != "" || u.Host == "" {
		return text
	}
	switch u.Scheme {
	case "http":
		u.Host += ":80"
	case "https":
		u.Host += ":443"
	}
	return u.String()
}

// read takes an answer apart. The body aliases it.
func (e *exchange) read(answer []byte, messages bool) (body []byte, ok bool) {
	if messages {
		return e.readMessage(answer)
	}
	if len(answer) < 8 {
		return nil, false
	}
	e.status = int32(binary.LittleEndian.Uint32(answer))
	n := binary.LittleEndian.Uint32(answer[4:])
	if answer = answer[8:]; uint64(n) > uint64(len(answer)) {
		return nil, false
	}
	e.headers = append(e.headers, answer[:n]...)
	return answer[n:], true
}

func (e *exchange) readMessage(answer []byte) (body []byte, ok bool) {
	var m wasmabi.HTTPResponse
	if wasmabi.DecodeHTTPResponse(answer, &m) != nil {
		return nil, false
	}
	headers := make(map[string]string, len(m.Header))
	for _, l := range m.Header {
		headers[l.Name] = l.Value
	}
	text, err := json.Marshal(headers) // sorts names
	if err != nil {
		return nil, false
	}
	e.status, e.headers = int32(m.Status), append(e.headers, text...)
	return m.Body, true
}

func (i *Instance) refuseRequest(status wasmabi.Status) {
	var e wasmabi.Error
	switch {
	case status == wasmabi.StatusTooLarge:
		stop(KindTrap, "its HTTP request failed: the answer is longer than %d bytes", i.program.Limits.ResponseBytes)
	case len(i.kept.result) > 0 && wasmabi.DecodeError(i.kept.result, &e) == nil:
		stop(KindTrap, "its HTTP request failed: %s", e.Message)
	}
	stop(KindTrap, "its HTTP request is not allowed: it was granted none")
}

func httpStatusCode(s *scope, stack []uint64) {
	s.meter.charge(kernelFuel)
	stack[0] = uint64(uint32(s.plugin.http.status))
}

func httpHeaders(s *scope, stack []uint64) {
	s.meter.charge(kernelFuel)
	stack[0] = s.give(s.plugin.http.headers)
}

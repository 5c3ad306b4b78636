package wasmabi

// What a handle of each kind does, as the op of [ImportCall]. A handle answers [StatusDenied] to what it was not granted,
// [StatusInvalid] to what it can't read, and [StatusHost] to what failed; an [Error] message says more each time.
const (
	HandleHTTP uint32 = 1 // request HTTPRequest, result HTTPResponse

	HandleFileRead  uint32 = 16 // request File with a path, result the content, raw bytes
	HandleFileWrite uint32 = 17 // request File, result empty; the file has to exist
	HandleFileList  uint32 = 18 // request File whose path is one of the granted patterns, result Names: what matches it

	HandleKVGet    uint32 = 32 // request Item with a key, result the value, raw bytes
	HandleKVSet    uint32 = 33 // request Item, result empty
	HandleKVDelete uint32 = 34 // request Item with a key, result empty

	HandleCoAP uint32 = 48 // request CoAPRequest, result CoAPResponse
)

// Codes of a handle's errors that a guest may want to tell apart.
const (
	CodeNotGranted = "capability.not-granted" // the grant does not cover it
	CodeLimit      = "capability.limit"       // too much, or too often
	CodeNotFound   = "capability.not-found"   // no such file, no such key
	CodeUnreached  = "capability.unreached"   // the device does not answer
	CodeFailed     = "capability.failed"      // anything else
)

// HTTPRequest is one request. The host follows redirects only as far as the grant reaches.
type HTTPRequest struct {
	Method string // "GET"
	URL    string // "http://plug.example.org:80/relay/0"; the port has to be written
	Header []Label
	Body   []byte
}

// HTTPResponse is the answer. A status of 4xx or 5xx is an answer too.
type HTTPResponse struct {
	Status uint32
	Header []Label // one entry for each name, lower case
	Body   []byte
}

// File is a path, and what to write there.
type File struct {
	Path string
	Data []byte
}

// Item is a key of the store, and its value.
type Item struct {
	Key   string
	Value []byte
}

// CoAPRequest is one confirmable request (RFC 7252).
type CoAPRequest struct {
	Method  string // "GET", "POST", "PUT" or "DELETE"
	URI     string // "coap://lamp.example.org:5683/3311/0/5851"; the port has to be written
	Format  uint32 // Content-Format of the payload, plus one; 0 is none
	Accept  uint32 // Content-Format that is wanted, plus one; 0 is any
	Payload []byte
}

// CoAPResponse is the answer. A code of 4.xx or 5.xx is an answer too.
type CoAPResponse struct {
	Code    uint32 // class times 100 plus detail: 205 is 2.05 Content
	Format  uint32 // Content-Format plus one; 0 is none
	Payload []byte
}

// AppendHTTPRequest appends the encoded m to dst.
func AppendHTTPRequest(dst []byte, m *HTTPRequest) []byte {
	f := openFields(dst)
	f.text("url", m.URL)
	f.bytes("body", m.Body)
	appendList(&f, "header", m.Header, appendLabel)
	f.text("method", m.Method)
	return f.close()
}

// AppendHTTPResponse appends the encoded m to dst.
func AppendHTTPResponse(dst []byte, m *HTTPResponse) []byte {
	f := openFields(dst)
	f.bytes("body", m.Body)
	appendList(&f, "header", m.Header, appendLabel)
	f.uint("status", uint64(m.Status))
	return f.close()
}

// AppendFile appends the encoded m to dst.
func AppendFile(dst []byte, m *File) []byte {
	f := openFields(dst)
	f.bytes("data", m.Data)
	f.text("path", m.Path)
	return f.close()
}

// AppendItem appends the encoded m to dst.
func AppendItem(dst []byte, m *Item) []byte {
	f := openFields(dst)
	f.text("key", m.Key)
	f.bytes("value", m.Value)
	return f.close()
}

// AppendCoAPRequest appends the encoded m to dst.
func AppendCoAPRequest(dst []byte, m *CoAPRequest) []byte {
	f := openFields(dst)
	f.text("uri", m.URI)
	f.uint("accept", uint64(m.Accept))
	f.uint("format", uint64(m.Format))
	f.text("method", m.Method)
	f.bytes("payload", m.Payload)
	return f.close()
}

// AppendCoAPResponse appends the encoded m to dst.
func AppendCoAPResponse(dst []byte, m *CoAPResponse) []byte {
	f := openFields(dst)
	f.uint("code", uint64(m.Code))
	f.uint("format", uint64(m.Format))
	f.bytes("payload", m.Payload)
	return f.close()
}

// DecodeHTTPRequest decodes b into m. Nothing of m aliases b.
func DecodeHTTPRequest(b []byte, m *HTTPRequest) error {
	*m = HTTPRequest{}
	r := reader{b: b, message: "http-request"}
	for k := r.keys(); k.next(); {
		switch k.key {
		case "url":
			m.URL = r.text(MaxText)
		case "body":
			m.Body = r.bytes(MaxBody)
		case "header":
			m.Header = list(&r, m.Header, MaxHeaders, decodeHeader)
		case "method":
			m.Method = r.text(MaxName)
		default:
			r.skip(0)
		}
	}
	return r.finish()
}

// decodeHeader is decodeLabel for values such as tokens, which are longer than labels.
func decodeHeader(r *reader, l *Label) {
	r.array(2)
	l.Name = r.text(MaxName)
	l.Value = r.text(MaxText)
}

// DecodeHTTPResponse decodes b into m. Nothing of m aliases b.
func DecodeHTTPResponse(b []byte, m *HTTPResponse) error {
	*m = HTTPResponse{}
	r := reader{b: b, message: "http-response"}
	for k := r.keys(); k.next(); {
		switch k.key {
		case "body":
			m.Body = r.bytes(MaxBody)
		case "header":
			m.Header = list(&r, m.Header, MaxHeaders, decodeHeader)
		case "status":
			m.Status = r.uint32()
		default:
			r.skip(0)
		}
	}
	return r.finish()
}

// DecodeFile decodes b into m. Nothing of m aliases b.
func DecodeFile(b []byte, m *File) error {
	*m = File{}
	r := reader{b: b, message: "file"}
	for k := r.keys(); k.next(); {
		switch k.key {
		case "data":
			m.Data = r.bytes(MaxBody)
		case "path":
			m.Path = r.text(MaxText)
		default:
			r.skip(0)
		}
	}
	return r.finish()
}

// DecodeItem decodes b into m. Nothing of m aliases b.
func DecodeItem(b []byte, m *Item) error {
	*m = Item{}
	r := reader{b: b, message: "item"}
	for k := r.keys(); k.next(); {
		switch k.key {
		case "key":
			m.Key = r.text(MaxName)
		case "value":
			m.Value = r.bytes(MaxBody)
		default:
			r.skip(0)
		}
	}
	return r.finish()
}

// DecodeCoAPRequest decodes b into m. Nothing of m aliases b.
func DecodeCoAPRequest(b []byte, m *CoAPRequest) error {
	*m = CoAPRequest{}
	r := reader{b: b, message: "coap-request"}
	for k := r.keys(); k.next(); {
		switch k.key {
		case "uri":
			m.URI = r.text(MaxText)
		case "accept":
			m.Accept = r.uint32()
		case "format":
			m.Format = r.uint32()
		case "method":
			m.Method = r.text(MaxName)
		case "payload":
			m.Payload = r.bytes(MaxBody)
		default:
			r.skip(0)
		}
	}
	return r.finish()
}

// DecodeCoAPResponse decodes b into m. Nothing of m aliases b.
func DecodeCoAPResponse(b []byte, m *CoAPResponse) error {
	*m = CoAPResponse{}
	r := reader{b: b, message: "coap-response"}
	for k := r.keys(); k.next(); {
		switch k.key {
		case "code":
			m.Code = r.uint32()
		case "format":
			m.Format = r.uint32()
		case "payload":
			m.Payload = r.bytes(MaxBody)
		default:
			r.skip(0)
		}
	}
	return r.finish()
}

package otlp

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/edgehold/edgehold/telemetry/internal/listen"
)

const (
	typeProto = "application/x-protobuf"
	typeJSON  = "application/json"
)

// Handler answers POST /v1/metrics.
func (r *Receiver) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/metrics", r.post)
	return mux
}

func (r *Receiver) serveHTTP(ctx context.Context) error {
	server := &http.Server{
		Handler:           r.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	return listen.Serve(ctx, r.http, server, grace)
}

func (r *Receiver) post(w http.ResponseWriter, req *http.Request) {
	kind, _, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if err != nil || kind != typeProto && kind != typeJSON {
		kind = typeProto
		reply(w, kind, nil, &refusal{codes.Unimplemented, "content type must be " + typeProto + " or " + typeJSON, 0})
		return
	}
	message, refused := r.read(w, req, kind)
	if refused != nil {
		r.counts.requests.Add(1)
		r.counts.refused.Add(1)
		reply(w, kind, nil, refused)
		return
	}
	resp, refused := r.export(req.Context(), message)
	reply(w, kind, resp, refused)
}

// read decodes a body, bounded before and after decompression.
func (r *Receiver) read(w http.ResponseWriter, req *http.Request, kind string) (*collector.ExportMetricsServiceRequest, *refusal) {
	var body io.Reader = http.MaxBytesReader(w, req.Body, int64(r.config.MaxMessageBytes))
	switch encoding := req.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
	case "gzip":
		unzip, err := gzip.NewReader(body)
		if err != nil {
			return nil, unreadable(err)
		}
		body = unzip
	default:
		return nil, &refusal{codes.Unimplemented, fmt.Sprintf("content encoding %.40q is not known; use gzip or none", encoding), 0}
	}
	b, err := io.ReadAll(io.LimitReader(body, int64(r.config.MaxMessageBytes)+1))
	if err != nil {
		return nil, unreadable(err)
	}
	if len(b) > r.config.MaxMessageBytes {
		return nil, tooLarge(fmt.Sprintf("the request has more than %d bytes", r.config.MaxMessageBytes))
	}
	return decode(b, kind)
}

func unreadable(err error) *refusal {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return tooLarge(fmt.Sprintf("the request has more than %d bytes", large.Limit))
	}
	return malformed("the body can't be read: " + err.Error())
}

func decode(b []byte, kind string) (*collector.ExportMetricsServiceRequest, *refusal) {
	req := &collector.ExportMetricsServiceRequest{}
	var err error
	if kind == typeJSON {
		err = protojson.UnmarshalOptions{DiscardUnknown: true, RecursionLimit: maxRecursion}.Unmarshal(b, req)
	} else {
		err = proto.UnmarshalOptions{RecursionLimit: maxRecursion}.Unmarshal(b, req)
	}
	if err != nil {
		return nil, malformed("the body is no ExportMetricsServiceRequest: " + err.Error())
	}
	return req, nil
}

// maxRecursion bounds messages inside of messages; attributes may nest.
const maxRecursion = 64

// reply writes the response, or the refusal as a google.rpc.Status, in the client's own encoding.
func reply(w http.ResponseWriter, kind string, resp *collector.ExportMetricsServiceResponse, refused *refusal) {
	code, message := http.StatusOK, proto.Message(resp)
	if refused != nil {
		code, message = refused.httpStatus(), refused.status().Proto()
		if seconds := refused.retrySeconds(); seconds != "" {
			w.Header().Set("Retry-After", seconds)
		}
	}
	marshal := proto.Marshal
	if kind == typeJSON {
		marshal = protojson.Marshal
	}
	b, err := marshal(message)
	if err != nil {
		http.Error(w, "the answer could not be written", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_, _ = w.Write(b) // the client has gone
}

package agents

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"log/slog"
)

var idAlphabet = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// newID returns 13 characters that a person can type and that name one decision
// for ever: 64 random bits.
func newID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, see its documentation
	return idAlphabet.EncodeToString(b[:])
}

func newTraceID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func newSeed() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return binary.LittleEndian.Uint64(b[:])
}

type noTracer struct{}
type noSpan struct{}

func (noTracer) Start(ctx context.Context, _ string, _ ...slog.Attr) (context.Context, Span) {
	return ctx, noSpan{}
}
func (noSpan) TraceID() string         { return "" }
func (noSpan) End(error, ...slog.Attr) {}

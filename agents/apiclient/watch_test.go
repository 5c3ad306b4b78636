package apiclient

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/agents/api"
)

func collect(text string) (names, data []string, err error) {
	for m, e := range decodeMessages(strings.NewReader(text)) {
		if e != nil {
			return names, data, e
		}
		names, data = append(names, m.name), append(data, string(m.data))
	}
	return names, data, nil
}

func TestDecodeMessages(t *testing.T) {
	for name, c := range map[string]struct {
		text        string
		names, data []string
	}{
		"one":              {"id: 1\nevent: a\ndata: {}\n\n", []string{"a"}, []string{"{}"}},
		"comments":         {": hello\n\n: still here\n\nevent: a\ndata: 1\n\n", []string{"a"}, []string{"1"}},
		"without a name":   {"data:1\n\n", []string{""}, []string{"1"}},
		"cut off":          {"event: a\ndata: 1\n\nevent: b\ndata: 2\n", []string{"a"}, []string{"1"}},
		"carriage returns": {"event: a\r\ndata: 1\r\n\r\n", []string{"a"}, []string{"1"}},
		"nothing":          {"", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			names, data, err := collect(c.text)
			if !errors.Is(err, errStreamEnded) {
				t.Errorf("ended with %v", err)
			}
			if diff := cmp.Diff(c.names, names) + cmp.Diff(c.data, data); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestChangeOf(t *testing.T) {
	if got, err := changeOf[api.Policy](message{"change", []byte(`{"type":"gone","name":"p"}`)}); err != nil || got.Type != api.ChangeGone || got.Item != nil {
		t.Errorf("change: %+v, %v", got, err)
	}
	var p *api.Problem
	if _, err := changeOf[api.Policy](message{"problem", []byte(`{"code":"a.b"}`)}); !errors.As(err, &p) || p.Code != "a.b" {
		t.Errorf("problem: %v", err)
	}
	if _, err := changeOf[api.Policy](message{"event", []byte(`{"message":"the daemon is stopping"}`)}); err == nil || !strings.Contains(err.Error(), "is stopping") {
		t.Errorf("last event: %v", err)
	}
	if _, err := changeOf[api.Policy](message{"change", []byte(`nonsense`)}); err == nil {
		t.Error("nonsense was taken")
	}
}

// FuzzMessages checks that whatever comes over a stream ends it or is a message, and that messages hold no line ends.
func FuzzMessages(f *testing.F) {
	f.Add([]byte("id: 1\nevent: change\ndata: {\"type\":\"gone\"}\n\n"))
	f.Add([]byte(": x\n\nevent: problem\ndata: {\"code\":\"a\"}\n\n"))
	f.Add([]byte("data\n\ndata:\n\n:\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		for m, err := range decodeMessages(bytes.NewReader(body)) {
			if err != nil {
				return
			}
			if bytes.ContainsAny(m.data, "\n") || strings.Contains(m.name, "\n") {
				t.Fatalf("%q holds a line end", m.data)
			}
			changeOf[api.DecisionSummary](m)
		}
	})
}

package ring

import (
	"errors"
	"testing"
	"time"
)

func TestSubqueriesAreBounded(t *testing.T) {
	s, clk := newStore(t, Config{})
	now := clk.Now()
	for expr, want := range map[string]string{
		"max_over_time(x[5m:])":                         "",
		"max_over_time(rate(x[1m])[15m:1s])":            "",
		"max_over_time(max_over_time(x[5m:1s])[1m:1s])": "",
		"x[1y:1ms]":             "telemetry.bad-query",
		"max_over_time(x[1y:])": "telemetry.bad-query",
		"max_over_time(max_over_time(x[1h:1s])[1h:1s])":                       "telemetry.bad-query",
		"max_over_time(max_over_time(max_over_time(x[9m:1s])[9m:1s])[9m:1s])": "telemetry.bad-query",
	} {
		_, err := s.Query(t.Context(), expr, now)
		if got := codeOf(err); got != want {
			t.Errorf("%s: got %v, want code %q", expr, err, want)
		}
	}
	if _, err := s.QueryRange(t.Context(), "max_over_time(x[1h:1s])", now.Add(-time.Hour), now, time.Second); codeOf(err) != "telemetry.bad-query" {
		t.Errorf("over a range: got %v", err)
	}
	if _, err := s.Select(Request{Query: "max_over_time(x[1y:1ms])"}); codeOf(err) != "telemetry.bad-query" {
		t.Errorf("selection: got %v", err)
	}
}

func codeOf(err error) string {
	var coded interface{ ErrorCode() string }
	if errors.As(err, &coded) {
		return coded.ErrorCode()
	}
	return ""
}

package main

import (
	"testing"
	"time"
)

func TestParseMapping(t *testing.T) {
	for line, want := range map[string]struct{ ok, clean bool }{
		"00400000-01049000 r-xp 00000000 fe:00 1234 /usr/bin/edgeholdd": {true, true},
		"7f00-7f10 rw-p 00000000 fe:00 1234 /usr/bin/edgeholdd":         {true, false},
		"7f00-7f10 r-xp 00000000 00:00 0":                               {true, false},
		"Rss:                  12 kB":                                   {false, false},
		"VmFlags: rd ex mr mw me":                                       {false, false},
	} {
		m, ok := parseMapping(line)
		if ok != want.ok || m.clean && ok != want.clean {
			t.Errorf("%q: got %v, clean %v", line, ok, m.clean)
		}
	}
}

// The program has to go on as before: its code and constants are read again from the file.
func TestSettleLosesNothing(t *testing.T) {
	before := time.Now().Format(time.RFC1123)
	for range 3 {
		settle()
	}
	if after := time.Now().Format(time.RFC1123); len(after) != len(before) {
		t.Errorf("got %q", after)
	}
}

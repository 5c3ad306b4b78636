package store

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/edgehold/edgehold/agents/state/crashtest"
)

// crashChild stores for ever and says what is durable.
func crashChild(dir string) {
	check := func(err error) {
		if err != nil {
			fmt.Println("fatal", err)
			os.Exit(1)
		}
	}
	ctx := context.Background()
	s, r, err := Open(dir, Options{SegmentBytes: 16 << 10})
	check(err)
	if len(r.Damaged) > 0 {
		fmt.Println("fatal damaged", r.Damaged)
		os.Exit(1)
	}
	go func() { check(s.Run(ctx)) }()
	go func() {
		for {
			check(s.Compact())
		}
	}()
	start := 0
	if v, found, err := s.Get(Settings, "count"); err == nil && found {
		_, _ = fmt.Sscan(string(v), &start)
	}
	for n := start; ; n++ {
		key := fmt.Sprintf("device-%d", n%100)
		_, err := s.Put(Registration, key, fmt.Appendf(nil, "%d %s", n, strings.Repeat("x", n%300)))
		check(err)
		if n%10 == 9 {
			_, err := s.Delete(Registration, fmt.Sprintf("device-%d", (n-50)%100))
			check(err)
		}
		m, err := s.Put(Settings, "count", fmt.Append(nil, n))
		check(err)
		if n%20 == 0 {
			check(s.Wait(ctx, m))
			fmt.Println("durable", n)
		}
	}
}

func TestKillLosesNothingDurable(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs SIGKILL")
	}
	dir, durable := t.TempDir(), 0
	for n := 0; n < 8 || durable < 200; n++ { // however slow the machine
		crashtest.KillOnce(t, dir, func(line string) {
			if strings.HasPrefix(line, "fatal") {
				t.Fatal(line)
			}
			_, _ = fmt.Sscanf(line, "durable %d", &durable)
		})
		verify(t, dir, durable)
	}
}

func verify(t *testing.T, dir string, durable int) {
	t.Helper()
	s, r := open(t, dir, Options{})
	defer func() { must(t, s.Close()) }()
	if len(r.Damaged) > 0 {
		t.Errorf("report %+v", r)
	}
	count := 0
	_, err := fmt.Sscan(content(t, s, Settings)["count"], &count)
	must(t, err)
	if count < durable {
		t.Fatalf("%d is the newest, and %d was durable", count, durable)
	}
	all := content(t, s, Registration)
	for n := max(count-40, 0); n <= count; n++ { // none of these was deleted
		key, got := fmt.Sprintf("device-%d", n%100), -1
		if _, err := fmt.Sscan(all[key], &got); err != nil || (got != n && got != n+100) {
			t.Errorf("%s holds %.20q, and %d was stored before %d", key, all[key], n, count)
		}
	}
}

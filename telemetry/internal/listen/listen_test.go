package listen

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

func TestCheck(t *testing.T) {
	for address, ok := range map[string]bool{
		"127.0.0.1:4317": true, "localhost:0": true, "[::1]:4318": true, "unix:///run/edgehold/otlp.sock": true,
		"0.0.0.0:4317": false, ":4317": false, "192.0.2.1:4317": false, "example.org:4317": false,
		"127.0.0.1": false, "unix://relative": false, "": false,
	} {
		if err := Check(address); (err == nil) != ok {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestSocketsAreReplacedOnlyWhenAbandoned(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.sock")
	abandonedSocket, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	abandonedSocket.SetUnlinkOnClose(false)
	if _, err := Open(t.Context(), "unix://"+path); err == nil {
		t.Error("a socket in use was replaced")
	}
	_ = abandonedSocket.Close()
	l, err := Open(t.Context(), "unix://"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("%v, %v", info, err)
	}

	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), "unix://"+file); err == nil {
		t.Error("a file was taken for an abandoned socket")
	}
}

func TestLimit(t *testing.T) {
	open, err := Open(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := Limit(open, 1)
	accepted := make(chan net.Conn)
	ended := make(chan error, 1)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				ended <- err
				return
			}
			accepted <- conn
		}
	}()
	for range 2 {
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
	}
	first := <-accepted
	select {
	case <-accepted:
		t.Error("a second connection was accepted beside the first")
	default:
	}
	_ = first.Close()
	second := <-accepted
	defer second.Close()
	_ = l.Close()
	if err := <-ended; err == nil {
		t.Error("accepting did not end")
	}
}

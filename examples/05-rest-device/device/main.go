// Command device is a smart plug: an HTTP server with a relay and a fan, for trying the adapter on. It is not part of
// Edgehold, and speaks to nothing of it.
package main

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	file := flag.String("state", "", "file that shows the plug's state after each change")
	flag.Parse()
	if err := run(*listen, *file); err != nil {
		fmt.Fprintln(os.Stderr, "device:", err)
		os.Exit(1)
	}
}

func run(listen, file string) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	s := &http.Server{Handler: newPlug(file).handler(), ReadHeaderTimeout: 5 * time.Second}
	return s.Serve(l)
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"
	coapnet "github.com/plgd-dev/go-coap/v3/net"
	"github.com/plgd-dev/go-coap/v3/options"
	"github.com/plgd-dev/go-coap/v3/udp"
	"golang.org/x/sync/errgroup"

	"github.com/edgehold/edgehold/lwm2m/coap"
)

const (
	coapDevices  = 8000 // each with an address of its own
	coapAtATime  = 64
	coapRounds   = 3
	coapPatience = 40 * time.Second      // theirs sends again every four seconds what was lost on a busy machine
	coapVariable = "EDGEHOLD_BENCH_COAP" // makes this program a CoAP server: its value says whose
)

// coapRegistration measures the processor time of a server for a device that registers and is then read, as ours and as
// go-coap's does it: both take the registration, answer it, and ask the device for one resource.
func coapRegistration(ctx context.Context) (Measured, error) {
	var ours, theirs []time.Duration
	for range coapRounds {
		for whose, figures := range map[string]*[]time.Duration{"ours": &ours, "theirs": &theirs} {
			took, err := coapServerTime(ctx, whose)
			if err != nil {
				return Measured{}, fmt.Errorf("%s: %w", whose, err)
			}
			*figures = append(*figures, took)
		}
	}
	return nanoseconds(quantile(ours, 0.5), quantile(theirs, 0.5)), nil
}

// coapRegistrationAlone is coapRegistration without the other server.
func coapRegistrationAlone(ctx context.Context) (Measured, error) {
	m, err := coapRegistration(ctx)
	m.Theirs = 0
	return m, err
}

// coapServerTime runs a server in a process of its own, lets devices register, and returns what each cost it.
func coapServerTime(ctx context.Context, whose string) (time.Duration, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	server := exec.CommandContext(ctx, self)
	server.Env = append(slices.Clone(os.Environ()), coapVariable+"="+whose)
	server.Stderr = os.Stderr
	in, err := server.StdinPipe()
	if err != nil {
		return 0, err
	}
	pipe, err := server.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := server.Start(); err != nil {
		return 0, err
	}
	out := bufio.NewScanner(pipe)
	took, err := askServer(in, out)
	return took, errors.Join(err, in.Close(), server.Wait())
}

// askServer reads the server's address, warms it up, and takes its time before and after the devices.
func askServer(in io.Writer, out *bufio.Scanner) (time.Duration, error) {
	line := func() string { out.Scan(); return out.Text() }
	address := line()
	spent := func() (time.Duration, error) {
		if _, err := fmt.Fprintln(in); err != nil {
			return 0, err
		}
		n, err := strconv.ParseInt(line(), 10, 64)
		return time.Duration(n), err
	}
	if err := registerDevices(address, coapDevices/8); err != nil {
		return 0, err
	}
	before, err := spent()
	if err != nil {
		return 0, err
	}
	if err := registerDevices(address, coapDevices); err != nil {
		return 0, err
	}
	after, err := spent()
	return (after - before) / coapDevices, err
}

func registerDevices(address string, n int) error {
	var all errgroup.Group
	all.SetLimit(coapAtATime)
	for i := range n {
		all.Go(func() error { return registerDevice(address, i) })
	}
	return all.Wait()
}

// registerDevice is a device: it registers, waits until it was read, and is gone.
func registerDevice(address string, n int) error {
	conn, err := net.Dial("udp4", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(coapPatience))
	if _, err := conn.Write(registration(n)); err != nil {
		return err
	}
	buffer := make([]byte, 1500)
	registered, asked := false, false
	for !registered || !asked {
		size, err := conn.Read(buffer)
		if err != nil {
			return fmt.Errorf("registered %v, read %v: %w", registered, asked, err)
		}
		switch m := buffer[:size]; {
		case m[1] == byte(codes.Created):
			registered = true
		case m[1] == byte(codes.GET):
			asked = true
			answer := append([]byte{m[0]&0x0f | 0x60, byte(codes.Content)}, m[2:4+m[0]&0x0f]...)
			if _, err := conn.Write(append(answer, "\xffEdgehold"...)); err != nil {
				return err
			}
		}
	}
	return nil
}

// registration is a confirmable POST of a list of objects to /rd (LwM2M 1.1 transport section 6.4.3).
func registration(n int) []byte {
	option := func(delta byte, value string) []byte {
		return append([]byte{delta<<4 | 13, byte(len(value) - 13)}, value...)
	}
	m := binary.BigEndian.AppendUint16([]byte{0x48, byte(codes.POST)}, uint16(n))
	m = binary.BigEndian.AppendUint64(m, uint64(n)<<20|0xabcde)
	m = append(m, "\xb2rd\x11\x28"...) // Uri-Path, Content-Format 40
	m = append(m, option(3, fmt.Sprintf("ep=urn:dev:device-%06d", n))...)
	m = append(m, "\x06lt=300\x09lwm2m=1.1\x03b=U"...)
	return append(append(m, 0xff), bytes.Repeat([]byte("</3303/0>,"), 20)...)
}

// coapChild is the server's process, if this is one. It says its address, and for each line that it reads its processor time.
func coapChild() {
	whose := os.Getenv(coapVariable)
	if whose == "" {
		return
	}
	serve := ourCoapServer
	if whose == "theirs" {
		serve = theirCoapServer
	}
	address, err := serve()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(address)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		fmt.Println(int64(cpuTime()))
	}
	os.Exit(0)
}

func ourCoapServer() (string, error) {
	socket, err := coap.ListenUDP(context.Background(), coap.UDPConfig{Addresses: []string{"127.0.0.1:0"}})
	if err != nil {
		return "", err
	}
	var endpoint *coap.Endpoint
	read := func(p coap.Peer) {
		m := &coap.Message{Code: coap.GET}
		m.SetPath("/3/0/0")
		if _, err := endpoint.Do(context.Background(), p, m); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	endpoint, err = coap.New(coap.Config{
		Transports: []coap.Transport{socket},
		Limits:     coap.Limits{AddressRate: -1}, // all devices have one address here
		Handler: coap.HandlerFunc(func(_ context.Context, p coap.Peer, request, response *coap.Message) {
			if name, ok := request.Query("ep"); ok {
				response.Code = coap.Created
				response.SetLocation("/rd/" + strings.TrimPrefix(name, "urn:dev:device-"))
				go read(p)
			}
		}),
	})
	if err != nil {
		return "", err
	}
	go func() {
		if err := endpoint.Run(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	return socket.Addresses()[0].String(), nil
}

func theirCoapServer() (string, error) {
	socket, err := coapnet.NewListenUDP("udp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	read := func(c mux.Conn) {
		ctx, cancel := context.WithTimeout(context.Background(), coapPatience)
		defer cancel()
		if _, err := c.Get(ctx, "/3/0/0"); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	router := mux.NewRouter()
	err = router.Handle("/rd", mux.HandlerFunc(func(w mux.ResponseWriter, r *mux.Message) {
		queries, err := r.Options().Queries()
		if err != nil {
			return
		}
		name := strings.TrimPrefix(queries[0], "ep=urn:dev:device-")
		if err := w.SetResponse(codes.Created, message.TextPlain, nil, message.Option{ID: message.LocationPath, Value: []byte("rd")},
			message.Option{ID: message.LocationPath, Value: []byte(name)}); err != nil {
			return
		}
		go read(w.Conn())
	}))
	if err != nil {
		return "", err
	}
	server := udp.NewServer(options.WithMux(router))
	go func() {
		if err := server.Serve(socket); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	return socket.LocalAddr().String(), nil
}

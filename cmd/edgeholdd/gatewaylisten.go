package main

import (
	"errors"
	"io/fs"
	"net"
	"syscall"
)

// listenError is why the gateway can't listen where it is told to, for people.
type listenError struct {
	err  error
	hint string
}

// listening says what to do about an error of opening a gateway's sockets; any other is returned as it is.
func listening(err error) error {
	var address *net.AddrError
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return &listenError{err, "see who listens there (`ss -lnptux`) and stop it, or choose another address under lwm2m, mqtt.listen, bootstrap or metrics"}
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return &listenError{err, "choose an address that this machine has (`ip address`)"}
	case isSocket(err) && errors.Is(err, fs.ErrPermission):
		return &listenError{err, "ports below 1024 and others' folders need rights: choose another address, or run it as a user who may"}
	case isSocket(err) && errors.Is(err, fs.ErrNotExist):
		return &listenError{err, "make the folder of the socket"}
	case errors.As(err, &address):
		return &listenError{err, "write HOST:PORT, such as 127.0.0.1:5684 or :5684"}
	}
	return err
}

func isSocket(err error) bool {
	var op *net.OpError
	return errors.As(err, &op)
}

func (e *listenError) Error() string { return e.err.Error() }
func (e *listenError) Unwrap() error { return e.err }

// ErrorCode names the kind of error for programs.
func (*listenError) ErrorCode() string { return "gateway.listen" }

// ErrorHint says what to do about it.
func (e *listenError) ErrorHint() string { return e.hint }

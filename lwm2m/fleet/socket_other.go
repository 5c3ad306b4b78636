//go:build !linux

package fleet

import "errors"

func open() (*socket, error) {
	return nil, errors.New("sending from many addresses needs Linux's IP_PKTINFO and its loopback network")
}

func destination([]byte) (a [4]byte, ok bool) { return a, false }

//go:build !linux

package coap

import (
	"net/netip"
	"syscall"
)

// Elsewhere than on Linux a socket answers from the address that the system chooses, and hears of nobody who is unreachable.
const controlRoom = 0

func controlUDP(bool) func(network, address string, c syscall.RawConn) error { return nil }

func localOf([]byte) (netip.Addr, bool) { return netip.Addr{}, false }

func appendLocal(dst []byte, _ netip.Addr, _ bool) []byte { return dst }

func (s *udpSocket) drainErrors(string, Receiver) bool { return true }

func isNetworkError(error) bool { return false }

func isLoss(error) bool { return false }

func truncated(int) bool { return false }

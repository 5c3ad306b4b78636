// Package bootstrap is an LwM2M bootstrap server (OMA-TS-LightweightM2M_Core-V1_2 §6.1): a device that knows nobody else asks
// it, and is given its accounts and keys. It has ports and credentials of its own, and speaks the client-initiated mode of
// 1.0 and 1.1, and the pack of 1.2.
//
// It remembers nothing of devices, and is no management server: that is lwm2m/server. What a device gets is decided by who
// configures it, see [Config].Provision.
package bootstrap

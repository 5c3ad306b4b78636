// Package adaptertest runs an adapter without Wasm, against a device that the test makes: an http.Handler, a folder, a store.
// It is neither the agent, which bounds, leases and takes back what an adapter does, nor a judge of capabilities: what a test
// hands out is granted.
//
//	d := adaptertest.New(t, func() adapter.Adapter { return &plug{} })
//	d.HTTP("device", "plug.example.org:80", handler)
//	d.Write("relay/0", adapter.Choice("on"))
//	d.WantRead("relay/0", adapter.Choice("on"))
//
// Like the host, it gives every operation a fresh adapter.
package adaptertest

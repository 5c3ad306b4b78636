// Package extism runs plugins of the Extism project, unmodified, on the host's own runner: with fuel, frozen images, pools,
// limits on everything, record and replay. It is the plain way in: any export, bytes in, bytes out. It is not the Extism SDK:
// there are no host functions of the embedder's own, no linked modules and no files; README.md lists what differs.
//
// Plugins that decide as policies come in through host.Runtime.Prepare like any other; their documents are described in
// README.md too.
package extism

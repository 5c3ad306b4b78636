# TinyGo for the targets wasm-unknown and wasip1. The compiler is a Go module and is built as one, against Debian's LLVM; the C
# libraries that its own releases build from git submodules are Debian's as well.
# shellcheck shell=bash

tinygo_version=v0.41.1 # the newest that the module proxy has all of; takes Go up to 1.26
tinygo_llvm=19

tinygo_stamp() { echo "tinygo $tinygo_version llvm$tinygo_llvm recipe1 $(go env GOVERSION)"; }

have_tinygo() {
	[[ $(cat "$toolchains/tinygo/stamp" 2>/dev/null) == "$(tinygo_stamp)" ]] && "$toolchains/tinygo/bin/tinygo" version >/dev/null
}

install_tinygo() {
	local root=$toolchains/tinygo
	rm -rf "$root"
	mkdir -p "$root/bin" "$root/lib/debian"
	build_tinygo "$root"
	tinygo_libraries "$root/lib/debian"
	tinygo_target "$root/targets/wasm-unknown.json"
	tinygo_target "$root/targets/wasip1.json"
	try_tinygo "$root/bin/tinygo"
	tinygo_stamp >"$root/stamp"
}

# build_tinygo ROOT builds the exact version in a module of its own: `go install` would ask for the list of versions as well.
build_tinygo() (
	set -e
	root=$1 scratch=$(mktemp -d)
	trap 'rm -rf "$scratch"' EXIT
	cd "$scratch"
	cp "$here/toolchains/tinygo.sum" go.sum
	printf 'module build\n\ngo 1.23\n\nrequire github.com/tinygo-org/tinygo %s\n' "$tinygo_version" >go.mod
	unset GOOS GOARCH
	export GOFLAGS='-mod=mod -buildvcs=false' GOWORK=off CGO_ENABLED=1
	go build -tags "llvm$tinygo_llvm" -trimpath -ldflags '-s -w' -o "$root/bin/tinygo" github.com/tinygo-org/tinygo
	module=$(go list -m -f '{{.Dir}}' github.com/tinygo-org/tinygo)
	cp -R "$module/src" "$module/targets" "$root/"
	chmod -R u+w "$root/src" "$root/targets"
	mkdir -p "$root/src/net" # a submodule; when it is empty, Go's own package is used
)

# tinygo_libraries FOLDER copies the two archives and the headers that a module links.
tinygo_libraries() {
	local header
	cp "$(debian_file wasi-libc /libc.a)" "$(debian_file "libclang-rt-$tinygo_llvm-dev-wasm32" /libclang_rt.builtins-wasm32.a)" "$1/"
	header=$(debian_file wasi-libc /wasi/api.h)
	cp -R "${header%/wasi/api.h}" "$1/include"
}

# debian_file PACKAGE ENDING finds a file of an installed package.
debian_file() { dpkg -L "$1" | grep -m1 -F -- "$2"; }

# tinygo_target FILE makes a target link those instead of building its own, and drops two features that this LLVM does not know.
tinygo_target() {
	sed -i -e '/"rtlib":/d' -e '/"libc":/d' -e 's/,+bulk-memory-opt,+call-indirect-overlong//' \
		-e 's|"ldflags": *\[|&\n\t\t"{root}/lib/debian/libc.a", "{root}/lib/debian/libclang_rt.builtins-wasm32.a",|' \
		-e 's|"cflags": *\[|&\n\t\t"-nostdlibinc", "-isystem", "{root}/lib/debian/include",|' "$1"
	grep -q lib/debian/libc.a "$1"
}

# try_tinygo TINYGO builds a module of each kind.
try_tinygo() (
	set -e
	scratch=$(mktemp -d)
	trap 'rm -rf "$scratch"' EXIT
	cd "$scratch"
	printf 'module try\n\ngo 1.23\n' >go.mod
	printf 'package main\n\n//go:wasmexport double\nfunc double(n uint32) uint32 { return n * 2 }\n\nfunc main() {}\n' >main.go
	unset TINYGOROOT
	"$1" build -target=wasm-unknown -gc=precise -opt=z -no-debug -o unknown.wasm .
	"$1" build -target=wasip1 -buildmode=c-shared -scheduler=none -opt=z -no-debug -o wasi.wasm .
)

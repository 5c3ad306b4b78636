# Rust's standard library for wasm32-unknown-unknown, for the rustc that rustup has made the default.
#
# Asking rustup is the usual way. Where it reaches no server, the library is built from the sources of the very same
# version, which Debian packages: a compiler takes no other version's. Last comes Debian's own pair of compiler and sources.
# shellcheck shell=bash

rust_target=wasm32-unknown-unknown

have_rust() {
	if ! command -v rustc >/dev/null || ! command -v cargo >/dev/null; then
		[[ -x $toolchains/rust/bin/cargo ]]
		return
	fi
	rust_std_is_there || [[ -x $toolchains/rust/bin/cargo ]]
}

rust_std_is_there() { compgen -G "$(rustc --print sysroot)/lib/rustlib/$rust_target/lib/libcore-*.rlib" >/dev/null; }

install_rust() {
	local way
	for way in rustup sources debian; do
		if apart "rust_from_$way" && have_rust; then return; fi
	done
	return 1
}

# rust_from_rustup adds to the toolchain that rustup has chosen, which need not be the one in PATH.
rust_from_rustup() {
	timeout 60 rustup target add "$rust_target"
	rust_std_is_there
}

# rust_from_sources builds with the compiler that is there.
rust_from_sources() {
	local version sysroot
	version=$(rustc --version | cut -d' ' -f2)
	sysroot=$(rustc --print sysroot)
	[[ -w $sysroot/lib/rustlib ]]
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	debian_rust_source "$version" "$work"
	build_rust_std rustc cargo "$sysroot" "$work/usr/src/rustc-$version/library" "$work"
	mkdir -p "$sysroot/lib/rustlib/$rust_target/lib"
	cp "$work"/built/*.rlib "$sysroot/lib/rustlib/$rust_target/lib/"
}

# debian_rust_source VERSION FOLDER unpacks Debian's rust-src of exactly this version, from the newer suite that has it. The
# machine's own lists of packages stay as they are.
debian_rust_source() {
	local version=$1 work=$2 sources=/etc/apt/sources.list.d/debian.sources full
	[[ -r $sources ]]
	mkdir -p "$work"/{parts,lists/partial,cache/archives/partial}
	sed -n '1,/^$/p' "$sources" | sed 's/^Suites:.*/Suites: trixie-backports/' >"$work/parts/rust.sources"
	local apt=(-o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$work/parts" -o Dir::Etc::PreferencesParts=/dev/null
		-o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o Dir::State::status=/dev/null -o APT::Sandbox::User=root)
	apt-get "${apt[@]}" -qq update
	full=$(apt-cache "${apt[@]}" madison rust-src | awk '{print $3}' | grep -m1 "^${version//./\\.}+")
	(cd "$work" && apt-get "${apt[@]}" -qq download "rust-src=$full")
	dpkg-deb --fsys-tarfile "$work"/rust-src_*.deb | tar -x -C "$work" "./usr/src/rustc-$version/library"
}

# build_rust_std RUSTC CARGO SYSROOT LIBRARY WORK leaves the libraries in WORK/built. Embedded bitcode is for link-time
# optimisation. The vendored sources take the registry's place for this build alone.
build_rust_std() {
	local rustc=$1 cargo=$2 sysroot=$3 library=$4 work=$5 link=$3/lib/rustlib/src/rust
	mkdir -p "$work/shim/src" "$work/built"
	printf '[package]\nname = "shim"\nversion = "0.0.0"\nedition = "2021"\n[profile.release]\npanic = "abort"\ncodegen-units = 1\n' >"$work/shim/Cargo.toml"
	: >"$work/shim/src/lib.rs"
	if [[ ! -e $link ]]; then
		mkdir -p "$(dirname "$link")"
		ln -s "$(dirname "$library")" "$link"
		# shellcheck disable=SC2064 # the names are gone when it runs
		trap "rm -f '$link'; rm -rf '$work'" EXIT
	fi
	(cd "$work/shim" && RUSTC=$rustc RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Cembed-bitcode=yes CARGO_TARGET_DIR=$work/target \
		"$cargo" build --release --offline -Zbuild-std=std,panic_abort --target "$rust_target" \
		--config 'source.crates-io.replace-with="vendored"' --config "source.vendored.directory=\"$library/vendor\"")
	cp "$work/target/$rust_target"/release/deps/lib*.rlib "$work/built/"
	rm -f "$work"/built/libshim*
}

# rust_from_debian makes $toolchains/rust/bin/{cargo,rustc} out of Debian's compiler for browsers, whose sources are packaged
# beside it.
rust_from_debian() {
	local become=() version root system folder name
	if ((EUID)); then become=(sudo -n); fi
	"${become[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends rustc-web cargo-web rust-web-src
	version=$(/usr/bin/rustc --version | cut -d' ' -f2)
	root=$toolchains/rust
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	rm -rf "$root"
	mkdir -p "$root/bin" "$root/sysroot/lib/rustlib/$rust_target/lib"
	system=$(/usr/bin/rustc --print sysroot)
	for folder in "$system"/lib/rustlib/*; do
		name=$(basename "$folder")
		[[ $name == src || $name == "$rust_target" ]] || ln -s "$folder" "$root/sysroot/lib/rustlib/$name"
	done
	printf '#!/bin/sh\nexec /usr/bin/rustc --sysroot %s "$@"\n' "$root/sysroot" >"$root/bin/rustc"
	chmod +x "$root/bin/rustc"
	build_rust_std "$root/bin/rustc" /usr/bin/cargo "$root/sysroot" "/usr/src/rustc-$version/library" "$work"
	cp "$work"/built/*.rlib "$root/sysroot/lib/rustlib/$rust_target/lib/"
	printf '#!/bin/sh\nexport RUSTC=%s CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld-19\nexec /usr/bin/cargo "$@"\n' \
		"$root/bin/rustc" >"$root/bin/cargo"
	chmod +x "$root/bin/cargo"
}

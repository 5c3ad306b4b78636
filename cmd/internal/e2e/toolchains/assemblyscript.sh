# The AssemblyScript compiler, in the exact version of the lock file in sdk/assemblyscript. It is JavaScript and has no
# install scripts.
# shellcheck shell=bash

assemblyscript_lock=$repository/sdk/assemblyscript/package-lock.json

have_assemblyscript() {
	cmp -s "$assemblyscript_lock" "$toolchains/assemblyscript/installed.lock"
}

install_assemblyscript() {
	local root=$toolchains/assemblyscript
	rm -rf "$root"
	mkdir -p "$root"
	cp "$(dirname "$assemblyscript_lock")"/package{,-lock}.json "$root"
	(cd "$root" && npm ci --ignore-scripts --no-audit --no-fund --prefer-offline --loglevel=error)
	node "$root/node_modules/assemblyscript/bin/asc.js" --version
	cp "$assemblyscript_lock" "$root/installed.lock"
}

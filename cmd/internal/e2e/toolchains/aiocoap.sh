# aiocoap, another implementation of CoAP for the endpoint's tests to talk to, in an exact version.
# shellcheck shell=bash

aiocoap_version=0.4.17

have_aiocoap() {
	[[ $(cat "$toolchains/aiocoap/installed.version" 2>/dev/null) == "$aiocoap_version" ]]
}

install_aiocoap() {
	local root=$toolchains/aiocoap
	rm -rf "$root"
	python3 -m venv "$root"
	"$root/bin/pip" install --quiet --disable-pip-version-check "aiocoap==$aiocoap_version"
	"$root/bin/aiocoap-client" --version
	echo "$aiocoap_version" >"$root/installed.version"
}

#!/usr/bin/env bash
# Makes the certificates with which the tests speak TLS: an authority, and a server `localhost`. They
# are valid for a hundred years, and nothing but the tests trusts them.
set -euo pipefail
cd "$(dirname "$0")"
key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 36500)

openssl req -x509 "${key[@]}" -subj "/CN=wasmpool test authority" \
	-keyout authority.key -out authority.pem
openssl req -x509 "${key[@]}" -subj "/CN=localhost" -addext "subjectAltName=DNS:localhost" \
	-addext "basicConstraints=critical,CA:FALSE" -CA authority.pem -CAkey authority.key \
	-keyout localhost.key -out localhost.pem
rm authority.key

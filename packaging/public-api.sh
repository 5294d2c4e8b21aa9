#!/usr/bin/env bash
# Writes the public API of the published libraries into `public-api.txt` beside their manifests, an
# item a line, without what the compiler implements for all types. It takes cargo-public-api and a
# nightly toolchain: the form in which rustdoc tells it is not stable.
set -euo pipefail
cd "$(dirname "$0")/.."

# Apart from the other builds, whose compiler is another one.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/public-api"
for package in host/wasmpool guest-tasks/sdk; do
	listing=$(cargo "+${NIGHTLY:-nightly}" public-api --manifest-path "$package/Cargo.toml" \
		--all-features --omit blanket-impls,auto-trait-impls)
	printf '%s\n' "$listing" >"$package/public-api.txt"
done

#!/usr/bin/env bash
# Makes the packages of a release in target/package/. Then tests nothing but them outside of the
# repository: their own tests and examples, the program, and a new guest with the packaged SDK.
set -euo pipefail
cd "$(dirname "$0")/.."

# Each after those that it depends on: the order in which they are published.
packages=(
	wasmpool-guest-macros
	wasmpool-guest
	wasmpool-factorizer
	wasmpool-kernels
	wasmpool-guests
	wasmpool
	wasmpool-bench
	wasmpool-cluster
	wasmpool-cli
)

version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' Cargo.toml)
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
step() { printf '\n== %s\n' "$*"; "$@"; }
fail() {
	echo "$*" >&2
	exit 1
}

# The part of a manifest that takes packages from where they are unpacked, not from the registry.
patched() {
	printf '\n[patch.crates-io]\n'
	local package
	for package; do
		printf '%s = { path = "%s/%s-%s" }\n' "$package" "$away" "$package" "$version"
	done
}

# The guests, as the package carries them.
step cargo build --release --target-dir "$target" --package wasmpool-guests
rm -rf host/guests/wasm
mkdir host/guests/wasm
cp "$target"/guests/*.wasm host/guests/wasm

# The guests are not in git, which to cargo is a change that was not committed.
step cargo package --no-verify --allow-dirty --target-dir "$target" "${packages[@]/#/--package=}"

# Where no folder around it is the repository.
away=$(mktemp -d)
trap 'rm -rf "$away"' EXIT
for package in "${packages[@]}"; do
	# With the time of now: those in packages are of 2006, and cargo would take what it built from
	# another package of this name for up to date.
	tar --touch -xzf "$target/package/$package-$version.crate" -C "$away"
	for file in README.md LICENSE-APACHE LICENSE-MIT; do
		test -s "$away/$package-$version/$file" || fail "$package is without $file"
	done
done
for guest in host/guests/wasm/*; do
	cmp "$guest" "$away/wasmpool-guests-$version/wasm/${guest##*/}"
done

# A workspace of the packages, built like that of the repository: of what they depend on, what the
# tests there have built has the same features and is not built again.
cp Cargo.lock "$away"
cd "$away"
{
	printf '[workspace]\nresolver = "3"\nmembers = ["wasmpool*"]\n'
	patched "${packages[@]}"
} >Cargo.toml
step cargo build --release --workspace --all-targets --target-dir "$target"
step cargo test --release --workspace --target-dir "$target"
# The next build in the repository puts its own program there.
cp "$target/release/wasmpool" .

printed=$(step ./wasmpool run factorizer 360 --no-cache)
echo "$printed"
test "$(tail -n 1 <<<"$printed")" = '{"index":0,"input":360,"output":[2,2,2,3,3,5]}' ||
	fail "the program does not run its own guest"
step ./wasmpool new new_guest
grep -Fqx "wasmpool-guest = \"$version\"" new_guest/Cargo.toml ||
	fail "the new guest does not name the published SDK: $(cat new_guest/Cargo.toml)"
cp Cargo.lock new_guest
patched wasmpool-guest-macros wasmpool-guest >>new_guest/Cargo.toml
cd new_guest
step cargo build --release --target-dir "$target"
step ../wasmpool run "$target/wasm32-wasip2/release/new_guest.wasm" 360 --no-cache

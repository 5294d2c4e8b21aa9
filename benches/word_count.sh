#!/usr/bin/env bash
# Ten thousand runs of a small word count, each over one line of text: as WASI programs in
# sandboxes, each fresh, and as native processes of the same source. Prints the median of some
# rounds, taken in turns, and how often the sandboxes run in the time of the processes.
#
#     benches/word_count.sh [RUNS] [ROUNDS]
set -euo pipefail
cd "$(dirname "$0")/.."

runs=${1:-10000}
rounds=${2:-5}
workers=2

cargo build --quiet --release -p wasmpool-cli -p programs
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for i in $(seq "$runs"); do echo "line $i has some words in it"; done >"$folder/lines"

sandboxes() {
	target/release/wasmpool run "target/guests/$1.wasm" --input "$folder/lines" \
		--workers "$workers" --quiet -- count >"$folder/$1"
}
processes() {
	xargs -d '\n' -n 1 -P "$workers" target/release/programs count \
		<"$folder/lines" >"$folder/native"
}
seconds() {
	local started=$EPOCHREALTIME
	"$@"
	local ended=$EPOCHREALTIME
	awk -v from="$started" -v to="$ended" 'BEGIN { print to - from }'
}
median() { sort -g | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'; }

for _ in $(seq "$rounds"); do
	for program in programs programs_p1; do
		seconds sandboxes "$program" >>"$folder/$program.seconds"
	done
	seconds processes >>"$folder/native.seconds"
done

for program in programs programs_p1; do
	[ "$(grep -c '"code":0' "$folder/$program")" = "$runs" ] || { echo "$program has failed" >&2; exit 1; }
done
[ "$(wc -l <"$folder/native")" = "$runs" ] || { echo "the processes have failed" >&2; exit 1; }

native=$(median <"$folder/native.seconds")
echo "$runs runs of a word count, $workers at once, medians of $rounds rounds"
echo "xargs -P $workers, native processes: $native s"
for program in programs programs_p1; do
	median <"$folder/$program.seconds" | awk -v name="$program.wasm" -v native="$native" \
		'{ printf "wasmpool run %s: %s s, %.1f times in the time of the processes\n", name, $1, native / $1 }'
done

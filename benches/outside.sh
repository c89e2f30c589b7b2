#!/usr/bin/env bash
# What drift-gate costs beside the programs that one would use instead, as whole processes.
#
#     benches/outside.sh DRIFT_GATE CONSUMER SOURCE CONFIG CONTEXT DOCKERFILE PATH...
#
# DRIFT_GATE  the program, built for release
# CONSUMER    a local repository (bare ones do), with all its history
# SOURCE      the other one
# CONFIG      a configuration with one gate on the two
# CONTEXT     a build context on disk, with everything that the build wants
# DOCKERFILE  its Dockerfile
# PATH...     what the gate reads in the consumer: `git log` is asked about it
#
# Each pair runs in turn, ROUNDS times (15), so that what else the machine does falls on both; the medians count. GIT, FIND
# and DIFF name other programs than those of the path. There is no `docker build` here: CACHED_BUILD (106) is what a fully
# cached one took elsewhere, in milliseconds, and the row says so.
set -euo pipefail

if [ $# -lt 7 ]; then
    sed -n '2,/^set/{s/^# \{0,1\}//p}' "$0" >&2
    exit 2
fi
gate=$(realpath "$1") consumer=$(realpath "$2") source=$(realpath "$3") config=$(realpath "$4")
context=$(realpath "$5") dockerfile=$(realpath "$6") paths=("${@:7}")
rounds=${ROUNDS:-15} git=${GIT:-git} find=${FIND:-find} diff=${DIFF:-diff} cached_build=${CACHED_BUILD:-106}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Runs a function; microseconds. What it prints is not wanted, and 1 is drift or a difference.
timed() {
    local begun=${EPOCHREALTIME/./} code=0
    "$@" >"$work/out" 2>"$work/errors" || code=$?
    local ended=${EPOCHREALTIME/./}
    if [ "$code" -gt 1 ]; then
        echo "$1 ended with $code: $(tail -n 1 "$work/errors")" >&2
        exit 1
    fi
    echo $((ended - begun))
}

median() { sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }

# One row: what it is, ours, the other, the aim.
row() {
    local name=$1 ours=$2 other=$3 aim=$4
    : >"$work/ours" && : >"$work/other"
    timed "$ours" >/dev/null
    timed "$other" >/dev/null
    for _ in $(seq "$rounds"); do
        timed "$ours" >>"$work/ours"
        timed "$other" >>"$work/other"
    done
    told "$name" "$(median <"$work/ours")" "$(median <"$work/other")" "$aim"
}

told() {
    awk -v name="$1" -v ours="$2" -v other="$3" -v aim="$4" 'BEGIN {
        ratio = ours > other ? sprintf("%.1f times as long", ours / other) : sprintf("%.1f times as fast", other / ours)
        printf "%-44s %9.1f ms %9.1f ms   %-20s %s\n", name, ours / 1000, other / 1000, ratio, "aim: " aim
    }'
}

check() { "$gate" check --config "$config" --consumer "$consumer" --source "$source"; }
clone_and_diff() {
    rm -rf "$work/clones"
    "$git" clone --quiet --depth 1 "file://$consumer" "$work/clones/consumer"
    "$git" clone --quiet --depth 1 "file://$source" "$work/clones/source"
    "$diff" -r "$work/clones/consumer" "$work/clones/source"
}

backtest() { "$gate" backtest --config "$config" --consumer "$consumer" --source "$source"; }
log() { "$git" -C "$consumer" log --format=%H -- "${paths[@]}"; }

tree() { "$gate" tree --context "$context" --file "$dockerfile"; }

large() { "$gate" tree --context "$work/large" --file "$work/Dockerfile.large" --under nothing; }
walk() { "$find" "$work/large" -printf '%m %s %y\n'; }

# 100,000 files and 1,000 lines that hide some of them, with exceptions.
make_large() {
    mkdir -p "$work/large"
    awk -v root="$work/large" 'BEGIN {
        for (part = 0; part < 20; part++) for (module = 0; module < 50; module++)
            printf "%s/part%02d/module%02d/src\n", root, part, module
    }' | xargs mkdir -p
    awk -v root="$work/large" 'BEGIN {
        split("rs ts md json log tmp py go css txt", ends, " ")
        for (part = 0; part < 20; part++) for (module = 0; module < 50; module++) for (file = 0; file < 100; file++)
            printf "%s/part%02d/module%02d/src/file%02d.%s\n", root, part, module, file, ends[file % 10 + 1]
    }' | xargs touch
    awk 'BEGIN {
        for (i = 0; i < 250; i++) printf "part%02d/module%02d/src/file%02d.none\n", i % 20, i % 50, i % 100
        for (i = 0; i < 250; i++) printf "**/cache%d\n", i
        for (i = 0; i < 200; i++) printf "**/*.ext%d\n", i
        for (i = 0; i < 150; i++) printf "part%02d/build%d/**\n", i % 20, i
        for (i = 0; i < 120; i++) printf "part%02d/*/target%d*\n", i % 20, i
        for (i = 0; i < 10; i++) printf "part%02d/module%02d/src\n", i, i
        print "**/*.log\n**/*.tmp"
        for (i = 0; i < 18; i++) printf "!part%02d/module%02d/src/file00.rs\n", i, i
    }' >"$work/large/.dockerignore"
    printf 'FROM scratch\nCOPY . /all/\n' >"$work/Dockerfile.large"
}

make_large

printf '%-44s %12s %12s\n' '' drift-gate other
row 'check / clone both, diff -r' check clone_and_diff '>= 100 times as fast'
row 'backtest / git log -- PATH...' backtest log '<= 10 times as long'
row '100,000 files, 1,000 ignore lines / find' large walk '<= 2 times as long'
: >"$work/ours"
for _ in $(seq "$rounds"); do timed tree >>"$work/ours"; done
told 'tree / docker build, cached, NOT MEASURED HERE' "$(median <"$work/ours")" $((cached_build * 1000)) '>= 20 times as fast'
"$gate" tree --context "$work/large" --file "$work/Dockerfile.large" --under nothing >/dev/null &
pid=$!
most=0
while kill -0 "$pid" 2>/dev/null; do
    now=$(awk '/^VmHWM/ { print $2 }' "/proc/$pid/status" 2>/dev/null || true)
    most=$((${now:-0} > most ? ${now:-0} : most))
done
wait "$pid" || true
echo "memory of the 100,000 files: $((most / 1024)) MiB at its most (aim: <= 100)"

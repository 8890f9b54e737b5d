#!/bin/sh
# Builds what ships in two folders of different names and compares: a program must not tell where it was built.
#
#   installers/same-bytes.sh [ARGUMENTS OF cargo xtask build]
#
# Takes some minutes and 4 GB below /tmp, or below TMPDIR.
set -eu

sources=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
[ $# -gt 0 ] || set -- --release

for name in one another-name; do
    mkdir -p -- "$work/$name"
    (cd "$sources" && tar -cf - --exclude=./target --exclude=./fuzz/target --exclude=node_modules --exclude=./.git .) |
        (cd "$work/$name" && tar -xf -)
    (cd "$work/$name" && env -u CARGO_TARGET_DIR cargo xtask build "$@")
done

status=0
for program in keyfob keyfobd keyfob-tray; do
    one=$(find "$work/one/target" -maxdepth 2 -name "$program" -type f)
    [ -n "$one" ] || continue
    if cmp -- "$one" "$work/another-name${one#"$work/one"}"; then
        echo "$program: the same $(wc -c <"$one") bytes"
    else
        status=1
    fi
done
exit "$status"

#!/bin/sh
# A C compiler for @TARGET@, written by `cargo xtask cross`. It leaves out what zig does not know. Objective-C needs Apple's own
# headers: an empty object stands in for it, which is enough where nothing is linked.
expected=
output=
objective=
for word do
    shift
    case $expected in
    output) output=$word ;;
    skipped) expected= && continue ;;
    esac
    expected=
    case $word in
    -arch | -isysroot | -target) expected=skipped && continue ;;
    -mmacosx-version-min=* | -mmacos-version-min=* | --target=* | -gfull) continue ;;
    -o) expected=output ;;
    *.m) objective=yes ;;
    esac
    set -- "$@" "$word"
done
if [ -n "$objective" ]; then
    set -- -x c -c /dev/null -o "$output"
fi
exec '@ZIG@' cc -target @TARGET@ "$@"

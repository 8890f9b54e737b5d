#!/bin/sh
# Takes away what the package has installed: sudo /Applications/Keyfob.app/Contents/Resources/uninstall.sh
# Configuration and keychain stay; `keyfob uninstall --purge` before it takes those, too.
set -eu

if [ "$(id -u)" != 0 ]; then
    echo "keyfob: run it as an administrator: sudo '$0'" >&2
    exit 1
fi
programs=/Applications/Keyfob.app/Contents/MacOS

# As each person: what is in their folder is theirs, and a link there leads root nowhere.
for home in /Users/*; do
    number=$(stat -f %u "$home")
    [ "$number" -ge 500 ] || continue
    for label in dev.keyfob.agent dev.keyfob.tray; do
        launchctl bootout "gui/$number/$label" 2>/dev/null || true
        sudo -u "#$number" rm -f "$home/Library/LaunchAgents/$label.plist" || true
    done
done
for name in keyfob bazel-credential-keyfob docker-credential-keyfob git-credential-keyfob; do
    link="/usr/local/bin/$name"
    if [ -L "$link" ] && [ "$(readlink "$link")" = "$programs/$name" ]; then
        rm "$link"
    fi
done
# Agents that `keyfob` started by itself: those of this application, and no others of the same name.
ps -axo pid=,comm= | while read -r number program; do
    case "$program" in
    "$programs/keyfob-tray" | "$programs/keyfobd") kill -TERM "$number" 2>/dev/null || true ;;
    esac
done
rm -rf /Applications/Keyfob.app
pkgutil --forget dev.keyfob.pkg >/dev/null 2>&1 || true
echo "keyfob: removed"

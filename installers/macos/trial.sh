#!/usr/bin/env bash
# Installs a package on this Mac, gets a credential through the sockets of launchd, and removes everything. For a machine that nobody
# uses (a runner of CI): it is done to the person who runs it, and their configuration of Keyfob must be empty.
#   installers/macos/trial.sh target/dist/Keyfob-0.1.0-aarch64.pkg
set -euo pipefail

package=$1
programs=/Applications/Keyfob.app/Contents/MacOS
service="gui/$(id -u)/dev.keyfob.agent"
support="$HOME/Library/Application Support/Keyfob"
agent_file="$HOME/Library/LaunchAgents/dev.keyfob.agent.plist"
value="not-a-secret-$RANDOM$RANDOM"
# A job of CI is asked nothing; this one is a person's.
unset CI

fail() {
    echo "trial: $1" >&2
    launchctl print "$service" >&2 || true
    tail -n 50 "$support/keyfobd.log" >&2 || true
    exit 1
}
agents() { pgrep -x keyfobd || true; }
get() { printf '{"uri":"https://cache.example.test/trial"}' | /usr/local/bin/bazel-credential-keyfob get; }
is_answered() {
    case "$(get)" in *"$value"*) ;; *) fail "$1: this is no answer" ;; esac
}

[ ! -e "$support/config.toml" ] || fail "there is a configuration at $support; use a machine that nobody uses"
sudo installer -pkg "$package" -target /
pkgutil --pkg-info dev.keyfob.pkg
[ "$(readlink /usr/local/bin/keyfob)" = "$programs/keyfob" ] || fail "no link"
# The installer does it for the person at the screen, whom a runner may not have.
[ -e "$agent_file" ] || keyfob agent enable
plutil -lint "$agent_file"

for socket in agent control; do
    [ -S "$support/run/$socket.sock" ] || fail "launchd has not opened the socket $socket"
    [ "$(stat -f %Lp "$support/run/$socket.sock")" = 600 ] || fail "others may use the socket $socket"
done
[ -z "$(agents)" ] || fail "an agent runs before anybody has come"

printf '[token.trial]\nhosts = ["cache.example.test"]\nheader = "X-Trial"\n' > "$support/config.toml"
printf %s "$value" | keyfob token add trial
is_answered "the first call"
first=$(agents)
[ "$(wc -w <<< "$first")" -eq 1 ] || fail "not one agent, but: $first"
case "$(launchctl print "$service")" in *"pid = $first"*) ;; *) fail "the agent is not launchd's" ;; esac

# The next caller starts the next one, which has the token from the keychain.
keyfob agent stop
is_answered "the call after a stop"
second=$(agents)
case "$second" in "" | "$first") fail "no other agent after a stop" ;; esac

# The same programs again, as an upgrade: the process stays, the sockets too.
sudo installer -pkg "$package" -target /
for _ in $(seq 40); do
    is_answered "a call through an upgrade"
    sleep 0.1
done
[ "$(agents)" = "$second" ] || fail "an upgrade has ended the agent"
grep -q "the new version takes over" "$support/keyfobd.log" || fail "the agent has not become the new version"

keyfob token remove trial --keep-at-service
sudo "/Applications/Keyfob.app/Contents/Resources/uninstall.sh"
for path in /Applications/Keyfob.app /usr/local/bin/keyfob /usr/local/bin/bazel-credential-keyfob "$agent_file" \
    "$support/run/agent.sock"; do
    if [ -e "$path" ] || [ -L "$path" ]; then fail "removal leaves $path"; fi
done
[ -e "$support/config.toml" ] || fail "removal took the configuration"
rm -r "$support"
echo "trial: passed"

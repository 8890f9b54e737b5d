# What happens on the machine: both versions of the package lie in /trial, and the user `worker` has signed in.
set -eu
cd /
export DEBIAN_FRONTEND=noninteractive
old=$1
new=$2
# `keep`: the person's own profile, whose things stay. `purge`: a second one, with a session of the company's; nothing stays.
pass=$3
token=$(cat /trial/token)
profile=
if [ "$pass" = purge ]; then
    profile="KEYFOB_STATE_DIR=/home/worker/.local/state/keyfob-trial KEYFOB_RUNTIME_DIR=/run/user/1000/keyfob"
    profile="$profile KEYFOB_CONFIG=/home/worker/.config/keyfob/config.toml"
fi

fail() {
    echo "FAILED: $*" >&2
    exit 1
}
as_worker() {
    runuser -u worker -- env -i HOME=/home/worker USER=worker XDG_RUNTIME_DIR=/run/user/1000 \
        DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus PATH=/usr/bin:/bin $profile "$@"
}
# What packages leave anywhere but in the package manager's own books.
files() {
    find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /trial \
        -o -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/cache -o -path /var/log -o -path /var/lib/systemd \) \
        -prune -o -print | LC_ALL=C sort
}
wait_for() {
    what=$1
    tries=$2
    shift 2
    while ! "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "no $what"
        sleep 0.1
    done
}
get() {
    echo '{"uri":"https://aw-remote-ext.acme.dev/x"}' | as_worker bazel-credential-keyfob get
}
install() {
    apt-get install -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 "/trial/keyfob_$1_amd64.deb" >/trial/apt.log 2>&1 ||
        fail "$(cat /trial/apt.log)"
}
agents() {
    grep -lx keyfobd /proc/[0-9]*/comm 2>/dev/null | cut -d/ -f3
}
no_agent() {
    [ -z "$(agents)" ]
}
runs() {
    case $(as_worker keyfob agent status --json 2>/dev/null) in
    *"\"version\":\"$1\""*) ;;
    *) return 1 ;;
    esac
}

useradd --create-home worker
loginctl enable-linger worker
wait_for "manager of the user" 100 test -S /run/user/1000/bus
files >/trial/before

install "$old"
wait_for "door that the socket unit opened" 50 test -S /run/user/1000/keyfob/agent.sock
no_agent || fail "an agent runs, and nobody has asked for it"
[ "$(stat -c '%a %U' /run/user/1000/keyfob /run/user/1000/keyfob/control.sock | tr '\n' ' ')" = "700 worker 600 worker " ] ||
    fail "the doors are open to others"
as_worker sh -eu -c '
umask 077
mkdir -p ~/.config/keyfob ~/.config/systemd/user/keyfobd.service.d
printf "correct horse battery staple\n" >~/passphrase
cp /trial/config.toml ~/.config/keyfob/config.toml
printf "[Service]\nEnvironment=KEYFOB_PASSPHRASE_FILE=%%h/passphrase %s\n" "$1" \
    >~/.config/systemd/user/keyfobd.service.d/trial.conf
systemctl --user daemon-reload
' sh "$profile"
echo "$token" | as_worker keyfob token add aspect >/dev/null
case $(get) in *'"X-Aspect":["aw_'*) ;; *) fail "the token is not given" ;; esac
session() {
    [ "$pass" = keep ] || case $(echo '{"uri":"https://eu.cache.acme.dev/x"}' | as_worker keyfob get) in
    *Bearer*) ;;
    *) fail "the session gives nothing" ;;
    esac
}
if [ "$pass" = purge ]; then
    as_worker env BROWSER=/trial/keyfob-sandbox-browser keyfob login okta --browser >/dev/null 2>&1 || fail "no sign-in"
fi
session
agent=$(agents)
[ "$(as_worker systemctl --user show --property=MainPID --value keyfobd.service)" = "$agent" ] ||
    fail "the agent is not the one of the unit"
as_worker keyfob setup bazel >/dev/null
echo "the socket unit started the agent, version $old, and it gives the token"

# At least 50 calls a second, from twelve callers.
mkdir /trial/calls
for caller in 1 2 3 4 5 6 7 8 9 10 11 12; do
    as_worker sh -c '
        count=0
        while [ ! -e /trial/stop ]; do
            answer=$(echo "{\"uri\":\"https://aw-remote-ext.acme.dev/x\"}" | keyfob get 2>&1)
            case $answer in *\"X-Aspect\":[[]\"aw_*) count=$((count + 1)) ;; *) printf "%s\n" "$answer" >&2 ;; esac
            sleep 0.09
        done
        echo $count' >/trial/calls/$caller 2>/trial/calls/$caller.failed &
done
# When the file is another one, and when the agent is.
(
    file=$(stat -c %i /usr/bin/keyfobd)
    while [ "$(stat -c %i /usr/bin/keyfobd 2>/dev/null || echo "$file")" = "$file" ]; do sleep 0.01; done
    date +%s%N >/trial/replaced
    tries=1000
    while ! runs "$new" && [ $tries -gt 0 ]; do
        tries=$((tries - 1))
        sleep 0.01
    done
    date +%s%N >/trial/took-over
) &
watch=$!
began=$(date +%s%N)
sleep 1
install "$new"
wait $watch
sleep 1
touch /trial/stop
wait
ended=$(date +%s%N)
cat /trial/calls/*.failed >&2
[ -z "$(cat /trial/calls/*.failed)" ] || fail "calls failed while the package was replaced"
count=0
for caller in 1 2 3 4 5 6 7 8 9 10 11 12; do
    count=$((count + $(cat /trial/calls/$caller)))
done
rate=$((count * 1000 / ((ended - began) / 1000000)))
took=$((($(cat /trial/took-over) - $(cat /trial/replaced)) / 1000000))
session
[ "$(agents)" = "$agent" ] || fail "it is another process"
[ "$(as_worker keyfob --version)" = "keyfob $new" ] || fail "the command line is not $new"
echo "version $new took over in $took ms; $count calls meanwhile, $rate a second, none failed"
[ "$rate" -ge 50 ] || fail "these were too few"
[ "$took" -lt 1500 ] || fail "that took too long"

if [ "$pass" = purge ]; then
    # A second profile leaves the lines alone that are the main one's.
    as_worker keyfob setup bazel --remove >/dev/null
    as_worker keyfob uninstall --purge --yes
    no_agent || fail "the agent runs on"
    as_worker sh -c 'rm -r ~/passphrase ~/.config/systemd'
fi
apt-get remove -qq -y -o Dpkg::Use-Pty=0 keyfob >/dev/null
wait_for "end of the agent" 200 no_agent
wait_for "end of the doors" 50 test ! -e /run/user/1000/keyfob/agent.sock
apt-get purge -qq -y -o Dpkg::Use-Pty=0 keyfob >/dev/null
files >/trial/after
left=$(LC_ALL=C comm -13 /trial/before /trial/after | grep -v '^/home/worker/\.\(config\|local\)\(/state\|/systemd\|/systemd/user\)*$' || true)
gone=$(LC_ALL=C comm -23 /trial/before /trial/after)
[ -z "$gone" ] || fail "this is gone: $gone"
if [ "$pass" = purge ]; then
    [ -z "$left" ] || fail "this is left: $left"
    echo "uninstall --purge and the removal of the package left nothing"
else
    foreign=$(echo "$left" | grep -v '^/home/worker/' || true)
    [ -z "$foreign" ] || fail "this is left: $foreign"
    echo "$left" | grep -q '^/home/worker/.config/keyfob/config.toml$' || fail "the configuration is gone"
    echo "$left" | grep -q '^/home/worker/.local/state/keyfob/keychain/token.aspect.age$' || fail "the token is gone"
    echo "the removal left what is the person's: $(echo "$left" | wc -l) files and folders in the home"
fi

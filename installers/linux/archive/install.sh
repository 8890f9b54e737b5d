#!/bin/sh
# Installs Keyfob from its archive into a home folder, or under another prefix. No root is needed.
#
#   ./install.sh [--prefix FOLDER] [--without-tray] [--force]
#   ./install.sh --uninstall [--prefix FOLDER]
#
# What it writes is listed in PREFIX/share/keyfob/manifest with what it wrote there. A file that is not as this script wrote it
# is somebody's own: it is neither replaced nor removed. PREFIX/share/keyfob/uninstall.sh is this script again.
set -eu
umask 022
export LC_ALL=C

say() { printf '%s\n' "keyfob: $*"; }
refuse() {
    printf '%s\n' "keyfob: $1" >&2
    [ $# -lt 2 ] || printf '  %s\n' "$2" >&2
    exit "${3:-1}"
}

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
verb=install prefix='' with_tray=yes force=no
if [ "$(basename -- "$0")" = uninstall.sh ]; then
    verb=uninstall
    prefix=${here%/share/keyfob}
fi
while [ $# -gt 0 ]; do
    case $1 in
    --prefix)
        [ $# -ge 2 ] || refuse "--prefix needs a folder" "$0 --prefix \"\$HOME/.local\"" 2
        prefix=$2
        shift
        ;;
    --prefix=*) prefix=${1#--prefix=} ;;
    --without-tray) with_tray=no ;;
    --force) force=yes ;;
    --uninstall) verb=uninstall ;;
    --help | -h)
        sed -n '2,8s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    *) refuse "there is no option $1" "$0 --help" 2 ;;
    esac
    shift
done

is_root=no
[ "$(id -u)" != 0 ] || is_root=yes
if [ -z "$prefix" ]; then
    [ "$is_root" = no ] || refuse "as root it must be told where to" "$0 --prefix /usr/local" 2
    [ -n "${HOME:-}" ] || refuse "HOME is not set" "$0 --prefix FOLDER" 2
    prefix=$HOME/.local
fi
# The AWS tools split command lines in different ways, and units and desktop entries in others.
case $prefix in
*[!A-Za-z0-9_./:-]*) refuse "the path $prefix may have only letters, digits and _ . / : -" "$0 --prefix FOLDER" 2 ;;
/*) ;;
*) refuse "the prefix must be an absolute path" "$0 --prefix \"\$PWD/$prefix\"" 2 ;;
esac
prefix=${prefix%/}
own=$prefix/share/keyfob
manifest=$own/manifest

# What a person's own session reads is below the person's home, whatever the prefix. For root nothing starts at sign-in.
units=$prefix/share/systemd/user autostart=''
if [ "$is_root" = no ]; then
    units=${XDG_DATA_HOME:-$HOME/.local/share}/systemd/user
    autostart=${XDG_CONFIG_HOME:-$HOME/.config}/autostart
    case $units$autostart in
    *[!A-Za-z0-9_./:-]*) units='' autostart='' ;;
    esac
fi

# Where a file of the archive goes; nothing for one that stays there.
target_of() {
    case $1 in
    install.sh) ;;
    lib/systemd/user/*.service | lib/systemd/user/*.socket) [ -z "$units" ] || printf '%s\n' "$units/${1##*/}" ;;
    etc/xdg/autostart/*) [ -z "$autostart" ] || printf '%s\n' "$autostart/${1##*/}" ;;
    share/zsh/vendor-completions/*) printf '%s\n' "$prefix/share/zsh/site-functions/${1##*/}" ;;
    bin/* | share/*) printf '%s\n' "$prefix/$1" ;;
    esac
}

is_of_tray() {
    case $1 in
    *keyfob-tray* | *dev.keyfob.tray*) return 0 ;;
    *) return 1 ;;
    esac
}

# One line for what a path is now: the manifest has the same.
state_of() {
    if [ -L "$1" ]; then
        printf 'link %s %s\n' "$(readlink -- "$1")" "$1"
    elif [ -f "$1" ]; then
        sum=$(sha256sum <"$1")
        printf 'file %s %s\n' "${sum%% *}" "$1"
    else
        printf 'other - %s\n' "$1"
    fi
}

is_there() { [ -e "$1" ] || [ -L "$1" ]; }
is_ours() { [ -f "$manifest" ] && state_of "$1" | grep -qxF -f - -- "$manifest"; }
was_ours() { [ -f "$manifest" ] && grep -qE "^(file|link) [^ ]+ $(printf '%s' "$1" | sed 's/[.]/[.]/g')\$" -- "$manifest"; }

is_new() { awk -v path="$1" '$3 == path { found = 1 } END { exit !found }' "$new"; }

is_configuration() {
    case $1 in
    "$units"/keyfobd.*) [ -n "$units" ] ;;
    "$autostart"/*) [ -n "$autostart" ] ;;
    *) false ;;
    esac
}

has_systemd() { [ "$is_root" = no ] && systemctl --user show-environment >/dev/null 2>&1; }

# Makes a folder and the folders above it, and notes those that were not there.
make_folder() {
    [ ! -d "$1" ] || return 0
    make_folder "$(dirname -- "$1")"
    mkdir -- "$1"
    printf 'folder - %s\n' "$1" >>"$folders"
}

# What an installation that was cut off left beside a path.
remove_unfinished() {
    while read -r kind _ path; do
        case $kind in file | link | next) rm -f -- "$path.keyfob-new" ;; esac
    done <"$1"
}

# Where no manager of units answers, nobody else takes away the link by which it would look for ours at each sign-in.
remove_enabling() {
    config=${XDG_CONFIG_HOME:-${HOME:-}/.config}/systemd
    link=$config/user/sockets.target.wants/keyfobd.socket
    unit=$(sed -n 's/^file [^ ]* \(.*[/]keyfobd[.]socket\)$/\1/p' "$manifest")
    [ -n "$unit" ] && [ -L "$link" ] && [ "$(readlink -- "$link")" = "$unit" ] || return 0
    rm -f -- "$link"
    for folder in "${link%/*}" "$config/user" "$config"; do
        rmdir -- "$folder" 2>/dev/null || break
    done
}

uninstall() {
    rm -f -- "$manifest.keyfob-new"
    [ -f "$manifest" ] || refuse "nothing of this script is in $prefix" "$0 --uninstall --prefix FOLDER"
    if has_systemd && grep -q '/keyfobd[.]socket$' -- "$manifest"; then
        systemctl --user disable --now keyfobd.socket keyfobd.service >/dev/null 2>&1 || true
    fi
    remove_enabling
    # One that nobody manages stores what it is renewing, and ends.
    [ ! -x "$prefix/bin/keyfob" ] || "$prefix/bin/keyfob" agent stop >/dev/null 2>&1 || true
    remove_unfinished "$manifest"
    while read -r kind _ path; do
        case $kind in
        file | link)
            if is_ours "$path"; then
                rm -f -- "$path"
            elif is_there "$path"; then
                say "kept $path, which is not as it was installed"
            fi
            ;;
        esac
    done <"$manifest"
    # The deepest first. What others have put there stays.
    made=$(sed -n 's/^folder - //p' "$manifest" | sort -r)
    rm -f -- "$manifest"
    printf '%s\n' "$made" | while read -r folder; do
        [ -z "$folder" ] || rmdir -- "$folder" 2>/dev/null || true
    done
    ! has_systemd || systemctl --user daemon-reload >/dev/null 2>&1 || true
    say "removed from $prefix; your configuration and what the keychain holds are kept"
}

check_archive() {
    [ -f "$here/SHA256SUMS" ] || refuse "SHA256SUMS is not beside this script" "unpack the whole archive again"
    (cd "$here" && sha256sum -c SHA256SUMS >/dev/null 2>&1) ||
        refuse "the archive is not whole, or was changed" "unpack it again: tar -xzf ARCHIVE; (cd $here && sha256sum -c SHA256SUMS)"
}

# The file as it is to be, with the paths of this prefix in units and desktop entries.
write_as() {
    case $1 in
    *.service | *.socket | *.desktop)
        sed -e "s|/usr/bin/|$prefix/bin/|g" -e "s|^\(\(Try\)\{0,1\}Exec\)=keyfob-tray|\1=$prefix/bin/keyfob-tray|" "$here/$1" >"$2"
        ;;
    *) cp -P -- "$here/$1" "$2" ;;
    esac
}

install() {
    check_archive
    work=$(mktemp -d)
    trap 'rm -rf -- "$work"' EXIT
    folders=$work/folders plan=$work/plan
    : >"$folders"
    : >"$plan"
    in_the_way=''
    while read -r _ source; do
        [ "$with_tray" = yes ] || ! is_of_tray "$source" || continue
        target=$(target_of "$source")
        [ -n "$target" ] || continue
        if is_there "$target"; then
            # An autostart entry that was edited says what the person wants.
            if ! is_ours "$target"; then
                case $source in
                etc/*) continue ;;
                lib/systemd/*)
                    # So is a unit, until it is told otherwise.
                    if was_ours "$target" && [ "$force" = no ] && [ ! -d "$target" ]; then
                        say "kept $target, which was edited; the new one is $here/$source"
                        continue
                    fi
                    ;;
                esac
                [ "$force" = yes ] && [ ! -d "$target" ] || in_the_way="$in_the_way $target"
            fi
        elif was_ours "$target"; then
            case $source in etc/*) continue ;; esac
        fi
        printf '%s %s\n' "$source" "$target" >>"$plan"
    done <"$here/SHA256SUMS"
    if is_there "$own/uninstall.sh" && ! is_ours "$own/uninstall.sh" && [ "$force" = no ]; then
        in_the_way="$in_the_way $own/uninstall.sh"
    fi
    [ -z "$in_the_way" ] ||
        refuse "in the way, and not installed by this script:$in_the_way" "move them away, or replace them: $0 --force"
    printf 'install.sh %s\n' "$own/uninstall.sh" >>"$plan"

    make_folder "$own"
    old=$work/old new=$work/new
    : >"$old"
    : >"$new"
    [ ! -f "$manifest" ] || cp -- "$manifest" "$old"
    # Told before anything is written: whenever this is cut off, a removal finds what was begun.
    awk '{ print "next - " $2 }' "$plan" >"$work/begun"
    while read -r _ target; do
        make_folder "$(dirname -- "$target")"
    done <"$plan"
    cat "$old" "$work/begun" "$folders" >"$manifest.keyfob-new"
    mv -f -- "$manifest.keyfob-new" "$manifest"
    while read -r source target; do
        next=$target.keyfob-new
        rm -f -- "$next"
        write_as "$source" "$next"
        case $source in bin/* | install.sh) [ -L "$next" ] || chmod 755 "$next" ;; *) [ -L "$next" ] || chmod 644 "$next" ;; esac
        state_of "$next" | sed 's/[.]keyfob-new$//' >>"$new"
        # Listed before it is in its place: whenever this is cut off, the next run knows its own.
        cat "$old" "$new" "$work/begun" "$folders" >"$manifest.keyfob-new"
        mv -f -- "$manifest.keyfob-new" "$manifest"
        # A program that runs keeps its file.
        mv -f -- "$next" "$target"
    done <"$plan"
    remove_unfinished "$old"
    # What an earlier version had, and this one has not.
    while read -r kind _ path; do
        case $kind in
        folder) printf 'folder - %s\n' "$path" >>"$folders" ;;
        file | link)
            ! is_new "$path" || continue
            if is_ours "$path"; then
                rm -f -- "$path"
            elif is_configuration "$path"; then
                # Edited or removed by the person, who is not asked again.
                printf '%s - %s\n' "$kind" "$path" >>"$new"
            fi
            ;;
        esac
    done <"$old"
    cat "$new" "$folders" | awk '!seen[$0]++' >"$manifest.keyfob-new"
    mv -f -- "$manifest.keyfob-new" "$manifest"
    begin
}

# The doors, and what is left to do.
begin() {
    say "installed in $prefix; remove it with $own/uninstall.sh"
    if [ -n "$units" ] && has_systemd; then
        systemctl --user daemon-reload >/dev/null 2>&1 || true
        # An agent that runs becomes the new version by itself; doors that are open stay open.
        systemctl --user is-active --quiet keyfobd.socket ||
            systemctl --user enable --now keyfobd.socket >/dev/null 2>&1 ||
            say "systemd did not take keyfobd.socket; keyfob starts its agent by itself"
    fi
    case :${PATH:-}: in
    *":$prefix/bin:"*) ;;
    *) say "$prefix/bin is not in your PATH; add it in ~/.profile: PATH=\"$prefix/bin:\$PATH\"" ;;
    esac
}

"$verb"


# Entries of the configuration, for commands that take the name of one.
_keyfob_entries() {
    local file="${KEYFOB_CONFIG:-${XDG_CONFIG_HOME:-$HOME/.config}/keyfob/config.toml}"
    [[ $OSTYPE == darwin* && -z ${KEYFOB_CONFIG-} ]] && file="$HOME/Library/Application Support/Keyfob/config.toml"
    sed -n "s/^[[:space:]]*\[$1\.\([A-Za-z0-9_-]\{1,\}\)\].*/\1/p" "$file" 2>/dev/null
}

_keyfob_with_entries() {
    _keyfob "$@"
    local kind word words=() cur="${COMP_WORDS[COMP_CWORD]}"
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        [[ $word == -* ]] || words+=("$word")
    done
    [[ $cur == -* ]] && return
    case "${words[*]}" in
@CASES@    *) return ;;
    esac
    # shellcheck disable=SC2207 # names have no blanks
    COMPREPLY=($(compgen -W "$(_keyfob_entries "$kind")" -- "$cur"))
}

complete -F _keyfob_with_entries -o bashdefault -o default keyfob

# Entries of the configuration, for commands that take the name of one.
_keyfob_entries() {
    local file="${KEYFOB_CONFIG:-${XDG_CONFIG_HOME:-$HOME/.config}/keyfob/config.toml}"
    [[ $OSTYPE == darwin* && -z ${KEYFOB_CONFIG-} ]] && file="$HOME/Library/Application Support/Keyfob/config.toml"
    local -a names
    names=(${(f)"$(sed -n "s/^[[:space:]]*\[$1\.\([A-Za-z0-9_-]\{1,\}\)\].*/\1/p" "$file" 2>/dev/null)"})
    _describe 'entry' names
}


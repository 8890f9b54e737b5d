
# Entries of the configuration, for commands that take the name of one.
function __keyfob_entries
    set -l base $HOME/.config
    set -q XDG_CONFIG_HOME; and test -n "$XDG_CONFIG_HOME"; and set base $XDG_CONFIG_HOME
    set -l file $base/keyfob/config.toml
    test (uname) = Darwin; and set file "$HOME/Library/Application Support/Keyfob/config.toml"
    set -q KEYFOB_CONFIG; and test -n "$KEYFOB_CONFIG"; and set file $KEYFOB_CONFIG
    sed -n "s/^[[:space:]]*\[$argv[1]\.\([A-Za-z0-9_-]\{1,\}\)\].*/\1/p" $file 2>/dev/null
end


# bash completion of gitparams, and of git params
# Made by `gitparams completion --install`, which writes it anew; keep your own lines elsewhere.

# The place of the word under the cursor, and the words from the program's own on: bash puts what it inserts into COMPREPLY.
_gitparams_complete() {
    local kind line cword=$1
    COMPREPLY=()
    {
        IFS= read -r kind
        while IFS= read -r line; do
            COMPREPLY+=("$line")
        done
    } < <(
        GITPARAMS_WORDBREAKS="$COMP_WORDBREAKS" command gitparams ${__git_C_args[@]+"${__git_C_args[@]}"} \
            __complete bash "$@" 2>/dev/null
    )
    case $kind in
    :files*) compopt -o default -o bashdefault 2>/dev/null ;;
    :folders*) compopt -o dirnames +o default +o bashdefault 2>/dev/null ;;
    :command*) _gitparams_command "${kind#:command }" ;;
    *open) compopt -o nospace +o default +o bashdefault 2>/dev/null ;;
    *) compopt -o nosort 2>/dev/null; compopt +o nospace +o default +o bashdefault 2>/dev/null ;;
    esac
    return 0
}

# A command line within ours begins so many words before the cursor.
_gitparams_command() {
    if declare -F _comp_command_offset >/dev/null; then
        _comp_command_offset "$((COMP_CWORD - $1))"
    elif declare -F _command_offset >/dev/null; then
        _command_offset "$((COMP_CWORD - $1))"
    elif (($1 == 0)); then
        while IFS= read -r line; do
            COMPREPLY+=("$line")
        done < <(compgen -c -- "${COMP_WORDS[COMP_CWORD]}")
        compopt -o default 2>/dev/null
    else
        compopt -o default -o bashdefault 2>/dev/null
    fi
}

_gitparams() {
    local __git_C_args=()
    _gitparams_complete "$COMP_CWORD" "${COMP_WORDS[@]}"
}

# Called by git's own completion, which has counted the words before ours.
_git_params() {
    local at=${__git_cmd_idx:-1}
    _gitparams_complete "$((cword - at))" "${words[@]:at}"
}

complete -F _gitparams gitparams git-params

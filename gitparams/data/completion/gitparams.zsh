#compdef gitparams git-params
# zsh completion of gitparams, and of git params
# Made by `gitparams completion --install`, which writes it anew; keep your own lines elsewhere.

_gitparams() {
    local kind line value
    local -a answer values shown
    answer=("${(@f)$(command gitparams __complete zsh $((CURRENT - 1)) \
        "${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
    kind=$answer[1]
    shift answer
    case $kind in
    :files*)
        compset -p ${kind#:files }
        _files
        return
        ;;
    :folders*)
        compset -p ${kind#:folders }
        _files -/
        return
        ;;
    :command*)
        words=("${(@)words[CURRENT-${kind#:command },-1]}")
        CURRENT=$((${kind#:command } + 1))
        _normal
        return
        ;;
    esac
    for line in "${(@)answer}"; do
        value=${line%%$'\t'*}
        [[ -n $value ]] || continue
        values+=("$value")
        [[ $line == *$'\t'* ]] && shown+=("$value  -- ${line#*$'\t'}") || shown+=("$value")
    done
    if [[ $kind == *open ]]; then
        compadd -V runs -l -S '' -d shown -a values
    else
        compadd -V runs -l -d shown -a values
    fi
}

# Called by zsh's own completion of git.
_git-params() {
    _gitparams
}

if [[ $funcstack[1] == _gitparams || $funcstack[1] == _git-params ]]; then
    _gitparams
else
    compdef _gitparams gitparams git-params
fi

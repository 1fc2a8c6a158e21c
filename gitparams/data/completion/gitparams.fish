# fish completion of gitparams, and of git params
# Made by `gitparams completion --install`, which writes it anew; keep your own lines elsewhere.

function __gitparams_complete
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    if test "$before[1]" = git
        set -e before[(contains -i -- params $before)]
    end
    set -l answer (command gitparams __complete fish (count $before) $before "$current" 2>/dev/null)
    set -l kind (string split ' ' -- $answer[1])
    switch "$kind[1]"
        case :files :folders
            set -l fixed (string sub --length $kind[2] -- "$current")
            set -l path (string sub --start (math $kind[2] + 1) -- "$current")
            if test $kind[1] = :files
                string replace -r '^' -- (string escape --style=regex -- $fixed | string replace -a '\\' '') (__fish_complete_path "$path")
            else
                __fish_complete_directories "$current" ''
            end
        case :command
            set -l begun (math (count $before) - $kind[2] + 1)
            set -l inner
            if test $begun -le (count $before)
                set inner (string escape -- $before[$begun..-1])
            end
            complete -C (string join ' ' -- $inner "$current")
        case :values
            for line in $answer[2..-1]
                printf '%s\n' $line
            end
    end
end

complete -k -c gitparams -f -a '(__gitparams_complete)'
complete -k -c git-params -f -a '(__gitparams_complete)'
complete -k -c git -f -n '__fish_seen_subcommand_from params' -a '(__gitparams_complete)'

"""Flags: what every command takes, so that a line is completed without loading its command.

Made by ``python tests/flags.py`` from the commands themselves; do not edit.
"""

from __future__ import annotations

from gitparams.completion import Argument, Command, Flag

COMMANDS = {
    "init": Command(
        "Prepare this repository: gitparams.yaml and hooks",
        flags=(
            Flag(("--fetch",), "", "Let plain git fetch bring the runs of the remotes"),
            Flag(("--hooks", "--no-hooks"), "", "Install the hooks pre-run, post-run and post-rewrite"),
            Flag(("--commit-messages",), "", "Install the hook that tells in commit messages which params changed"),
            Flag(("--textconv", "--no-textconv"), "", "Let git diff show params instead of lines, or no longer"),
        ),
    ),
    "run": Command(
        "Run a program and record it",
        arguments=(Argument("CMD…"),),
        flags=(
            Flag(("-p", "--param"), "K=V", "A param, typed as YAML types it; +K=V adds, ~K removes (can be repeated)"),
            Flag(("--params",), "[PREFIX=]FILE", "A file of params: YAML, JSON, TOML, INI, .env, .py (can be repeated)"),
            Flag(("--strict", "--no-strict"), "", "Refuse -p of a key that no file declares"),
            Flag(("--metrics",), "FILE", "A file of metrics the program writes (can be repeated)"),
            Flag(("--input",), "FILE", "A file the run reads, recorded by digest (can be repeated)"),
            Flag(("--capture", "--no-capture"), "", "Ask the program for its params"),
            Flag(("--program",), "NAME", "Of several programs, the one whose params count"),
            Flag(("--name",), "NAME", "A name to find the run by"),
            Flag(("-e", "--experiment"), "EXPERIMENT", "The experiment it belongs to"),
            Flag(("--tag",), "TAG", "A tag (can be repeated)"),
            Flag(("--note",), "NOTE", "A note"),
            Flag(("--expect",), "EXPR", "What should come true, recorded before: 'acc > 0.92' (can be repeated)"),
        ),
    ),
    "start": Command(
        "Begin a run from a shell or job script; prints its id",
        arguments=(Argument("[CMD…]"),),
        flags=(
            Flag(("-p", "--param"), "K=V", "A param, typed as YAML types it; +K=V adds, ~K removes (can be repeated)"),
            Flag(("--params",), "[PREFIX=]FILE", "A file of params: YAML, JSON, TOML, INI, .env, .py (can be repeated)"),
            Flag(("--strict", "--no-strict"), "", "Refuse -p of a key that no file declares"),
            Flag(("--input",), "FILE", "A file the run reads, recorded by digest (can be repeated)"),
            Flag(("--name",), "NAME", "A name to find the run by"),
            Flag(("-e", "--experiment"), "EXPERIMENT", "The experiment it belongs to"),
            Flag(("--tag",), "TAG", "A tag (can be repeated)"),
            Flag(("--note",), "NOTE", "A note"),
            Flag(("--expect",), "EXPR", "What should come true, recorded before: 'acc > 0.92' (can be repeated)"),
        ),
    ),
    "update": Command(
        "Add params or metrics to a run",
        arguments=(Argument("RUN"),),
        flags=(
            Flag(("-p", "--param"), "K=V", "A param, typed as YAML types it; +K=V adds, ~K removes (can be repeated)"),
            Flag(("--params",), "[PREFIX=]FILE", "A file of params: YAML, JSON, TOML, INI, .env, .py (can be repeated)"),
            Flag(("-m", "--metric"), "K=V", "A metric (can be repeated)"),
            Flag(("--metrics",), "FILE", "A file of metrics the program writes (can be repeated)"),
        ),
    ),
    "finish": Command(
        "End a run that start began",
        arguments=(Argument("RUN"),),
        flags=(
            Flag(("-m", "--metric"), "K=V", "A metric (can be repeated)"),
            Flag(("--metrics",), "FILE", "A file of metrics the program writes (can be repeated)"),
            Flag(("--exit-code",), "EXIT_CODE", "The program's exit code; not 0 makes it failed"),
            Flag(
                ("--status",),
                "STATUS",
                "completed, failed, interrupted or pruned",
                ("completed", "failed", "interrupted", "pruned"),
            ),
        ),
    ),
    "record": Command(
        "Record one finished run at once",
        flags=(
            Flag(("-p", "--param"), "K=V", "A param, typed as YAML types it; +K=V adds, ~K removes (can be repeated)"),
            Flag(("--params",), "[PREFIX=]FILE", "A file of params: YAML, JSON, TOML, INI, .env, .py (can be repeated)"),
            Flag(("--strict", "--no-strict"), "", "Refuse -p of a key that no file declares"),
            Flag(("--input",), "FILE", "A file the run reads, recorded by digest (can be repeated)"),
            Flag(("-m", "--metric"), "K=V", "A metric (can be repeated)"),
            Flag(("--metrics",), "FILE", "A file of metrics the program writes (can be repeated)"),
            Flag(("--name",), "NAME", "A name to find the run by"),
            Flag(("-e", "--experiment"), "EXPERIMENT", "The experiment it belongs to"),
            Flag(("--tag",), "TAG", "A tag (can be repeated)"),
            Flag(("--note",), "NOTE", "A note"),
        ),
    ),
    "log": Command(
        "List runs, newest first, with what changed",
        arguments=(Argument("[A..B] [-- KEY…]"),),
        flags=(
            Flag(("-n", "--max-count"), "N", "How many runs; -5 works as in git"),
            Flag(("-w", "--where"), "EXPR", "Only runs for which it holds: 'params.lr < 0.1 and acc > 0.9'"),
            Flag(("--sort",), "KEY", "Sort by a key, -KEY the greatest first (can be repeated)"),
            Flag(("--columns",), "KEYS", "What to show: keys, globs, fields, changed, all (can be repeated)"),
            Flag(("--group-by",), "KEY", "Sum up the runs by a key (can be repeated)"),
            Flag(
                ("--agg",),
                "WORDS",
                "mean, std, min, max, median, count, best, last; commas between",
                ("mean", "std", "min", "max", "median", "count", "best", "last"),
            ),
            Flag(("--replicates",), "", "Groups of runs that are equal but for the seed"),
            Flag(("--oneline",), "", "One line a run"),
            Flag(("-p", "--patch"), "", "Every change of every run"),
            Flag(("--graph",), "", "Which run came of which"),
            Flag(("--against",), "RUN", "Compare with this run"),
            Flag(("-e", "--experiment"), "EXPERIMENT", "Only this experiment"),
            Flag(("--status",), "STATUS", "Only runs of this status"),
            Flag(("--since", "--after"), "DATE", "Only runs begun since: 2026-11-23, '2 days ago' …"),
            Flag(("--until", "--before"), "DATE", "Only runs begun until"),
            Flag(("--author",), "AUTHOR", "Only runs of a person, by a part of the name"),
            Flag(("--grep",), "TEXT", "Only with this in name, note or tags"),
            Flag(("--reverse",), "", "Oldest first"),
            Flag(("--deleted",), "", "The hidden runs instead"),
            Flag(("--groups",), "", "The groups as well"),
            Flag(("--parent",), "RUN", "Only the runs within this group"),
            Flag(
                ("--format",),
                "FORMAT",
                "table, oneline, json, jsonl, csv, md or html",
                ("table", "oneline", "json", "jsonl", "csv", "md", "html"),
            ),
            Flag(("--json",), "", "Print JSON"),
        ),
    ),
    "show": Command(
        "Show all about one run",
        arguments=(Argument("RUN"),),
        flags=(
            Flag(("--params",), "", "Only the params"),
            Flag(("--metrics",), "", "Only the metrics"),
            Flag(("--origins",), "", "Only the params with where each value came from"),
            Flag(("--code",), "", "Only the code"),
            Flag(("--packages",), "", "Only the packages"),
            Flag(("--output",), "", "Only the output's tail"),
            Flag(("--format",), "FORMAT", "text, json or yaml", ("text", "json", "yaml")),
            Flag(("--json",), "", "Print JSON"),
        ),
    ),
    "diff": Command(
        "Show what differs between runs",
        arguments=(Argument("[A [B…]] [-- KEY…]"),),
        flags=(
            Flag(("-w", "--where"), "EXPR", "The runs for which it holds: 'acc < 0.5'"),
            Flag(("--params",), "", "Only the params"),
            Flag(("--metrics",), "", "Only the metrics"),
            Flag(("--code",), "", "Only the code"),
            Flag(("--packages",), "", "Only the packages, all of them"),
            Flag(("--environment",), "", "Only the machines and variables"),
            Flag(("--all",), "", "Every line of every list; of two commits all their runs, as groups"),
            Flag(("-p", "--patch"), "", "The text of what changed in the code"),
            Flag(("--origins",), "", "Tell where each value that differs came from"),
            Flag(("--ignore",), "GLOB", "Params not to look at (can be repeated)"),
            Flag(("--rtol",), "X", "Numbers are equal up to this part of them: 1e-6"),
            Flag(("--atol",), "X", "Numbers are equal up to this difference"),
            Flag(("--significant-digits",), "N", "Numbers are equal when they are in N digits"),
            Flag(("--ignore-order",), "", "The order of lists does not count"),
            Flag(("--ignore-type",), "", "1, 1.0, True and '1' are the same"),
            Flag(("--best",), "METRIC", "Of a commit's runs the best by this, not the newest"),
            Flag(("--replicates",), "", "Compare the runs that are equal but for the seed: is it more than noise?"),
            Flag(("--fail-if",), "EXPR", "Exit with 1 when it holds: 'metrics.acc.delta < -0.01' (can be repeated)"),
            Flag(("--exit-code",), "", "Exit with 1 when something differs"),
            Flag(("--format",), "FORMAT", "text, json, md or html", ("text", "json", "md", "html")),
            Flag(("--json",), "", "Print JSON"),
        ),
    ),
    "blame": Command(
        "Show which run changed each param last, and what it did",
        arguments=(Argument("[RUN] [KEY…] [-- KEY…]"),),
        flags=(
            Flag(("--history",), "", "Tell all the values that a param ever had"),
            Flag(("-m", "--metric"), "NAME", "A metric to show (can be repeated)"),
            Flag(("-n", "--number"), "N", "With --history: how many stretches of runs"),
            Flag(("--format",), "FORMAT", "text or json", ("text", "json")),
            Flag(("--json",), "", "Print JSON"),
        ),
    ),
    "bisect": Command(
        "Find the changes that explain a worse metric, with the fewest new runs",
        arguments=(Argument("GOOD BAD"),),
        flags=(
            Flag(("--metric",), "METRIC", "The metric to explain; one that got worse"),
            Flag(("--replicates",), "N", "Runs of each mixture, by seed"),
            Flag(("--share",), "X", "How much of the worsening is to be explained"),
            Flag(("--dry-run",), "", "Only what is recorded, the plan, and what it would cost"),
            Flag(("--max-runs",), "N", "Make no more runs than that"),
            Flag(("--link",), "PATH", "What the program needs and git does not have: data (can be repeated)"),
            Flag(("--params",), "[PREFIX=]FILE", "A file of params, as for run (can be repeated)"),
            Flag(("--metrics",), "FILE", "A file of metrics, as for run (can be repeated)"),
            Flag(("-y", "--yes"), "", "Do not ask before a command that others recorded is run"),
            Flag(("--json",), "", "Print JSON"),
        ),
    ),
    "tag": Command(
        "Add or remove tags of a run",
        arguments=(
            Argument("RUN"),
            Argument("[TAG…]"),
        ),
        flags=(Flag(("-d", "--delete"), "", "Remove the tags"),),
    ),
    "note": Command(
        "Set the note of a run",
        arguments=(
            Argument("RUN"),
            Argument("[TEXT]"),
        ),
    ),
    "rename": Command(
        "Give a run a name",
        arguments=(
            Argument("RUN"),
            Argument("NAME"),
        ),
        flags=(Flag(("-d", "--delete"), "", "Take the name away"),),
    ),
    "rm": Command(
        "Hide runs, or bring them back with --undo",
        arguments=(Argument("[RUN…]"),),
        flags=(
            Flag(("-w", "--where"), "EXPR", "The runs for which it holds: 'acc < 0.5'"),
            Flag(("--undo",), "", "Bring the runs back"),
            Flag(("-y", "--yes"), "", "Do not ask"),
        ),
    ),
    "purge": Command(
        "Remove runs for good, with all their bytes",
        arguments=(Argument("[RUN…]"),),
        flags=(
            Flag(("-w", "--where"), "EXPR", "The runs for which it holds: 'acc < 0.5'"),
            Flag(("--gc",), "", "Let git collect its garbage at once: git gc --prune=now"),
            Flag(("--offline",), "", "Do not ask the remotes what they have"),
            Flag(("-y", "--yes"), "", "Do not ask"),
        ),
    ),
    "push": Command("Bring the runs to a git remote", arguments=(Argument("[REMOTE]"),)),
    "pull": Command("Bring the runs of a git remote", arguments=(Argument("[REMOTE]"),)),
    "sync": Command("Pull and push", arguments=(Argument("[REMOTE]"),)),
    "export": Command(
        "Write runs into a file: bundle, tensorboard, hiplot",
        arguments=(
            Argument("KIND", ("bundle", "tensorboard", "hiplot")),
            Argument("PATH [RUN…]"),
        ),
        flags=(
            Flag(("-o", "--output"), "PATH", "The file or folder"),
            Flag(("-w", "--where"), "EXPR", "The runs for which it holds: 'acc < 0.5'"),
            Flag(("--since", "--after"), "DATE", "Only runs begun since: 2026-11-23, '2 days ago' …"),
            Flag(("--yes", "-y"), "", "Do not ask before a file is replaced"),
        ),
    ),
    "import": Command(
        "Bring in runs from elsewhere: spool, bundle, tensorboard, neptune, optuna",
        arguments=(
            Argument("KIND", ("spool", "bundle", "tensorboard", "neptune", "optuna")),
            Argument("PATH"),
        ),
        flags=(
            Flag(("--only",), "NAME", "Of another system's runs only this study, project or folder"),
            Flag(("--all",), "", "Of a spool, the runs too that were started outside of this work tree"),
            Flag(("--yes", "-y"), "", "Do not ask before runs go for good that a bundle says are purged"),
        ),
    ),
    "check": Command(
        "Find what is worth a stop: secrets, misread values, no seed …",
        arguments=(Argument("FILE…"),),
        flags=(
            Flag(("--rule",), "NAME", "Only this rule (can be repeated)"),
            Flag(("--level",), "LEVEL", "The lowest level to show: warn or error", ("warn", "error")),
            Flag(("--strict",), "", "Count warnings as errors"),
            Flag(("-p", "--param"), "K=V", "A param, typed as YAML types it; +K=V adds, ~K removes (can be repeated)"),
            Flag(("--ledger",), "", "Search all recorded runs for secrets instead"),
            Flag(("--rules",), "", "List the rules and their levels"),
            Flag(("--json",), "", "Print JSON"),
        ),
    ),
    "hooks": Command(
        "Install and run the hooks of runs and of commits",
        commands={
            "install": Command(
                "Install the hooks",
                arguments=(Argument("[EVENT…]", ("pre-run", "post-run", "post-rewrite", "prepare-commit-msg")),),
            ),
            "uninstall": Command("Remove our hooks and nothing else, and put back those that were there before"),
            "status": Command("Show how the hooks stand", flags=(Flag(("--json",), "", "Print JSON"),)),
            "run": Command(
                "Run the hooks of an event through git, whatever its version",
                arguments=(Argument("EVENT", ("pre-run", "post-run", "post-rewrite", "prepare-commit-msg")),),
            ),
            "exec": Command(
                "Do what our own hook does: the line for a hook that somebody else installs",
                arguments=(Argument("EVENT", ("pre-run", "post-run", "post-rewrite", "prepare-commit-msg")),),
            ),
        },
    ),
    "verify": Command(
        "Check that the ledger is whole, and who signed it",
        flags=(
            Flag(("--since",), "ENTRY", "An entry that was once the newest: look at what came after it"),
            Flag(("--signed", "--no-signed"), "", "Whether all must be signed; as gitparams.sign says by default"),
            Flag(("--json",), "", "Print JSON"),
        ),
    ),
    "doctor": Command(
        "Find faults, and mend what can be mended",
        flags=(
            Flag(("--fix",), "", "Mend what can be mended without losing anything: leftovers, old refs, hooks"),
            Flag(("--json",), "", "Print JSON"),
        ),
    ),
    "completion": Command(
        "Complete command lines in bash, zsh and fish",
        arguments=(Argument("[SHELL]", ("bash", "zsh", "fish")),),
        flags=(Flag(("--install",), "", "Write the script to where the shell looks for it"),),
    ),
    "demo": Command("Make a repository with a small sweep, and look at it", arguments=(Argument("[DIR]"),)),
}

"""The index: a mirror that is made anew whenever there is doubt, and never an error."""

import json
import math
import sqlite3
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import git, read_only, unprivileged

from gitparams.errors import UsageError
from gitparams.flat import decode_flat, flat_document, flat_key, nested_of
from gitparams.git import Git
from gitparams.index import Filter, Index, Order
from gitparams.ledger import REF, Ledger
from gitparams.params import flatten, layer
from gitparams.query import Query
from gitparams.repository import Repository
from gitparams.values import same
from gitparams.writing import Beginning


def record(params, metrics=None, **fields):
    with Repository.find() as repository:
        return repository.record(Beginning(layer(params, "code"), **fields), metrics or {})


def rates(which=Filter(), **how):
    with Repository.find() as repository:
        return [run.params["lr"] for run in repository.runs(which, **how)]


def index_file(repo):
    return repo / ".git/gitparams/index.db"


def test_runs_come_newest_first_and_reverse_turns_what_the_limit_cut(repo):
    for rate in (1, 2, 3):
        record({"lr": rate})
    assert rates() == [3, 2, 1]
    assert rates(limit=2) == [3, 2]
    assert rates(limit=2, reverse=True) == [2, 3]


def test_what_the_index_gives_is_what_was_recorded(repo):
    odd = {
        "a.b": {"c d": 1, '"': None},
        "é": [1, {"x": math.inf}],
        "empty": {},
        "big": 2**70,
        "nan": math.nan,
        "inf": -math.inf,
        "": True,
    }
    run = record(odd, {"acc": 0.5, "test.acc": 1, "loss": math.nan})
    with Repository.find() as repository:
        found = repository.run(run.id)
    assert same(dict(found.params), dict(run.params)) and same(dict(found.metrics), dict(run.metrics))


@pytest.mark.parametrize("how", ["missing", "empty", "garbage", "truncated", "other version", "table gone"])
def test_a_doubtful_index_is_made_anew_without_a_word(repo, how):
    for rate in (1, 2):
        record({"lr": rate})
    path = index_file(repo)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = path.read_bytes()
    for extra in path.parent.glob("index.db-*"):
        extra.unlink()
    if how == "missing":
        path.unlink()
    elif how in ("empty", "garbage", "truncated"):
        path.write_bytes({"empty": b"", "garbage": b"no database" * 500, "truncated": data[: len(data) // 2]}[how])
    else:
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 99" if how == "other version" else "DROP TABLE runs")
    with Repository.find() as repository:
        assert [run.params["lr"] for run in repository.runs()] == [2, 1]
        assert repository.notes == []


def test_entries_that_others_append_are_picked_up(repo):
    record({"lr": 1})
    with Repository.find() as repository:
        subprocess.run([sys.executable, "-c", "import gitparams; gitparams.record({'lr': 2})"], check=True)
        repository.refresh()
        assert [run.params["lr"] for run in repository.runs()] == [2, 1]


def test_a_ledger_that_was_rewritten_is_read_anew(repo):
    record({"lr": 1})
    record({"lr": 2})
    # The newest entry purged: its neighbours hang together without it, and a purge entry says so.
    purge = git("commit-tree", f"{REF}~1^{{tree}}", "-p", f"{REF}~1", "-m", "purge\n\nRun-Event: purge")
    git("update-ref", REF, purge)
    git("reflog", "expire", "--expire=now", "--all")
    git("gc", "--prune=now", "--quiet")
    assert rates() == [1]


def test_readers_work_while_a_writer_writes(repo):
    record({"lr": 0})
    stop = threading.Event()
    problems = []

    def read():
        while not stop.is_set():
            try:
                rates()
            except Exception as error:
                problems.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    subprocess.run([sys.executable, "-c", "import gitparams\nfor i in range(30): gitparams.record({'lr': i})"], check=True)
    stop.set()
    reader.join()
    assert problems == [] and len(rates()) == 31


def test_a_reader_does_not_wait_for_a_process_that_holds_the_index(repo, monkeypatch):
    record({"lr": 1})
    monkeypatch.setattr("gitparams.index._BUSY_SECONDS", 0.1)
    holder = sqlite3.connect(index_file(repo), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    subprocess.run(
        [
            sys.executable,
            "-c",
            "import gitparams.index as i; i._BUSY_SECONDS = 0.1; import gitparams; gitparams.record({'lr': 2})",
        ],
        check=True,
    )
    assert rates() == [1]
    holder.close()
    assert rates() == [2, 1]


def test_in_a_read_only_repository_the_runs_are_still_listed(repo):
    record({"lr": 1})
    program = "import gitparams; print([run.params['lr'] for run in gitparams.runs()])"
    with read_only(repo / ".git"):
        done = unprivileged(sys.executable, "-c", program)
    assert (done.stdout.strip(), done.stderr) == ("[1]", "")


def test_an_unreadable_entry_is_listed_as_broken_and_the_rest_as_ever(repo):
    record({"lr": 1})
    tip = git("rev-parse", REF)
    tree = git("mktree", stdin=f"100644 blob {git('hash-object', '-w', '--stdin', stdin='not json')}\trun.json\n")
    message = "record kkkkllll: x\n\nRun-Id: kkkkllllmmmmnnnn\nRun-Status: completed\nRun-Event: record"
    git("update-ref", REF, git("commit-tree", tree, "-p", tip, "-m", message), tip)
    record({"lr": 2})
    with Repository.find() as repository:
        listed = [getattr(run, "reason", None) or run.params["lr"] for run in repository.runs()]
    assert sorted(map(str, listed)) == ["1", "2", "run.json is not JSON: Expecting value: line 1 column 1 (char 0)."]


def test_keys_keep_only_the_runs_where_one_of_them_changed(repo):
    for rate, seed in ((1, 0), (1, 1), (2, 1), (2, 1), (2.0, 1), (2.0, 2)):
        record({"lr": rate, "seed": seed, "a.b": seed})
    assert rates(Filter(changed=("lr",))) == [2.0, 2]
    assert rates(Filter(changed=("seed", "lr"))) == [2.0, 2.0, 2, 1]
    assert rates(Filter(changed=('["a.b"]',))) == [2.0, 1]
    assert rates(Filter(changed=("nothing",))) == []


def test_best_asks_only_completed_runs_and_numbers(repo):
    with Repository.find() as repository:
        for rate, acc in ((1, 0.5), (2, math.nan), (3, 0.9), (4, math.inf), (5, True)):
            repository.record(Beginning(layer({"lr": rate}, "code")), {"acc": acc, "loss": 1 / rate})
        assert repository.run("best:-acc").params["lr"] == 1
        assert repository.run("best:acc").params["lr"] == 4
        assert repository.run("best:loss").params["lr"] == 5


def test_a_filter_on_a_key_uses_an_index_that_was_made_on_demand(repo):
    with Repository.find() as repository:
        repository.record(Beginning(layer({"lr": 1}, "code")), {"acc": 0.5})
        key = repository.index.key_sql("metrics", ("acc",))
        plan = repository.index.connection.execute(
            f"EXPLAIN QUERY PLAN SELECT id FROM runs WHERE {key} > 0.1 AND {key} < ''"
        ).fetchall()
    assert "USING INDEX key_metrics_acc" in plan[0][-1]


keys = st.text(st.characters(codec="utf-8"), max_size=8)
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.lists(st.integers() | st.floats(), max_size=3)
)
mappings = st.recursive(
    st.dictionaries(keys, leaves, max_size=4), lambda inner: st.dictionaries(keys, inner | leaves, max_size=4), max_leaves=12
)


@given(mappings)
def test_a_flat_document_holds_every_leaf_exactly(mapping):
    text = flat_document(mapping)
    assert same(flatten(dict(nested_of(decode_flat(text)))), flatten(mapping))
    assert sqlite3.connect(":memory:").execute("SELECT json_valid(?)", (text,)).fetchone() == (1,)


@given(st.lists(keys, min_size=1, max_size=3), st.floats(allow_nan=False))
def test_sql_finds_any_key_by_its_literal_path(path, number):
    mapping = number
    for key in reversed(path):
        mapping = {key: mapping}
    sql = f"""SELECT json_extract(?, '$."{flat_key(path)}"')"""
    found = sqlite3.connect(":memory:").execute(sql, (flat_document(mapping),)).fetchone()[0]
    assert found == pytest.approx(number, rel=1e-15) or found == number


def test_json_true_one_and_text_are_told_apart(repo):
    assert json.loads(flat_document({"a": True, "b": 1, "c": "1", "d": None})) == {"a": "b1", "b": 1, "c": "s1", "d": "n"}


# -- what a list is narrowed down and sorted by -----------------------------------------------------------------------


@pytest.fixture
def mirror(repo):
    """Open the index by itself; what is recorded afterwards is seen after `catch_up`."""
    with Git.find(repo) as asked:
        ledger = Ledger(asked)
        index = Index.open(asked, ledger)
        yield index
        index.close()


def chosen(mirror, which, **how):
    mirror.catch_up(mirror.ledger.tip())
    found = mirror.runs(which, **how)
    assert how or mirror.count(which) == len(found)
    assert mirror.ids(which, **how) == [run.id for run in found] == [row[0] for row in mirror.rows(which, **how)]
    return [run.name for run in found]


@pytest.mark.parametrize(
    ("which", "names"),
    [
        (Filter(author="ada"), ["c", "b", "a"]),
        (Filter(author="EXAMPLE.com"), ["c", "b", "a"]),
        (Filter(author="grace"), []),
        (Filter(grep="BEST"), ["b", "a"]),
        (Filter(grep="straße"), ["c"]),
        (Filter(grep="STRASSE"), ["c"]),
        (Filter(grep='","'), []),
        (Filter(grep="a"), ["c", "a"]),
        (Filter(ids=()), []),
        (Filter(where=Query("r.name > ?", ("a",)), grep="best"), ["b"]),
    ],
)
def test_authors_names_notes_and_tags_are_searched_in_any_case(mirror, which, names):
    record({"lr": 1}, name="a", note="the Best of all")
    record({"lr": 2}, name="b", tags=("best", "not"))
    record({"lr": 3}, name="c", note="Straße")
    assert chosen(mirror, which) == names


def test_ids_choose_runs_whatever_their_order(mirror):
    runs = [record({"lr": number}, name=f"r{number}") for number in range(3)]
    assert chosen(mirror, Filter(ids=(runs[0].id, runs[2].id, "zzzzzzzzzzzzzzzz"))) == ["r2", "r0"]


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (("optim.lr",), ["b"]),
        (("optim",), ["c", "b"]),
        (("optim.*",), ["c", "b"]),
        (("*.lr", "seed"), ["d", "b"]),
        (('["a.b"]',), ["d"]),
        (("nothing",), []),
        (("no*",), []),
    ],
)
def test_a_change_is_asked_for_by_path_by_beginning_or_by_glob(mirror, paths, names):
    record({"optim": {"lr": 1}, "seed": 1, "a.b": 1}, name="a")
    record({"optim": {"lr": 2}, "seed": 1, "a.b": 1}, name="b")
    record({"optim": {"lr": 2, "eps": 1}, "seed": 1, "a.b": 1}, name="c")
    record({"optim": {"lr": 2, "eps": 1}, "seed": 2, "a.b": 2}, name="d")
    assert chosen(mirror, Filter(changed=paths)) == names


def test_a_change_among_a_thousand_params_is_found(mirror):
    record({f"k{number}": 1 for number in range(1500)}, name="a")
    record({f"k{number}": int(number != 1400) for number in range(1500)}, name="b")
    assert chosen(mirror, Filter(changed=("*",))) == ["b"]


def test_order_and_offset_page_through_a_list(mirror):
    for name, value in {"a": 2, "b": None, "c": 1, "d": "x"}.items():
        record({"lr": value}, name=name)
    mirror.catch_up(mirror.ledger.tip())
    order = (Order(mirror.key_sql("params", ("lr",)), descending=True),)
    assert chosen(mirror, Filter(), order=order) == ["a", "c", "d", "b"]
    assert chosen(mirror, Filter(), order=order, limit=2, offset=1) == ["c", "d"]
    assert chosen(mirror, Filter(), limit=2, offset=1) == ["c", "b"]
    assert [run.name for run in mirror.runs(Filter(), order=order, limit=2, reverse=True)] == ["c", "a"]


def test_a_run_that_cannot_be_read_meets_no_expression_and_is_sorted_last(mirror):
    run = record({"lr": 1}, name="good")
    record({"lr": 2}, name="bad")
    mirror.catch_up(mirror.ledger.tip())
    mirror.connection.execute(
        "UPDATE runs SET broken = 'torn', document = NULL, params = '{}', metrics = '{}' WHERE name = 'bad'"
    )
    assert mirror.ids(Filter(where=Query("1"))) == [run.id]
    by = (Order(mirror.key_sql("params", ("lr",)), descending=True),)
    assert mirror.ids(Filter(), order=by)[0] == run.id and len(mirror.ids(Filter(), order=by)) == 2


ODD_KEYS = {"a.b": {'"': 1, "{,": 2}, "é": '{"x":1,"y":', "": {"": 3}, "empty": {}, "s": ',"z":'}


def test_the_names_of_all_keys_are_known(mirror):
    record(ODD_KEYS, {"val/acc": 1, "test.acc": 2})
    record({"lr": 1})
    mirror.catch_up(mirror.ledger.tip())
    assert mirror.key_names("params") == sorted([*flatten(ODD_KEYS), "lr"])
    assert mirror.key_names("metrics") == ['["test.acc"]', "val/acc"]
    assert mirror.has_key("params", ("a.b", '"')) and mirror.has_key("metrics", ("test.acc",))
    assert not mirror.has_key("params", ("a",)) and not mirror.has_key("metrics", ("lr",))
    mirror.rebuild(mirror.ledger.tip())
    assert mirror.key_names("params") == sorted([*flatten(ODD_KEYS), "lr"])


def test_a_purged_run_leaves_not_even_the_names_of_its_keys(mirror):
    record({"lr": 1})
    record({"secret": 2}, {"loss": 1})
    mirror.catch_up(mirror.ledger.tip())
    purge = git("commit-tree", f"{REF}~1^{{tree}}", "-p", f"{REF}~1", "-m", "purge\n\nRun-Event: purge")
    git("update-ref", REF, purge)
    mirror.catch_up(mirror.ledger.tip())
    assert (mirror.key_names("params"), mirror.key_names("metrics")) == (["lr"], [])


def test_many_keys_get_no_more_than_a_hundred_indexes(mirror):
    record({f"k{number}": number for number in range(150)})
    mirror.catch_up(mirror.ledger.tip())
    asked = [
        mirror.count(Filter(where=Query(f"{mirror.key_sql('params', (f'k{number}',))} = {number}"))) for number in range(150)
    ]
    made = mirror.connection.execute("SELECT count(*) FROM sqlite_master WHERE name GLOB 'key_*'").fetchone()
    assert (asked, made) == ([1] * 150, (100,))


@pytest.mark.parametrize(
    "text", ["2026-11-23T10:00:00+02:00", "2026-11-23", "2 days ago", "yesterday", "last monday at noon", "Nov 3 2025"]
)
def test_dates_are_read_as_iso_or_in_the_words_of_git(mirror, text):
    assert 1.7e9 < mirror.date(text) < 2**32


@pytest.mark.parametrize("text", ["", "garbage", "2026-13-45", "--all", "and", "2 lightyears ago", "ten", "12"])
def test_what_is_no_date_is_a_sentence(mirror, text):
    with pytest.raises(UsageError, match=r"is no date\."):
        mirror.date(text)


def test_a_first_reading_that_was_interrupted_goes_on_where_it_was(repo, monkeypatch):
    monkeypatch.setattr("gitparams.index._BATCH", 2)
    for rate in range(5):
        record({"lr": rate})
    for file in index_file(repo).parent.glob("index.db*"):
        file.unlink()
    seen = []

    def interrupt(done, every):
        seen.append((done, every))
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Repository.find(progress=interrupt)
    record({"lr": 5})
    with Repository.find(progress=lambda done, every: seen.append((done, every))) as repository:
        assert [run.params["lr"] for run in repository.index.runs(Filter())] == [5, 4, 3, 2, 1, 0]
    assert seen[0] == (2, 5)
    assert (2, 5) not in seen[1:]


def test_a_branch_is_found_by_an_index_that_was_made_on_demand(repo):
    with Repository.find() as repository:
        run = repository.record(Beginning(layer({"lr": 1}, "code")), {"acc": 0.5})
        asked = []
        repository.index.connection.set_trace_callback(asked.append)
        found = [repository.index.newest_on("main"), repository.index.newest_on("mistyped")]
        repository.index.connection.set_trace_callback(None)
        plan = repository.index.connection.execute(f"EXPLAIN QUERY PLAN {asked[-1]}").fetchall()
    assert found == [run.id, None]
    assert [row[3].partition(" (")[0] for row in plan] == ["SEARCH r USING INDEX code_branch"]

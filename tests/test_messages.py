"""What is added to a commit message, as text; `test_hooks_commits.py` has it done by git."""

import pytest

from gitparams.messages import Additions, Draft, with_additions

ADDED = Additions(("lr 0.1 → 0.01",), "kkmpptxz")
PARAMS = "Params:\n  lr 0.1 → 0.01\n"
ABORT = "gitparams added the lines above. To give the commit up, delete them too.\n"
PLEASE = "# Please enter the commit message\n#\n"
SCISSORS = "# ------------------------ >8 ------------------------\n# Do not modify\n# Everything below\ndiff --git a b\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Slower\n", f"Slower\n\n{PARAMS}\nRun: kkmpptxz\n"),
        ("Slower", f"Slower\n\n{PARAMS}\nRun: kkmpptxz\n"),
        ("Slower\n\n\n", f"Slower\n\n{PARAMS}\nRun: kkmpptxz\n"),
        ("Slower\n\nSince.\n", f"Slower\n\nSince.\n\n{PARAMS}\nRun: kkmpptxz\n"),
        ("fix: slower\n", f"fix: slower\n\n{PARAMS}\nRun: kkmpptxz\n"),
        ("a\n\nFixes: #1\nAcked-by: B\n", f"a\n\n{PARAMS}\nFixes: #1\nAcked-by: B\nRun: kkmpptxz\n"),
        ("a\n\nFixes: #1\n  and #2\n", f"a\n\n{PARAMS}\nFixes: #1\n  and #2\nRun: kkmpptxz\n"),
        ("a\n\nNote: long\nwords\n", f"a\n\nNote: long\nwords\n\n{PARAMS}\nRun: kkmpptxz\n"),
        ("a\n\nwords\nSigned-off-by: B\n", f"a\n\n{PARAMS}\nwords\nSigned-off-by: B\nRun: kkmpptxz\n"),
        ("a\n\nb\nc\nd\ne\nSigned-off-by: B\n", f"a\n\nb\nc\nd\ne\nSigned-off-by: B\n\n{PARAMS}\nRun: kkmpptxz\n"),
        ("a\n\nRun: mine\n", f"a\n\n{PARAMS}\nRun: mine\n"),
        ("a\n\nparams: lr\n\nwords\n", "a\n\nparams: lr\n\nwords\n\nRun: kkmpptxz\n"),
        ("a\n\nParams:\n  lr\n\nRun: mine\n", "a\n\nParams:\n  lr\n\nRun: mine\n"),
    ],
)
def test_where_it_goes(text, expected):
    assert with_additions(text, ADDED, Draft()) == expected
    assert with_additions(text, ADDED, Draft(edited=False)) == expected


def test_crlf_stays_crlf():
    assert with_additions("a\r\n\r\nb\r\n", ADDED, Draft()) == f"a\n\nb\n\n{PARAMS}\nRun: kkmpptxz\n".replace("\n", "\r\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"\n{PLEASE}", f"\n\n{PARAMS}\nRun: kkmpptxz\n\n# {ABORT}{PLEASE}"),
        (f"a\n\n{PLEASE}", f"a\n\n{PARAMS}\nRun: kkmpptxz\n\n{PLEASE}"),
        (f"a\n# mine\nb\n\n{PLEASE}", f"a\n# mine\nb\n\n{PARAMS}\nRun: kkmpptxz\n\n{PLEASE}"),
        (f"a\n{PLEASE}{SCISSORS}", f"a\n\n{PARAMS}\nRun: kkmpptxz\n\n{PLEASE}{SCISSORS}"),
        (
            f"\n{SCISSORS}",
            f"\n\n{PARAMS}\nRun: kkmpptxz\n\n" + SCISSORS.replace("below\n", f"below\n# {ABORT}"),
        ),
        ("# Title\n\n# Why\n", f"\n\n{PARAMS}\nRun: kkmpptxz\n\n# {ABORT}# Title\n\n# Why\n"),
        ("", f"\n\n{PARAMS}\nRun: kkmpptxz\n"),
    ],
)
def test_comments_come_last_and_the_subject_stays_free(text, expected):
    assert with_additions(text, ADDED, Draft()) == expected


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n"])
def test_where_nobody_will_write_a_subject_none_is_made(text):
    assert with_additions(text, ADDED, Draft(edited=False)) == text


def test_comments_are_content_where_no_editor_comes():
    assert with_additions("a\n\n#12 is why\n", ADDED, Draft(edited=False)) == (f"a\n\n#12 is why\n\n{PARAMS}\nRun: kkmpptxz\n")


def test_a_comment_may_begin_with_several_letters():
    assert with_additions("a\n// b\n", ADDED, Draft("//")) == f"a\n\n{PARAMS}\nRun: kkmpptxz\n\n// b\n"


def test_without_a_run_there_is_no_trailer():
    assert with_additions("a\n", Additions(("lr 0.1 → 0.01", "and 4 more")), Draft()) == (
        "a\n\nParams:\n  lr 0.1 → 0.01\n  and 4 more\n"
    )

"""The table of versions in `docs/integrations.md`: what the tests were run with.

``python tests/versions.py`` writes it anew; `tests/test_integrations_page.py` compares the names, and the major versions.
"""

import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import apart

FILE = Path(__file__).resolve().parent.parent / "docs" / "integrations.md"
PACKAGES = [
    "attrdict3",
    "python-box",
    "munch",
    "addict",
    "easydict",
    "ml_collections",
    "omegaconf",
    "click",
    "typer",
    "fire",
    "absl-py",
    "jsonargparse",
    "tyro",
    "hydra-core",
    "hydra-joblib-launcher",
    "lightning",
    "pytorch-lightning",
    "torch",
    "tensorboard",
    "tensorboardX",
    "optuna",
    "optuna-dashboard",
    "scikit-optimize",
    "hyperopt",
    "scikit-learn",
    "hiplot",
    "plotly",
    "kaleido",
    "matplotlib",
    "pandas",
    "polars",
    "pyarrow",
]
APART = {
    "tensorflow-cpu": "in a venv of its own: it wants another protobuf",
    "neptune": "in a venv of its own: its client brings 50 distributions",
}
"""What is not installed beside the rest, and why."""


def found():
    """Return the version of each package; None of one that is not installed here."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return versions | apart.versions(APART)


def unlisted(listed):
    """Return what is installed in another major version than is listed."""
    here = {name: number for name, number in found().items() if number is not None}
    return [f"{name} {number}" for name, number in here.items() if number.split(".")[0] != listed[name].split(".")[0]]


def table(known):
    """Return the rows; of what is not installed here, as it was listed."""
    rows = [f"| `{name}` | {number or known.get(name, '-')} | {APART.get(name, '')} |" for name, number in found().items()]
    return "\n".join(["| package | version | |", "|---|---|---|", *rows]) + "\n"


def main():
    page = FILE.read_text("utf-8")
    known = dict(re.findall(r"^\| `([\w.-]+)` \| ([\w.+-]+) \|", page, re.M))
    marked = re.compile(r"(<!-- versions -->\n).*?(<!-- end -->)", re.S)
    FILE.write_text(marked.sub(lambda match: match[1] + table(known) + match[2], page), "utf-8")


if __name__ == "__main__":
    sys.exit(main())

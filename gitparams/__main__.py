"""``python -m gitparams``: the command line."""

import sys

from gitparams.cli import main

if __name__ == "__main__":
    sys.exit(main())

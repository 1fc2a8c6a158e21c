"""``python -m gitparams``: the command line."""

from gitparams.cli import program

if __name__ == "__main__":
    program()

"""python -m videmo, and the command videmo."""

from videmo.cli import main
from videmo.cli.streams import leave


def command() -> None:
    """Run the command line, and end this process with its code."""
    try:
        main()
    except SystemExit as end:
        leave(end)


if __name__ == "__main__":
    command()

"""python -m videmo, and the command videmo: a process of its own."""

import os
import sys

from videmo.cli import main
from videmo.cli.streams import leave


def command() -> None:
    """Run the command line, and end this process with its code."""
    if "train" not in sys.argv:  # whose alone is work for NumPy's and OpenCV's own threads:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # they spin for 0.2 s as they begin
        os.environ.setdefault("OPENCV_FOR_THREADS_NUM", "1")  # the stages have each core at work
    try:
        main()
    except SystemExit as end:
        leave(end)


if __name__ == "__main__":
    command()

"""Print the emotion of each second of a clip: the models are loaded once.

python examples/timeline.py examples/demo.mp4
"""

import sys

import videmo


def main(path, step=1.0):
    """Classify `path` in pieces of `step` s until nothing is left."""
    pipeline = videmo.load("afew7")
    start = 0.0
    while True:
        answer = pipeline.answer(path, start=start, end=start + step)
        if not answer.descriptor.seen:
            break
        label = answer.prediction.label if answer.prediction else "no face"
        print(f"{start:6.1f} s  {label}")
        start += step


if __name__ == "__main__":
    main(sys.argv[1])

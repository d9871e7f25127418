"""Print the emotion of one clip, and how much of it the answer rests on.

python examples/classify_clip.py examples/demo.mp4
"""

import sys

import videmo


def main(path):
    """Classify `path` and print every label with its probability."""
    try:
        prediction = videmo.classify(path)
    except videmo.VidemoError as error:  # no face, no such file, not a video, ...
        sys.exit(str(error))
    found = prediction.descriptor
    print(f"{prediction.label} ({found.faces} faces in {found.frames} of {found.seen} frames)")
    for label, score in zip(prediction.labels, prediction.scores, strict=True):
        print(f"  {label:10} {score:.3f}")


if __name__ == "__main__":
    main(sys.argv[1])

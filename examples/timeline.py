"""Print the emotion of each second of a clip: the models are loaded once.

python examples/timeline.py examples/demo.mp4
python examples/timeline.py examples/demo.mp4 enet_b0_8_va_mtl   # with valence and arousal
"""

import sys

import videmo


def main(path, head="afew7", step=1.0):
    """Classify `path` in pieces of `step` s until nothing is left."""
    pipeline = videmo.load(head)
    start = 0.0
    while True:
        answer = pipeline.answer(path, start=start, end=start + step)
        if not answer.descriptor.seen:
            break
        label = answer.prediction.label if answer.prediction else "no face"
        affect = answer.affect  # of networks that tell it
        more = f"  valence {affect.valence:+.2f}, arousal {affect.arousal:+.2f}" if affect else ""
        print(f"{start:6.1f} s  {label}{more}")
        start += step


if __name__ == "__main__":
    main(*sys.argv[1:3])

"""Print what each person of a clip shows in each second: the clip is read once.

python examples/timeline.py examples/demo.mp4
python examples/timeline.py examples/demo.mp4 enet_b0_8_va_mtl overlap   # valence and arousal

The second network tells no identity, so that who comes back after a cut is another person.
"""

import sys

from videmo.people.linking import Linking
from videmo.people.moments import load, watch
from videmo.people.timeline import Timing, rows


def main(path, head="afew7", link="identity", step=1.0):
    """Print a line for each person in each `step` s of `path`."""
    linking = Linking(by=link)
    pipeline = load(head, linking=linking)
    seen = watch(pipeline, path, linking=linking).moments
    for row in rows(seen, pipeline, Timing(window=step, step=step)):
        valence, arousal = row.affect  # of networks that tell it
        more = f"  valence {valence:+.2f}, arousal {arousal:+.2f}" if valence == valence else ""
        print(f"{row.start:6.1f} s  person {row.person or '-'}  {row.label}{more}")


if __name__ == "__main__":
    main(*sys.argv[1:4])

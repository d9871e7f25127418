"""dataset: a published data set goes in, a manifest of its labelled clips comes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from videmo.cli.grouped import Command
from videmo.cli.options.messages import message_options
from videmo.cli.options.outputs import out_option
from videmo.cli.outputs import check_outputs, overwrite_option
from videmo.cli.streams import say

if TYPE_CHECKING:
    from videmo.runs.inputs import Clip
    from videmo.train.datasets import Dataset

EXAMPLES = """\b
Examples:
  videmo dataset ravdess RAVDESS/ --fold 1 -o ravdess1.csv
  videmo extract-features --manifest ravdess1.csv -o ravdess1.npz
"""
_COLUMNS = ("path", "label", "split", "subject", "start", "end")


class _NamesDataSets(Command):
    """A command whose help names every data set there is."""

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help; the data sets are read only now, for they take a moment."""
        from videmo.train.datasets import DATASETS

        names = [f"{n} ({of.remark})" if of.remark else n for n, of in DATASETS.items()]
        words = self.help or ""
        self.help = words.replace("DATASETS", f"{', '.join(names[:-1])} or {names[-1]}")
        super().format_help_text(ctx, formatter)
        self.help = words  # for the next time: there may be others by then


@click.command(cls=_NamesDataSets, no_args_is_help=True, epilog=EXAMPLES)
@click.argument("name")
@click.argument("root", type=click.Path(readable=False, path_type=str))
@click.option(
    "--fold",
    type=click.IntRange(1),
    metavar="K",
    help="Of a cross-validated set: test is its K-th fold, train all others.",
)
@out_option(metavar="FILE.csv", help="Write here instead of to standard output.")
@overwrite_option
@message_options
def dataset(name: str, root: str, fold: int | None, out: str | None, **options: Any) -> None:
    """List the clips of a data set: path, label, split and subject, as --manifest reads them.

    NAME is DATASETS. ROOT is the folder it was unpacked to.

    Without --out, relative paths start at the current folder. In a file they start at the
    file's folder where ROOT lies below it, and are absolute otherwise.
    """
    from videmo.train.datasets import read_dataset
    from videmo.write.names import DEVICES, kind_of
    from videmo.write.sink import open_sink

    check_outputs()
    if out not in (None, "-") and not str(out).startswith(DEVICES):
        kind_of(str(out), {".csv": "csv"})
    found = read_dataset(name, root, fold)
    check_outputs(found.clips)
    sink = open_sink(out)
    sink.write(_csv(found.clips, _folder(out)))
    sink.close()
    if not options["quiet"]:
        for line in (*_summary(found), *(f"note: {note}" for note in found.notes)):
            say(f"videmo: {line}")


def _csv(clips: Sequence[Clip], folder: str | None) -> str:
    """Return the clips as CSV (RFC 4180); a column that is empty throughout is left out."""
    import csv
    import io

    columns = [c for c in _COLUMNS if c in _COLUMNS[:4] or any(getattr(x, c) for x in clips)]
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\r\n")
    rows.writerow(columns)
    for clip in clips:
        cells = [getattr(clip, column) for column in columns]
        rows.writerow(
            ["" if cell is None else cell for cell in (_from(cells[0], folder), *cells[1:])]
        )
    return text.getvalue()


def _folder(out: str | None) -> str | None:
    """Return the folder of the file that is written, None for standard output."""
    import os

    return None if out in (None, "-") else os.path.dirname(os.path.realpath(str(out)))


def _from(path: str, folder: str | None) -> str:
    """Return `path` as it is read back from a manifest in `folder`."""
    import os

    if folder is None:
        return path
    whole = os.path.join(os.getcwd(), path)  # not normalised: .. may follow a link
    return whole.removeprefix(os.path.join(folder, ""))


def _summary(found: Dataset) -> list[str]:
    splits = sorted({clip.split for clip in found.clips if clip.split}, key=_order)
    counts = [f"{s} {sum(clip.split == s for clip in found.clips)}" for s in splits]
    parts = f" ({', '.join(counts)})" if counts else ""
    subjects = len({clip.subject for clip in found.clips if clip.subject})
    people = f", subjects {subjects}" if subjects else ""
    head = f"{found.name}: clips {len(found.clips)}{parts}, labels {len(found.labels)}{people}"
    return [f"{head}; judged by {found.metric}"]


def _order(split: str) -> tuple[int, str]:
    known = ("train", "val", "test")
    return (known.index(split) if split in known else len(known)), split

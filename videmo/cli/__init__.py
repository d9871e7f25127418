"""The door: a group of commands, and the one place that turns errors into exit codes.

0 all went well, 1 some input failed, 2 wrong use, 3 no input matched, 4 a model is not
available, 130 interrupted, 141 nobody reads the output any more.
"""

from __future__ import annotations

import errno
import io
import sys
from collections.abc import Sequence

import click

from videmo import __version__
from videmo.cli.dataset import dataset
from videmo.cli.doctor import doctor
from videmo.cli.evaluate import evaluate
from videmo.cli.export import export
from videmo.cli.learn import train
from videmo.cli.merge import merge
from videmo.cli.models import models
from videmo.cli.persons import attributes, identify
from videmo.cli.schema import schema
from videmo.cli.score import classify, extract_features
from videmo.cli.signals import interruptible
from videmo.cli.streams import drop_output, guard_streams, quiet_libraries, say
from videmo.errors import (
    InputError,
    MissingDependency,
    ModelError,
    NothingToDo,
    ReaderGone,
    VidemoError,
)
from videmo.extras import SOURCES, missing


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example:  videmo classify clip.mp4",
)
@click.version_option(__version__, "-V", "--version", message="%(prog)s %(version)s")
def videmo() -> None:
    """Tell which emotion a video clip shows.

    Everything runs on this machine; nothing is uploaded. A face's emotion is sensitive:
    README.md says what these answers are good for, and where they must not be used.
    """


videmo.add_command(classify)
videmo.add_command(extract_features)
videmo.add_command(merge)
videmo.add_command(dataset)
videmo.add_command(evaluate)
videmo.add_command(attributes)
videmo.add_command(identify)
videmo.add_command(train)
videmo.add_command(schema)
videmo.add_command(models)
videmo.add_command(doctor)
videmo.add_command(export)


_STEPS = {
    errno.EMFILE: "raise the limit (ulimit -n), or give fewer --jobs",
    errno.ENFILE: "close other programs, or give fewer --jobs",
    errno.ENOSPC: "free some space",
    errno.ENOMEM: "give fewer --jobs, or --max-side",
    **dict.fromkeys(
        (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ECONNREFUSED, errno.ETIMEDOUT,
         errno.ECONNRESET),
        "look at the network, or give --offline",
    ),
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    debug = "--debug" in (sys.argv[1:] if arguments is None else arguments)
    guard_streams()
    quiet_libraries(debug=debug)
    try:
        with interruptible():
            code = videmo.main(arguments, prog_name="videmo", standalone_mode=False)
            sys.stdout.flush()
    except click.ClickException as error:
        told = io.StringIO()
        error.show(told)  # a name that a shell has filled in may be anything
        for line in told.getvalue().splitlines():
            say(line)
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        say("videmo: interrupted")
        code = 130
    except ModuleNotFoundError as error:  # that nobody has asked for before it was imported
        module = (error.name or "").partition(".")[0]
        if debug or module not in SOURCES:
            raise
        say(f"videmo: error: {missing(module)}")
        code = 4
    except ReaderGone:
        drop_output()
        code = 141
    except VidemoError as error:
        drop_output()
        if debug:
            raise
        say(f"videmo: error: {_known_elsewhere(error) or error}")
        code = exit_code(error)
    except OSError as error:  # of the system itself: no room has named a file for it
        drop_output()
        if debug:
            raise
        say(f"videmo: error: {_of_the_system(error)}")
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


def _of_the_system(error: OSError) -> str:
    """Return what the system says, of what, and what to do."""
    said = (error.strerror or str(error) or type(error).__name__).lower()
    step = _STEPS.get(error.errno or 0, "try again, with --debug to see where it comes from")
    return f"{error.filename or 'the system'}: {said}; {step}"


def _known_elsewhere(error: VidemoError) -> str:
    """Return how a model that is not here, but published, is to be had, or nothing."""
    from videmo.errors import ModelNotFound

    if isinstance(error, ModelNotFound):
        from videmo.store.zoo import ZOO

        if error.name in ZOO:
            return f"{error.name}: is published, not installed; videmo models pull {error.name}"
    return ""


def exit_code(error: VidemoError) -> int:
    """Return the exit code of an error that ended a whole run."""
    if isinstance(error, NothingToDo):
        return 3
    if isinstance(error, (ModelError, MissingDependency)):
        return 4
    return 2 if isinstance(error, InputError) else 1

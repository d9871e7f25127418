"""The door: a group of commands, and the one place that turns errors into exit codes.

0 all went well, 1 some input failed, 2 wrong use, 3 no input matched, 4 a model is not
available, 130 interrupted, 141 nobody reads the output any more. What was raised decides, in
`main` and `exit_code`; 1 for inputs that failed comes from the command (`run`).

    a command                a module here, and a line in COMMANDS and GROUPS
    an option of one command that module; of several, a module of `options`
    an option of the recipe  recipe.OPTIONS, options.recipe, and a keyword in runs.library; wording,
                             where errors name it
    an output                outputs: never over what is read
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

import click

from videmo import __version__
from videmo.cli.config import VARIABLE, where_from
from videmo.cli.lazy import LazyCommands, LazyGroup
from videmo.cli.signals import interruptible
from videmo.cli.streams import drop_output, guard_streams, quiet_libraries, say
from videmo.cli.wording import error_text
from videmo.errors import (
    InputError,
    MissingDependency,
    ModelError,
    NoFaceError,
    NothingToDo,
    ReaderGone,
    VidemoError,
    VideoError,
    out_of_memory,
)
from videmo.files.extras import SOURCES, missing_dependency

COMMANDS = {  # name -> its place, and what it does
    "classify": (
        "videmo.cli.classify:classify",
        "Tell the emotion of each clip: a record for each.",
    ),
    "timeline": (
        "videmo.cli.timeline:timeline",
        "Tell who felt what when: rows of persons in time.",
    ),
    "extract-features": (
        "videmo.cli.classify:extract_features",
        "Keep one descriptor of each clip.",
    ),
    "merge": ("videmo.cli.merge:merge", "Put together what --shard wrote."),
    "dataset": (
        "videmo.cli.dataset:dataset",
        "List the clips of a data set, with labels.",
    ),
    "evaluate": (
        "videmo.cli.evaluate:evaluate",
        "Measure predictions against the truth.",
    ),
    "annotate": ("videmo.cli.annotate:annotate", "Draw on a clip what is seen in it."),
    "report": ("videmo.cli.report:report", "Make a page of a clip, or of many."),
    "plot": ("videmo.cli.plot:plot", "Draw a timeline, person by person."),
    "compare": ("videmo.cli.compare:compare", "Tell what differs between two runs."),
    "attributes": (
        "videmo.cli.persons:attributes",
        "Tell age, gender, ethnicity of each person.",
    ),
    "identify": ("videmo.cli.persons:identify", "Tell whether two clips show one person."),
    "train": ("videmo.cli.train_head:train", "Train models on data of your own."),
    "schema": ("videmo.cli.schema:schema", "Print the JSON Schema of a record."),
    "models": ("videmo.cli.models:models", "List, fetch, check and remove models."),
    "doctor": ("videmo.cli.doctor:doctor", "Tell what is installed here and whether it works."),
    "bench": ("videmo.cli.bench:bench", "Measure how fast clips are read here."),
    "completion": ("videmo.cli.completion:completion", "Let the tab key complete videmo."),
    "export": ("videmo.cli.export:export", "Write a backbone for other programs."),
}

GROUPS = {  # as help shows them
    "What clips show": ("classify", "timeline", "extract-features", "attributes", "identify"),
    "To look at": ("report", "plot", "annotate"),
    "Labels and figures": ("train", "evaluate", "compare", "dataset"),
    "Many machines": ("merge",),
    "Models": ("models", "export"),
    "Of videmo itself": ("doctor", "bench", "schema", "completion"),
}
EXAMPLES = """\b
Examples:
  videmo clip.mp4                          the same as videmo classify clip.mp4
  videmo classify clips/ -o emotions.csv   one row for every clip
  videmo help classify                     the options of a command
"""


@click.group(
    cls=LazyGroup,
    commands=LazyCommands({name: place for name, (place, _) in COMMANDS.items()}),
    context_settings={
        "auto_envvar_prefix": "VIDEMO",
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        "show_default": True,
        "token_normalize_func": lambda word: word.replace("_", "-"),  # --min_face, as in Python
    },
    epilog=EXAMPLES,
)
@click.option(
    "--config",
    type=click.Path(readable=False),
    metavar="FILE",
    help="Defaults for options, as TOML. By default VIDEMO_CONFIG, or your own videmo.toml; videmo "
    "doctor says which.",
)
@click.version_option(__version__, "-V", "-v", "--version", message="%(prog)s %(version)s")
def videmo(config: str | None) -> None:
    """Tell which emotion a video clip shows.

    Everything runs on this machine; nothing is uploaded. A face's emotion is sensitive:
    README.md says what these answers are good for, and where they must not be used.
    """
    if config is not None:
        os.environ[VARIABLE] = config  # of this process, and of those that it starts


videmo.direct = "classify"
videmo.groups = GROUPS
videmo.brief = {name: brief for name, (_, brief) in COMMANDS.items()}


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


def _say_usage(error: click.ClickException) -> None:
    """Say what is wrong in a line, whatever is in the names that a shell has filled in."""
    if type(error).__name__ == "NoArgsIsHelpError":  # whose message is the help; click 8.2 has it
        for line in error.format_message().splitlines():
            say(line)
        return
    if isinstance(error, click.UsageError) and error.ctx:
        for line in error.ctx.get_usage().splitlines():
            say(line)
        say(f"Try '{error.ctx.command_path} --help' for help.")
    more = where_from(error) if isinstance(error, click.BadParameter) else ""
    say(f"Error: {error.format_message()}{more}")


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
        _say_usage(error)
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        say("videmo: interrupted")
        code = 130
    except ModuleNotFoundError as error:  # that nobody has asked for before it was imported
        module = (error.name or "").partition(".")[0]
        if debug or module not in SOURCES:
            raise
        say(f"videmo: error: {missing_dependency(module)}")
        code = 4
    except ReaderGone:
        drop_output()
        code = 141
    except VidemoError as error:
        drop_output()
        if debug:
            raise
        say(f"videmo: error: {_pull_hint(error) or error_text(error)}")
        code = exit_code(error)
    except OSError as error:  # of the system itself: no room has named a file for it
        drop_output()
        if debug:
            raise
        say(f"videmo: error: {_of_the_system(error)}")
        code = 1
    except Exception as error:
        drop_output()
        if debug or not (lack := out_of_memory(error)):
            raise
        say(f"videmo: error: {error_text(lack)}")
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


def _of_the_system(error: OSError) -> str:
    """Return what the system says, of what, and what to do."""
    said = (error.strerror or str(error) or type(error).__name__).lower()
    step = _STEPS.get(error.errno or 0, "try again, with --debug to see where it comes from")
    return f"{error.filename or 'the system'}: {said}; {step}"


def _pull_hint(error: VidemoError) -> str:
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
    if isinstance(error, (VideoError, NoFaceError)):  # of a command that is about one clip
        return 1
    return 2 if isinstance(error, InputError) else 1

"""The tree of commands, and the boundary where an error becomes a sentence and an exit code."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import typer

from workzone import __version__
from workzone.cli import (
    audit,
    bench,
    bundle,
    check,
    compare,
    data,
    folds,
    matrix,
    mine,
    pipeline,
    plan,
    predict,
    serve,
    subnet,
    subnet_ask,
    subnet_publish,
    subnet_state,
)
from workzone.cli.console import ExitCode, err, shown
from workzone.core.errors import ConfigError, WorkzoneError

INTERRUPTED = 130
"""What a shell takes for Ctrl-C, and typer exits with."""
INTERRUPTED_SENTENCE = "[red]interrupted[/red] Whatever was finished is kept: the same command does the rest."

app = typer.Typer(
    name="workzone",
    help="Is there road work in this street picture? Train, certify, pack and ask.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
app.add_typer(data.app, name="data")
app.add_typer(bundle.app, name="bundle")
app.add_typer(plan.app, name="plan")
app.add_typer(serve.app, name="serve")
app.add_typer(bench.app, name="bench")
app.add_typer(subnet.app, name="subnet")
subnet.app.command("state")(subnet_state.state)
subnet.app.command("rehearsal")(subnet_ask.rehearsal)
subnet.app.command("ask")(subnet_ask.ask)
subnet.app.command("card")(subnet_publish.card)
subnet.app.command("publish")(subnet_publish.publish)
subnet.app.command("register")(subnet_publish.register)
app.command("demo")(pipeline.demo)
app.command("run")(pipeline.run)
app.command("report")(pipeline.report)
app.command("predict")(predict.predict)
app.command("compare")(compare.compare)
app.command("check")(check.check)
app.command("audit")(audit.audit)
app.command("folds")(folds.folds)
app.command("matrix")(matrix.matrix)
app.command("mine")(mine.mine)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"workzone {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
    ),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Log what the libraries do."),
) -> None:
    """Configure logging; commands do the rest."""
    del version
    logging.basicConfig(level=logging.INFO if verbose else logging.CRITICAL)


def run(arguments: Sequence[str]) -> int:
    """Run one command.

    Returns:
        The exit code: 0 done, 1 failed, 2 usage, 3 a gate was not met.
    """
    try:
        app(list(arguments), prog_name="workzone")
    except SystemExit as stop:  # how typer ends a command, its usage errors and interrupts included
        if stop.code == INTERRUPTED:
            err.print(INTERRUPTED_SENTENCE)
        return stop.code if isinstance(stop.code, int) else ExitCode.FAILED
    except ConfigError as error:
        _say(error)
        return ExitCode.USAGE
    except (WorkzoneError, OSError) as error:
        _say(error)
        return ExitCode.FAILED
    except KeyboardInterrupt:
        err.print(INTERRUPTED_SENTENCE)
        return ExitCode.FAILED
    return ExitCode.DONE


def _say(error: BaseException) -> None:
    """Print the sentence; what it quotes may look like markup."""
    err.print(f"[red]error[/red] {shown(error)}")

"""`px-import`: the command line."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from schemas.errors import ImporterError

TROUBLE = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 done or accepted, 1 a checked file is rejected, 2 trouble: wrong settings or the world, 130 interrupted.
    """
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except ImporterError as exc:
        print(f"px-import: {exc}", file=sys.stderr)
        return TROUBLE
    except KeyboardInterrupt:
        print("px-import: stopped; the next tick goes on where this one was", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return TROUBLE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="px-import", description="Import accounts and users from S3 drop folders.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="see a whole import on an embedded S3 server and database")
    demo.add_argument("--folder", type=Path, default=Path("demo-output"), help="where everything lies afterwards")
    demo.set_defaults(command=_demo)

    run = commands.add_parser("run", help="one tick now: import what waits")
    run.add_argument("settings", nargs="*", type=Path, metavar="SETTINGS.yaml", help="settings files, one a feed")
    run.add_argument("--feed", action="append", default=[], metavar="NAME", help="a feed saved in Prefect")
    run.add_argument("--verbose", action="store_true", help="show Prefect's log")
    run.set_defaults(command=_run)

    check = commands.add_parser("check", help="validate files without touching anything")
    check.add_argument("files", nargs="+", type=Path, metavar="FILE", help="gzipped CSV files")
    check.add_argument("--settings", type=Path, required=True, metavar="SETTINGS.yaml", help="the feed's settings")
    check.add_argument("--json", action="store_true", help="print JSON, like status.json")
    check.set_defaults(command=_check)

    apply = commands.add_parser("apply", help="save settings files as Prefect blocks")
    apply.add_argument("settings", nargs="+", type=Path, metavar="SETTINGS.yaml", help="settings files, one a feed")
    apply.set_defaults(command=_apply)

    deliveries = commands.add_parser("deliveries", help="what the ledger knows: past and open deliveries")
    deliveries.add_argument("settings", nargs="*", type=Path, metavar="SETTINGS.yaml", help="whose ledgers are read")
    deliveries.add_argument("--feed", default="", metavar="NAME", help="only this feed")
    deliveries.add_argument("--json", action="store_true", help="print JSON")
    deliveries.set_defaults(command=_deliveries)
    return parser


# Each command is imported when it is called: `check` must start without Prefect.


def _demo(options: argparse.Namespace) -> int:
    from deployments.demo import demo

    return demo(options.folder)


def _run(options: argparse.Namespace) -> int:
    from deployments.run import run

    return run(options.settings, options.feed, verbose=options.verbose)


def _check(options: argparse.Namespace) -> int:
    from deployments.check import check

    return check(options.files, options.settings, as_json=options.json)


def _apply(options: argparse.Namespace) -> int:
    from deployments.apply import apply

    return apply(options.settings)


def _deliveries(options: argparse.Namespace) -> int:
    from deployments.deliveries import deliveries

    return deliveries(options.settings, options.feed, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())

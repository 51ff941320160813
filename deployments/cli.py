"""`px-import`: the command line."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from schemas.catalogue import Entity
from schemas.errors import ImporterError

TROUBLE = 2
INTERRUPTED, TERMINATED = 130, 143  # as a shell counts them

#: For whatever a command asks of Prefect: no word to anybody outside.
_PREFECT = {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 done or accepted, 1 a checked file is rejected, 2 trouble: wrong settings or the world, 130 or 143 stopped.
    """
    options = _parser().parse_args(arguments)
    for variable, value in _PREFECT.items():
        os.environ.setdefault(variable, value)
    try:
        return int(options.command(options))
    except ImporterError as exc:
        print(f"px-import: {exc}", file=sys.stderr)
        return TROUBLE
    except KeyboardInterrupt:
        print("px-import: stopped", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return TROUBLE
    except BaseException as exc:
        # Prefect's own word for SIGTERM, not imported here: `check` must start without Prefect.
        if type(exc).__name__ != "TerminationSignal":
            raise
        print("px-import: stopped", file=sys.stderr)
        return TERMINATED


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

    _add_check(commands)
    _add_catalogue(commands)

    apply = commands.add_parser("apply", help="save settings files as Prefect blocks")
    apply.add_argument("settings", nargs="+", type=Path, metavar="SETTINGS.yaml", help="settings files, one a feed")
    apply.set_defaults(command=_apply)

    iam = commands.add_parser("iam", help="print the rights that AWS must grant a feed: role, trust and bucket policy")
    iam.add_argument("settings", type=Path, metavar="SETTINGS.yaml", help="the feed's settings file")
    iam.add_argument("--trust", default="", metavar="ARN", help="who assumes the role; left out: a placeholder")
    iam.add_argument("--terraform", action="store_true", help="print HCL in place of JSON")
    iam.set_defaults(command=_iam)

    deliveries = commands.add_parser("deliveries", help="what the ledger knows: past and open deliveries")
    deliveries.add_argument("settings", nargs="*", type=Path, metavar="SETTINGS.yaml", help="whose ledgers are read")
    deliveries.add_argument("--feed", default="", metavar="NAME", help="only this feed")
    deliveries.add_argument("--json", action="store_true", help="print JSON")
    deliveries.set_defaults(command=_deliveries)
    return parser


def _add_check(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    check = commands.add_parser(
        "check",
        help="validate files without touching anything",
        description="Print what status.txt would say of these files.",
        epilog="Exits with 0 if all files are accepted, 1 if any is rejected, 2 if something cannot be read.",
    )
    add = check.add_argument
    add("files", nargs="*", metavar="FILE", help="gzipped CSV files; here also plain .csv, and - for standard input")
    add("--settings", type=Path, metavar="SETTINGS.yaml", help="the feed's settings; the next four go before them")
    add("--entity", choices=[entity.value for entity in Entity], help="needed where there are no settings")
    add("--catalogue", type=Path, metavar="FILE", help="attributes as JSON; left out: PX's own")
    add("--date-format", metavar="PATTERN", help="Java pattern of the dates in the files")
    add("--product-key-column", metavar="HEADER", help="column of the product key; left out: there is none")
    add("--errors", type=Path, metavar="FILE", help="write the place of every fault, like errors.csv")
    add("--json", action="store_true", help="print JSON, described by schemas/check.schema.json")
    add("--summary", action="store_true", help="add figures on standard error, where a terminal has them anyway")
    add("--explain-date-format", action="store_true", help="show how the date format is read, and stop")
    check.set_defaults(command=_check)


def _add_catalogue(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    catalogue = commands.add_parser("catalogue", help="look at attribute catalogues")
    verbs = catalogue.add_subparsers(required=True, metavar="check|default")
    check = verbs.add_parser("check", help="count the attributes of a catalogue, or list all that is wrong with it")
    check.add_argument("file", type=Path, metavar="FILE", help="JSON as PX serves it")
    check.set_defaults(command=_check_catalogue)
    default = verbs.add_parser("default", help="print PX's default attributes")
    default.add_argument("entity", choices=[entity.value for entity in Entity])
    default.set_defaults(command=_show_default)


# Each command is imported when it is called: `check` must start without Prefect.


def _demo(options: argparse.Namespace) -> int:
    from deployments.demo import demo

    return demo(options.folder)


def _run(options: argparse.Namespace) -> int:
    from deployments.run import run

    return run(options.settings, options.feed, verbose=options.verbose)


def _check(options: argparse.Namespace) -> int:
    from deployments.check import Given, check, explain_date_format

    given = Given(options.settings, options.entity, options.catalogue, options.date_format, options.product_key_column)
    if options.explain_date_format:
        return explain_date_format(given, options.files)
    summary = options.summary or sys.stderr.isatty()
    return check(options.files, given, errors=options.errors, as_json=options.json, summary=summary)


def _check_catalogue(options: argparse.Namespace) -> int:
    from deployments.catalogue import check_catalogue

    return check_catalogue(options.file)


def _show_default(options: argparse.Namespace) -> int:
    from deployments.catalogue import show_default

    return show_default(Entity(options.entity))


def _apply(options: argparse.Namespace) -> int:
    from deployments.apply import apply

    return apply(options.settings)


def _iam(options: argparse.Namespace) -> int:
    from deployments.iam import iam

    return iam(options.settings, trusted=options.trust, as_terraform=options.terraform)


def _deliveries(options: argparse.Namespace) -> int:
    from deployments.deliveries import deliveries

    return deliveries(options.settings, options.feed, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())

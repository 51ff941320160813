"""`px-import`: the command line."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from deployments.exit_codes import INTERRUPTED, TERMINATED, TROUBLE
from schemas.catalogue import Entity
from schemas.errors import ImporterError, SettingsError

#: For whatever a command asks of Prefect: no word to anybody outside.
_PREFECT = {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}

_ONLY = "only the feed of this name; may be given several times"
_SAVED = "a feed saved in Prefect; may be given several times"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 done or accepted, 1 a checked file is rejected or a check of `doctor` has failed,
        2 trouble: wrong settings or the world, 130 or 143 stopped.
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


class _Version(argparse.Action):
    """Looks the versions up only when it is asked for them."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        python = ".".join(map(str, sys.version_info[:3]))
        print(f"px-import {version('px-import')} (prefect {version('prefect')}, Python {python})")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="px-import", description="Import accounts and users from S3 drop folders.")
    parser.add_argument("--version", action=_Version, nargs=0, help="print the versions of this program and of Prefect")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="see a whole import on an embedded S3 server and database")
    demo.add_argument("--folder", type=Path, default=Path("demo-output"), help="where everything lies afterwards")
    demo.set_defaults(command=_demo)

    s3 = commands.add_parser("s3", help="an S3 server on this machine to try things out, until Ctrl-C")
    s3.add_argument("bucket", metavar="BUCKET", help="made anew, empty; what is put there goes with the server")
    s3.set_defaults(command=_s3)

    run = commands.add_parser(
        "run",
        help="one tick now: import what waits",
        epilog="Exits with 0 if all that waited is imported or rejected, or nothing waited, 2 if S3, the store or "
        "settings failed, 130 if Ctrl-C and 143 if SIGTERM stopped it.",
    )
    run.add_argument("settings", nargs="*", type=Path, metavar="SETTINGS.yaml", help="settings files, one a feed")
    run.add_argument("--feed", action="append", default=[], metavar="NAME", help=_SAVED)
    run.add_argument("--verbose", action="store_true", help="show Prefect's log")
    run.set_defaults(command=_run)

    _add_doctor(commands)
    _add_check(commands)
    _add_catalogue(commands)

    _add_apply(commands)

    serve = commands.add_parser("serve", help="import feeds every quarter of an hour, in one process without a worker")
    serve.add_argument("settings", nargs="*", type=Path, metavar="SETTINGS.yaml", help="settings files, one a feed")
    serve.add_argument("--feed", action="append", default=[], metavar="NAME", help=_SAVED)
    serve.set_defaults(command=_serve)

    iam = commands.add_parser("iam", help="print the rights that AWS must grant a feed: role, trust and bucket policy")
    iam.add_argument("settings", type=Path, metavar="SETTINGS.yaml", help="the feed's settings file")
    iam.add_argument("--trust", default="", metavar="ARN", help="who assumes the role; left out: a placeholder")
    iam.add_argument("--terraform", action="store_true", help="print HCL in place of JSON")
    iam.set_defaults(command=_iam)

    _add_deliveries(commands)
    _add_callbacks(commands)
    replay = commands.add_parser("replay", help="lay an archived delivery out in current/ to be imported again")
    which = "of the delivery, or its folder in processed/: 20210228, 20210228.2"
    replay.add_argument("id", nargs="?", metavar="ID", help=which)
    replay.add_argument("settings", type=Path, metavar="SETTINGS.yaml", help="of its feed")
    replay.add_argument("--even-if-newer", action="store_true", help="also if later ones were imported since")
    unknown = "only list what lies in processed/ and the ledger does not know, in the order to replay it"
    replay.add_argument("--missing", action="store_true", help=unknown)
    replay.set_defaults(command=_replay)

    _add_chaos(commands)
    return parser


def _add_apply(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    apply = commands.add_parser("apply", help="save settings files as Prefect blocks, and automations that tell people")
    add = apply.add_argument
    places = "settings files, one a feed, or folders of them"
    add("settings", nargs="*", type=Path, metavar="SETTINGS.yaml|FOLDER", help=places)
    add("--deploy", action="store_true", help="make a scheduled deployment for each feed, too")
    help_ = "save these automations; no file: those of deployments/automations.yaml"
    add("--automations", nargs="?", type=Path, const=Path(), metavar="FILE.yaml", help=help_)
    add("--notify", default="", metavar="BLOCK", help="who is told: a block document, like slack-webhook/ops")
    apply.set_defaults(command=_apply)


def _add_doctor(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    doctor = commands.add_parser(
        "doctor",
        help="check settings, bucket, rights, store and status endpoint of feeds",
        description="Check all that an import needs. Nothing is imported; a probe below processed/ is put and removed.",
        epilog="Exits with 0 if nothing has failed, 1 if a check has, 2 if settings cannot be read.",
    )
    add = doctor.add_argument
    add("settings", nargs="*", type=Path, metavar="SETTINGS.yaml", help="settings files, one a feed")
    add("--feed", action="append", default=[], metavar="NAME", help=_SAVED)
    add("--send-test", action="store_true", help="POST a test to the status endpoint, which tells of no delivery")
    add("--json", action="store_true", help="print JSON, described by schemas/doctor.schema.json")
    doctor.set_defaults(command=_doctor)


def _add_check(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    check = commands.add_parser(
        "check",
        help="validate files without touching anything",
        description="Print what status.txt would say of these files.",
        epilog="Exits with 0 if all files are accepted, 1 if any is rejected, 2 if something cannot be read; the other "
        "files are checked all the same.",
    )
    add = check.add_argument
    add("files", nargs="*", metavar="FILE", help="gzipped CSV files; here also plain .csv, and - for standard input")
    add("--settings", type=Path, metavar="SETTINGS.yaml", help="the feed's settings; the next four override them")
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


def _add_deliveries(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    deliveries = commands.add_parser(
        "deliveries",
        help="what the ledger knows: past and open deliveries",
        epilog="px-import deliveries show ID [SETTINGS.yaml …] tells the whole story of one.",
    )
    add = deliveries.add_argument
    add("settings", nargs="*", metavar="[show ID] SETTINGS.yaml", help="whose ledgers are read")
    add("--feed", action="append", default=[], metavar="NAME", help=_ONLY)
    add("--last", type=_positive, metavar="N", help="only so many of each feed, the newest; left out: all")
    add("--json", action="store_true", help="print JSON")
    deliveries.set_defaults(command=_deliveries)


def _add_callbacks(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    callbacks = commands.add_parser("callbacks", help="what status endpoints were told, and are still to be told")
    verbs = callbacks.add_subparsers(required=True, metavar="list|resend")
    listed = verbs.add_parser("list", help="all callbacks, and what came of them")
    listed.add_argument("settings", nargs="*", type=Path, metavar="SETTINGS.yaml", help="whose ledgers are read")
    listed.add_argument("--feed", action="append", default=[], metavar="NAME", help=_ONLY)
    listed.add_argument("--json", action="store_true", help="print JSON")
    listed.set_defaults(command=_list_callbacks)
    resent = verbs.add_parser("resend", help="send one now, under the same id and with the same body")
    resent.add_argument("id", metavar="ID", help="of the callback, or its beginning")
    resent.add_argument("settings", nargs="*", type=Path, metavar="SETTINGS.yaml", help="whose outboxes are searched")
    resent.add_argument("--again", action="store_true", help="also if it was received before")
    resent.set_defaults(command=_resend)


def _add_chaos(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    chaos = commands.add_parser(
        "chaos",
        help="disturb imports at every call and see that nothing is lost",
        description="Play deliveries in a scratch part of a bucket and a database, and at each call of the importer "
        "kill it, refuse, break the connection, or change the bucket; then see whether all promises hold.",
        epilog="Exits with 0 if all is as promised, 1 if not, 2 if it cannot be played here.",
    )
    add = chaos.add_argument
    add(
        "settings",
        nargs="?",
        type=Path,
        metavar="SETTINGS.yaml",
        help="any feed's; left out: an embedded S3 and SQLite",
    )
    add("--scenario", action="append", default=[], metavar="NAME", help="only this one, for example 'first delivery'")
    add("--fault", action="append", default=[], metavar="NAME", help="only this one, for example 'killed before'")
    add("--every", type=_positive, default=1, metavar="N", help="strike at every N-th call only")
    add("--jobs", type=_positive, default=0, metavar="N", help="cases at a time; left out: one a processor")
    add("--title", default="", help="what the table calls this place")
    add(
        "--into",
        type=Path,
        metavar="FILE.md",
        help="write the table there, between <!-- chaos: TITLE --> and <!-- end -->",
    )
    add("--cases", type=Path, metavar="FILE.csv", help="write a line for each case, as they are played")
    add("--resume", action="store_true", help="go on after an interruption: what --cases holds is not played again")
    chaos.set_defaults(command=_chaos)


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number from 1 on")
    return number


# Each command is imported when it is called: `check` must start without Prefect.


def _demo(options: argparse.Namespace) -> int:
    from deployments.demo import demo

    return demo(options.folder)


def _s3(options: argparse.Namespace) -> int:
    from deployments.try_s3 import serve

    return serve(options.bucket)


def _run(options: argparse.Namespace) -> int:
    from deployments.run import run

    return run(options.settings, options.feed, verbose=options.verbose)


def _keep_prefect_quiet() -> None:
    from deployments.run import keep_quiet

    keep_quiet()


def _doctor(options: argparse.Namespace) -> int:
    _keep_prefect_quiet()
    from deployments.doctor import doctor

    return doctor(options.settings, options.feed, with_test=options.send_test, as_json=options.json)


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
    _refuse_what_has_no_effect(options)
    from deployments.apply import apply

    if options.settings:
        apply(options.settings, deploy=options.deploy)
    if options.automations:
        from deployments.automations import SHIPPED, apply_automations

        apply_automations(SHIPPED if options.automations == Path() else options.automations, options.notify)
    return 0


def _refuse_what_has_no_effect(options: argparse.Namespace) -> None:
    """Of `apply`: an option that nothing would come of."""
    if options.notify and not options.automations:
        raise SettingsError("--notify", "automations send the messages; add --automations, or leave --notify out")
    if options.deploy and not options.settings:
        raise SettingsError("--deploy", "name the settings files of the feeds to deploy, before any --automations")
    if not options.settings and not options.automations:
        raise SettingsError("", "name a settings file, or give --automations")


def _serve(options: argparse.Namespace) -> int:
    from deployments.serve import serve

    return serve(options.settings, options.feed)


def _iam(options: argparse.Namespace) -> int:
    from deployments.iam import iam

    return iam(options.settings, trusted=options.trust, as_terraform=options.terraform)


def _deliveries(options: argparse.Namespace) -> int:
    _keep_prefect_quiet()
    from deployments.deliveries import deliveries, show_delivery

    match options.settings:
        case ["show", *rest]:
            beginning, *files = _one_delivery(rest, options)
            return show_delivery(beginning, [Path(file) for file in files], as_json=options.json)
        case files:
            paths = [Path(file) for file in files]
            return deliveries(paths, options.feed, last=options.last, as_json=options.json)


def _one_delivery(rest: list[str], options: argparse.Namespace) -> list[str]:
    """What follows `show`, which begins with an id."""
    for option, given in {"--feed": options.feed, "--last": options.last}.items():
        if given:
            raise SettingsError(option, f"show tells of the one delivery that is named; leave {option} out")
    if not rest or _is_settings_file(rest[0]):
        raise SettingsError("ID", "name a delivery after show; px-import deliveries lists them")
    return rest


def _list_callbacks(options: argparse.Namespace) -> int:
    _keep_prefect_quiet()
    from deployments.callbacks import list_callbacks

    return list_callbacks(options.settings, options.feed, as_json=options.json)


def _resend(options: argparse.Namespace) -> int:
    _keep_prefect_quiet()
    from deployments.callbacks import resend

    if _is_settings_file(options.id):
        raise SettingsError("ID", "name a callback after resend; px-import callbacks list shows them")
    return resend(options.id, options.settings, again=options.again)


def _replay(options: argparse.Namespace) -> int:
    from deployments.replay import list_missing, replay

    if options.id is None and not options.missing and not _is_settings_file(options.settings):
        raise SettingsError("SETTINGS.yaml", "name the settings file of the feed, too, after the delivery")
    if options.missing and options.id is None:
        return list_missing(options.settings)
    if options.missing or options.id is None:
        raise SettingsError("ID", "name one delivery, or list those that the ledger does not know with --missing alone")
    return replay(options.id, options.settings, even_if_newer=options.even_if_newer)


def _is_settings_file(argument: str | Path) -> bool:
    """Whether it was meant as one, and so does not name a delivery or a callback."""
    path = Path(argument)
    return path.suffix in {".yaml", ".yml"} or path.is_file()


def _chaos(options: argparse.Namespace) -> int:
    from deployments.chaos.command import Wishes, chaos

    wishes = Wishes(
        scenarios=options.scenario,
        faults=options.fault,
        every=options.every,
        jobs=options.jobs,
        title=options.title,
        into=options.into,
        cases=options.cases,
        resume=options.resume,
    )
    return chaos(options.settings, wishes)


if __name__ == "__main__":
    sys.exit(main())

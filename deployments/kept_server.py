"""A server process that never outlives its owner.

A small keeper process stands between this one and the server. It holds the read end of a pipe whose
other end only this process has: however this process ends, even by `kill -9`, the pipe closes, and the
keeper ends the server and sweeps up after it. No signal, thread or operating system has to play along.
"""

import os
import pwd
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from signal import SIGKILL, Signals

# A word before the end means that the server's folder stays.
_KEEPER = """
import contextlib, glob, os, shutil, subprocess, sys, threading
scratch, litter, number, user, group, *command = sys.argv[1:]
who = {"user": int(user), "group": int(group), "extra_groups": []} if user else {}
server = subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd=scratch, **who)
leave = False
def watch():
    global leave
    leave = not os.read(0, 1)
    server.send_signal(int(number))
threading.Thread(target=watch, daemon=True).start()
server.wait()
for path in [path for pattern in litter.split() for path in glob.glob(pattern)]:
    with contextlib.suppress(OSError):
        os.unlink(path)
if leave:
    shutil.rmtree(scratch, ignore_errors=True)
"""


class KeptServer:
    """One run of a server."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        scratch: Path,
        environment: Mapping[str, str],
        ends_with: Signals = SIGKILL,
        account: pwd.struct_passwd | None = None,
        litter: Sequence[str] = (),
    ) -> None:
        """Start it.

        Args:
            command: program and arguments; it runs in `scratch`.
            scratch: folder of its own; what it says is added to the file `log` there.
            environment: of the process.
            ends_with: how it is ended.
            account: whom it runs as; None: as this process.
            litter: patterns of files that it leaves elsewhere.
        """
        self.log = scratch / "log"
        who = [str(account.pw_uid), str(account.pw_gid)] if account else ["", ""]
        told = [str(scratch), " ".join(litter), str(int(ends_with)), *who]
        with self.log.open("ab") as log:
            self._keeper = subprocess.Popen(  # noqa: S603 -- our own words only
                [sys.executable, "-ISc", _KEEPER, *told, *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=dict(environment),
                start_new_session=True,  # Ctrl-C in a terminal reaches us, who end the server in good order
            )

    @property
    def runs(self) -> bool:
        """Whether it has not ended yet."""
        return self._keeper.poll() is None

    def end(self, *, keep: bool) -> None:
        """End it and wait for that; with `keep` its folder stays."""
        assert self._keeper.stdin  # noqa: S101 -- a pipe, above
        try:
            self._keeper.stdin.write(b"k" if keep else b"")
            self._keeper.stdin.close()
        except BrokenPipeError:
            pass  # the server, and the keeper with it, ended by itself
        self._keeper.wait()

    def last_words(self) -> str:
        """The end of what it said."""
        return self.log.read_text(errors="replace")[-2000:]


def environment_without(*beginnings: str) -> dict[str, str]:
    """This process's environment but for variables that begin so: the machine's settings must not reach the server."""
    return {name: value for name, value in os.environ.items() if not name.startswith(beginnings)}

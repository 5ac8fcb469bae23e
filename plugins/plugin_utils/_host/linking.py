# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Connections that Ansible's task did not choose: made by Ansible's loader from variables, tried with one small command, within a time. And the file that
remembers which way worked.

What Ansible itself does for a task stands in its executor/task_executor.py (``_get_connection``, ``_set_connection_options``), which has no public door;
these are its steps, as they are in ansible-core 2.16 to 2.19.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible import constants as C
from ansible.template import Templar

from .._fleet.windows.ways import CONNECTIONS, Attempt, Next
from . import wording
from .session import LOST

#: A program of Windows that any default shell starts and that changes nothing.
_COMMAND = "hostname"
#: Seconds for saying goodbye to a host.
_GOODBYE = 3.0


@dataclass(frozen=True)
class Linking:
    """Tries ways from within an action. ``action``: Ansible's action plugin; ``variables``: of the task, as they were written; ``own``: the host's alone.

    ``seconds``: what each way may take. ``salt``: of this task, so that the marks of accounts say nothing to anybody else.
    """

    action: Any
    variables: Mapping[str, Any]
    own: Mapping[str, Any]
    seconds: float
    salt: bytes

    def attempt(self, wish: Next) -> Attempt:
        """Try a way once."""
        name, account, kind = wish.way.name, "", ""
        began = time.monotonic()
        connection = None
        try:
            with deadline(self.seconds):
                said = {**self._base(), **wish.way.variables, **self._once()}
                templar = Templar(loader=self.action._loader, variables=said)
                connection = self._made(said, templar)
                kind = str(connection.transport)
                account = self._account(connection)
                spared = wish.spared(account)
                if spared is not None:
                    return spared
                code, output, noise = connection.exec_command(_COMMAND, sudoable=False)
        except LOST as error:
            took = time.monotonic() - began
            # Libraries word the deadline as a timeout of their own, with a time of their own.
            why = _late(self.seconds) if took >= self.seconds else str(error) or type(error).__name__
            return Attempt(name, wording.short(why), wording.advice(why, kind), took, account, wording.refused(why))
        finally:
            _closed(connection)
        took = time.monotonic() - began
        if code == 0:
            return Attempt(name, "", "", took, account)
        told = " ".join(bytes(noise or output).decode("utf-8", "replace").split())
        return Attempt(name, wording.short(f"the command {_COMMAND} ended with {code}: {told}"), wording.advice(told, kind), took, account)

    def _base(self) -> dict[str, Any]:
        """What the way's variables are laid over. Ansible adds the shell of the task's own connection to a task's variables (PlayContext.update_vars),
        though nobody said it; each connection has a shell that fits it."""
        added = {"ansible_shell_type", "ansible_shell_executable"} - self.own.keys()
        return {name: value for name, value in self.variables.items() if name not in added}

    def _once(self) -> dict[str, Any]:
        """No plugin tries again by itself, and ssh ends when its time is over."""
        return {"ansible_ssh_retries": 0, "ansible_psrp_reconnection_retries": 0, "ansible_ssh_timeout": max(1, int(self.seconds))}

    def _made(self, said: Mapping[str, Any], templar: Templar) -> Any:
        action = self.action
        kind = str(templar.template(said.get("ansible_connection", ""))).removeprefix("ansible.builtin.")
        if kind not in CONNECTIONS:
            raise OSError(f"ansible_connection is {kind!r}; one of {', '.join(CONNECTIONS)} is wanted")
        context = action._play_context.set_task_and_variable_override(task=action._task, variables=said, templar=templar)
        context.post_validate(templar=templar)
        context.connection = kind
        context.become = False
        context.shell = templar.template(said.get("ansible_shell_type"))
        context.remote_addr = context.remote_addr or str(said.get("inventory_hostname", ""))
        connection, _found = action._shared_loader_obj.connection_loader.get_with_context(
            kind, context, task_uuid=action._task._uuid, ansible_playbook_pid=str(os.getppid())
        )
        task_keys = action._task.dump_attrs()
        del task_keys["retries"]  # the task's, not the connection's
        task_keys["timeout"] = context.timeout
        if context.password:
            task_keys["password"] = context.password
        extras = f"ansible_{connection.extras_prefix}_" if getattr(connection, "allow_extras", False) else None
        connection.set_options(task_keys=task_keys, var_options=_options("connection", connection, said, templar, extras))
        shell = connection._shell
        shell.set_options(task_keys=task_keys, var_options=_options("shell", shell, said, templar, None))
        return connection

    def _account(self, connection: Any) -> str:
        """A mark of account and password; empty where a key or a certificate opens."""
        user, password = (
            _option(connection, name) for name in ("remote_user", "password" if connection.transport == "ssh" else "remote_password")
        )
        if not password:
            return ""
        return hashlib.blake2b(f"{user}\0{password}".encode(), key=self.salt, digest_size=16).hexdigest()


def _option(connection: Any, name: str) -> str:
    value = connection.get_option(name)
    return "" if value is None else str(value)


def _options(kind: str, plugin: Any, said: Mapping[str, Any], templar: Templar, extras: str | None) -> dict[str, Any]:
    """The values of those variables that a plugin reads."""
    own = C.config.get_plugin_vars(kind, plugin._load_name)
    found: dict[str, Any] = {name: templar.template(said[name]) for name in own if name in said}
    if kind == "connection":
        found["_extras"] = {name: templar.template(said[name]) for name in said if extras and name.startswith(extras) and name not in found}
    return found


def _closed(connection: Any) -> None:
    if connection is not None:
        with contextlib.suppress(*LOST), deadline(_GOODBYE):
            connection.close()


def _late(seconds: float) -> str:
    return f"timed out: no answer within {seconds:g} s"


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """TimeoutError in this block after a time, whatever library is waiting for whatever: each has timeouts of its own, for parts of what it does.

    Ansible's own ``timeout`` of a task uses the same alarm, which is wound up again afterwards."""

    def ring(_number: int, _frame: object) -> None:
        raise TimeoutError(_late(seconds))

    before = signal.signal(signal.SIGALRM, ring)
    began = time.monotonic()
    left, _interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(0.001, left - (time.monotonic() - began)))


@dataclass(frozen=True)
class Memory:
    """Which way worked, by host: a file each in one folder, so that any number of processes and controllers may write at once and none undoes
    another's work. There is nothing in a file but the way's name."""

    folder: Path

    def recall(self, host: str) -> str | None:
        """None where nothing is known, or the file holds something else."""
        try:
            with self._file(host).open(encoding="utf-8") as stream:
                return stream.read(_LONGEST_NAME).strip() or None
        except (OSError, UnicodeDecodeError):
            return None

    def keep(self, host: str, way: str) -> None:
        """Whole, or not at all. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, path = tempfile.mkstemp(prefix=".", dir=self.folder)  # mkstemp makes it 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(f"{way}\n")
            os.replace(path, self._file(host))
        except OSError:
            Path(path).unlink(missing_ok=True)
            raise

    def _file(self, host: str) -> Path:
        """A host's name is the inventory's, and may hold anything: what could lead elsewhere goes, and a hash keeps names apart."""
        plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in host)[:80].lstrip(".")
        return self.folder / f"{plain}-{hashlib.sha256(host.encode()).hexdigest()[:12]}"


#: Characters of a memory that are read.
_LONGEST_NAME = 200

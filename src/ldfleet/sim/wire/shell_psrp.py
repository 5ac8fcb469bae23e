"""The PowerShell shell of WS-Man: a PSRP session, whose messages psrpcore reads and writes. Pipelines are processes in the machine's runspace.

What clients read of it was taken from pypsrp 0.9 and Ansible's psrp plugin, which were run against it.
"""

from __future__ import annotations

import base64
import struct
import threading
import uuid
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import psrpcore
from psrpcore.types import (
    ErrorCategory,
    ErrorCategoryInfo,
    ErrorRecord,
    HostMethodIdentifier,
    NETException,
    PipelineState,
    PSInvocationState,
    PSRPMessageType,
    PSVersion,
)

from ..machine.process import Machine, Output, Process
from . import soap
from .quotas import Quotas
from .soap import Refused, Request, Stream

#: What psrpcore 0.3 raises for bytes that are no PSRP, or not the PSRP that it knows.
_GARBLED = (psrpcore.PSRPCoreError, ElementTree.ParseError, struct.error, ValueError, LookupError, AttributeError, TypeError)


@dataclass
class _Pipeline:
    """A script and its process. ``tells``: the script hands its exit code on; ``done``: all that it said has been written."""

    remote: psrpcore.ServerPipeline
    process: Process | None = None
    tells: bool = False
    done: bool = False


class PsrpShell:
    """One session (shells.Shell): a pool with one PowerShell behind it. The id of what is asked for is a pipeline's, or none for the pool."""

    host = "wsmprovhost.exe"

    def __init__(self, machine: Machine, quotas: Quotas, user: str, request: Request) -> None:
        self.user = user
        self._quotas = quotas
        self._changed = threading.Condition()
        self._pool = psrpcore.ServerRunspacePool({"PSVersionTable": {"PSVersion": PSVersion("5.1.20348.2700")}})
        self._pipelines: dict[str, _Pipeline] = {}
        self._waiting: dict[str, list[bytes]] = {}
        self._runspace = machine.open_runspace(user)
        self._take(request.creation, psrpcore.StreamType.default, "")

    def command(self, request: Request) -> bytes:
        name = _key(request.wished_id or str(uuid.uuid4()))
        try:
            pipeline = _Pipeline(psrpcore.ServerPipeline(self._pool, uuid.UUID(name)))
            first = base64.b64decode(request.command.strip(), validate=True)
        except ValueError as error:
            raise Refused(soap.BAD_MESSAGE) from error
        self._pipelines[name] = pipeline
        self._take(first, psrpcore.StreamType.default, name)
        return soap.started(request, request.wished_id or name)

    def send(self, request: Request) -> bytes:
        name = _key(request.command_id)
        if name and name not in self._pipelines:
            raise Refused(soap.NO_SHELL)
        for piece in request.streams:
            kind = psrpcore.StreamType.prompt_response if piece.name == "pr" else psrpcore.StreamType.default
            self._take(piece.data, kind, name)
        return soap.answer(request, "<rsp:SendResponse/>")

    def receive(self, request: Request) -> bytes:
        name = _key(request.command_id)
        timeout = min(request.timeout, self._quotas.max_timeout_seconds)
        pipeline = self._pipelines.get(name)
        if name and pipeline is None:
            raise Refused(soap.NO_SHELL)
        if pipeline is not None and pipeline.process is not None and not pipeline.done:
            self._write(pipeline, pipeline.process.read(timeout))
            timeout = 0.0
        piece, rest = self._next(name, request.room, timeout)
        if piece is None:
            raise Refused(soap.TIMED_OUT)
        done = pipeline is not None and pipeline.done and not rest
        return soap.received(request, [Stream("stdout", piece, False)], 0 if done else None)

    def signal(self, request: Request) -> bytes:
        """Windows answers it for a finished pipeline too, which Ansible ends so before the next one."""
        pipeline = self._pipelines.pop(_key(request.command_id), None)
        if pipeline is not None:
            self._stop(pipeline)
        return soap.answer(request, "<rsp:SignalResponse/>")

    def end(self) -> None:
        for pipeline in list(self._pipelines.values()):
            self._stop(pipeline)
        self._runspace.close()

    def _take(self, data: bytes, kind: psrpcore.StreamType, name: str) -> None:
        """Give the pool what a client sent, and do what its events ask for. Raises Refused."""
        with self._changed:
            try:
                self._pool.receive_data(psrpcore.PSRPPayload(data, kind, uuid.UUID(name) if name else None))
                while (event := self._pool.next_event()) is not None:
                    self._act(event)
            except _GARBLED as error:
                raise Refused(soap.BAD_MESSAGE) from error
            self._changed.notify_all()

    def _act(self, event: psrpcore.PSRPEvent[Any, Any]) -> None:
        if isinstance(event, psrpcore.CreatePipelineEvent):
            self._start(self._pipelines[_key(str(event.pipeline_id))], event.pipeline)
        elif isinstance(event, psrpcore.PipelineInputEvent):
            self._feed(event, f"{event.data}\n".encode(), False)
        elif isinstance(event, psrpcore.EndOfPipelineInputEvent):
            self._feed(event, b"", True)

    def _start(self, pipeline: _Pipeline, asked: psrpcore.PowerShell) -> None:
        script = "\n".join(command.command_text for command in asked.commands)
        pipeline.remote.start()
        pipeline.tells = "$LASTEXITCODE" in script
        pipeline.process = self._runspace.run(script)
        if asked.no_input:
            pipeline.process.feed(b"", True)

    def _feed(self, event: psrpcore.PSRPEvent[Any, Any], data: bytes, end: bool) -> None:
        pipeline = self._pipelines.get(_key(str(event.pipeline_id)))
        if pipeline is not None and pipeline.process is not None:
            pipeline.process.feed(data, end)

    def _write(self, pipeline: _Pipeline, output: Output) -> None:
        """What a process said, as PowerShell hands it on: lines of output as strings, lines of its standard error as errors."""
        with self._changed:
            if pipeline.done:
                return
            for line in self._lines(output.stdout):
                pipeline.remote.write_output(line)
            errors = self._lines(output.stderr)
            fatal = output.exit_code not in (None, 0) and not pipeline.tells
            for line in errors[:-1] if fatal else errors:
                pipeline.remote.prepare_message(_error(line), PSRPMessageType.ErrorRecord)
            if output.exit_code is None:
                return
            if pipeline.tells:
                pipeline.remote.host_call(HostMethodIdentifier.SetShouldExit, [output.exit_code])
            if fatal:
                last = errors[-1] if errors else f"exit code {output.exit_code}"
                pipeline.remote.state = PSInvocationState.Failed
                pipeline.remote.prepare_message(
                    PipelineState(PipelineState=int(PSInvocationState.Failed), ExceptionAsErrorRecord=_error(last))
                )
            else:
                pipeline.remote.complete()
            pipeline.done = True

    def _lines(self, said: bytes) -> list[str]:
        text = said.decode(f"cp{self._runspace.codepage}", "replace").replace("\r\n", "\n").removesuffix("\n")
        return text.split("\n") if text else []

    def _next(self, name: str, room: int, timeout: float) -> tuple[bytes | None, bool]:
        """The next piece for a pipeline or the pool, once there is one, and whether more of it waits."""
        with self._changed:
            self._changed.wait_for(lambda: self._sorted(room).get(name), timeout)
            waiting = self._waiting.get(name, [])
            return (waiting.pop(0) if waiting else None), bool(waiting)

    def _sorted(self, room: int) -> dict[str, list[bytes]]:
        while (payload := self._pool.data_to_send(room)) is not None:
            name = _key(str(payload.pipeline_id)) if payload.pipeline_id else ""
            self._waiting.setdefault(name, []).append(payload.data)
        return self._waiting

    def _stop(self, pipeline: _Pipeline) -> None:
        with self._changed:
            if pipeline.process is not None and not pipeline.done:
                pipeline.process.kill()
                pipeline.remote.stop()
            pipeline.done = True
            self._changed.notify_all()


def _error(line: str) -> ErrorRecord:
    """A line of a program's standard error, as PowerShell's remote sessions make an error of it."""
    return ErrorRecord(
        Exception=NETException(Message=line),
        CategoryInfo=ErrorCategoryInfo(Category=ErrorCategory.NotSpecified, Reason="RemoteException"),
        FullyQualifiedErrorId="NativeCommandError",
    )


def _key(name: str) -> str:
    """Clients write ids in either case."""
    return name.upper()

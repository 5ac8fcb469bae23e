"""WS-Man messages as text: requests are read by namespace, answers and faults are written. No socket, no state.

What clients read of an answer was taken from pywinrm 0.5, pypsrp 0.9, the Go and the Ruby client; the forms from recorded traffic of Windows Server.
"""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.etree import ElementTree
from xml.sax.saxutils import escape

NAMESPACES = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "a": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    "w": "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
    "p": "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd",
    "x": "http://schemas.xmlsoap.org/ws/2004/09/transfer",
    "rsp": "http://schemas.microsoft.com/wbem/wsman/1/windows/shell",
    "f": "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault",
    "cfg": "http://schemas.microsoft.com/wbem/wsman/1/config",
    "pwsh": "http://schemas.microsoft.com/powershell",
    "wsmid": "http://schemas.dmtf.org/wbem/wsman/identify/1/wsmanidentity.xsd",
}
ANONYMOUS = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"
CMD = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd"
CONFIG = "http://schemas.microsoft.com/wbem/wsman/1/config"
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
#: What begins the resource of a PSRP session; the name of its configuration follows.
POWERSHELL = "http://schemas.microsoft.com/powershell/"
#: Room for the envelope around base64 text.
_ENVELOPE_ROOM = 4096


class BadRequest(ValueError):
    """What came is no WS-Man request: HTTP 400."""


@dataclass(frozen=True)
class Stream:
    """A piece of a stream of a command: bytes, and whether it ends there."""

    name: str
    data: bytes
    end: bool


@dataclass(frozen=True)
class Request:
    """One request. ``action`` is the last word of its URI (Create, Command, …), or Identify. Times in seconds, sizes in bytes.

    ``wished_id``: what a PSRP client calls the shell or the command that it makes; ``creation``: its first messages.
    """

    action: str
    uri: str = ""
    resource: str = ""
    message_id: str = ""
    shell_id: str = ""
    command_id: str = ""
    timeout: float = 60.0
    max_envelope: int = 153_600
    options: dict[str, str] = field(default_factory=dict)
    command: str = ""
    signal: str = ""
    streams: tuple[Stream, ...] = ()
    wanted: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    directory: str | None = None
    wished_id: str = ""
    creation: bytes = b""

    @property
    def room(self) -> int:
        """How many bytes of a stream fit into one answer, as base64."""
        return max(1024, (self.max_envelope - _ENVELOPE_ROOM) * 3 // 4)


class Refused(Exception):
    """The request ends in a fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.reason)
        self.fault = fault


@dataclass(frozen=True)
class Fault:
    """A fault as Windows words it. ``code``: WSManFault's (decimal); ``wmi``: also stands in MSFT_WmiError, where ansible-core looks for it."""

    code: int
    subcode: str
    reason: str
    sender: bool = True
    wmi: bool = False


TIMED_OUT = Fault(
    2150858793,
    "w:TimedOut",
    "The WS-Management service cannot complete the operation within the time specified in OperationTimeout.",
    False,
)
NO_SHELL = Fault(
    2150858843,
    "w:InvalidSelectors",
    "The request for the Windows Remote Shell with ShellId failed because the shell was not found on the server.",
)
SHELL_QUOTA = Fault(2150859173, "w:QuotaLimit", "The maximum number of concurrent shells for this user has been exceeded.", wmi=True)
PROCESS_QUOTA = Fault(
    2150859174, "w:QuotaLimit", "This user is allowed a maximum number of concurrent operations, which has been exceeded.", wmi=True
)
NO_RESOURCE = Fault(2150858811, "a:DestinationUnreachable", "The resource URI was not found in the WS-Management catalog.")
NO_ACTION = Fault(2150858817, "a:ActionNotSupported", "The action is not supported by the service.")
BAD_MESSAGE = Fault(87, "w:InternalError", "The parameter is incorrect.")
BAD_HEADER = Fault(2150858767, "a:InvalidMessageInformationHeader", "The request holds a header that cannot be understood.")


def parse(body: bytes) -> Request:
    """Read a request. Raises BadRequest."""
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise BadRequest("a document type is not taken")
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - without a document type there are no entities to expand
    except ElementTree.ParseError as error:
        raise BadRequest(str(error)) from error
    if root.find("s:Body/wsmid:Identify", NAMESPACES) is not None:
        return Request("Identify")
    uri = _text(root, "s:Header/a:Action")
    if not uri:
        raise BadRequest("there is no action")
    shell = root.find("s:Body/rsp:Shell", NAMESPACES)
    command = root.find("s:Body/rsp:CommandLine", NAMESPACES)
    receive = root.find("s:Body/rsp:Receive/rsp:DesiredStream", NAMESPACES)
    signal = root.find("s:Body/rsp:Signal", NAMESPACES)
    streams = root.findall("s:Body/rsp:Send/rsp:Stream", NAMESPACES)
    owner = next((node.get("CommandId") for node in (receive, signal, *streams) if node is not None), "") or ""
    return Request(
        action=uri.rsplit("/", 1)[-1],
        uri=uri,
        resource=_text(root, "s:Header/w:ResourceURI"),
        message_id=_text(root, "s:Header/a:MessageID"),
        shell_id=next((_content(node) for node in root.iterfind(".//w:Selector", NAMESPACES) if node.get("Name") == "ShellId"), ""),
        command_id=owner,
        timeout=_duration(_text(root, "s:Header/w:OperationTimeout")),
        max_envelope=int(_text(root, "s:Header/w:MaxEnvelopeSize") or 153_600),
        options={str(node.get("Name")).upper(): _content(node).upper() for node in root.iterfind(".//w:Option", NAMESPACES)},
        command=_command_line(command),
        signal=_content(signal.find("rsp:Code", NAMESPACES)).rsplit("/", 1)[-1].lower() if signal is not None else "",
        streams=tuple(_stream(node) for node in streams),
        wanted=tuple(_content(receive).split()),
        environment={str(node.get("Name")): _content(node) for node in root.iterfind(".//rsp:Variable", NAMESPACES)},
        directory=_text(root, "s:Body/rsp:Shell/rsp:WorkingDirectory") or None,
        wished_id=next((node.get(name, "") for node, name in ((shell, "ShellId"), (command, "CommandId")) if node is not None), ""),
        creation=_bytes(root.find("s:Body/rsp:Shell/pwsh:creationXml", NAMESPACES)),
    )


def _text(root: ElementTree.Element, path: str) -> str:
    return _content(root.find(path, NAMESPACES))


def _content(node: ElementTree.Element | None) -> str:
    return (node.text or "").strip() if node is not None else ""


def _command_line(node: ElementTree.Element | None) -> str:
    """Command, then its arguments with one blank between (pywinrm sends all in one element, others one each)."""
    if node is None:
        return ""
    parts = [node.find("rsp:Command", NAMESPACES), *node.findall("rsp:Arguments", NAMESPACES)]
    return " ".join(_content(part) for part in parts if part is not None)


def _stream(node: ElementTree.Element) -> Stream:
    return Stream(str(node.get("Name")), _bytes(node), str(node.get("End", "")).lower() in ("true", "1"))


def _bytes(node: ElementTree.Element | None) -> bytes:
    try:
        return base64.b64decode(_content(node), validate=True)
    except ValueError as error:
        raise BadRequest("a stream is no base64") from error


def _duration(text: str) -> float:
    """``PT20S``, ``PT1M30.5S``; without one, Windows' 60 s. Negative or foreign: BadRequest."""
    if not text:
        return 60.0
    found = re.fullmatch(r"P(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)", text)
    if not found:
        raise BadRequest(f"{text} is no duration")
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds


def answer(request: Request, body: str) -> bytes:
    """A successful answer."""
    return _envelope(f"{request.uri}Response", request.message_id, body)


def fault(request: Request | None, found: Fault, machine: str) -> bytes:
    """A fault; it goes with HTTP 500."""
    message = escape(found.reason)
    wmi = (
        '<e:MSFT_WmiError xmlns:e="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/MSFT_WmiError" xmlns:xsi='
        f'"http://www.w3.org/2001/XMLSchema-instance"><e:error_Code>{found.code}</e:error_Code></e:MSFT_WmiError>'
        if found.wmi
        else ""
    )
    body = (
        f"<s:Fault><s:Code><s:Value>s:{'Sender' if found.sender else 'Receiver'}</s:Value><s:Subcode><s:Value>{found.subcode}</s:Value>"
        f'</s:Subcode></s:Code><s:Reason><s:Text xml:lang="en-US">{message}</s:Text></s:Reason><s:Detail>'
        f'<f:WSManFault Code="{found.code}" Machine="{escape(machine)}"><f:Message>{message}</f:Message></f:WSManFault>{wmi}</s:Detail></s:Fault>'
    )
    kind = "http://schemas.xmlsoap.org/ws/2004/08/addressing/fault" if found.subcode.startswith("a:") else f"{_WSMAN}/fault"
    return _envelope(kind, request.message_id if request else "", body)


_WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman"


def _envelope(action: str, relates_to: str, body: str) -> bytes:
    declared = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items() if prefix not in ("wsmid", "pwsh"))
    return (
        f'<s:Envelope xml:lang="en-US" {declared}><s:Header><a:Action>{action}</a:Action>'
        f"<a:MessageID>uuid:{str(uuid.uuid4()).upper()}</a:MessageID><a:To>{ANONYMOUS}</a:To>"
        f"<a:RelatesTo>{escape(relates_to)}</a:RelatesTo></s:Header><s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def identified(authenticated: bool) -> bytes:
    """The answer to Identify; without authentication Windows hides its version."""
    version = "OS: 10.0.20348 SP: 0.0 Stack: 3.0" if authenticated else "OS: 0.0.0 SP: 0.0 Stack: 3.0"
    return (
        f'<s:Envelope xml:lang="en-US" xmlns:s="{NAMESPACES["s"]}"><s:Header/><s:Body><wsmid:IdentifyResponse xmlns:wsmid="{NAMESPACES["wsmid"]}">'
        f"<wsmid:ProtocolVersion>{_WSMAN}.xsd</wsmid:ProtocolVersion><wsmid:ProductVendor>Microsoft Corporation</wsmid:ProductVendor>"
        f"<wsmid:ProductVersion>{version}</wsmid:ProductVersion></wsmid:IdentifyResponse></s:Body></s:Envelope>"
    ).encode()


def created(request: Request, shell_id: str, owner: str, client: str) -> bytes:
    """Create: both forms in which clients look for the id."""
    return answer(
        request,
        f"<x:ResourceCreated><a:Address>http://windows-host:5985/wsman</a:Address><a:ReferenceParameters><w:ResourceURI>{request.resource}</w:ResourceURI>"
        f'<w:SelectorSet><w:Selector Name="ShellId">{shell_id}</w:Selector></w:SelectorSet></a:ReferenceParameters></x:ResourceCreated>'
        f"<rsp:Shell><rsp:ShellId>{shell_id}</rsp:ShellId><rsp:ResourceUri>{request.resource}</rsp:ResourceUri><rsp:Owner>{escape(owner)}</rsp:Owner>"
        f"<rsp:ClientIP>{client}</rsp:ClientIP><rsp:IdleTimeOut>PT7200.000S</rsp:IdleTimeOut><rsp:InputStreams>stdin</rsp:InputStreams>"
        "<rsp:OutputStreams>stdout stderr</rsp:OutputStreams><rsp:ShellRunTime>P0DT0H0M0S</rsp:ShellRunTime>"
        "<rsp:ShellInactivity>P0DT0H0M0S</rsp:ShellInactivity></rsp:Shell>",
    )


def started(request: Request, command_id: str) -> bytes:
    """Command."""
    return answer(request, f"<rsp:CommandResponse><rsp:CommandId>{command_id}</rsp:CommandId></rsp:CommandResponse>")


def received(request: Request, pieces: Sequence[Stream], exit_code: int | None) -> bytes:
    """Receive: pieces of output, and Done with the exit code once all is out. Windows ends both streams with empty pieces then.

    What is received of a PSRP session itself belongs to no command, and has no state."""
    ends = [Stream(name, b"", True) for name in request.wanted or ("stdout", "stderr")] if exit_code is not None else []
    owner = f' CommandId="{request.command_id}"' if request.command_id else ""
    streams = "".join(
        f'<rsp:Stream Name="{piece.name}"{owner}{" End=" + chr(34) + "true" + chr(34) if piece.end else ""}>'
        f"{base64.b64encode(piece.data).decode()}</rsp:Stream>"
        for piece in (*pieces, *ends)
    )
    code = "" if exit_code is None else f"<rsp:ExitCode>{exit_code}</rsp:ExitCode>"
    name = "Running" if exit_code is None else "Done"
    state = f'<rsp:CommandState{owner} State="{SHELL}/CommandState/{name}">{code}</rsp:CommandState>' if owner else ""
    return answer(request, f"<rsp:ReceiveResponse>{streams}{state}</rsp:ReceiveResponse>")


def configuration(request: Request, max_envelope_kb: int) -> bytes:
    """Get winrm/config, as far as clients read it."""
    return answer(request, f"<cfg:Config><cfg:MaxEnvelopeSizekb>{max_envelope_kb}</cfg:MaxEnvelopeSizekb></cfg:Config>")

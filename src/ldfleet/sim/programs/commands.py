"""What a person at a remote shell can run on a simulated host beside the agent: programs by path, and a few of Windows' own commands.

Command lines are split by the C runtime's rule (Microsoft: "Parsing C command-line arguments"); of cmd.exe only `/c` and its messages are here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..ldplayer.world import World
from ..machine.windows import SYSTEM32, Answer, Caller

#: cmd.exe takes no longer line.
CMD_LIMIT = 8191


def split(line: str) -> list[str]:
    """A command line's words: blanks part them, quotes group, 2n backslashes before a quote are n, one more makes the quote literal, two quotes inside quotes
    are one (since 2008)."""
    words: list[str] = []
    word: list[str] | None = None
    quoted = False
    position = 0
    while position < len(line):
        character = line[position]
        if character == "\\":
            start = position
            while line[position : position + 1] == "\\":
                position += 1
            slashes = position - start
            word = word or []
            before_quote = line[position : position + 1] == '"'
            word.append("\\" * (slashes // 2 if before_quote else slashes))
            if before_quote and slashes % 2:
                word.append('"')
                position += 1
            continue
        if character == '"' and quoted and line[position + 1 : position + 2] == '"':
            word = [*(word or []), '"']
            position += 1
        elif character == '"':
            word, quoted = word or [], not quoted
        elif character in " \t" and not quoted:
            if word is not None:
                words.append("".join(word))
            word = None
        else:
            word = word or []
            word.append(character)
        position += 1
    return [*words, "".join(word)] if word is not None else words


def run(world: World, line: str, caller: Caller, through_cmd: bool = True) -> Answer:
    """Run one command line as cmd.exe (or CreateProcess) would."""
    if through_cmd and len(line) > CMD_LIMIT:
        return Answer(1, stderr=b"The command line is too long.\r\n")
    words = split(line)
    while words and words[0].lower() in ("cmd", "cmd.exe") and len(words) > 1 and words[1].lower() == "/c":
        words = words[2:]
    if not words:
        return Answer()
    found = world.run_program(_path(world, words[0]), words[1:], line, caller)
    if found is not None:
        return found
    own = _OWN.get(words[0].lower().removesuffix(".exe"))
    if own is None:
        return Answer(
            1, stderr=f"'{words[0]}' is not recognized as an internal or external command,\r\noperable program or batch file.\r\n".encode()
        )
    code, text = own(world, words[1:], caller)
    return Answer(code, text.encode(f"cp{world.spec.oemcp}", "replace"))


def _path(world: World, word: str) -> str:
    """Programs without a folder: System32 is on the PATH, and a person may have put LDPlayer's folder there too."""
    named = word if word.lower().endswith(".exe") else f"{word}.exe"
    if "\\" in named:
        return named
    return next((full for full in (f"{SYSTEM32}\\{named}", f"{world.spec.install_dir}\\{named}") if full.lower() in world.programs), named)


Said = tuple[int, str]


def _hostname(world: World, _words: Sequence[str], _caller: Caller) -> Said:
    return 0, f"{world.name}\r\n"


def _version(_world: World, _words: Sequence[str], _caller: Caller) -> Said:
    return 0, "\r\nMicrosoft Windows [Version 10.0.20348.2700]\r\n"


def _echo(_world: World, words: Sequence[str], _caller: Caller) -> Said:
    return 0, " ".join(words) + "\r\n"


def _dir(world: World, words: Sequence[str], _caller: Caller) -> Said:
    plain = [word for word in words if not word.startswith("/")]
    try:
        folder = world.drive.local(plain[0] if plain else "C:\\")
    except ValueError:
        folder = None
    if folder is None or not folder.is_dir():
        return 1, "File Not Found\r\n"
    entries = sorted(folder.iterdir(), key=lambda entry: entry.name.lower())
    if any(word.lower() == "/b" for word in words):
        return 0, "".join(f"{entry.name}\r\n" for entry in entries)
    lines = [f" Directory of {world.drive.windows(folder)}", ""]
    lines += [
        f"{'<DIR>' if entry.is_dir() else '':<12}{'' if entry.is_dir() else entry.stat().st_size:>12} {entry.name}" for entry in entries
    ]
    return 0, "".join(f"{line}\r\n" for line in lines)


def _type(world: World, words: Sequence[str], _caller: Caller) -> Said:
    try:
        return 0, world.drive.local(words[0]).read_text(encoding="utf-8", errors="replace")
    except (IndexError, ValueError, OSError):
        return 1, "The system cannot find the file specified.\r\n"


_OWN: Mapping[str, Callable[[World, Sequence[str], Caller], Said]] = {
    "hostname": _hostname,
    "ver": _version,
    "echo": _echo,
    "dir": _dir,
    "type": _type,
}

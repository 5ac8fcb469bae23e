# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Command lines that reach Android: ``ldconsole adb``, whose text is parsed several times on its way, and what proves that a guest is ready.

A text passes the C runtime's parser (quoted in operations.quoted), then adb's splitting of ``--command``, which joins its words with single blanks, then the
guest's shell; perhaps cmd.exe too. So whatever a user writes travels by ``exact``; what is written here needs no more than ``shell``.
"""

from __future__ import annotations

import re
import string

BOOTED = "shell getprop sys.boot_completed"
#: adb ends lines with CR LF on Windows; nothing else stands in the answer.
BOOTED_ANSWER = r"(?m)^1\r?$"

#: Longest text: Windows takes 32,767 characters for a whole command line, adb's own protocol 4,096 before version 1.0.41.
LONGEST = 4000


def shell(text: str) -> str:
    """The value of ``--command`` that runs ``text`` in the guest's shell."""
    return f"shell {text}"


def exact(text: str) -> str:
    """The value of ``--command`` that has the guest's shell run exactly ``text``, whatever stands in it.

    What three parsers (and perhaps cmd.exe: nobody knows whether LDPlayer uses it) could take for their own travels as an octal escape that only
    the guest's printf undoes. IFS and -f keep the outer shell from splitting what comes out; the inner one starts afresh.
    """
    return shell(f"IFS=;set -f;sh -c $(printf '{_spelled(text)}')")


def exact_problem(text: str) -> str | None:
    """Why a text cannot be handed over by ``exact``, or None."""
    if not text.strip():
        return "a command is wanted"
    if "\0" in text or any(0xD800 <= ord(character) < 0xE000 for character in text):
        return "a text without NUL and without halves of surrogate pairs is wanted"
    length = len(_spelled(text))
    if length > LONGEST:
        return f"at most {LONGEST} characters are wanted (these are {length} as they travel); put a script into the guest and call it"
    return None


def word(text: str) -> str:
    """A text as one word of the guest's shell."""
    return "'" + text.replace("'", "'\\''") + "'"


def _spelled(text: str) -> str:
    return "".join(chr(byte) if chr(byte) in _PLAIN else f"\\{byte:03o}" for byte in text.encode())


_PLAIN = frozenset(string.ascii_letters + string.digits + "_./:,@+")

#: Java package names, as Android takes them (developer.android.com, application id; the length from AOSP's FrameworkParsingPackageUtils).
PACKAGE = re.compile(r"(?=.{3,223}\Z)[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z][A-Za-z0-9_]*)+", re.ASCII)


def in_front(package: str) -> tuple[str, str]:
    """A shell command that tells which app is in front, and a pattern for this package in its output.

    Android 9 to 14 print ``mCurrentFocus=Window{… u0 PACKAGE/ACTIVITY}`` in ``dumpsys window`` (from AOSP's WindowManagerService).
    """
    return shell("dumpsys window"), rf"mCurrentFocus=[^\r\n]* {re.escape(package)}/"

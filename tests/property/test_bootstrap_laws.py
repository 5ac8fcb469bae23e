"""Whatever a person writes, the script has exactly that, as data; or it is refused."""

from __future__ import annotations

import base64
import ipaddress
import json
import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ldfleet import bootstrap, door
from ldfleet.door import BadValue
from ldfleet.sim.engines import powershell

PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126))
#: What has a meaning somewhere in PowerShell, also quotes that only look like quotes.
SPELLS = [
    "'",
    "''",
    '"',
    "$(throw 1)",
    "$env:Path",
    "`",
    "`n",
    "'; throw 1; '",
    "@(",
    "#>",
    "<#",
    "#region ssh",
    "#endregion",
    "\\1",
    "{}",
    "%s",
    "'@\n",
]
HOSTILE = st.lists(st.sampled_from([*SPELLS, "\n", "\r", "\0", "\u2019", "\u201b", "\u00e9", "\uff07", " ", "a"])).map("".join)


@given(PRINTABLE | HOSTILE | st.text())
def test_a_literal_is_quoted_exactly_or_refused(text: str) -> None:
    if not all(32 <= ord(letter) <= 126 for letter in text):
        with pytest.raises(BadValue):
            bootstrap.literal(text)
        return
    made = bootstrap.literal(text)
    assert made[0] == made[-1] == "'"
    assert made[1:-1].replace("''", "") == text.replace("'", "")
    assert made[1:-1].replace("''", "'") == text


@pytest.fixture(scope="module")
def engine() -> Path:
    """A real PowerShell."""
    found = powershell.locate("pwsh")
    if isinstance(found, str):
        pytest.skip(found)
    return found


def test_the_real_parser_reads_each_literal_as_what_was_written(engine: Path, tmp_path: Path) -> None:
    """Many at once, since each start of PowerShell takes a while."""
    found: list[str] = list(SPELLS[:-1])

    @given(st.lists(PRINTABLE | HOSTILE.filter(str.isascii).filter(str.isprintable), max_size=20))
    def collect(texts: list[str]) -> None:
        found.extend(texts)

    collect()
    file = tmp_path / "literals.ps1"
    read = ", ".join(f"[Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes({bootstrap.literal(text)}))" for text in found)
    file.write_text(f"ConvertTo-Json -InputObject @({read})", encoding="ascii")
    line = f"& ([ScriptBlock]::Create([IO.File]::ReadAllText('{file}')))"
    done = subprocess.run(
        [str(engine), "-NoProfile", "-EncodedCommand", base64.b64encode(line.encode("utf-16-le")).decode("ascii")],
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [base64.b64decode(item).decode("utf-8") for item in json.loads(done.stdout)] == found


@given(PRINTABLE | HOSTILE | st.text())
def test_whatever_is_taken_makes_a_script_that_differs_in_its_table_only(text: str) -> None:
    plain = bootstrap.script(bootstrap.Order("ldfleet", ("10.0.0.5",)))
    for check, order in (
        (door.account, lambda value: bootstrap.Order(value, ("10.0.0.5",))),
        (door.controller, lambda value: bootstrap.Order("ldfleet", (value,))),
        (door.host_name, lambda value: bootstrap.Order("ldfleet", ("10.0.0.5",), names=(value,))),
        (door.thumbprint, lambda value: bootstrap.Order("ldfleet", ("10.0.0.5",), thumbprint=value)),
    ):
        try:
            value = check(text)
        except BadValue:
            continue
        made = bootstrap.script(order(value))
        assert _around(made) == _around(plain)
        assert len(made.splitlines()) == len(plain.splitlines())


def _around(script: str) -> tuple[str, str]:
    """A script without its table."""
    head, _, rest = script.partition("$fleet = @{\n")
    return head, rest.partition("\n}\n")[2]


@given(st.from_regex(r"[A-Za-z0-9'!#$&()^_`{}~. -]{1,20}", fullmatch=True))
def test_the_lines_for_the_fleet_file_are_yaml_with_the_same_account(text: str) -> None:
    try:
        account = door.account(text)
    except BadValue:
        return
    found = yaml.safe_load("\n".join(bootstrap.variables(bootstrap.Order(account, ("10.0.0.5",)))))
    assert found["vars"]["ansible_user"] == text


@given(st.ip_addresses() | st.ip_addresses().flatmap(lambda ip: st.integers(1, ip.max_prefixlen).map(lambda bits: (ip, bits))))
def test_a_controllers_address_means_the_same_afterwards(found: object) -> None:
    wanted = ipaddress.ip_network(f"{found[0]}/{found[1]}", strict=False) if isinstance(found, tuple) else ipaddress.ip_network(str(found))
    if wanted.network_address.is_unspecified or wanted.is_multicast or getattr(wanted.network_address, "scope_id", None):
        with pytest.raises(BadValue):
            door.controller(str(wanted))
        return
    assert ipaddress.ip_network(door.controller(str(wanted))) == wanted

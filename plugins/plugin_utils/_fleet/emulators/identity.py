# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The values that tell one phone from another (IMEI, IMSI, SIM serial, Android id, MAC): who has the same as whom, and who gives way.

A clone never keeps its source's values. Whether `copy` draws new ones is not proven for any version of LDPlayer, so nothing is assumed: what is
equal gets new values, what is not is left alone. A value that is declared is never replaced here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from ..words.settings import AUTO, IDENTITY, Value
from .desired import Desired, State
from .desired import Emulator as Wanted
from .observed import Emulator, Observation
from .ownership import Origin

#: Index of an emulator that is there, or the title of one that is still to be made.
_Who = int | str


def shared(seen: Observation) -> dict[int, dict[str, tuple[str, ...]]]:
    """By index, each option whose value other emulators of the host have too, with their titles."""
    holders = _holders((emulator.index, emulator.settings) for emulator in seen.emulators)
    titles = {emulator.index: emulator.title for emulator in seen.emulators}
    found: dict[int, dict[str, tuple[str, ...]]] = defaultdict(dict)
    for (option, _value), indexes in holders.items():
        for index in indexes:
            others = tuple(titles[other] for other in indexes if isinstance(other, int) and other != index)
            if others and isinstance(index, int):
                found[index][option] = others
    return dict(found)


def giving_way(desired: Desired, seen: Observation) -> dict[str, tuple[str, ...]]:
    """By wanted title, the options that must get a new value: of clones and of what is declared `auto`. Of several that may all give way, the one
    of the lowest index keeps the value."""
    pairs = {emulator.index: wanted for wanted in desired.emulators if (emulator := _existing(wanted, seen)) is not None}
    values: list[tuple[_Who, Mapping[str, Value]]] = [
        (emulator.index, {**emulator.settings, **_declared(pairs.get(emulator.index))}) for emulator in seen.emulators
    ]
    there = {wanted.name for wanted in pairs.values()}
    values += [(w.name, _declared(w)) for w in desired.emulators if w.name not in there and w.state is not State.ABSENT]
    found: dict[str, tuple[str, ...]] = {}
    holders = _holders(values)
    for emulator in seen.emulators:
        wanted = pairs.get(emulator.index)
        if wanted is None or wanted.state is State.ABSENT:
            continue
        options = tuple(
            option
            for (option, _value), who in holders.items()
            if emulator.index in who and _gives_way(option, emulator, wanted) and _others_stay(option, emulator, who, pairs, seen)
        )
        if options:
            found[wanted.name] = options
    return found


def _others_stay(option: str, emulator: Emulator, who: Sequence[_Who], pairs: Mapping[int, Wanted], seen: Observation) -> bool:
    by_index = {other.index: other for other in seen.emulators}
    for other in who:
        if other == emulator.index:
            continue
        if isinstance(other, str) or other < emulator.index:
            return True
        if other not in pairs or not _gives_way(option, by_index[other], pairs[other]):
            return True
    return False


def _gives_way(option: str, emulator: Emulator, wanted: Wanted) -> bool:
    declared = wanted.settings.get(option)
    if declared is not None:
        return declared == AUTO
    cloned = emulator.owned is not None and emulator.owned.origin is Origin.CLONED
    return cloned or wanted.clone_from is not None


def _existing(wanted: Wanted, seen: Observation) -> Emulator | None:
    return seen.titled(wanted.name) or (seen.titled(wanted.renamed_from) if wanted.renamed_from is not None else None)


def _declared(wanted: Wanted | None) -> dict[str, Value]:
    if wanted is None:
        return {}
    return {option: wanted.settings[option] for option in IDENTITY if wanted.settings.get(option, AUTO) != AUTO}


def _holders(values: Iterable[tuple[_Who, Mapping[str, Value]]]) -> dict[tuple[str, str], list[_Who]]:
    """Option and value (in lower case: LDPlayer writes each kind in its own case) -> who has it, where that is more than one."""
    found: dict[tuple[str, str], list[_Who]] = defaultdict(list)
    for who, settings in values:
        for option in IDENTITY:
            if settings.get(option):
                found[option, str(settings[option]).lower()].append(who)
    return {key: who for key, who in found.items() if len(who) > 1}

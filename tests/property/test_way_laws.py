"""Laws of the choice among a host's ways: order, memory, no second try, and nothing told of a variable's value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.windows import ways
from ansible_collections.ldfleet.ldplayer.plugins.plugin_utils._fleet.windows.ways import Attempt, Choice, Way

SECRET = "s3cret-of-a-way"
NAMES = ["https", "http", "psrp", "ssh", "cert"]


@dataclass(frozen=True)
class World:
    """Of each way: whether it leads in, whether the host takes its account, and which account that is (empty: a key)."""

    open: Mapping[str, bool]
    takes: Mapping[str, bool]
    account: Mapping[str, str]

    def choose(self, listed: list[str], remembered: str | None) -> tuple[Choice, list[str]]:
        """The choice, and the ways that were really tried, in order."""
        tried: list[str] = []
        course = ways.choosing([Way(name, {"ansible_password": SECRET}) for name in listed], remembered)
        try:
            wish = next(course)
            while True:
                name = wish.way.name
                account = self.account[name]
                attempt = wish.spared(account)
                if attempt is None:
                    tried.append(name)
                    attempt = Attempt(name, *self._answer(name), seconds=0.1, account=account, refused=not self.takes[name])
                wish = course.send(attempt)
        except StopIteration as end:
            return end.value, tried

    def _answer(self, name: str) -> tuple[str, str]:
        if self.open[name] and self.takes[name]:
            return "", ""
        return (f"{name} is closed", f"mend {name}") if self.takes[name] else (f"{name} was refused", f"check {name}")

    def leads(self, name: str) -> bool:
        return self.open[name] and self.takes[name]


def worlds() -> st.SearchStrategy[World]:
    """The host judges accounts, not ways: what it refuses on one way it refuses on all."""
    flags = st.fixed_dictionaries({name: st.booleans() for name in NAMES})
    accounts = st.fixed_dictionaries({name: st.sampled_from(["", "a", "b"]) for name in NAMES})
    refused = st.sets(st.sampled_from(["a", "b"]))
    return st.builds(
        lambda opened, account, bad: World(opened, {name: account[name] not in bad for name in NAMES}, account), flags, accounts, refused
    )


lists = st.lists(st.sampled_from(NAMES), min_size=1, unique=True)
memories = st.one_of(st.none(), st.sampled_from([*NAMES, "gone", ""]))


@given(worlds(), lists, memories)
def test_the_remembered_one_then_the_list_in_order_and_none_after_one_that_leads_in(
    world: World, listed: list[str], remembered: str | None
) -> None:
    choice, _tried = world.choose(listed, remembered)
    wanted = [name for name in listed if name == remembered] + [name for name in listed if name != remembered]
    names = [attempt.way for attempt in choice.attempts]
    assert names == wanted[: len(names)]
    assert [attempt.led_in for attempt in choice.attempts].count(True) == (choice.way is not None)
    assert choice.way is None or names[-1] == choice.way
    assert choice.way is not None or names == wanted


@given(worlds(), lists, memories)
def test_a_way_is_found_if_and_only_if_there_is_one(world: World, listed: list[str], remembered: str | None) -> None:
    choice, _tried = world.choose(listed, remembered)
    assert (choice.way is not None) == any(world.leads(name) for name in listed)
    assert (choice.closed("ws-01") is None) == (choice.way is not None)


@given(worlds(), lists, memories)
def test_no_way_is_tried_twice_and_no_refused_password_either(world: World, listed: list[str], remembered: str | None) -> None:
    _choice, tried = world.choose(listed, remembered)
    assert len(set(tried)) == len(tried)
    refused = [world.account[name] for name in tried if not world.takes[name] and world.account[name]]
    assert len(set(refused)) == len(refused)


@given(worlds(), lists, memories)
def test_what_is_remembered_leads_in_at_once_the_next_time(world: World, listed: list[str], remembered: str | None) -> None:
    first, _tried = world.choose(listed, remembered)
    now = first.to_remember if first.to_remember is not None else remembered
    again, tried = world.choose(listed, now)
    assert again.way == first.way
    if first.way is not None:
        assert (tried, again.to_remember) == ([first.way], None)
    else:
        assert now == remembered  # a host that is off is not forgotten


@given(worlds(), lists, memories)
def test_it_is_told_when_it_is_not_the_first_and_why(world: World, listed: list[str], remembered: str | None) -> None:
    choice, _tried = world.choose(listed, remembered)
    told = choice.warning("ws-01")
    assert (told is None) == (choice.way is None or choice.way == listed[0])
    said = told or str(choice.closed("ws-01") or "")
    if said:
        assert all(attempt.reason in said for attempt in choice.attempts if not attempt.led_in)
        assert "ws-01" in said


@given(worlds(), lists, memories)
def test_nothing_of_a_variable_is_told(world: World, listed: list[str], remembered: str | None) -> None:
    choice, _tried = world.choose(listed, remembered)
    assert SECRET not in repr(choice) + str(choice.told()) + str(choice.warning("ws-01")) + str(choice.closed("ws-01"))
    assert SECRET not in repr(Way("x", {"ansible_password": SECRET}))

"""A fleet in Python: ``Fleet("fleet.yml").plan()``, ``.apply(plan)``, ``.status()``, ``.doctor()``, ``.drift()``, ``.restart()``, ``.test()``. Everything is
done by the collection's playbooks; this file orders them and reads what they return."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .doctor import Checkup, checkup_of
from .history import History
from .plans import BadPlan, Fault, Hold, Host, Outcome, Plan, Step, faults_of, holds_of, steps_of, with_moves
from .runs import COLLECTION, GRACE, Event, HostResult, Job, Order, Run, Said, collection_here
from .writing import write

#: How the inventory plugin names a fault: file, line, and what is wrong.
_FAULT = re.compile(r"^(?:\[ERROR\]: |fatal: |ERROR! )?(\S.*?\.ya?ml):(\d+): (.+)$")


class FleetFailed(Exception):
    """Nothing could be planned. ``faults`` tell why."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


Watch = Callable[[Event], None]


@dataclass(frozen=True)
class Fleet:
    """A fleet file, and how it is reached.

    ``secrets``: variables that the file uses and that nobody may read but Ansible (``ansible_password``); ``vault_password``: opens vaulted values; both go
    through pipes. ``limit``: a host pattern. ``forks``: hosts at once. ``timeout``: seconds for each run, after which it is cancelled. ``artifacts``: a
    folder for the output of the last ten runs.
    """

    path: Path
    variables: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    vault_password: str | None = None
    limit: str | None = None
    forks: int = 50
    timeout: float | None = None
    artifacts: Path | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))

    def plan(self, restart: Sequence[str] = (), watch: Watch | None = None) -> Plan:
        """Look at every host and tell what would be done; nothing is touched. ``restart``: pools and replicas to restart although nothing differs.

        Raises FleetFailed where nothing can be planned: the file is wrong, or a guard forbids it.
        """
        heard = _Heard(watch)
        run = self._job("plan", _restarting(restart), heard.hear).wait()
        return heard.plan(self.path, run)

    def status(self, watch: Watch | None = None) -> Plan:
        """Look at every host; the plan that comes back has hosts and pools, and no steps. Raises FleetFailed."""
        heard = _Heard(watch)
        run = self._job("status", {}, heard.hear).wait()
        return replace(heard.plan(self.path, run), steps=())

    def validate(self) -> Plan:
        """Check the file without contacting any host; the plan that comes back has pools, and hosts of which nothing is known. Raises FleetFailed."""
        heard = _Heard(None)
        return replace(heard.plan(self.path, self._job("validate", {}, heard.hear).wait()), holds=())

    def test(self, watch: Watch | None = None) -> dict[str, HostResult]:
        """How each host is reached, and whether it can be worked with: what the module connection_test returned. Raises FleetFailed."""
        heard = _Heard(watch)
        return heard.tests(self._job("connection", {}, heard.hear).wait())

    def doctor(self, watch: Watch | None = None) -> Checkup:
        """What stands in LDPlayer's way on every host, and what this controller works with; nothing is touched. Raises FleetFailed."""
        heard = _Heard(watch)
        return heard.checkup(self._job("doctor", {}, heard.hear).wait())

    def drift(self, watch: Watch | None = None) -> Plan:
        """What has come away from what was applied last; from what the file says, where nothing was applied yet."""
        last = self.history.last()
        if last is None:
            return self.plan(watch=watch)
        beside = self.path.with_name(f".applied.{self.path.name}")  # where variables beside the file are found too
        try:
            write(beside, last.read_text(encoding="utf-8"))
            return replace(replace(self, path=beside).plan(watch=watch), fleet=str(self.path))
        finally:
            beside.unlink(missing_ok=True)

    def apply(self, plan: Plan | None = None, restart: Sequence[str] = (), watch: Watch | None = None) -> Applying:
        """Begin to carry out a plan as it was made, or what the file says now. Raises BadPlan for a plan of another file."""
        if plan is not None and Path(plan.fleet).name != self.path.name:
            raise BadPlan(f"the plan was made for {plan.fleet}, and this is {self.path}")
        heard = _Heard(watch)
        saved = {"ldplayer_plan": {"fingerprint": plan.fingerprint, "decision": plan.decision}} if plan is not None else {}
        text = self.path.read_text(encoding="utf-8")
        job = self._job("converge", {**saved, **_restarting(restart)}, heard.hear)
        return Applying(job, heard, self, text)

    def restart(self, names: Sequence[str], watch: Watch | None = None) -> Applying:
        """Restart pools or replicas, wave by wave."""
        return self.apply(restart=names, watch=watch)

    @property
    def history(self) -> History:
        """The last states that were applied, in ``.ldfleet`` beside the file."""
        return History(self.path)

    def _job(self, playbook: str, variables: Mapping[str, Any], watch: Watch) -> Job:
        options = ("--limit", self.limit) if self.limit is not None else ()
        order = Order(
            playbook,
            (self.path,),
            options,
            {**self.variables, **variables},
            self.secrets,
            self.vault_password,
            self.forks,
            f"{COLLECTION}.fleet",
            self.timeout,
            self.artifacts,
        )
        return Job(order, watch)


def _restarting(names: Sequence[str]) -> dict[str, Any]:
    return {"ldplayer_restart": list(names)} if names else {}


class Applying:
    """A plan that is being carried out."""

    def __init__(self, job: Job, heard: _Heard, fleet: Fleet, text: str) -> None:
        self._job, self._heard, self._fleet, self._text = job, heard, fleet, text

    def events(self) -> Iterator[Event]:
        """Every event until the end; ``async for`` works on ``job``."""
        return self._job.events()

    @property
    def job(self) -> Job:
        """The playbook that runs."""
        return self._job

    def cancel(self, grace: float = GRACE) -> None:
        """Let every host finish what it is at and give back its lease; after ``grace`` seconds the run is killed."""
        self._job.cancel(grace)

    def wait(self, timeout: float | None = None) -> Outcome:
        """What came of it. What was applied without a fault is kept in the fleet's history. Raises TimeoutError, and FleetFailed where nothing
        could be planned."""
        outcome = self._heard.outcome(self._job.wait(timeout))
        if not outcome.faults and self._fleet.limit is None:
            self._fleet.history.keep(self._text)
        return outcome


class _Heard:
    """What the playbooks' tasks returned, as far as it is told again: bounded by the size of the fleet, however many events there are."""

    def __init__(self, watch: Watch | None) -> None:
        self._watch = watch
        self.looks: dict[str, HostResult] = {}
        self.placement: HostResult | None = None
        self.waves: dict[str, list[Step]] = {}
        self.holds: dict[str, Hold] = {}
        self.verdict: HostResult | None = None
        self.failed: dict[str, HostResult] = {}
        self.checks: dict[str, HostResult] = {}
        self.said: list[Fault] = []

    def hear(self, event: Event) -> None:
        """One event, in the job's thread."""
        if isinstance(event, HostResult):
            self._result(event)
        elif isinstance(event, Said):
            self.said += [
                _fault(match) for line in event.text.splitlines() if (match := _FAULT.match(line.strip())) and len(self.said) < _MOST_FAULTS
            ]
        if self._watch is not None:
            self._watch(event)

    def _result(self, event: HostResult) -> None:
        if event.module == "placement":
            self.placement = event
        elif event.module == "host_info":
            self.checks[event.host] = event
        elif event.module == "rollout":
            self.verdict = event
        elif event.module == "emulators" and self.placement is None:
            self.looks[event.host] = event
        elif event.module == "emulators" and self.placement is not None:
            self.waves.setdefault(event.host, []).extend(steps_of(event.host, event.result, _reasons(self.placement.result, event.host)))
            for hold in holds_of(event.result.get("holds", ())):
                self.holds[f"{event.host} {hold.name}"] = replace(hold, name=f"{event.host}: {hold.name}")
            if event.status in ("failed", "unreachable"):
                self.failed[event.host] = event
            else:
                self.failed.pop(event.host, None)

    def plan(self, path: Path, run: Run) -> Plan:
        """After plan or status. Raises FleetFailed."""
        placement = self._placement(run)
        return Plan(
            str(path),
            datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            with_moves((step for host in sorted(self.waves) for step in self.waves[host]), placement["decision"]),
            self._holds(placement),
            tuple(self._faults()),
            {name: _host(name, told, self.looks.get(name)) for name, told in placement["hosts"].items()},
            placement["pools"],
            placement["decision"],
            placement["fingerprint"],
        )

    def checkup(self, run: Run) -> Checkup:
        """After doctor. Raises FleetFailed where no host was even tried."""
        if not self.checks:
            raise FleetFailed(self._why(run))
        return checkup_of({host: event.result for host, event in sorted(self.checks.items())}, collection_here())

    def outcome(self, run: Run) -> Outcome:
        """After converge. Raises FleetFailed."""
        placement = self._placement(run)
        steps = with_moves((step for host in sorted(self.waves) for step in self.waves[host]), placement["decision"])
        faults = list(self._faults())
        if run.cancelled and not faults and run.code:
            faults = [Fault("Cancelled", "", "the run was cancelled", "Run it again to go on")]
        if run.code and not faults:
            faults = [Fault("Failed", "", run.errors or f"ansible-playbook ended with {run.code}")]
        return Outcome(steps, self._holds(placement), tuple(faults), placement["pools"], run.cancelled)

    def _placement(self, run: Run) -> Mapping[str, Any]:
        """What was decided. Raises FleetFailed where it could not be."""
        if self.placement is not None and self.placement.status == "ok":
            return self.placement.result
        if self.placement is not None:
            raise FleetFailed(faults_of("", self.placement.result))
        raise FleetFailed(self._why(run))

    def tests(self, run: Run) -> dict[str, HostResult]:
        """After connection. Raises FleetFailed where no host was tested."""
        found = {name: event for name, event in run.hosts.items() if event.module == "connection_test"}
        if not found:
            raise FleetFailed(self._why(run))
        return found

    def _why(self, run: Run) -> list[Fault]:
        """Why a run did nothing at all."""
        if run.cancelled:
            return [Fault("Cancelled", "", "the run was cancelled before anything was done", owner="yours")]
        told = run.errors.strip() or f"ansible-playbook ended with {run.code} and told nothing"
        return list(dict.fromkeys(self.said)) or [Fault("Failed", "", told)]

    def _holds(self, placement: Mapping[str, Any]) -> tuple[Hold, ...]:
        return (*holds_of(placement["decision"]["holds"]), *self.holds.values())

    def _faults(self) -> Iterator[Fault]:
        """Of hosts by their own results, and what only the fleet's verdict tells."""
        told = set()
        for host, event in sorted(self.failed.items()):
            told.add(host)
            yield from faults_of(host, event.result)
        if self.verdict is not None and self.verdict.status == "failed":
            yield from (fault for fault in faults_of("", self.verdict.result) if fault.about not in told)


#: Faults of a file that are told; more are seldom read.
_MOST_FAULTS = 100


def _fault(match: re.Match[str]) -> Fault:
    """Ansible tells whole paths; below the current folder, the rest is enough to find the file."""
    path, here = Path(match[1]), Path.cwd()
    near = path.relative_to(here) if path.is_relative_to(here) else path
    return Fault("BadFile", f"{near}:{match[2]}", match[3], owner="yours")


def _reasons(placement: Mapping[str, Any], host: str) -> dict[str, str]:
    """Why emulators of a host go: the host is told only that they shall."""
    decision = placement.get("decision", {})
    surplus = {str(title): "is one too many" for title, at in decision.get("surplus", ()) if at == host}
    return surplus | {str(title): str(reason) for title, at, reason in decision.get("removals", ()) if at == host}


def _host(name: str, told: Mapping[str, Any], look: HostResult | None) -> Host:
    emulators = tuple(look.result.get("emulators", ())) if look is not None else ()
    return Host(name, told["problem"], emulators, told["owned"], told["running"], told["desktop"], told["free_bytes"], told["digest"])

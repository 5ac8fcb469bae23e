# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What ails an emulator that does not come up or go down, and what is done about it: graded, counted, and never in a loop.

The order follows what farms found to work (a hosted fleet on LDPlayer 9, a repair guide for LDPlayer 14): asking through ``ldconsole adb`` brings a
silent channel back, so waiting is the first remedy already; then quit and start; then the processes are ended and it is started again.
"""

from __future__ import annotations

from .observed import Emulator, Run
from .plan import Step, Verb


def ailment(seen: Emulator) -> tuple[str, str]:
    """Reason (CamelCase) and message for an emulator that is not where it should be."""
    if seen.run is Run.STOPPED:
        return "LaunchIgnored", "launch reported success and nothing was started; does a player of this emulator still live unseen?"
    if seen.run is Run.CHANGING and seen.state == 1:
        return "WindowWithoutVm", f"its window is there (pid {seen.pid}) and its VM never came"
    if seen.run is Run.CHANGING:
        return "StartHangs", f"it has stood at Android state {seen.state} without a VM process since its start (pid {seen.pid})"
    return "GuestSilent", f"player and VM are there (pids {seen.pid}, {seen.vm_pid}) and the guest answers nothing"


def for_start(name: str, seen: Emulator, number: int) -> tuple[Step, ...]:
    """Steps of the ``number``-th remedy (from 1) for an emulator that shall run."""
    reason = f"remedy {number} for {ailment(seen)[0]}"
    start = Step(Verb.START, name, reason)
    if seen.run is Run.STOPPED:
        return (start,)
    return (Step(Verb.STOP if number == 1 else Verb.KILL, name, reason), start)


def for_stop(name: str, seen: Emulator, number: int) -> tuple[Step, ...]:
    """Steps of the ``number``-th remedy for an emulator that quit did not end."""
    return (Step(Verb.KILL, name, f"remedy {number} for StopHangs (pids {seen.pid}, {seen.vm_pid})"),)

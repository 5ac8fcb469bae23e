"""ansible.windows.win_ping and win_timezone, community.windows.win_power_plan and win_pagefile: settings of the whole machine."""

from __future__ import annotations

from .options import Failed, Option, Spec
from .task import Double, Json, Task


def ping(task: Task) -> None:
    """win_ping."""
    if task["data"] == "crash":
        raise Failed("Unhandled exception while executing module: boom")
    task.result["ping"] = task["data"]


def timezone(task: Task) -> None:
    """win_timezone."""
    system, wanted = task.world.system, task["timezone"]
    task.result.update(previous_timezone=system.time_zone, timezone=wanted)
    task.diff = {"before": f"{system.time_zone}\n", "after": f"{wanted}\n"}
    if system.time_zone == wanted:
        return
    if wanted.removesuffix("_dstoff") not in TIME_ZONES:
        raise Failed(f"The specified timezone: {wanted} isn't supported on the machine.")
    task.change(lambda: setattr(system, "time_zone", wanted))


#: Of the plans that Windows brings along (learn.microsoft.com: powercfg; Power policy settings).
PLANS = {
    "Balanced": "381b4222-f694-41f0-9685-ff5bb260df2e",
    "High performance": "8c5e7fda-e8bf-4a96-9a85-a6e23a8c635c",
    "Power saver": "a1841308-3541-4fab-bc81-f71556f20b4a",
    "Ultimate Performance": "e9a42b02-d5df-448d-aa00-03f14749eb61",
}


def power_plan(task: Task) -> None:
    """win_power_plan."""
    system, name, guid = task.world.system, task["name"], task["guid"]
    task.result.update(power_plan_name=name, power_plan_enabled=None, all_available_plans=_plans(system.power_plans, system.power_plan))
    chosen = next((plan for plan in system.power_plans if name is not None and plan.lower() == name.lower()), None)
    if name is not None and chosen is None:
        raise Failed(f"Defined power_plan: ({name}) is not available", **task.result)
    if guid is not None:
        chosen = next((plan for plan in system.power_plans if PLANS.get(plan) == guid.lower()), None)
        if chosen is None:
            raise Failed(f"Defined power_plan: ({guid}) is not available", **task.result)
    if chosen != system.power_plan:
        task.change(lambda: setattr(system, "power_plan", chosen))
    task.result.update(power_plan_enabled=True, all_available_plans=_plans(system.power_plans, chosen))


def _plans(every: list[str], active: str | None) -> Json:
    return {plan: plan == active for plan in every}


def pagefile(task: Task) -> None:
    """win_pagefile. With ``override`` a page file that is there is made anew each time, and that is a change each time."""
    system, drive = task.world.system, f"{str(task['drive'] or '').upper()}:"
    files = system.pagefiles
    if task["remove_all"] and files:
        task.change(files.clear)
    if task["automatic"] is not None and task["automatic"] != system.pagefiles_managed:
        task.change(lambda: setattr(system, "pagefiles_managed", task["automatic"]))
    if task["state"] == "query":
        shown = {own: sizes for own, sizes in files.items() if task["drive"] is None or own == drive}
        task.result.update(
            pagefiles=[_file(own, *sizes) for own, sizes in shown.items()], automatic_managed_pagefiles=system.pagefiles_managed
        )
    elif task["state"] == "absent" and drive in files:
        task.change(lambda: files.pop(drive))
    elif task["state"] == "present":
        _page(task, drive)


def _page(task: Task, drive: str) -> None:
    files = task.world.system.pagefiles
    if task["test_path"] and drive != "C:":
        raise Failed(f"Unable to access '{task['drive']}:' drive")
    sizes = [0, 0] if task["system_managed"] else [task["initial_size"] or 0, task["maximum_size"] or 0]
    managed = files.get(drive) == [0, 0]
    if drive not in files or task["override"] or (files[drive] != sizes and not task["system_managed"] and not managed and not task.check):
        task.change(lambda: files.update({drive: sizes}))


def _file(drive: str, initial: int, maximum: int) -> Json:
    name = f"{drive}\\pagefile.sys"
    caption = f"{drive}\\ 'pagefile.sys'"
    return {
        "name": name,
        "initial_size": initial,
        "maximum_size": maximum,
        "caption": caption,
        "description": f"'pagefile.sys' @ {drive}\\",
    }


#: What `tzutil /l` lists (learn.microsoft.com: Default time zones).
TIME_ZONES = frozenset(
    {
        "UTC", "UTC-11", "UTC-09", "UTC-08", "UTC-02", "UTC+12", "UTC+13", "Dateline Standard Time",
        *(
            f"{name} Standard Time"
            for name in (
                "Afghanistan", "Alaskan", "Aleutian", "Altai", "Arab", "Arabian", "Arabic", "Argentina", "Astrakhan", "Atlantic", "AUS Central",
                "Aus Central W.", "AUS Eastern", "Azerbaijan", "Azores", "Bahia", "Bangladesh", "Belarus", "Bougainville", "Canada Central", "Cape Verde",
                "Caucasus", "Cen. Australia", "Central", "Central America", "Central Asia", "Central Brazilian", "Central Europe", "Central European",
                "Central Pacific", "Chatham Islands", "China", "Cuba", "E. Africa", "E. Australia", "E. Europe", "E. South America", "Easter Island",
                "Eastern", "Egypt", "Ekaterinburg", "Fiji", "FLE", "Georgian", "GMT", "Greenland", "Greenwich", "GTB", "Haiti", "Hawaiian", "India",
                "Iran", "Israel", "Jordan", "Kaliningrad", "Kamchatka", "Korea", "Libya", "Line Islands", "Lord Howe", "Magadan", "Magallanes",
                "Marquesas", "Mauritius", "Mid-Atlantic", "Middle East", "Montevideo", "Morocco", "Mountain", "Myanmar", "N. Central Asia", "Namibia",
                "Nepal", "New Zealand", "Newfoundland", "Norfolk", "North Asia", "North Asia East", "North Korea", "Omsk", "Pacific", "Pakistan",
                "Paraguay", "Qyzylorda", "Romance", "Russian", "SA Eastern", "SA Pacific", "SA Western", "Saint Pierre", "Sakhalin", "Samoa",
                "Sao Tome", "Saratov", "SE Asia", "Singapore", "South Africa", "South Sudan", "Sri Lanka", "Sudan", "Syria", "Taipei", "Tasmania",
                "Tocantins", "Tokyo", "Tomsk", "Tonga", "Transbaikal", "Turkey", "Turks And Caicos", "Ulaanbaatar", "US Eastern", "US Mountain",
                "Venezuela", "Vladivostok", "Volgograd", "W. Australia", "W. Central Africa", "W. Europe", "W. Mongolia", "West Asia", "West Bank",
                "West Pacific", "Yakutsk", "Yukon",
            )
        ),
        *(f"{name} Standard Time (Mexico)" for name in ("Central", "Eastern", "Mountain", "Pacific")),
        *(f"Russia Time Zone {number}" for number in (3, 10, 11)),
    }
)  # fmt: skip


DOUBLES = {
    "ansible.windows.win_ping": Double(Spec({"data": Option(default="pong")}), ping),
    "ansible.windows.win_timezone": Double(Spec({"timezone": Option(required=True)}), timezone),
    "community.windows.win_power_plan": Double(Spec({"name": Option(), "guid": Option()}, one_of=(("name", "guid"),)), power_plan),
    "community.windows.win_pagefile": Double(
        Spec(
            {
                "automatic": Option("bool"),
                "drive": Option(),
                "initial_size": Option("int"),
                "maximum_size": Option("int"),
                "override": Option("bool", default=True),
                "remove_all": Option("bool", default=False),
                "state": Option(default="query", choices=("present", "absent", "query")),
                "system_managed": Option("bool", default=False),
                "test_path": Option("bool", default=True),
            },
            legacy=True,
        ),
        pagefile,
    ),
}

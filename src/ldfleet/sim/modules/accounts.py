"""ansible.windows.win_user, win_group_membership and win_auto_logon: local accounts, who is in a group, and who is logged on at the start."""

from __future__ import annotations

from typing import Any

from ..ldplayer.boot import DEFAULT_PASSWORD, WINLOGON
from ..ldplayer.world import World
from ..machine.system import GROUPS, Account
from .options import Failed, Option, Spec
from .task import Double, Json, Task

# ---- win_user ---------------------------------------------------------------------------------------------------------------------------
#: Options of win_user, and the fields of an account that they are.
_FIELDS = ("description", "fullname", "password_expired", "password_never_expires", "user_cannot_change_password")
_UNPLAYED = ("account_expires", "home_directory", "login_script", "profile")


def user(task: Task) -> None:
    """win_user."""
    accounts, state = task.world.system.accounts, task["state"]
    task.refuse(*_UNPLAYED)
    if task["account_locked"]:
        raise Failed("account_locked must be set to 'no' if provided")
    name = task.world.system.account(task["name"])
    before = _user(name, accounts[name]) if name else ""
    task.diff = {"before": before, "after": before if state == "query" else ""}
    if state == "present":
        task.diff["after"] = _present(task, name)
    elif state == "absent" and name is not None:
        task.change(lambda: _remove(task, name))
    task.result["state"] = state if state != "query" else "present" if name else "absent"
    if state == "absent":
        task.result["msg"] = f"User '{name}' deleted successfully" if name else f"User '{task['name']}' was not found"
    elif state == "query":
        task.result["msg"] = f"Querying user '{task['name']}'"
    task.result.update(_facts(task))


def _present(task: Task, name: str | None) -> Json:
    accounts = task.world.system.accounts
    wished = {field: task[field] for field in _FIELDS if task[field] is not None}
    if task["account_disabled"] is not None:
        wished["enabled"] = not task["account_disabled"]
    if name is None:
        name = str(task["name"])
        made = Account(rid=task.world.system.next_rid())
        task.change(lambda: accounts.update({name: made}))
        _password(task, name, made, new=True)
    elif task["update_password"] == "always":  # noqa: S105 - a choice
        _password(task, name, accounts[name], new=False)
    account = accounts.get(name)
    if account is None:
        return {"name": name}  # in check mode the module says no more of an account that is not there yet
    after = _user(name, account)
    for field, value in wished.items():
        if getattr(account, field) != value:
            task.change(lambda field=field, value=value: setattr(account, field, value))  # type: ignore[misc]
            after["account_disabled" if field == "enabled" else field] = (not value) if field == "enabled" else value
    if task["groups"] is not None:
        after["groups"] = _grouped(task, account)
    return after


def _password(task: Task, name: str, account: Account, new: bool) -> None:
    """A password that is asked for, unless it is the one that the account has already."""
    password = task["password"]
    if password is None:
        return
    known = task.users.get(name) == password or task.same_secret(f"account {name.lower()}", password)
    if new or not known or not account.enabled or account.password_expired:
        task.change(lambda: set_password(task, name, password))


def set_password(task: Task, name: str, password: str) -> None:
    """An account has this password from now on; clients can log on with it while this simulator runs."""
    task.users[name] = password
    task.keep_secret(f"account {name.lower()}", password)


def _remove(task: Task, name: str) -> None:
    del task.world.system.accounts[name]
    task.users.pop(name, None)
    task.keep_secret(f"account {name.lower()}", None)


def _grouped(task: Task, account: Account) -> list[str]:
    wanted = list(dict.fromkeys(_group(name) for name in task["groups"] if str(name).strip()))
    action = task["groups_action"]
    kept = [sid for sid in account.groups if not (sid in wanted if action == "remove" else action == "replace" and sid not in wanted)]
    after = kept if action == "remove" else [*kept, *(sid for sid in wanted if sid not in kept)]
    if set(after) != set(account.groups):
        task.change(lambda: setattr(account, "groups", after))
    return [f"BUILTIN\\{GROUPS[sid]}" for sid in after]


def _group(name: str) -> str:
    """A local group's SID, from it or from its name. Raises Failed."""
    bare = name.rsplit("\\", 1)[-1].lower()
    found = next((sid for sid, own in GROUPS.items() if bare in (sid.lower(), own.lower())), None)
    if found is None:
        raise Failed(f"group '{name}' not found")
    return found


def _user(name: str, account: Account) -> Json:
    """An account in a diff."""
    return {
        "account_disabled": not account.enabled,
        "account_expires": "never",
        "account_locked": False,
        **{field: getattr(account, field) for field in _FIELDS},
        "groups": [f"BUILTIN\\{GROUPS[sid]}" for sid in account.groups],
        "home_directory": "",
        "login_script": "",
        "name": name,
        "password": "REDACTED",
        "profile": "",
    }


def _facts(task: Task) -> Json:
    name = task.world.system.account(task["name"])
    found: Json = {"name": task["name"]}
    if name is None:
        return found
    account, machine = task.world.system.accounts[name], task.world.name
    groups = [{"name": GROUPS[sid], "path": f"WinNT://WORKGROUP/{machine}/{GROUPS[sid]}"} for sid in account.groups]
    found.update({field: getattr(account, field) for field in _FIELDS}, path=f"WinNT://WORKGROUP/{machine}/{name}", groups=groups)
    return {**found, "account_disabled": not account.enabled, "account_locked": False, "sid": task.world.sid(name)}


# ---- win_group_membership ---------------------------------------------------------------------------------------------------------------


def membership(task: Task) -> None:
    """win_group_membership, with local accounts as members."""
    name, state, world = task["name"], task["state"], task.world
    task.result["name"] = name
    task.result.update({word: [] for word, states in (("added", "present pure"), ("removed", "absent pure")) if state in states.split()})
    sid = next((sid for sid, own in GROUPS.items() if own.lower() == name.lower()), None)
    if sid is None:
        raise Failed(f"Could not find local group {name}", **task.result)
    wanted = list(dict.fromkeys(_member(world, member) for member in task["members"]))
    members = [own for own, account in world.system.accounts.items() if sid in account.groups]
    adds = [own for own in wanted if own not in members] if state != "absent" else []
    drops = [own for own in members if (own in wanted) == (state == "absent")] if state != "present" else []
    for own in adds:
        task.change(lambda own=own: world.system.accounts[own].groups.append(sid))  # type: ignore[misc]
    for own in drops:
        task.change(lambda own=own: world.system.accounts[own].groups.remove(sid))  # type: ignore[misc]
    after = [*(own for own in members if own not in drops), *adds]
    told: dict[str, list[str]] = {"added": adds, "removed": drops, "members": after}
    task.result.update(
        {word: [f"{world.name}\\{own}" for own in names] for word, names in told.items() if word == "members" or word in task.result}
    )


def _member(world: World, name: Any) -> str:
    bare = str(name).rsplit("\\", 1)[-1]
    found = next((own for own in world.system.accounts if bare.lower() in (own.lower(), world.sid(own).lower())), None)
    if found is None:
        raise Failed(
            f"Unhandled exception while executing module: account_name {name} is not a valid account, cannot get SID: Some or all identity references "
            "could not be translated."
        )
    return found


# ---- win_auto_logon ---------------------------------------------------------------------------------------------------------------------


def auto_logon(task: Task) -> None:
    """win_auto_logon. The password goes into an LSA secret, whose name alone is kept, and what it was only as a digest."""
    world, registry, present = task.world, task.world.registry, task["state"] == "present"
    task.refuse("logon_count")
    account = world.system.account(str(task["username"]).rsplit("\\", 1)[-1]) if task["username"] else None
    if task["username"] and account is None:
        raise Failed(f"Failed to find a local or domain user with the name '{task['username']}'")
    on = str(registry.get(WINLOGON, "AutoAdminLogon")) == "1"
    values = {"username": ("DefaultUserName", account), "domain": ("DefaultDomainName", world.name)}
    before = {word: registry.get(WINLOGON, name) for word, (name, _wanted) in values.items()}
    for name in (DEFAULT_PASSWORD, "AutoLogonCount"):
        if registry.get(WINLOGON, name) is not None:
            task.change(lambda name=name: registry.remove_value(WINLOGON, name))  # type: ignore[misc]
    if on != present:
        task.change(lambda: registry.set(WINLOGON, "AutoAdminLogon", int(present)))
    for word, (name, wanted) in values.items():
        if present and wanted is not None and before[word] != wanted:
            task.change(lambda name=name, wanted=wanted: registry.set(WINLOGON, name, wanted))  # type: ignore[misc]
        elif not present and before[word] is not None:
            task.change(lambda name=name: registry.remove_value(WINLOGON, name))  # type: ignore[misc]
    secret = task["password"] if present else None
    if not task.same_secret(f"lsa {DEFAULT_PASSWORD}", secret):
        task.change(lambda: _keep(task, secret))
    said = {word: value for word, value in before.items() if value is not None}
    after = {"username": account, "domain": world.name} if present else {}
    task.diff = {"before": {"state": "present" if on else "absent", **said}, "after": {"state": task["state"], **after}}


def _keep(task: Task, secret: str | None) -> None:
    names = task.world.system.lsa_secrets
    names[:] = [name for name in names if name != DEFAULT_PASSWORD] + ([DEFAULT_PASSWORD] if secret is not None else [])
    task.keep_secret(f"lsa {DEFAULT_PASSWORD}", secret)


DOUBLES = {
    "ansible.windows.win_user": Double(
        Spec(
            {
                "name": Option(required=True),
                "state": Option(default="present", choices=("present", "absent", "query")),
                "password": Option(secret=True),
                "update_password": Option(default="always", choices=("always", "on_create")),
                "groups": Option("list"),
                "groups_action": Option(default="replace", choices=("add", "remove", "replace")),
                "description": Option(),
                "fullname": Option(),
                **{
                    name: Option("bool")
                    for name in (
                        "account_disabled",
                        "account_locked",
                        "password_expired",
                        "password_never_expires",
                        "user_cannot_change_password",
                    )
                },
                **{name: Option() for name in _UNPLAYED},
            }
        ),
        user,
    ),
    "ansible.windows.win_group_membership": Double(
        Spec(
            {
                "name": Option(required=True),
                "members": Option("list", required=True),
                "state": Option(default="present", choices=("present", "absent", "pure")),
            },
            legacy=True,
        ),
        membership,
    ),
    "ansible.windows.win_auto_logon": Double(
        Spec(
            {
                "logon_count": Option("int"),
                "password": Option(secret=True),
                "state": Option(default="present", choices=("absent", "present")),
                "username": Option(),
            },
            required_if=(("state", "present", ("username", "password")),),
        ),
        auto_logon,
    ),
}

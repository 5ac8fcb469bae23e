"""LDPlayer's misbehaviour, switched on by tests: each field is one thing that a published source has seen it do."""

from __future__ import annotations

from dataclasses import dataclass, field

#: hang: state 2 for good, without a VM process (LDPlayer 14). no_vm: state 1 without a VM process (Ld9BoxSVC hangs). silent: adb answers
#: nothing until it is asked through ldconsole once more (LDPlayer 14's channel drops). deaf: adb never answers although all else is right.
AILMENTS = ("hang", "no_vm", "silent", "deaf")
FOREVER = "forever"


@dataclass
class Quirks:
    """Counters (``…_times``) run down to 0 as they are used; the rest holds until it is changed."""

    #: list2 prints nothing with exit 0 although emulators exist (yejianfengblue/ldplayer retries for this).
    list2_empty_times: int = 0
    #: list2 in the form of LDPlayer 4 and older.
    list2_seven_columns: bool = False
    #: What list2 prints instead, whatever it is (half a line, garbage).
    list2_instead: bytes | None = None
    #: How console output is encoded: None is the ANSI code page; sources disagree whether GBK is hard-wired (androtools, MaaFramework).
    output_encoding: str | None = None
    #: add exits 0 and creates nothing (androtools' tests).
    add_does_nothing_times: int = 0
    #: copy returns at once and the emulator appears after so many seconds (reports disagree whether it blocks).
    copy_background_seconds: float | None = None
    #: copy refuses a running source; LDPlayer 14 took one.
    copy_refuses_running: bool = False
    #: copy keeps the source's IMEI, MAC and the like: not proven either way for any version, so both are played.
    copy_keeps_identity: bool = False
    #: LDPlayer 14 re-creates an empty emulator at the index that was removed (AUTO-MAS).
    remove_recreates_times: int = 0
    #: launch says nothing, exits 0 and starts nothing (a living dnplayer process of the same index does this).
    launch_ignored_times: int = 0
    #: Title -> how the next starts go wrong, one after the other (AILMENTS); FOREVER as the last one means all further ones.
    starts: dict[str, list[str]] = field(default_factory=dict)
    #: list2 shows as stopped what runs in another session: one farm's scripts read states across sessions, LDPlayer 14 has shown living ones as stopped.
    list2_blind_between_sessions: bool = False
    #: quit exits 0 and ends nothing, also in the session of the emulator (LDPlayer 9.5.37 had this until quitall).
    quit_ignored_times: int = 0
    #: modify exits 0 and changes nothing.
    modify_ignored_times: int = 0
    #: backup exits 0 and writes no file.
    backup_writes_nothing_times: int = 0
    #: backup never returns, and leaves a file without an end (one project calls backup "not working" after 120 s).
    backup_hangs_times: int = 0
    #: globalsetting exits 0 and changes nothing.
    globalsetting_ignored_times: int = 0
    #: push and pull exit 0 and leave half of the file.
    transfer_cut_times: int = 0
    #: action prints its usage and does nothing.
    action_complains_times: int = 0
    #: remove exits 0 and removes nothing.
    remove_ignored_times: int = 0
    #: installapp says nothing and installs nothing (not measured; the product must look).
    install_ignored_times: int = 0
    #: ldconsole hands adb's words to cmd.exe (whether it does is not known: nobody has tried characters that cmd.exe takes for its own).
    adb_through_cmd: bool = False
    #: What list2 calls an emulator whose config is garbled: not known, so both can be played (default: LDPlayer's default title).
    garbled_keeps_title: bool = False
    #: Every ldconsole command takes so many more seconds.
    slow_seconds: float = 0.0
    #: Commands (first argument) that never return.
    hang_commands: set[str] = field(default_factory=set)
    #: launch leaves its output pipe open in the emulator's process (how Windows inherits handles). The engine pwsh plays it with real pipes.
    leak_output: bool = True

    def ailment(self, title: str) -> str:
        """How the start that happens now goes wrong, or nothing; it is used up."""
        left = self.starts.get(title)
        if not left:
            return ""
        return left[0] if left[1:] == [FOREVER] else left.pop(0)


def used(quirks: Quirks, name: str) -> bool:
    """Whether a counter was above 0; it is counted down."""
    left = int(getattr(quirks, name))
    if left > 0:
        setattr(quirks, name, left - 1)
    return left > 0

# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the documentation of every module says alike."""


class ModuleDocFragment:
    """``attributes`` for modules that change something, ``attributes.info`` on top of it for those that do not."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and tell what it would do, without doing it.
    support: full
  diff_mode:
    description: Returns what is there and what it would become.
    support: full
  platform:
    description: Where it can act.
    platforms: windows
    support: full
  action_group:
    description: Takes defaults given for C(group/ldfleet.ldplayer.all) in C(module_defaults).
    membership:
      - ldfleet.ldplayer.all
    support: full
  become:
    description: Can be used with become.
    support: none
    details: It is refused. The work must be done by the user to whom LDPlayer belongs.
  async:
    description: Can be used with async.
    support: none
    details: It is refused. Long work is cut into batches, and each is proved.
notes:
  - Made for the connections winrm, psrp and ssh (with C(ansible_shell_type=powershell)), with the host's own connection variables. All three
    have been run with ansible-core 2.16 to 2.19, but only against simulated hosts.
"""

    INFO = r"""
options: {}
attributes:
  diff_mode:
    description: Returns what is there and what it would become.
    support: N/A
"""

    CONTROLLER = r"""
options: {}
attributes:
  platform:
    description: Where it can act.
    details: It acts on the controller, for hosts with Windows.
    platforms: posix
    support: full
"""

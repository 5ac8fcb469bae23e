# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The emulators of one host: what is wanted, what was seen, the plan that leads from one to the other, its operations, and the report. Beside it, the acts on
one emulator (apps, backups, files, commands of its Android), and what is asked of real hosts (conformance).

Of the rooms, it imports ``words``.
"""

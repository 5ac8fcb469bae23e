# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""LDPlayer itself on one host: laid, upgraded, repaired and removed, where its emulators' disks lie, and the settings that all of them share.

Of the rooms, it imports ``words`` and ``emulators``.
"""

# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Many hosts: the fleet file, where replicas are placed, how they move and roll out in waves, and the decision over all of it.

Of the rooms, it imports ``words``, ``emulators`` and ``windows``.
"""

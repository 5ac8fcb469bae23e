# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One host's Windows: the ways into it and who is let in, what it tells of itself, what of that stands in the way of emulators, and what the role windows has
to do.

Of the rooms, it imports ``words``.
"""

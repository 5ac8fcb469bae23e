# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""CARRY: batches to the agent on the host and replies back (docs/protocol.md). It decides nothing about emulators."""

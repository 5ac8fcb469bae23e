# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What all rooms speak of: errors, options as a person writes them, folders and addresses, LDPlayer's settings and the form of its configs, its versions and
where each lies, and who is let in.

It is the ground of the house and imports no other room.
"""

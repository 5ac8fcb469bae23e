# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""DECIDE: from what is wanted and what was seen to what is to be done. Values in, values out.

Nothing here touches Ansible, a socket, a file, a clock or chance; only the standard library is imported, and how a batch is written (_host). Its rooms are
floors: each imports only what stands below it, and says which in its own first lines::

    fleet                       many hosts
    ldplayer    windows         what one host has beside its emulators
    emulators                   those of one host
    words                       what all of them speak of
"""

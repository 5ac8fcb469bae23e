# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""For ansible-doc only: the documentation stands in the .yml file of this name, the work is done by the action plugin of this name."""

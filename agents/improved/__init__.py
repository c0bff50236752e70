"""A planner improved by what real hops taught: what they bring, and what the rest of a process is worth."""

from typing import Final

IMPROVED: Final = "improved"
"""Name of this planner as a teacher, which learns between the rounds of imitation."""

"""The settings of the word problems: who does what with which things. Data only; `words.py` tells them."""

from sdlm_core.problems.scenarios.home import HOME
from sdlm_core.problems.scenarios.money import MONEY
from sdlm_core.problems.scenarios.parts import Part, Scenario
from sdlm_core.problems.scenarios.places import PLACES

__all__ = ["SCENARIOS", "Part", "Scenario"]

SCENARIOS: tuple[Scenario, ...] = (*HOME, *MONEY, *PLACES)

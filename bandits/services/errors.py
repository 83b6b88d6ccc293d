"""What an act on a bandit may not do."""

from musicrec.exceptions import RuleViolation


class BanditRuleViolation(RuleViolation):
    """A broken rule with its own code."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code

"""The errors that a command reports in one line."""


class ImporterError(Exception):
    """A problem for the operator to fix: one line that says what is wrong, where, and what to do."""

    def __init__(self, message: str) -> None:
        # a message quoted from a service may have line breaks
        super().__init__(" ".join(message.split()))


class MissingRoleError(ImporterError):
    """Azure refuses a call because a role is missing; a new role assignment takes minutes to apply."""

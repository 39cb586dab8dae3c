"""What stops an import."""


class ImporterError(Exception):
    """Something the operator must mend: one line that says what is wrong, where, and what to do."""

    def __init__(self, message: str) -> None:
        # a service's own message may run over several lines
        super().__init__(" ".join(message.split()))


class MissingRoleError(ImporterError):
    """Azure refuses a call for lack of a role; a new role assignment takes minutes until it applies."""

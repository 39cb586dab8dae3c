"""What every component shares: how it takes its arguments."""

from collections.abc import Mapping
from typing import Self, cast

import pulumi


class Args:
    """Arguments of a component: a dataclass whose fields are `pulumi.Input`s."""

    @classmethod
    def of(cls, args: Self | Mapping[str, object]) -> Self:
        """Return `args` as this class: a program passes an instance, Pulumi's component host a mapping."""
        if isinstance(args, cls):
            return args
        return cls(**cast(Mapping[str, object], args))


#: The tags that a component puts on every resource that takes tags.
Tags = pulumi.Input[Mapping[str, pulumi.Input[str]]]

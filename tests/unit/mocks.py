"""What a program declares, without an engine: the recorder that also writes `docs/access.md`."""

from tools.declared import KUBECONFIG, SUBSCRIPTION, Declared, declare

__all__ = ["KUBECONFIG", "SUBSCRIPTION", "Declared", "declare"]

"""The identities that a serverless job can act as: the user-assigned ones of its workspace."""

from localcloud.arm import ArmStore, Document


def identity_problem(step: Document, workspace_id: str, store: ArmStore) -> str | None:
    """Return why the step of a job cannot act as the identity that it names; None if it can.

    Azure ML accepts the client id of every user-assigned identity of the workspace, and no other
    (https://learn.microsoft.com/azure/machine-learning/how-to-use-serverless-compute#identity-support-and-credential-passthrough).
    """
    identity = step.get("identity") or {}
    client_id = identity.get("client_id", identity.get("clientId"))
    workspace = store.get(workspace_id) or {}
    attached = workspace.get("identity", {}).get("userAssignedIdentities")
    if client_id is None or attached is None:
        return None
    if client_id in {found["clientId"] for found in attached.values()}:
        return None
    return f"The job names the identity {client_id}, which is not attached to the workspace."

"""The pinned versions of the Helm charts, and where to look for newer ones."""

#: https://github.com/argoproj/argo-helm/tree/main/charts/argo-workflows
ARGO_WORKFLOWS_CHART = "1.0.18"
#: https://github.com/argoproj/argo-helm/tree/main/charts/argo-events
ARGO_EVENTS_CHART = "2.4.22"
ARGO_REPOSITORY = "https://argoproj.github.io/argo-helm"

#: https://github.com/external-secrets/external-secrets/tree/main/deploy/charts/external-secrets
EXTERNAL_SECRETS_CHART = "2.9.0"
EXTERNAL_SECRETS_REPOSITORY = "https://charts.external-secrets.io"

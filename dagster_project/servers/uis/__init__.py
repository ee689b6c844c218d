"""The web UIs behind a login: gate, credentials, and the processes that serve Dagster, MLflow and Jupyter."""

"""The web UIs behind a login: the gate, what opens it, and the processes that serve Dagster, MLflow and Jupyter."""

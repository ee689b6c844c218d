"""Asset checks, and the checks of `quantlake doctor`."""

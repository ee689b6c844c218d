"""``python -m benchmarks``: measure, print, and write ``benchmarks/results.md``."""

from benchmarks.report import write_results
from benchmarks.serving import measure_serving
from lake.settings import settings


def main() -> None:
    """Run every benchmark against the home of the environment."""
    path = write_results([measure_serving(settings())])
    print(f"\nwritten to {path}")


if __name__ == "__main__":
    main()

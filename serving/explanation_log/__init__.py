"""Explanation log: every computed explanation on disk before it is answered, and its way into the lake.

- `log_file`: one SQLite file of a home, which several processes may write to
- `writing`, `reading`: a row put into it, and the explanations of a forecast in log and lake
- `draining`: rows merged into the table `explanations`; merged rows leave the log after its retention
"""

from serving.explanation_log.draining import drain_explanations
from serving.explanation_log.log_file import explanation_log_path
from serving.explanation_log.reading import explanations_of
from serving.explanation_log.writing import log_explanation

__all__ = ["drain_explanations", "explanation_log_path", "explanations_of", "log_explanation"]

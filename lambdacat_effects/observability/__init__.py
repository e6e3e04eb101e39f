"""What a run tells: the report per node, and live progress. All of it is made from the run's events."""

from lambdacat_effects.observability.progress import Progress, progress
from lambdacat_effects.observability.report import Recorder, Row, RunReport, Tally, report_table

__all__ = ["Progress", "Recorder", "Row", "RunReport", "Tally", "progress", "report_table"]

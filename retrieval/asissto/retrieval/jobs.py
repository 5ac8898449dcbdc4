"""The jobs of this component."""

from asissto.platform.worker import Handler
from asissto.retrieval.batch_runs import mark_run_failed, run_set
from asissto.retrieval.report_letters import HANDLERS as REPORTS
from asissto.retrieval.set_runs import RUN_SET
from asissto.retrieval.summaries import SUMMARISE, summarise

HANDLERS = {
    RUN_SET: Handler(run_set, mark_run_failed, lane="slow"),
    SUMMARISE: Handler(summarise),
    **REPORTS,
}

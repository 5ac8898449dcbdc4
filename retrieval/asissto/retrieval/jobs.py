"""The jobs of this component."""

from asissto.platform.worker import Handler
from asissto.retrieval.batch_runs import mark_run_failed, run_set
from asissto.retrieval.report_letters import HANDLERS as REPORTS
from asissto.retrieval.set_runs import RUN_SET
from asissto.retrieval.summaries import SUMMARISE, summarise
from asissto.retrieval.topics.approving import REPLAY, replay
from asissto.retrieval.topics.asked import PLACE
from asissto.retrieval.topics.gaps import FIND_GAPS, find_gaps
from asissto.retrieval.topics.placing import REFRESH, place_new
from asissto.retrieval.topics.refreshing import refresh_topics

HANDLERS = {
    RUN_SET: Handler(run_set, mark_run_failed, lane="slow"),
    SUMMARISE: Handler(summarise),
    PLACE: Handler(place_new, lane="slow"),
    REFRESH: Handler(refresh_topics, lane="slow"),
    FIND_GAPS: Handler(find_gaps, lane="slow"),
    REPLAY: Handler(replay, lane="slow"),
    **REPORTS,
}

"""The jobs of this component."""

from asissto.platform.worker import Handler
from asissto.retrieval.summaries import SUMMARISE, summarise

HANDLERS = {SUMMARISE: Handler(summarise)}

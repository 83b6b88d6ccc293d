"""What pages and clients are told of the system; reads only."""

from recommendations.reports.status import status_of

__all__ = ["status_of"]

"""All that the page shows, kept new in the background."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lzc_flows.api.table import read_table
from lzc_flows.database.plans import campaign_document
from lzc_flows.database.stores import CAMPAIGNS
from lzc_flows.launch.outlook import Outlook, outlook_of
from lzc_flows.launch.queued import QueuedIn
from lzc_flows.launch.status import CampaignStatus, scan, status_of
from lzc_flows.report.candidates import CampaignTable
from lzc_flows.web.candidate import CandidateView, read_candidate
from lzc_flows.web.readings import FRESH_S, Reading, Readings
from lzc_flows.web.source import Source

READERS = 2
"""Readings under way at a time: a page must not keep the server from the workers."""

PATIENCE_S = 0.6
"""How long a page waits for what was never read before; what is late comes when the page asks again, in s."""


@dataclass(frozen=True)
class Standing:
    """Where a campaign stands, and how it goes on."""

    status: CampaignStatus
    outlook: Outlook


class Live:
    """What the pages ask for.

    Parameters
    ----------
    source
        Where to read.
    fresh_s
        How long what was read counts as new, in s.
    """

    def __init__(self, source: Source, fresh_s: float = FRESH_S) -> None:
        self.source = source
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="reader")
        self._names: Readings[dict[str, str]] = Readings(self._read_names, self._pool, fresh_s)
        self._tables: Readings[CampaignTable] = Readings(self._read_table, self._pool, fresh_s)
        self._statuses: Readings[Standing] = Readings(self._read_status, self._pool, fresh_s)

    def close(self) -> None:
        """Start no further reading."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def campaigns(self) -> dict[str, str]:
        """Return the names of all campaigns, in their order, with what their files say of them."""
        reading = self._names.get("")
        assert reading is not None  # it was waited for
        return reading.value

    def table(self, campaign: str, patience_s: float | None = PATIENCE_S) -> Reading[CampaignTable] | None:
        """Return a campaign's candidates; None where reading them takes longer than `patience_s`.

        Raises
        ------
        InputError
            No such campaign.
        DatabaseAwayError
            The database does not answer and nothing was read before.
        """
        return self._tables.get(campaign, patience_s)

    def status(self, campaign: str, patience_s: float | None = PATIENCE_S) -> Reading[Standing] | None:
        """Return where a campaign stands, as `table` does."""
        return self._statuses.get(campaign, patience_s)

    def candidate(self, campaign: str, key: str) -> CandidateView:
        """Return a candidate, read now.

        Raises
        ------
        InputError
            The campaign has no such candidate.
        DatabaseAwayError
            The database does not answer.
        """
        with self.source.reading() as database:
            return read_candidate(database, campaign, key)

    def _read_names(self, _: str) -> dict[str, str]:
        with self.source.reading() as database:
            found = database.collection(CAMPAIGNS).find({}, {"_id": False, "name": True, "spec.description": True})
            names = {entry["name"]: str((entry.get("spec") or {}).get("description") or "") for entry in found}
        return dict(sorted(names.items()))

    def _read_table(self, campaign: str) -> CampaignTable:
        with self.source.reading() as database:
            return read_table(database, campaign)

    def _read_status(self, campaign: str) -> Standing:
        with self.source.reading() as database:
            campaign_document(database, campaign)  # refuses a name that is not there
            queued = QueuedIn.of(database)
            seen = scan(database, queued, campaign)
            status = status_of(database, queued, campaign, seen)
            return Standing(status, outlook_of(database, queued, status, seen))

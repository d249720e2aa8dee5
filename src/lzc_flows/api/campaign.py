"""A submitted campaign in a notebook: its candidates, ranking and state as pandas tables."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from html import escape
from pathlib import Path

import pandas as pd

from lzc_flows.api.candidate import Candidate
from lzc_flows.database.candidates import build_candidates
from lzc_flows.database.fields import names_in
from lzc_flows.database.lookup import find_candidate
from lzc_flows.database.plans import campaign_document, planned_candidates, planned_stages
from lzc_flows.database.queries import Query
from lzc_flows.database.queries import select as select_candidates
from lzc_flows.database.stores import CAMPAIGNS, Database, connect
from lzc_flows.database.table import flat_table
from lzc_flows.flows.spec import CampaignSpec, parse_campaign
from lzc_flows.jobs.rank import rank_campaign, ranked_table
from lzc_flows.launch.launchpad import open_launchpad
from lzc_flows.launch.status import CampaignStatus, campaign_status


class Campaign:
    """A submitted campaign, by its name.

    It reads what is there at each call, and starts and queues nothing. As `lzc query` does, it first brings the
    summaries up to date, which follow from the stages' documents.

    Parameters
    ----------
    name
        Name of a submitted campaign.
    database
        Where it is; that of the settings (``LZC_MONGO_URI``, ``LZC_MONGO_DATABASE``, ``LZC_CAMPAIGNS_DIR``) if None.

    Raises
    ------
    InputError
        No such campaign; the line names those that there are.
    """

    def __init__(self, name: str, database: Database | None = None) -> None:
        self.name = name
        self.database = database or connect()
        self._document = campaign_document(self.database, name)

    @staticmethod
    def list(database: Database | None = None) -> list[str]:
        """Return the names of the campaigns in the database."""
        found = (database or connect()).collection(CAMPAIGNS).find({}, {"name": True})
        return sorted(entry["name"] for entry in found)

    @cached_property
    def spec(self) -> CampaignSpec:
        """The campaign's file, as it was submitted."""
        return parse_campaign(self._document["spec"], where=self.name, folder=Path())

    def candidates(
        self,
        where: str = "",
        select: str | Iterable[str] = (),
        sort: str | Iterable[str] = (),
        limit: int | None = None,
    ) -> pd.DataFrame:
        """Return candidates, one a row, by key.

        Parameters
        ----------
        where
            Conditions, such as ``"cation=Ti and barrier_3d < 0.6"``.
        select
            Fields as a text with commas or one by one, such as ``"formula, barrier_3d"``; almost all where empty.
        sort
            Fields, the most important first, such as ``"-sigma_mS_cm, key"``; missing values come last.
        limit
            At most so many.

        Returns
        -------
        pandas.DataFrame
            Missing numbers are NaN, and +inf is a barrier where nothing percolates. ``table.attrs["units"]`` and
            ``table.attrs["descriptions"]`` say what the columns are.

        Raises
        ------
        InputError
            What is asked for is not of the language, or names a field that is not there.
        """
        query = Query(where, names_in(select), names_in(sort), limit)
        build_candidates(self.database)
        return flat_table(select_candidates(self.database, self.name, query), query.fields).set_index("key")

    def ranking(self) -> pd.DataFrame:
        """Return the ranking with every component of every score, best first, by key.

        Raises
        ------
        InputError
            The campaign has no candidates.
        """
        build_candidates(self.database)
        return ranked_table(rank_campaign(self.database, self.name, self.spec.ranking)).set_index("key")

    def status(self) -> pd.DataFrame:
        """Return how many candidates each stage (row) has in each state (column)."""
        counts = self._status().counts
        table = pd.DataFrame.from_dict(counts, orient="index").reindex(list(counts))
        return table.fillna(0).astype(int).rename_axis("stage")

    def failures(self) -> pd.DataFrame:
        """Return what failed and why: key, stage and reason, one failure a row."""
        rows = [(failure.key, failure.stage, failure.reason) for failure in self._status().failures]
        return pd.DataFrame(rows, columns=["key", "stage", "reason"])

    def candidate(self, key: str) -> Candidate:
        """Return a candidate by its key or the beginning of it.

        Raises
        ------
        InputError
            None, or more than one; the line names some that there are.
        """
        build_candidates(self.database)
        return Candidate(self.database, find_candidate(self.database, key, self.name))

    def __len__(self) -> int:
        return planned_candidates(self.database, self.name)

    def __repr__(self) -> str:
        return f"Campaign({self.name!r}, {len(self)} candidates)"

    def _repr_html_(self) -> str:
        stages = planned_stages(self.database, self.name)
        cells = "".join(f"<tr><td>{escape(stage)}</td><td>{number}</td></tr>" for stage, number in stages.items())
        head = "<tr><th>stage</th><th>candidates</th></tr>"
        return f"<table><caption>{escape(repr(self))}</caption>{head}{cells}</table>"

    def _status(self) -> CampaignStatus:
        return campaign_status(self.database, open_launchpad(self.database), self.name)

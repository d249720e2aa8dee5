"""What commands about campaigns need: the campaign by file or name, its directory, database and LaunchPad."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fireworks import LaunchPad

    from lzc_flows.database.stores import Database
    from lzc_flows.flows.candidate import Campaign
    from lzc_flows.launch.run import Setting

CampaignArgument = Annotated[str, typer.Argument(help="Name of a submitted campaign, or a campaign file.")]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", "-n", min=1, help="Worker processes; default: one a core.")
]


class Session:
    """A campaign with its database; everything is opened when first asked for."""

    def __init__(self, reference: str) -> None:
        self.reference = reference

    @classmethod
    def of(cls, campaign: Campaign) -> Session:
        """Return the session of a campaign that is there already."""
        session = cls(campaign.spec.name)
        session.campaign = campaign
        return session

    @cached_property
    def database(self) -> Database:
        """The database of the settings, with patience; a bad campaign file is refused before a server is started."""
        from lzc_flows.database.stores import connect

        if self._is_file:
            _ = self.campaign.cells
        return connect().patient()

    @cached_property
    def launchpad(self) -> LaunchPad:
        """The LaunchPad in the database."""
        from lzc_flows.launch.launchpad import open_launchpad

        return open_launchpad(self.database)

    @cached_property
    def campaign(self) -> Campaign:
        """The campaign: read from its file, or from the database by its name.

        Raises
        ------
        InputError
            Neither a file nor a known name.
        """
        from lzc_flows.database.plans import campaign_document
        from lzc_flows.flows.candidate import Campaign
        from lzc_flows.flows.spec import load_campaign, parse_campaign

        if self._is_file:
            return Campaign(load_campaign(Path(self.reference)))
        content = campaign_document(self.database, self.reference)["spec"]
        return Campaign(parse_campaign(content, where=self.reference, folder=Path()))

    @cached_property
    def name(self) -> str:
        """Name of the campaign; of a submitted one it is asked for without importing what campaigns are made of.

        Raises
        ------
        InputError
            Neither a file nor a known name.
        """
        from lzc_flows.database.plans import campaign_document

        if self._is_file or "campaign" in vars(self):
            return self.campaign.spec.name
        return campaign_document(self.database, self.reference)["name"]

    @property
    def _is_file(self) -> bool:
        return Path(self.reference).suffix in (".yaml", ".yml")

    def require_runnable(self) -> None:
        """Raise `InputError` if an engine is not there or cannot treat the ions, or softBV lacks a pair."""
        from lzc_flows.flows.coverage import require_pairs
        from lzc_flows.flows.treatable import require_engines

        _ = self.campaign.candidates
        require_pairs(self.campaign)
        require_engines(self.campaign)

    def setting(self, workers: int) -> Setting:
        """Return all that a run on this machine needs."""
        from lzc_flows.launch.run import Setting

        self.require_runnable()
        return Setting(self.campaign, self.database, self.launchpad, self.folder, workers)

    @property
    def folder(self) -> Path:
        """Directory of the campaign: launches, logs, report."""
        from lzc_flows.settings import get_settings

        return get_settings().campaigns_dir / self.name

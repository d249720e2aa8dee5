"""Campaigns in notebooks and scripts: what the database knows of them, as tables and objects. It reads only."""

from lzc_flows.api.campaign import Campaign
from lzc_flows.api.candidate import Candidate

__all__ = ["Campaign", "Candidate"]

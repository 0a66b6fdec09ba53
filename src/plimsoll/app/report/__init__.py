"""The story of a replay as one HTML file that opens offline, for engineers and risk committees.

Entry point: ``write_report``. Invariants: it shows finished figures and computes no margin; the
same story gives the same bytes; the page loads nothing from outside; every text is escaped;
whatever is drawn coarser than it came says so in its caption.
"""

from plimsoll.app.report.page import render_report, write_report
from plimsoll.app.report.story import Casualty, ReplayStory

__all__ = ["Casualty", "ReplayStory", "render_report", "write_report"]

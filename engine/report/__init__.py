"""A report of a sweep: figures and tables that go straight into a paper, a page that opens offline, and its data.

request                             what is asked for
findings                            draws, choices and comparisons that all else is made of
claims                              sentences
results, bias_tables, sources       tables; sources also licences, citations, versions, commands
pictures, bias_pictures, picture    figures
examples, wrapping                  retrieved texts
sections, record                    what goes where, and what determined it
tables, render, folder, write       how it is written
"""

from engine.report.findings import Findings, gather
from engine.report.folder import zip_of
from engine.report.picture import Picture
from engine.report.pictures import pictures
from engine.report.request import FORMATS, PARTS, UNTRAINED, Request, as_arguments, find_family
from engine.report.sections import Content, compose, preview
from engine.report.write import Written, write_report

__all__ = [
    "FORMATS",
    "PARTS",
    "UNTRAINED",
    "Content",
    "Findings",
    "Picture",
    "Request",
    "Written",
    "as_arguments",
    "compose",
    "find_family",
    "gather",
    "pictures",
    "preview",
    "write_report",
    "zip_of",
]

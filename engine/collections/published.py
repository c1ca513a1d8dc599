"""What is known of a collection that others published, however it is fetched."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Published:
    """A collection that others published.

    Attributes:
        name: Its catalog name.
        title: Its name in text.
        about: One line on what it is.
        url: Folder that its files are downloaded from, or the page that tells where they are.
        licence: Its licence.
        licence_url: The licence's text.
        citation: Whom to cite.
    """

    name: str
    title: str
    about: str
    url: str
    licence: str
    licence_url: str
    citation: str

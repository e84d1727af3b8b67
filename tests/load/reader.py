"""A reader without a browser: speaks Streamlit's own protocol over its websocket, as the page in a browser does."""

import asyncio
import random
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

BUSY = "**Busy.**"
BROKEN = "could not be drawn"
# What a reader changes; every estate has these types.
VIEWS = ({}, {"type": "ESME"}, {"type": "GSME"}, {"type": "GPF"}, {"type": "CHF"})


class Refused(Exception):
    """The server let nobody in: as many readers as it serves are there."""


@dataclass
class Drawn:
    """A page as it came: its elements' texts, charts, and whether it was the page at all."""

    texts: list[str] = field(default_factory=list)
    charts: int = 0
    bytes: int = 0
    errors: list[str] = field(default_factory=list)

    @property
    def is_busy(self) -> bool:
        return any(text.startswith(BUSY) for text in self.texts)


class Reader:
    """One session; `pages` are those that the server told of, address -> hash."""

    def __init__(self, connection: websockets.ClientConnection):
        self.connection = connection
        self.pages: dict[str, str] = {}
        self.page = ""
        self.view: dict = {}

    @classmethod
    async def comes(cls, address: str, **options) -> "Reader":
        host = urlsplit(address).netloc
        try:
            connection = await websockets.connect(
                f"ws://{host}/_stcore/stream",
                origin=address,
                subprotocols=["streamlit"],
                max_size=None,
                compression=None,
                proxy=None,
                open_timeout=30,
                **options,
            )
        except websockets.InvalidStatus as error:
            if error.response.status_code == 403:
                raise Refused from error
            raise
        return cls(connection)

    async def asks(self, page: str = "", view: dict | None = None) -> None:
        """Asks for a page with filters, as the browser does when Back or a link leads to them."""
        self.page, self.view = page, view or {}
        asked = BackMsg()
        asked.rerun_script.query_string = urlencode(self.view)
        asked.rerun_script.page_script_hash = self.pages.get(page, "")
        asked.rerun_script.page_name = page
        asked.rerun_script.is_history_navigation = bool(self.pages)
        await self.connection.send(asked.SerializeToString())

    async def sees(self, within: float = 60) -> Drawn:
        """What comes until the page is whole."""
        drawn = Drawn()
        async with asyncio.timeout(within):
            async for data in self.connection:
                message = ForwardMsg.FromString(data)
                drawn.bytes += len(data)
                kind = message.WhichOneof("type")
                if kind == "navigation":
                    self.pages = {page.url_pathname: page.page_script_hash for page in message.navigation.app_pages}
                elif kind == "delta":
                    note(message.delta, drawn)
                elif kind == "script_finished" and message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                    return drawn
        raise ConnectionError("the connection ended")

    async def reads(self, page: str = "", view: dict | None = None) -> Drawn:
        await self.asks(page, view)
        return await self.sees()

    async def does_something(self, chance: random.Random) -> Drawn:
        """A filter, or another page."""
        if chance.random() < 0.6:
            return await self.reads(self.page, chance.choice(VIEWS))
        return await self.reads(chance.choice(sorted(self.pages)), self.view)

    async def leaves(self) -> None:
        await self.connection.close()


def note(delta, drawn: Drawn) -> None:
    element = delta.new_element
    kind = element.WhichOneof("type") if delta.WhichOneof("type") == "new_element" else None
    if kind == "bidi_component" and element.bidi_component.component_name == "plot":
        drawn.charts += 1
    elif kind == "exception":
        drawn.errors.append(element.exception.message)
    elif kind in ("markdown", "alert", "heading"):
        text = getattr(element, kind).body
        drawn.texts.append(text)
        if BROKEN in text:
            drawn.errors.append(text)

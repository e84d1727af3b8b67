"""What stands before Streamlit: which addresses there are, who may call, and the headers of every answer.

Everything that is not named here answers 404: Streamlit's metrics, its interface for programs, components and
whatever a later version adds.
"""

import json
import logging
import re
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import auth_util, file_util
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from dashboard import access, audit, plot
from dashboard.server_settings import Settings

HEALTH = "/healthz"
STREAM = "/_stcore/stream"
# What the page in the browser asks before it connects.
READY = ("/_stcore/health", "/_stcore/host-config")
UPLOADS = "/_stcore/upload_file/"
MEDIA = "/media/"
LOGOUT = "/auth/logout"
LOGIN = ("/auth/login", LOGOUT, "/oauth2callback")
PAGES = Path(__file__).with_name("app_pages")
STATIC = Path(file_util.get_static_dir())
RETRY_AFTER = 10

# Own scripts of components arrive as text and are imported as blobs: no address but this server's gives any.
POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self' blob: 'wasm-unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "manifest-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'self'",
        "form-action 'self'",
    ]
)
FEATURES = ("camera", "display-capture", "geolocation", "microphone", "payment", "usb", "serial", "hid")
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": ", ".join(f"{feature}=()" for feature in FEATURES),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
ONLY_TLS = {"Strict-Transport-Security": "max-age=31536000; includeSubDomains"}

BUSY = f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="{RETRY_AFTER}">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Busy: Post Commissioning Outcomes</title>
<style>:root {{ color-scheme: light dark }}
body {{ font: 1.1rem/1.5 sans-serif; max-width: 34rem; margin: 20vh auto; padding: 0 1rem }}</style></head>
<body><h1>Busy</h1><p>As many readers as the dashboard can serve are reading it. This page asks again by itself every
{RETRY_AFTER} seconds; nothing needs to be done.</p></body></html>
"""


class Guard:
    """ASGI middleware around the whole of Streamlit."""

    def __init__(self, app: ASGIApp, settings: Settings, has_login: bool):
        self.app = app
        self.settings = settings
        self.has_login = has_login
        self.connected = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._stream(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, with_headers(send, scope, self.settings.tls))
        else:
            await self.app(scope, receive, send)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The connection of one reader; a refusal before it is accepted answers 403."""
        headers = Headers(scope=scope)
        is_welcome = (
            scope["path"] == STREAM
            and self._is_own_host(headers)
            and is_own_origin(headers, self.settings.tls)
            and self.connected < self.settings.sessions
        )
        if not is_welcome:
            await send({"type": "websocket.close", "code": 1008})
            return
        self.connected += 1
        try:
            await self.app(scope, receive, send)
        except TypeError:
            # Streamlit raises it after it has closed the connection of a client that sent text.
            logging.getLogger(__name__).warning("a client sent what is no message")
        finally:
            self.connected -= 1

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        if scope["path"] == LOGOUT:
            end_login(Request(scope))
        begun = False

        async def send_on(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, send_on)
        except Exception:
            logging.getLogger(__name__).exception("a request could not be answered")
            if not begun:
                await PlainTextResponse("Something went wrong", 500)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer to what does not reach Streamlit."""
        path, method = scope["path"], scope["method"]
        if not self._is_own_host(Headers(scope=scope)):
            return PlainTextResponse("No such host here", 400)
        is_page = path.removeprefix("/") in pages()
        if not (is_page or self._is_known(path)):
            return PlainTextResponse("Not found", 404)
        if method not in ("GET", "HEAD") and not (path.startswith(UPLOADS) and method in ("PUT", "DELETE", "OPTIONS")):
            return PlainTextResponse("Method not allowed", 405, {"Allow": "GET, HEAD"})
        if is_page and self.connected >= self.settings.sessions:
            return HTMLResponse(BUSY, 503, {"Retry-After": str(RETRY_AFTER)})
        return HTMLResponse(index()) if is_page else None

    def _is_known(self, path: str) -> bool:
        return (
            path in READY
            or path == HEALTH
            or path in files()
            or path == plot.ADDRESS
            or path.startswith((MEDIA, UPLOADS))
            or (self.has_login and path in LOGIN)
            # Streamlit sends the reader to the address without the slash.
            or (path.endswith("/") and not path.startswith("//") and path.strip("/") in pages())
        )

    def _is_own_host(self, headers: Headers) -> bool:
        named = headers.getlist("host")
        return len(named) == 1 and host_name(named[0]) in self.settings.allowed_hosts


def end_login(request: Request) -> None:
    """Ends the login whose cookie came with the request: to clear it in one browser would leave its copies good."""
    value = auth_util.get_cookie_with_chunks(lambda name: _signed(request, name), USER_COOKIE_NAME)
    try:
        claims = json.loads(value or "{}")
    except ValueError:
        return
    if isinstance(claims, dict) and (reader := access.end_login(claims)):
        audit.log(reader, audit.LOGOUT, None)


def _signed(request: Request, name: str) -> bytes | None:
    """A cookie's content, if it was signed here."""
    value = request.cookies.get(name)
    return decode_signed_value(get_cookie_secret(), name, value.encode("latin-1", "replace")) if value else None


def with_headers(send: Send, scope: Scope, tls: bool) -> Send:
    """Adds the headers to an answer; what is not a file of the program itself is kept by no cache."""
    is_file = scope["path"] in files() or scope["path"] == plot.ADDRESS

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(HEADERS | ONLY_TLS if tls else HEADERS)
            if not is_file or message["status"] >= 400:
                headers["Cache-Control"] = "no-store"
            if tls:
                make_secure(message)
        await send(message)

    return send_with_headers


def make_secure(message: Message) -> None:
    """Cookies travel by TLS alone: Streamlit, behind a proxy, does not know that there is any."""
    message["headers"] = [
        (name, value + b"; Secure" if name.lower() == b"set-cookie" and b"secure" not in value.lower() else value)
        for name, value in message["headers"]
    ]


def host_name(host: str) -> str | None:
    """The name in a Host header, without its port; None when it is no plain host."""
    if not re.fullmatch(r"[A-Za-z0-9.-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?", host):
        return None
    return (urlsplit(f"//{host}").hostname or "").rstrip(".")


def is_own_origin(headers: Headers, tls: bool) -> bool:
    """Whether a connection was opened by this server's own page; programs, which have no page, send no Origin.

    Streamlit's own check asks a server outside for this machine's address before it refuses.
    """
    origins = headers.getlist("origin")
    if not origins:
        return True
    schemes = ("https://",) if tls else ("http://", "https://")
    host = headers["host"].lower()
    return len(origins) == 1 and origins[0].lower() in {scheme + host for scheme in schemes}


@cache
def pages() -> frozenset[str]:
    """The paths of pages, without their slash."""
    return frozenset({"", *(file.stem for file in PAGES.glob("*.py") if not file.stem.startswith("_"))})


@cache
def files() -> frozenset[str]:
    """The paths of Streamlit's own files; its page is served by `index`."""
    found = (file.relative_to(STATIC).as_posix() for file in STATIC.rglob("*") if file.is_file())
    return frozenset(f"/{name}" for name in found if name != "index.html")


@cache
def index() -> str:
    """Streamlit's page without its inline script, which the policy forbids, and without what it offers to programs."""
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    page = re.sub(r"<!--.*?-->", "", page, flags=re.DOTALL)
    page = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    page = re.sub(r'<link rel="service-desc"[^>]*>', "", page)
    needs = "<noscript><p>The dashboard needs JavaScript.</p></noscript>"
    page = re.sub(r"<noscript>.*?</noscript>", needs, page, flags=re.DOTALL)
    page = page.replace("</head>", f"{plot.IN_PAGE}</head>")
    page = page.replace("<title>Streamlit</title>", "<title>Post Commissioning Outcomes</title>")
    return re.sub(r"\n\s*\n", "\n", page).strip() + "\n"

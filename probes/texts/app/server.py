"""The server: the page opens at once, and what it needs is loaded meanwhile.

Contract: imports no torch. What `load` raises is shown, closes the server and is raised by `serve`.
"""

import asyncio
from collections.abc import Callable

from probes.figures import pages, token_html
from probes.texts.app.door import Door, until_listening
from probes.texts.app.toolkit import app, background_tasks, run, ui

Build = Callable[[], None]
"""Lays out one visitor's page."""
_LAST_WORDS = 0.5
"""Seconds in which open pages hear why the server closes."""


def serve(
    load: Callable[[], Build],
    *,
    waiting_for: str,
    host: str,
    port: int,
    names: frozenset[str] | None,
    show: bool,
    ready: Callable[[], None],
) -> None:
    """Serve the page until interrupted.

    `load` runs in a thread once the page is served, which says until then that it is `waiting_for`
    something; `names` are those by which the page may be called (None: any); `ready` is called once
    it listens. Raises what `load` raises.
    """
    over = asyncio.Event()
    builds: list[Build] = []
    failures: list[Exception] = []

    async def start() -> None:
        await until_listening(host, port)
        ready()
        try:
            if build := await run.io_bound(load):  # none while the server stops
                builds.append(build)
        except Exception as error:
            failures.append(error)
        over.set()
        if failures:
            await asyncio.sleep(_LAST_WORDS)
            app.shutdown()

    @ui.page("/")
    async def index() -> None:
        ui.add_css(token_html.STYLE + pages.resource("probes.texts", "app.css"))
        ui.add_body_html(f"<script>{pages.resource('probes.texts', 'app.js')}</script>")
        if not over.is_set():
            with ui.row().classes("items-center p-4") as waiting:
                spinner = ui.spinner(size="sm")
                status = ui.label(f"Loading {waiting_for} …").props('role="status"')
            await ui.context.client.connected()
            await over.wait()
            if failures:
                status.text = str(failures[0])
                spinner.delete()
                return
            waiting.delete()
        for build in builds:
            build()

    app.on_startup(lambda: background_tasks.create(start()))
    app.add_middleware(Door, names=names, port=port)
    ui.run(
        host=host,
        port=port,
        title="emotion-lens",
        show=show,
        reload=False,
        show_welcome_message=False,
        reconnect_timeout=30,  # a busy laptop answers late; its pages should not start anew
        uvicorn_logging_level="warning",
    )
    if failures:
        raise failures[0]

"""The server: the page opens at once, and what it needs is loaded meanwhile.

Contract: imports no torch. What `load` raises closes the server and is raised by `serve`.
"""

import asyncio
from collections.abc import Callable

from hooks.errors import EmotionLensError
from probes.figures import pages, token_html
from probes.texts.app.door import Door, until_listening
from probes.texts.app.toolkit import app, background_tasks, ui

Build = Callable[[], None]
"""Lays out one visitor's page."""


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
    it listens. Raises the EmotionLensError of `load`.
    """
    loaded: asyncio.Future[Build]
    failures: list[EmotionLensError] = []

    async def start() -> None:
        await until_listening(host, port)
        ready()
        try:
            loaded.set_result(await asyncio.to_thread(load))
        except EmotionLensError as error:
            failures.append(error)
            loaded.cancel()
            app.shutdown()

    @app.on_startup
    def begin() -> None:
        nonlocal loaded
        loaded = asyncio.get_running_loop().create_future()
        background_tasks.create(start())

    @ui.page("/")
    async def index() -> None:
        ui.add_css(token_html.STYLE + pages.resource("probes.texts", "app.css"))
        ui.add_body_html(f"<script>{pages.resource('probes.texts', 'app.js')}</script>")
        if not loaded.done():
            with ui.row().classes("items-center p-4") as waiting:
                ui.spinner(size="sm")
                ui.label(f"Loading {waiting_for} …").props('role="status"')
            await ui.context.client.connected()
            await asyncio.shield(loaded)
            waiting.delete()
        loaded.result()()

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

"""Pages in a real browser that may reach nothing but this machine, and what goes wrong on them."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
LOCAL = ("file:", "data:", "blob:", "about:", "http://127.0.0.1:", "ws://127.0.0.1:")


def find_chromium() -> str | None:
    """Path of a Chromium on this machine; the variable CHROMIUM may name one."""
    named = os.environ.get("CHROMIUM")
    paths = [path for name in ([named] if named else NAMES) if (path := shutil.which(name))]
    return paths[0] if paths else None


@contextmanager
def pages(browser: Any) -> Iterator[Callable[..., Any]]:
    """Give a function that opens pages; at the end, fail if anything went wrong on one of them."""
    contexts: list[Any] = []
    problems: list[str] = []

    def open_page(
        address: str | Path,
        *,
        width: int = 1280,
        height: int = 800,
        color_scheme: str = "light",
        **options: Any,
    ) -> Any:
        viewport = {"width": width, "height": height}
        context = browser.new_context(viewport=viewport, color_scheme=color_scheme, **options)
        contexts.append(context)

        def only_local(route: Any) -> None:
            if route.request.url.startswith(LOCAL):
                route.continue_()
            else:
                problems.append(f"wanted {route.request.url}")
                route.abort()

        def refuse(dialog: Any) -> None:
            problems.append(f"a dialog: {dialog.message}")
            dialog.dismiss()

        context.route("**/*", only_local)
        page = context.new_page()
        page.set_default_timeout(120_000)  # a busy machine is no error of a page
        page.on("dialog", refuse)
        page.on("pageerror", lambda error: problems.append(f"exception: {error}"))
        page.on(
            "console",
            lambda message: problems.append(message.text) if message.type == "error" else None,
        )
        page.goto(address.as_uri() if isinstance(address, Path) else address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems, "\n".join(problems)

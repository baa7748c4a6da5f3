"""A real headless Chromium for tests; where there is none, they are skipped and say so.

* The browser is Debian's (``apt-get install chromium``), or what the variable CHROMIUM names; it is
  driven by Playwright, which brings none of its own.
* ``open_page(address, width=1280, height=800, color_scheme="light")`` opens a file or an address of
  this machine; nothing else can be reached. When the test ends, an error that a page wrote to its
  console, an exception in it, a dialog, or a try to reach anything else fails the test.
"""

from collections.abc import Callable, Iterator
from typing import Any

import browsing
import pytest


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser, closed after the tests of one file: its event loop would disturb others."""
    executable = browsing.find_chromium()
    if executable is None:
        pytest.skip("no Chromium here: apt-get install chromium, or name one in CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Callable[..., Any]]:
    """``open_page(address, ...)``: a page of Playwright's, watched for errors."""
    with browsing.pages(chromium) as open_page:
        yield open_page

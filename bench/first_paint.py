"""How soon the console is there: first contentful paint in a fresh Chromium context, over loopback.

    uv run --group console python bench/first_paint.py [--visits 20]

A monitor by itself serves the page; each visit begins with empty caches. `/docs` of the same monitor, a page
of three small files, is visited in turns, to tell what the machine and the browser take of it. Exits 1 if
the median isn't under 200 ms, or more than 150,000 bytes were transferred. Needs Chromium.
"""

import argparse
import shutil
import statistics
import sys

from playwright.sync_api import sync_playwright

from bookstore.monitor.app import create_app
from bookstore.monitor.settings import MonitorSettings
from bookstore.service.testing import serving

PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
BYTES = """['resource', 'navigation'].flatMap(type => performance.getEntriesByType(type))
    .filter(each => !each.name.includes('/v2/')).reduce((sum, each) => sum + each.transferSize, 0)"""
READY = {"console/": ".now", "docs": "body"}
MOST_MS, MOST_BYTES = 200, 150_000


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--visits", type=int, default=20)
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    paints: dict[str, list[float]] = {path: [] for path in READY}
    shown: dict[str, list[float]] = {path: [] for path in READY}
    size = 0
    settings = MonitorSettings(targets="books=http://127.0.0.1:9", access_log=False)
    with serving(lambda: create_app(settings)) as url, sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for _ in range(options.visits):
            for path, ready in READY.items():
                context = browser.new_context()
                page = context.new_page()
                page.goto(f"{url}/{path}")
                page.locator(ready).wait_for()
                shown[path].append(page.evaluate("performance.now()"))
                page.wait_for_function(PAINT)
                paints[path].append(page.evaluate(PAINT))
                size = max(size, page.evaluate(BYTES)) if path == "console/" else size
                context.close()
        browser.close()
    for path, seen in paints.items():
        quick, *_, slow = sorted(seen)
        print(
            f"/{path:9} first paint: median {statistics.median(seen):.0f} ms, {quick:.0f} to {slow:.0f};"
            f" its content within {statistics.median(shown[path]):.0f}"
        )
    print(f"{size} bytes transferred")
    return int(statistics.median(paints["console/"]) >= MOST_MS or size > MOST_BYTES)


if __name__ == "__main__":
    sys.exit(main())

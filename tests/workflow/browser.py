"""A real browser: headless Chromium opens a page, clicks where a reader would, and gives back what it then shows."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.limits import LIMIT

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")

# Clicks on the text of menus, and on the icon of a table's row (its words, then the icon's name). A step that
# finds nothing is written into the title.
_CLICKS = """<script>
const pause = () => new Promise(done => setTimeout(done, 300));
const leaf = text => [...document.querySelectorAll('#app *')].find(
  node => !node.children.length && node.textContent.trim() === text);
const icon = (words, name) => [...document.querySelectorAll('#app tr')].find(
  row => words.every(word => [...row.cells].some(cell => cell.textContent.trim() === word))
)?.querySelector(`[iconname=${name}]`);
const find = step => typeof step === 'string' ? leaf(step)?.closest('a, li, button') : icon(...step);
(async () => {
  for (const step of STEPS) {
    await pause();
    const found = find(step);
    if (found) found.click(); else document.title += ' NOT FOUND: ' + JSON.stringify(step);
  }
  await pause();
  document.title += ' IMAGES: ' + [...document.querySelectorAll('#app img')].map(i => i.naturalWidth).join();
})();
</script></body>"""


def open_page(page: Path, steps: list) -> str:
    """Return the page as it is after the clicks, without scripts; skips where there is no browser.

    A step is a text that is clicked, or a pair: words of a table's row, and the name of an icon in it.
    """
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("no Chromium is installed")
    before, _, after = page.read_text().rpartition("</body>")
    visited = page.with_name(f"{page.stem}.visited.html")
    visited.write_text(before + _CLICKS.replace("STEPS", json.dumps(steps)) + after)
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", "--dump-dom"]
    done = subprocess.run(
        [program, *flags, visited.resolve().as_uri()], capture_output=True, text=True, check=True, timeout=LIMIT
    )
    shown = re.sub(r"<script.*?</script>", "", done.stdout, flags=re.DOTALL)
    assert "NOT FOUND" not in shown, re.search(r"<title>.*?</title>", shown)[0]
    return shown

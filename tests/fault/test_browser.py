"""The headless browser of tests/lib does what it says."""
import os

import zkt
from browser import Browser
from zkt import Answer

PAGE = b"""<!doctype html><title>t</title><input id=a><button id=b>go</button><p id=p></p>
<script>document.getElementById("b").onclick = () => {
  document.getElementById("p").textContent = document.getElementById("a").value; };
setTimeout(() => { console.error("late"); nothing(); }, 0);
fetch("/data").then(r => r.text()).then(t => { document.title = t; });</script>"""


def test_page():
    html = [("Content-Type", "text/html")]
    sink = zkt.Sink(routes={"/": [Answer(headers=html, body=PAGE)] * 2,
                            "/data": [Answer(body=b"loaded")] * 2}, default=404)
    with Browser() as b:
        page = b.open(sink.url + "/")
        page.wait("document.title === 'loaded'")
        zkt.ok(True, "loads a page and what it fetches")
        page.press("Tab")
        zkt.equal(page.eval("document.activeElement.id"), "a", "Tab moves the focus")
        page.type("hällo")
        page.press("Tab")
        page.press("Enter")
        zkt.equal(page.wait("document.getElementById('p').textContent"), "hällo",
                  "types, and presses a button by keyboard")
        zkt.wait_for(lambda: len(page.errors) >= 2, "the errors of the page")
        zkt.ok(any(e == "console: late" for e in page.errors), "sees console errors", page.errors)
        zkt.ok(any("nothing" in e for e in page.errors), "sees exceptions", page.errors)
        zkt.ok(sink.url + "/data" in page.requests, "sees requests", page.requests)
        path = zkt.tmp() + "/x.png"
        page.screenshot(path)
        zkt.ok(os.path.getsize(path) > 1000, "takes pictures")


zkt.main()

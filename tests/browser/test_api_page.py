"""The page that documents the endpoints, behind the link at the foot of the page."""

from __future__ import annotations

from tests.browser.conftest import Visitor


def test_the_footer_leads_to_the_endpoints(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.page.click("footer button.show-api")
    shown = "['/decode', '/compare', '/models'].every((name) => document.body.textContent.includes(name))"
    visitor.page.wait_for_function(shown)
    assert [url for url in visitor.requests if not url.startswith(address.rstrip("/"))] == []

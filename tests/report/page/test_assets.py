from __future__ import annotations

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from lzc_flows.report.page.assets import DIGITS, PLOTLY, embedded_json, policy, scripts, style

TEXTS = st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)


@given(TEXTS)
def test_any_text_comes_back_and_ends_no_element(content: object) -> None:
    text = str(embedded_json(content))
    assert json.loads(text) == content
    assert not set("<>&\u2028\u2029") & set(text)


def test_numbers_have_few_digits_and_no_infinities() -> None:
    found = json.loads(embedded_json({"a": [math.pi, 1e-9 * math.pi, 12345678, math.inf, math.nan, 0.0, True]}))
    assert found == {"a": [3.1416, 3.1416e-09, 12345678, None, None, 0.0, True]}
    assert len(str(found["a"][0]).replace(".", "")) == DIGITS


def test_the_policy_allows_the_pages_own_scripts_and_no_address() -> None:
    found = policy()
    assert found.startswith("default-src 'none'; script-src 'sha256-")
    assert all(f"'{script.digest}'" in found for script in scripts())
    assert "http" not in found
    assert "unsafe-inline" not in found.partition("style-src")[0]
    assert all("</script" not in script.text.lower() for script in scripts())
    assert "</style" not in style().lower()
    assert PLOTLY.stat().st_size < 6_000_000

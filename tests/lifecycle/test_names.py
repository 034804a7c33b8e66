"""Names made for machines from names made by people."""

import pytest

from sandboxes.lifecycle import names


@pytest.mark.parametrize(
    ("name", "hostname"),
    [("web-3", "web-3"), ("My Lab, 2nd try!", "my-lab-2nd-try"), ("日本", "sandbox"), ("-", "sandbox"),
     ("a" * 63, "a" * 40), ("x" * 39 + "--y", "x" * 39)],
)  # fmt: skip
def test_a_hostname_is_what_a_prompt_can_show(name, hostname):
    assert names.hostname(name) == hostname

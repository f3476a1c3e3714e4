import pytest

from pipeline.steps.sites import sites


@pytest.mark.parametrize(
    ("url", "site"),
    [
        ("https://www.example.co.uk/a?b", "example.co.uk"),
        ("http://News.Example.com:8080/", "example.com"),
        ("https://someone.github.io/page", "someone.github.io"),
        ("https://github.io/", "github.io"),
        ("http://192.0.2.7/x", "192.0.2.7"),
        ("http://[2001:db8::1]/x", "[2001:db8::1]"),
        ("http://localhost/x", "localhost"),
        ("https://bücher.example.de/", "example.de"),
        ("example.org/page", "example.org"),
        ("", None),
        ("https:///nothing", None),
    ],
)
def test_the_site_of_a_url(url: str, site: str | None) -> None:
    assert sites([url]).to_pylist() == [site]

import ssl

import pytest
from trustme import CA

from domainforge.sources.loaded import UnreadableError
from domainforge.sources.web.fetch import fetch
from domainforge.sources.web.request import Access
from tests.support.website import Website, page


def test_certificate_is_checked_against_the_name_though_the_address_is_asked() -> None:
    authority = CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("wiki.test").configure_cert(context)
    names: list[str | None] = []
    context.sni_callback = lambda sock, name, context: names.append(name)
    with Website({"/": page("x")}, tls=context) as site:

        def ask(host: str, tls: ssl.SSLContext | None) -> int:
            access = Access(
                frozenset({f"{host}:{site.port}"}),
                timeout_seconds=5,
                resolve=lambda host, port: ["127.0.0.1"],
                tls=tls,
            )
            return fetch(f"https://{host}:{site.port}/", access, max_bytes=10_000).status

        trusting = ssl.create_default_context()
        authority.configure_trust(trusting)
        assert ask("wiki.test", trusting) == 200
        for host, tls in (("other.test", trusting), ("wiki.test", None)):
            with pytest.raises(UnreadableError) as error:
                ask(host, tls)
            assert error.value.reason == "tls"
        assert names == ["wiki.test", "other.test", "wiki.test"]
        assert len(site.visits) == 1

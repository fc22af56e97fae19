import io

import pytest

from domainforge.sources.web.fetch import open_stream
from domainforge.sources.web.request import Access, FetchError
from tests.support.website import Answer, Website, page, redirect

DATA = bytes(range(256)) * 4000


def access(site: Website) -> Access:
    return Access(frozenset({site.host}), timeout_seconds=5.0, wait_seconds=0.001)


def ranged(**options: object) -> Answer:
    return Answer(DATA, etag='"one"', ranges=True, **options)  # type: ignore[arg-type]


def test_whole_file_in_small_reads_after_a_redirect() -> None:
    with (
        Website({"/": redirect("/data.gz"), "/data.gz": ranged()}) as site,
        open_stream(site.url(), access(site)) as file,
        io.BufferedReader(file) as handle,
    ):
        assert file.size_bytes == len(DATA)
        assert file.url == site.url("/data.gz")
        assert handle.read(10) == DATA[:10]
        assert handle.read() == DATA[10:]


def test_compressed_files_stay_compressed() -> None:
    answer = Answer(b"\x1f\x8b raw", headers={"Content-Encoding": "gzip"})
    with Website({"/": answer}) as site, open_stream(site.url(), access(site)) as file:
        assert file.read() == b"\x1f\x8b raw"


def test_reading_goes_on_where_the_connection_broke() -> None:
    broken = ranged(deed="truncate")
    with (
        Website({"/": [broken, broken, ranged()]}) as site,
        open_stream(site.url(), access(site)) as file,
    ):
        assert file.read() == DATA
    ranges = [visit.headers.get("range") for visit in site.visits]
    assert ranges == [None, "bytes=512000-", "bytes=768000-"]
    assert site.visits[1].headers["if-range"] == '"one"'


def test_offset_from_an_earlier_run() -> None:
    with Website({"/": ranged(), "/plain": Answer(DATA)}) as site:
        with open_stream(site.url(), access(site), offset=1000, revision='"one"') as file:
            assert file.tell() == 1000
            assert file.read() == DATA[1000:]
        with open_stream(site.url("/plain"), access(site), offset=1000) as file:
            assert file.read() == DATA[1000:]
        with open_stream(site.url(), access(site), offset=len(DATA), revision='"one"') as file:
            assert file.read() == b""


def test_file_that_changed_is_not_glued_together() -> None:
    second = Answer(DATA, etag='"two"', ranges=True)
    with Website({"/": [ranged(deed="truncate"), second]}) as site:
        with open_stream(site.url(), access(site)) as file, pytest.raises(FetchError) as error:
            file.read()
        assert error.value.reason == "changed"
        with pytest.raises(FetchError, match="changed"):
            open_stream(site.url(), access(site), offset=10, revision='"one"')


def test_gives_up_after_a_few_tries() -> None:
    with Website({"/gone": Answer(status=404), "/sick": Answer(status=503)}) as site:
        with pytest.raises(FetchError, match="http_404"):
            open_stream(site.url("/gone"), access(site))
        with pytest.raises(FetchError, match="http_503"):
            open_stream(site.url("/sick"), access(site))
        assert (len(site.asked("/gone")), len(site.asked("/sick"))) == (1, 5)


def test_stream_reaches_no_other_hosts() -> None:
    with Website({"/": page("x")}) as other, Website({}) as site:
        site.site["/"] = redirect(other.url())
        with pytest.raises(Exception, match="blocked_port"):
            open_stream(site.url(), access(site))
        assert other.visits == []


def test_part_without_a_length_that_breaks_off_is_noticed() -> None:
    broken = ranged(deed="truncate", framed=False)
    with (
        Website({"/": [broken, ranged()]}) as site,
        open_stream(site.url(), access(site), offset=1000) as file,
    ):
        assert file.read() == DATA[1000:]
    assert len(site.visits) == 2


@pytest.mark.slow
def test_dripping_server_is_given_up() -> None:
    with Website({"/": Answer(b"x" * 3000, deed="drip")}) as site:
        slow = Access(frozenset({site.host}), timeout_seconds=0.2, wait_seconds=0.001)
        with open_stream(site.url(), slow) as file, pytest.raises(FetchError, match="too_slow"):
            file.read()

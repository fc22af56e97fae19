"""Which hosts and addresses may be asked: public ones, and those that the user allowed by name."""

import re
import socket
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from domainforge.sources.loaded import UnreadableError

Address = IPv4Address | IPv6Address
# From a host name and a port to its addresses as text; a test passes its own.
Resolve = Callable[[str, int], Sequence[str]]

PORTS = {"http": 80, "https": 443}
MAX_URL_CHARS = 2_000
# IANA's special-purpose registry, spelled out: `ipaddress.is_global` changed its mind between
# patch releases of Python 3.11 to 3.13.
_REFUSED_V4 = (
    *map(ip_network, ("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8")),
    *map(ip_network, ("169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24")),
    *map(ip_network, ("192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24")),
    *map(ip_network, ("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4")),
    ip_network("168.63.129.16/32"),  # Azure's platform: public by number, the host's own by use
)
_GLOBAL_V6 = ip_network("2000::/3")
_REFUSED_V6 = (
    ip_network("2001::/23"),  # Teredo, ORCHID, benchmarks
    *map(ip_network, ("2001:db8::/32", "3fff::/20")),  # documentation
    ip_network("2002::/16"),  # 6to4: carries any IPv4 address, and no relay is left
)
_NAT64 = ip_network("64:ff9b::/96")
# Refused even for a host that is allowed by name: nobody keeps a wiki there, and a name server
# that answers with one of them is after the machine's credentials.
_NEVER = (
    *map(ip_network, ("0.0.0.0/8", "169.254.0.0/16", "168.63.129.16/32", "100.100.100.200/32")),
    *map(ip_network, ("224.0.0.0/4", "240.0.0.0/4", "::/128", "fe80::/10", "ff00::/8")),
    ip_network("fd00:ec2::254/128"),
)
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*", re.IGNORECASE)
_NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?", re.IGNORECASE)


@dataclass(frozen=True)
class Target:
    """What a URL asks, taken apart once; nothing later looks at the URL's host again.

    Attributes:
        host: Lower case, in ASCII (punycode); an IPv6 address without brackets.
        path: What goes into the request line, query included.
        allowed: Named by the user, so that it may have a private address.
    """

    scheme: str
    host: str
    port: int
    path: str
    allowed: bool

    @property
    def origin(self) -> str:
        """Scheme, host and port, as a URL without its path."""
        return f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        """Host, and port where it isn't the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


def check_url(url: str, allow_hosts: Collection[str] = ()) -> Target:
    """Take a URL apart and refuse what may not be asked whatever its address is.

    Args:
        url: An http or https URL.
        allow_hosts: `host` (its usual ports) or `host:port`, to the letter.

    Raises:
        UnreadableError: Another scheme, a password in it, an odd host, a port that isn't allowed.
    """
    if len(url) > MAX_URL_CHARS or re.search(r"[\x00-\x20\\\x7f]", url):
        raise UnreadableError("bad_url", "too long, or with spaces or control characters in it")
    try:
        parts = urlsplit(url)
        if not parts.scheme and not parts.netloc:
            raise ValueError("write it with its scheme, as https://example.com/page")
        port = parts.port
        host = _host(parts.hostname or "")
    except ValueError as error:
        raise UnreadableError("bad_url", f"no usable address: {error}") from None
    if parts.scheme not in PORTS:
        raise UnreadableError("bad_url", f"{parts.scheme or 'no scheme'}: only http and https")
    if "@" in parts.netloc:
        raise UnreadableError(
            "bad_url", "a user name or password in a URL is not sent anywhere; leave it out"
        )
    port = PORTS[parts.scheme] if port is None else port
    spelled = f"[{host}]" if ":" in host else host
    usual = port in PORTS.values()
    allowed = f"{spelled}:{port}" in allow_hosts or (usual and spelled in allow_hosts)
    if not usual and not allowed:
        raise UnreadableError(
            "blocked_port", f"port {port}; to allow it, put {spelled}:{port} in `allow_hosts`"
        )
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not path.isascii():
        from urllib.parse import quote

        path = quote(path, safe="/?%:@!$&'()*+,;=~-._[]|")
    return Target(parts.scheme, host, port, path, allowed)


def find_addresses(target: Target, resolve: Resolve) -> list[str]:
    """Resolve a host once and refuse it unless every address may be asked.

    Raises:
        UnreadableError: No such host, or one of its addresses is not public.
    """
    try:
        found = list(dict.fromkeys(resolve(target.host, target.port)))
    except (OSError, UnicodeError) as error:
        detail = getattr(error, "strerror", None) or str(error)
        raise UnreadableError("no_such_host", f"{target.host}: {detail}") from None
    if not found:
        raise UnreadableError("no_such_host", f"{target.host}: no address")
    for text in found:
        check_address(text, target)
    return found


def check_address(text: str, target: Target) -> None:
    """Refuse an address that may not be asked for this target.

    Raises:
        UnreadableError: Loopback, link-local, private, reserved, multicast, metadata.
    """
    try:
        address = _embedded(ip_address(text))
    except ValueError:
        raise UnreadableError("blocked_address", f"{target.host}: not an address") from None
    if is_public(address):
        return
    if target.allowed and not _within(address, _NEVER):
        return
    spelled = f"[{target.host}]" if ":" in target.host else target.host
    if _within(address, _NEVER):
        raise UnreadableError(
            "blocked_address",
            f"{target.host} is link-local, or leads to the host's own services, which are never "
            "asked",
        )
    usual = target.port in PORTS.values()
    named = spelled if usual else f"{spelled}:{target.port}"
    raise UnreadableError(
        "blocked_address",
        f"{target.host} is not on the public internet; if it is yours, put {named} in "
        "`allow_hosts`",
    )


def is_public(address: Address) -> bool:
    """Tell whether an address belongs to the public internet, whatever form it is written in."""
    address = _embedded(address)
    if isinstance(address, IPv4Address):
        return not _within(address, _REFUSED_V4)
    if address.scope_id is not None:
        return False
    return address in _GLOBAL_V6 and not _within(address, _REFUSED_V6)


def resolve_host(host: str, port: int) -> list[str]:
    """Ask the system's resolver."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


def _embedded(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one leads to."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _within(address: Address, networks: Sequence[object]) -> bool:
    return any(address in network for network in networks)  # type: ignore[operator]


def _host(text: str) -> str:
    """Return a host in ASCII and lower case; numbers must be a plain IPv4 or IPv6 address."""
    if not text:
        raise ValueError("no host in it")
    if ":" in text:
        return str(IPv6Address(text))
    if not text.isascii():
        import idna

        text = idna.encode(text, uts46=True).decode("ascii")
    text = text.lower()
    if not _NAME.fullmatch(text) or len(text) > 253:
        raise ValueError("no host name")
    # Decimal, octal, hex and short spellings (2130706433, 0x7f.1) are understood by the system's
    # resolver; nobody writes them in good faith.
    if _NUMBER.fullmatch(text.rstrip(".").rpartition(".")[2]):
        return str(IPv4Address(text))
    return text

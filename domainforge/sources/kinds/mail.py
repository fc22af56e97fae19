"""E-mail: headers and text of one message, and what is attached to it by its own kind."""

import email
import email.policy
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from email.errors import MessageError
from email.message import Message
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

from domainforge.records import Document
from domainforge.sources.cleaning import clean_text, decode
from domainforge.sources.kinds.html import html_to_markdown, main_content, parse_html
from domainforge.sources.kinds.members import Names, merge, read_member, unpacking_of
from domainforge.sources.loaded import LeftOut, Loaded, SourceFile, UnreadableError

_HEADERS = ("From", "To", "Cc", "Subject", "Date")
_MAX_ATTACHMENTS = 1000
_MAX_PARTS = 10_000
_MAX_HEADER_CHARS = 2000
# Attachments that say something to a machine only; they are left out without a word.
_SIGNATURES = frozenset(
    {"application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"}
)
_CMS = "application/pkcs7-mime"
# What the standard library raises on broken headers and parts:
# https://github.com/python/cpython/issues/79986
_BROKEN = (AttributeError, AssertionError, LookupError, MessageError, TypeError, ValueError)


@dataclass(frozen=True)
class Attachment:
    """A file that is attached to a message."""

    name: str
    data: bytes


def load_mail(data: bytes, file: SourceFile) -> Loaded:
    """Read an .eml file: the message as one document, each attachment as further ones.

    Raises:
        UnreadableError: No e-mail, or encrypted.
    """
    return read_message(data, file, "message/rfc822")


def read_message(data: bytes, file: SourceFile, media_type: str) -> Loaded:
    """Read one message as it went over the wire.

    Raises:
        UnreadableError: No e-mail, or encrypted.
    """
    try:
        message = email.message_from_bytes(data, policy=email.policy.default)
        if not message.keys():
            raise UnreadableError("unreadable", "no headers, so it is no e-mail")
        parts = list(_parts(message))
        headers = {name: _header(message, name) for name in _HEADERS}
        body = _body(parts)
        attachments = [a for part in parts if (a := _attachment(part)) is not None]
    except RecursionError:
        raise UnreadableError("unreadable", "its parts are nested too deeply") from None
    except _BROKEN as error:
        raise UnreadableError("unreadable", f"no readable e-mail: {error}"[:300]) from error
    if body is None and message.get_content_type() in ("multipart/encrypted", _CMS):
        raise UnreadableError("encrypted", "encrypted for its reader; save a decrypted copy")
    metadata = {"message_id": _header(message, "Message-ID")}
    document = mail_document(file, headers, body or "", media_type, metadata)
    return with_attachments(document, attachments, file, len(data))


def mail_document(
    file: SourceFile,
    headers: dict[str, str],
    body: str,
    media_type: str,
    metadata: dict[str, Any],
) -> Document:
    """Make the document of a message: its headers, then its text under `## Content`."""
    named = [f"**{name}:** {value}" for name, value in headers.items() if value]
    text = "\n".join(["# Email Message", "", *named, "", "## Content", "", body])
    known = {
        "from": headers.get("From"),
        "to": headers.get("To"),
        "cc": headers.get("Cc"),
        **metadata,
    }
    return Document(
        file.uri,
        headers.get("Subject") or file.stem,
        clean_text(text) if named or body.strip() else "",
        media_type,
        {key: value for key, value in known.items() if value},
        created=_iso_date(headers.get("Date")),
        raw=text if file.config.keep_raw else None,
    )


def with_attachments(
    document: Document, attachments: Sequence[Attachment], file: SourceFile, size: int
) -> Loaded:
    """Read what is attached to a message by its own kind; its faults are its own."""
    unpacking = unpacking_of(file, size)
    names = Names(file, unpacking)
    parts = [Loaded((document,))]
    for attachment in attachments[:_MAX_ATTACHMENTS]:
        member = names.member(attachment.name)
        parts.append(read_member(member, partial(io.BytesIO, attachment.data)))
    if len(attachments) > _MAX_ATTACHMENTS:
        detail = f"{len(attachments):,} attachments, {_MAX_ATTACHMENTS:,} are read"
        parts.append(Loaded(faults=(LeftOut(file.uri, "too_many_members", detail),)))
    return merge(parts)


def html_body(markup: str) -> str:
    """Turn the HTML of a message into Markdown."""
    return html_to_markdown(main_content(parse_html(markup)))


def _parts(message: Message) -> Iterator[Message]:
    """Yield the leaves of a message in order; one that was forwarded whole is a leaf."""
    left = [message]
    count = 0
    while left:
        part = left.pop()
        count += 1
        if count > _MAX_PARTS:
            raise UnreadableError("unreadable", f"more than {_MAX_PARTS:,} parts")
        payload = part.get_payload()
        if part.get_content_maintype() == "multipart" and isinstance(payload, list):
            chosen = payload
            if part.get_content_subtype() == "alternative":
                chosen = _alternatives(payload)
            left.extend(reversed([p for p in chosen if isinstance(p, Message)]))
        else:
            yield part


def _alternatives(payload: Sequence[Any]) -> list[Any]:
    """Choose one of several forms of the same: plain text, unless there is none in it."""
    plain = [p for p in payload if isinstance(p, Message) and _is_text(p, "plain")]
    filled = [part for part in plain if _text(part).strip()]
    others = [p for p in payload if isinstance(p, Message) and not _is_text(p, "plain")]
    if filled:
        # A calendar entry or a picture that came along is no other form of the text.
        return [filled[0], *(p for p in others if _attachment(p) is not None)]
    return others or plain


def _is_text(part: Message, subtype: str) -> bool:
    return part.get_content_type() == f"text/{subtype}" and not _is_attached(part)


def _is_attached(part: Message) -> bool:
    return part.get_content_disposition() == "attachment" or bool(_file_name(part))


def _body(parts: Sequence[Message]) -> str | None:
    texts = []
    for part in parts:
        if _is_text(part, "plain"):
            texts.append(_text(part))
        elif _is_text(part, "html"):
            texts.append(html_body(_text(part)))
    return "\n\n".join(text.strip() for text in texts if text.strip()) if texts else None


def _text(part: Message) -> str:
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        return ""
    try:
        return decode(data, part.get_content_charset())
    except UnreadableError:
        # One odd part must not cost the whole message.
        return data.decode("utf-8", "replace")


def _attachment(part: Message) -> Attachment | None:
    kind = part.get_content_type()
    if kind == "message/rfc822":
        payload = part.get_payload()
        inner = payload[0] if isinstance(payload, list) and payload else None
        if not isinstance(inner, Message):
            return None
        subject = _header(inner, "Subject") or "message"
        name = _file_name(part) or subject
        name = name if name.lower().endswith(".eml") else f"{name.replace('/', ' ')}.eml"
        return Attachment(name, inner.as_bytes(policy=email.policy.compat32))
    if not _is_attached(part) or kind in _SIGNATURES or part.is_multipart():
        return None
    data = part.get_payload(decode=True)
    name = _file_name(part) or "attachment"
    return Attachment(name, data) if isinstance(data, bytes) else None


def _file_name(part: Message) -> str:
    try:
        return " ".join(str(part.get_filename() or "").split())
    except _BROKEN:
        return ""


def _header(message: Message, name: str) -> str:
    try:
        value = message.get(name)
    except _BROKEN:
        value = next((v for k, v in message.raw_items() if k.lower() == name.lower()), None)
    text = clean_text(str(value or "").encode("utf-8", "replace").decode())
    return " ".join(text.split())[:_MAX_HEADER_CHARS]


def _iso_date(value: str | None) -> str | None:
    try:
        when = parsedate_to_datetime(value or "")
        if when.tzinfo is not None:
            when = when.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return when.isoformat(timespec="seconds")

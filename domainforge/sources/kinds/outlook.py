"""Outlook messages (.msg), read as e-mails are."""

import io
import re
import struct
from email.utils import format_datetime
from typing import TYPE_CHECKING

from domainforge.sources.kinds.mail import Attachment, html_body, mail_document, with_attachments
from domainforge.sources.loaded import LeftOut, Loaded, SourceFile, UnreadableError

if TYPE_CHECKING:
    from oxmsg import Message

_MEDIA_TYPE = "application/vnd.ms-outlook"
# MAPI properties that the reader has no method for ([MS-OXPROPS]).
_SENDER_NAME = 0x0C1A
_SENDER_ADDRESS = 0x0C1F
_SENDER_SMTP_ADDRESS = 0x5D01
_DISPLAY_CC = 0x0E03
_DISPLAY_TO = 0x0E04
_MESSAGE_ID = 0x1035
_RTF_BODY = 0x1009
# What olefile and oxmsg raise on broken files; neither has one error class.
_BROKEN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)


def load_outlook(data: bytes, file: SourceFile) -> Loaded:
    """Read a .msg file: the message as one document, each attachment as further ones.

    A message whose text is RTF only, and messages attached to it as Outlook items, are faults.

    Raises:
        UnreadableError: No Outlook message.
    """
    from oxmsg import Message

    faults: list[LeftOut] = []
    try:
        # As a file: short bytes would be taken for the name of one.
        message = Message.load(io.BytesIO(data))
        headers = _headers(message)
        body = (message.body or "").strip() or html_body(message.html_body or "")
        if not body and message.properties.binary_prop_value(_RTF_BODY):
            detail = "its text is RTF only; save it as .eml or as HTML"
            faults.append(LeftOut(f"{file.uri}#body", "rtf_body", detail))
        metadata = {"message_id": message.properties.str_prop_value(_MESSAGE_ID)}
        attachments = _attachments(message, file, faults)
    except _BROKEN as error:
        raise UnreadableError("unreadable", f"no readable .msg: {error}"[:300]) from error
    document = mail_document(file, headers, body, _MEDIA_TYPE, metadata)
    loaded = with_attachments(document, attachments, file, len(data))
    return Loaded(loaded.documents, loaded.dropped, (*faults, *loaded.faults))


def _headers(message: "Message") -> dict[str, str]:
    get = message.properties.str_prop_value
    sent = message.sent_date
    headers = {
        "From": _sender(message),
        "To": get(_DISPLAY_TO),
        "Cc": get(_DISPLAY_CC),
        "Subject": message.subject,
        "Date": format_datetime(sent) if sent else None,
    }
    return {name: " ".join((value or "").strip("\0 ").split()) for name, value in headers.items()}


def _sender(message: "Message") -> str | None:
    get = message.properties.str_prop_value
    address = get(_SENDER_SMTP_ADDRESS) or get(_SENDER_ADDRESS) or ""
    name = (get(_SENDER_NAME) or "").strip("\0 ")
    # Within Exchange an address is a path (`/O=...`) that tells nobody anything.
    if not re.search(r"\S@\S", address):
        return name or message.sender
    return address if not name or name == address else f"{address} ({name})"


def _attachments(message: "Message", file: SourceFile, faults: list[LeftOut]) -> list[Attachment]:
    found = []
    for number, attachment in enumerate(message.attachments, 1):
        name = (attachment.file_name or "").strip("\0 ") or f"attachment-{number}"
        data = attachment.file_bytes
        if data is None:
            detail = "a message attached as an Outlook item; save it as a file of its own"
            faults.append(LeftOut(f"{file.uri}/{name}", "embedded_message", detail))
        else:
            found.append(Attachment(name, data))
    return found

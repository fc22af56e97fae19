"""Find personal data of a fixed form in a text: addresses and numbers, each with its check."""

import re
from collections.abc import Iterator

from domainforge.privacy.secrets import Finding

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?!\w)")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}")
# Not what stands behind the head of an IBAN.
_CARD = re.compile(r"(?<![\d.,-])(?<![A-Z]{2}\d{2} )[3-6]\d{3}(?:[ -]?\d){9,15}(?!\d)")
_CARD_ISSUER = re.compile(r"4|5[1-5]|2[2-7]|3[47689]|30[0-5]|35|6(?:011|5|4[4-9]|2)")
_SSN = re.compile(r"(?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-])")
_FEWEST_PHONE_DIGITS = 7
_PHONE_LIKE = re.compile(rf"(?:\d[^\w\n]{{0,3}}){{{_FEWEST_PHONE_DIGITS}}}")


def find_personal_data(text: str, phone_region: str | None) -> list[Finding]:
    """Find e-mail addresses, IBANs, card numbers, US social security numbers and phones.

    Numbers count only where their check digits or numbering plan hold. Not found: names, street
    addresses, birthdays, other countries' identity numbers.

    Args:
        text: Any text.
        phone_region: Two letters of the country whose local phone numbers count too; None for
            those in international form only.
    """
    return [
        *_emails(text),
        *_ibans(text),
        *_cards(text),
        *_ssns(text),
        *_phones(text, phone_region),
    ]


def _emails(text: str) -> Iterator[Finding]:
    if "@" in text:
        for match in _EMAIL.finditer(text):
            yield Finding("e-mail", *match.span())


def _ibans(text: str) -> Iterator[Finding]:
    from stdnum import iban

    for match in _IBAN.finditer(text):
        # Words in capitals may follow; the check sum tells where the number ends.
        for length in range(len(match[0]), 14, -1):
            if match[0][length - 1] != " " and iban.is_valid(match[0][:length]):
                yield Finding("IBAN", match.start(), match.start() + length)
                break


def _cards(text: str) -> Iterator[Finding]:
    from stdnum import luhn

    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if _CARD_ISSUER.match(digits) and luhn.is_valid(digits):
            yield Finding("card number", *match.span())


def _ssns(text: str) -> Iterator[Finding]:
    from stdnum.us import ssn

    for match in _SSN.finditer(text):
        if ssn.is_valid(match[0]):
            yield Finding("social security number", *match.span())


def _phones(text: str, region: str | None) -> Iterator[Finding]:
    if not _PHONE_LIKE.search(text):
        return
    from phonenumbers import Leniency, PhoneNumberMatcher

    for match in PhoneNumberMatcher(text, region, Leniency.VALID):
        yield Finding("phone number", match.start, match.end)

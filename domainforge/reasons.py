"""What each reason to leave a row out means, in one place: for pages, reports and people.

`docs/filters.md` is compared with this by a test. A reason that isn't listed is still shown, with
its examples.
"""

MEANINGS: dict[str, str] = {
    # filter
    "empty": "A question, answer or text without a letter or digit.",
    "secret": "A key, a token or a password (`filter.secrets: drop`, the default).",
    "personal_data": (
        "An e-mail address, a phone number, an IBAN, a card or social security number "
        "(`filter.personal_data: drop`)."
    ),
    "too_short": "Fewer words than wanted. A later question of a conversation may have one.",
    "too_long": "More words than wanted, or more tokens.",
    "refusal": "The teacher declines, or says that there is no answer (fourteen languages).",
    "not_declined": "The answer is meant to decline, and answers.",
    "injection": "The reply obeys an order that stands in the document.",
    "prompt_leak": (
        "Nine words on end of what the prompt told the teacher; the passage doesn't have them."
    ),
    "template_leftover": (
        'Labels, placeholders, stray code fences, the marker of a passage, "according to the '
        'passage", "as mentioned above" (fourteen languages).'
    ),
    "repetition": "A teacher that got stuck.",
    "markup": "HTML, entities, escapes, JSON or broken characters that the passage doesn't have.",
    "unfinished": (
        'It ends on a comma, a heading or an "and", or the last of several sentences has no end.'
    ),
    "not_prose": ("Fifty words or more that nobody writes so: symbols, bullets, no stop words."),
    "toxic": "A classifier that the pipeline file names holds it for toxic.",
    "not_a_question": (
        'No question mark, no word that questions or requests begin with, and no "what", '
        '"who" or "how many" in it.'
    ),
    "question_is_answer": (
        "The answer is in the question, or the question is copied from the passage."
    ),
    "wrong_kind": (
        '"How many" without a number, "when" without a time, "who" with only a number (English).'
    ),
    "wrong_language": (
        "The row is in another language than its passage, or than `filter.language`."
    ),
    "quote_missing": "The quote isn't in the passage.",
    "question_unrelated": (
        "The question is about something else. The first of a conversation alone is asked."
    ),
    "unsupported": (
        "The answer says more than its quote or passage, or has a number, name, date or unit "
        "that isn't there."
    ),
    "not_entailed": (
        "A model of inference (`filter.nli_model`, a folder; off by default) says that the answer "
        "doesn't follow from the passage."
    ),
    "answerable": "A row that declines, and the passage answers.",
    "no_contrast": (
        "The rejected answer of a preference is empty, the same as the better one, or the "
        "truer of the two."
    ),
    "reviewed": "Somebody dropped it by hand, with `domainforge review`.",
    # generate
    "cut_off": (
        "The reply reached `max_tokens` before its end, and so did what was asked for after it."
    ),
    "refused": "The teacher declined to answer.",
    "filtered": "The endpoint's own content filter held the reply back.",
    "malformed": "The endpoint's answer held no reply that could be read.",
    "withheld": "The privacy gate let the request not leave: something in the passage may not.",
    "off_schema": (
        "The reply does not have the fields that the prompt asks for, not even after a repair."
    ),
    "check_failed": "What the prompt file's `keep_if` asks of a reply does not hold.",
    "no_items": "The list that the rows are made of is empty.",
    "repeating": "Not asked: the last rows of this place said what earlier ones did.",
    "not_reached": "Planned, and the run ended or a cap was reached before it was asked.",
    # dedup
    "exact_duplicate": "Says the same as the row named, letter case, marks and spaces aside.",
    "near_duplicate": "Shares most of its words with the row named, which ranks higher.",
    "semantic_duplicate": "Says the same in other words as the row named, which ranks higher.",
    "seen_before": "An earlier run, or a file of rows, was trained on the same already.",
    "copies_document": "A text that hardly says more than its passage, word by word.",
    # judge
    "not_best_of_cluster": "Another row of its cluster is worth more.",
    "judged_low": (
        "The judge, which sees the passage, scores it under `judge.min_score`, or prefers the "
        "rejected answer."
    ),
    "unjudged": "The judge gave no score that can be read.",
    "round_trip": "Asked again with the passage, the teacher gives another answer.",
    "known_without_document": "The teacher gives the answer without the passage too.",
    "low_quality": "A classifier that learned from your labels holds it for one you would drop.",
    "too_easy": "The student needs nothing but the question to say the answer.",
    "too_hard": "The question doesn't make the answer likelier to the student.",
    # split
    "exam_overlap": "Gives away a question of the exam, or asks it.",
    "benchmark_overlap": "Gives away an item of a public benchmark, or holds it word by word.",
    "near_test": "Is like something held out, so it may not be trained on.",
    "no_text_field": "A general row without a field that could be learned.",
    # domainforge forget
    "forgotten": "Taken out with a document that was forgotten.",
}


def explain_reason(reason: str) -> str:
    """Say what a reason means; empty where nobody wrote it down."""
    return MEANINGS.get(reason, "")

from domainforge.deduplicate.exact import exact_key, normalise


def test_what_a_reader_does_not_notice_is_folded() -> None:
    assert exact_key("The  \u201cSalt\u201d \u2013 Rest.\n") == exact_key('the "salt" - rest')
    assert exact_key("\uff11\uff13\uff14\uff17") == exact_key("1347")


def test_marks_that_change_the_meaning_stay() -> None:
    assert normalise("C++ at -5") != normalise("C# at 5")
    assert exact_key("Is it?") == exact_key("is it")
    assert exact_key("is it not") != exact_key("is it")

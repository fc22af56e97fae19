"""Rows that leak exam questions, made from the questions: verbatim, lightly edited, paraphrased."""

import hashlib
import random
import re
from collections.abc import Callable

Edit = Callable[[str, random.Random], str]

# Common words of stories and of encyclopedias, each with another that says about the same.
_SYNONYM_LIST = """
king:ruler queen:monarch giant:colossus big:large large:big small:little little:small
happen:occur happened:occurred want:wish wanted:wished begin:start began:started start:begin
started:began asked:requested ask:request beautiful:lovely house:home home:house built:constructed
build:construct kill:slay killed:slew die:perish died:perished gave:handed give:hand saw:noticed
see:notice found:discovered find:discover became:grew make:create made:created live:dwell
lived:dwelt leave:abandon left:abandoned use:employ used:employed said:stated say:state
told:informed tell:inform think:believe thought:believed name:title called:named big:huge
man:fellow woman:lady boy:lad girl:maiden child:youngster children:youngsters wife:spouse
husband:spouse father:dad mother:mum took:grabbed take:grab went:travelled go:travel came:arrived
come:arrive brought:carried bring:carry sent:dispatched send:dispatch kept:held keep:hold
put:placed get:obtain got:obtained help:assist helped:assisted show:reveal showed:revealed
try:attempt tried:attempted feel:sense felt:sensed afraid:scared angry:furious happy:glad
sad:unhappy rich:wealthy poor:needy strong:powerful clever:smart forest:wood castle:fortress
sea:ocean road:path river:stream town:city city:town country:nation land:territory war:conflict
battle:fight people:folk group:band type:kind kind:sort part:portion area:region region:area
year:twelvemonth main:chief major:important important:significant famous:well-known
created:made developed:devised produced:yielded increase:growth cause:reason reason:cause
caused:brought-about result:outcome known:recognised considered:regarded located:situated
often:frequently first:earliest last:final many:numerous different:distinct number:count
amount:quantity member:participant members:participants leader:head leaders:heads
company:firm player:athlete team:side game:match won:captured win:capture lost:forfeited
money:cash job:post work:labour works:labours school:academy book:volume wrote:authored
discovered:found invented:devised established:founded founded:established belong:pertain
allowed:permitted allow:permit required:needed require:need need:require needs:requires
refused:declined prevent:stop return:come-back returned:came-back hide:conceal hid:concealed
marry:wed married:wedded eat:consume ate:consumed drink:swallow speak:talk spoke:talked
"""
_SYNONYMS = dict(pair.split(":") for pair in _SYNONYM_LIST.split())

# How a question is opened, and how the same can be asked. The first that fits is taken.
_OPENINGS = (
    (r"^why did (.+?)\?*$", "for what reason did {0}?"),
    (r"^why (was|were|is|are) (.+?)\?*$", "what is the reason that {1} {0}?"),
    (r"^how many (.+?)\?*$", "what is the number of {0}?"),
    (r"^how much (.+?)\?*$", "what amount of {0}?"),
    (r"^how did (.+?)\?*$", "in what way did {0}?"),
    (r"^how (was|were|is|are) (.+?)\?*$", "in what way {0} {1}?"),
    (r"^how (do|does) (.+?)\?*$", "in what way {0} {1}?"),
    (r"^when (.+?)\?*$", "at what time {0}?"),
    (r"^(?:in )?what year (.+?)\?*$", "when {0}?"),
    (r"^where (.+?)\?*$", "in which place {0}?"),
    (r"^who (.+?)\?*$", "which person {0}?"),
    (r"^what happened (.+?)\?*$", "tell what took place {0}."),
    (r"^what did (.+?)\?*$", "name the thing that {0} did."),
    (r"^what (is|was|are|were) the name of (.+?)\?*$", "how {0} {1} called?"),
    (r"^what (is|was|are|were) (.+?)\?*$", "tell me what {1} {0}."),
    (r"^which (.+?)\?*$", "what {0}?"),
    (r"^what (.+?)\?*$", "which {0}?"),
)
_TURNS = (
    (r"^(?:who|what) (\w+ed) (.+?)\?*$", "by whom was {1} {0}?"),
    (r"^what did (.+) (\w+)\?*$", "what was {1}ed by {0}?"),
    (r"^who did (.+) (\w+)\?*$", "who was {1}ed by {0}?"),
    (r"^(where|when|why|how) did (.+?)\?*$", "{1}: {0} did that come about?"),
    (r"^(where|when|why|how) (was|were|is|are) (.+?)\?*$", "{2} {1} {0}, exactly?"),
    (
        r"^(what|which) (\w+) (did|does|do|was|were|is|are|has|have|had) (.+?)\?*$",
        "{3} {2} {0} {1}?",
    ),
    (r"^how many (\w+) (.+?)\?*$", "{1} {0} in what number?"),
    (r"^what (is|was|are|were) (.+?)\?*$", "{1} {0} what?"),
    (r"^who (is|was|are|were) (.+?)\?*$", "{1} {0} which person?"),
)


def plant(question: str, kind: str, seed: int) -> str:
    """Return the question as a leak of that kind; the same one where no rule fits it."""
    digest = hashlib.sha256(f"{seed}:{kind}:{question}".encode()).digest()
    return KINDS[kind](question, random.Random(digest))


def _verbatim(question: str, rng: random.Random) -> str:
    return question


def _case(question: str, rng: random.Random) -> str:
    return rng.choice([question.upper(), question.lower(), question.title()])


def _punctuation(question: str, rng: random.Random) -> str:
    bare = re.sub(r"[^\w\s]", "", question)
    return rng.choice([bare, bare.replace(" ", "  "), f'"{bare}" ...', f"Q: {bare} ?"])


def _typo(question: str, rng: random.Random) -> str:
    """Swap two letters, or lose or double one, in one or two longer words."""
    words = question.split()
    long = [at for at, word in enumerate(words) if len(word) > 4]
    for at in rng.sample(long, min(len(long), rng.choice([1, 2]))):
        word, spot = words[at], rng.randrange(1, len(words[at]) - 2)
        words[at] = rng.choice(
            [
                word[:spot] + word[spot + 1] + word[spot] + word[spot + 2 :],
                word[:spot] + word[spot + 1 :],
                word[:spot] + word[spot] + word[spot:],
            ]
        )
    return " ".join(words)


def _some_words(question: str, rng: random.Random) -> str:
    """Lose, replace or add one or two words."""
    words = question.split()
    for _ in range(rng.choice([1, 2]) if len(words) > 7 else 1):
        at = rng.randrange(1, len(words))
        act = rng.choice(["lose", "replace", "add"])
        if act == "lose" and len(words) > 4:
            words.pop(at)
        elif act == "replace":
            words[at] = _SYNONYMS.get(words[at].strip("?,.").lower(), "the")
        else:
            words.insert(at, rng.choice(["really", "exactly", "actually", "then", "once"]))
    return " ".join(words)


def _word_order(question: str, rng: random.Random) -> str:
    words = question.rstrip("? ").split()
    cut = rng.randrange(2, max(3, len(words) - 1))
    return " ".join([*words[cut:], *words[:cut]]) + "?"


def _opening(question: str, rng: random.Random) -> str:
    return _apply(_OPENINGS, question)


def _turned(question: str, rng: random.Random) -> str:
    return _apply(_TURNS, question)


def _synonyms(question: str, rng: random.Random) -> str:
    return re.sub(r"\w+", lambda word: _SYNONYMS.get(word[0].lower(), word[0]), question)


def _reworded(question: str, rng: random.Random) -> str:
    """Everything at once: other words, turned round where a rule fits, else opened otherwise."""
    other = _synonyms(question, rng)
    turned = _apply(_TURNS, other)
    return turned if turned != other else _apply(_OPENINGS, other)


def _apply(rules: tuple[tuple[str, str], ...], question: str) -> str:
    for pattern, form in rules:
        found = re.match(pattern, question.strip(), re.IGNORECASE)
        if found:
            made = form.format(*found.groups())
            return made[0].upper() + made[1:]
    return question


KINDS: dict[str, Edit] = {
    "verbatim": _verbatim,
    "case": _case,
    "punctuation": _punctuation,
    "typo": _typo,
    "some words": _some_words,
    "word order": _word_order,
    "opening": _opening,
    "synonyms": _synonyms,
    "turned": _turned,
    "reworded": _reworded,
}
LIGHT = ("case", "punctuation", "typo", "some words", "word order")
PARAPHRASES = ("opening", "synonyms", "turned", "reworded")

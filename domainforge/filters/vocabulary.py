"""The words that the checks know, as they come after folding case (not accents)."""

_ENGLISH = """
a about above after again all also although always am among an and another any are as at be because
been before being below between both but by can could did do does doing don didn isn wasn won doesn
down during each either else even ever every few for from further get had has have having he her
here hers herself him himself his how i if in into is it its itself just ll many may me might mine
more most much must my myself nd near neither no nor not of off on once one only or other our ours
out over own per rd re same shall she should since so some st such than that th the their theirs
them themselves then there these they this those through thus to too under until up upon us very
via was we were what whatever when where whether which while who whom whose why will with within
without would yes yet you your yours
"""
# What questions are made of, whatever they are about.
_ASKED = """
answer call called describe explain give happen happened kind list main mean name named place
purpose question reason tell thing type used way year feel felt look like people think
"""
_GERMAN = """
aber alle als am an auch auf aus bei bin bis da damit dann das dass dem den denn der des dessen die
dies diese diesem diesen dieser dieses doch durch ein eine einem einen einer eines er es etwa für
gegen hat hatte ihr ihre im in ist ja kann kein keine mehr mit nach nein nicht noch nun nur ob
oder ohne sehr sein seine sich sie sind so um und uns unter vom von vor wann war waren warum was
welche welcher welches wem wen wenn wer werden wie wird wo wurde wurden zu zum zur zwischen über
heisst nennt
"""
_FRENCH = """
au aucun aussi autre aux avec ce cela ces cet cette chez comme comment combien dans de des donc
dont du elle elles en est et eux fait il ils je la le les leur leurs lors lui mais même ne ni nos
notre nous on ont ou où par pas plus pour pourquoi qu quand que quel quelle quelles quels qui quoi
sa sans se ses si sont sur ta te tes toi ton tu un une vos votre vous été
"""
_SPANISH = """
al algo como con cual cuales cuando cuándo cuánto cuánta cuántos cuántas cuál cuáles cómo de del
desde donde dónde el ella ellas ellos en entre era eran es esa ese eso esta estas este esto
estos está están fue fueron ha había han hasta hay la las le les lo los más me mi muy no nos o para
pero por porque qué quien quién quiénes que se ser si sobre su sus también tiene tuvo un
una uno unos y ya
"""

STOP_WORDS = frozenset("".join([_ENGLISH, _ASKED, _GERMAN, _FRENCH, _SPANISH]).split())

# Question words, auxiliaries, and the imperatives of requests that need no question mark.
_ASKING = """
who whom whose what when where which why how is are was were do does did has have had can could
should would will must may describe explain list name give tell summarize summarise state identify
compare outline define show write complete translate calculate discuss find please draft rewrite
rephrase classify suggest create design plan convert edit propose sort rank group extract correct
solve choose pick recommend generate analyze analyse evaluate revise shorten simplify wer wen wem
wessen wann wo woher wohin welche welcher welches warum weshalb wie wieso ist sind war hat haben
kann nenne nennen erkläre beschreibe vergleiche gib fasse qui que quoi quand où quel quelle quels
quelles pourquoi comment combien est explique expliquez décris décrivez cite citez donne donnez
nomme nommez résume résumez quién quiénes qué cuándo dónde cuál cuáles cómo cuánto cuánta cuántos
cuántas por es son explica nombra menciona enumera resume
"""
ASKING_WORDS = frozenset(_ASKING.split())

_YES = "yes no ja nein oui non sí si true false"
YES_OR_NO = frozenset(_YES.split())

SMALL_NUMBERS = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
sixteen seventeen eighteen nineteen
"""
TENS = "twenty thirty forty fifty sixty seventy eighty ninety"

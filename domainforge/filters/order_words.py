"""Words of orders to a language model, in a dozen languages: what `orders` looks for.

Patterns, not lists of attacks: an override ("ignore the instructions above"), an address ("note to
AI readers"), a fake role ("system:"), words for the reply ("in your answer"), and deeds of speech.
All are matched without regard to case.
"""

# Someone cancels what the model was told.
OVERRIDES = (
    r"\b(?:ignor\w+|disregard|forget|overrid\w+|bypass|discard|abandon|(?:set|put) aside|never mind"
    r"|(?:pay|take) no (?:heed|notice|attention)|(?:do not|don't|stop) (?:obey|follow)\w*)\b"
    r"[^.!?\n]{0,40}?\b(?:instructions?|prompts?|rules?|directions?|guidelines?|directives?"
    r"|commands?|orders?|guidance|your task|you (?:were|have been|are) (?:told|asked)"
    r"|everything (?:above|before|else)"
    # The instructions on a packet, or the orders of a ministry, are nobody's prompt.
    r"|(?:the|of) above)\b(?! (?:on|in|from|of|by) (?:the|an?|his|her|its|their) (?!system|prompt"
    r"|user"
    r"|developer|operator|conversation|beginning|start|first|message|passage|text|chat|task))",
    r"\b(?:ignorier\w*|vergiss|vergessen|missacht\w*|verwirf)\b[^.!?\n]{0,40}?"
    r"(?:anweisung|instruktion|vorgabe|regel|befehl|aufgabe|prompt|bisherig)",
    r"\b(?:ignore[sz]?|oublie[sz]?|néglige[sz]?|ne (?:tiens|tenez|suis|suivez) pas)\b"
    r"[^.!?\n]{0,20}?\b(?:les?|la|ces?|cette|tes|vos|mes|tout\w*|aux?|des?)\b[^.!?\n]{0,20}?"
    r"(?:instruction|consigne|règle|directive|ci-dessus|qui précède)",
    r"\b(?:ignor[ae]\w*|olvid[ae]\w*|desatiend[ae]|omite|haz caso omiso)\b[^.!?\n]{0,40}?"
    r"(?:instruccion|indicacion|regla|órdenes|consigna|lo anterior)",
    r"\b(?:ignor[ai]\w*|dimentica\w*|trascura|non seguire)\b[^.!?\n]{0,40}?"
    r"(?:istruzion|indicazion|regol[ae]|ordini|consegn)",
    r"\b(?:ignor[ea]\w*|esque[cç]\w+|desconsider\w+|não siga)\b[^.!?\n]{0,40}?"
    r"(?:instruç|regra|ordens|comando|o que foi dito)",
    r"(?:игнорируй|забудь|не обращай|отбрось|не следуй)\w*[^.!?\n]{0,40}?"
    r"(?:инструкц|указани|правил|команд|предыдущ|выше)",
    r"(?:忽略|忽視|无视|無視|忘记|忘掉|忘記|不要?(?:理会|遵守|执行)).{0,14}?(?:指令|指示|提示|规[则定]|規則|要求|命令)",
    r"(?:指示|命令|プロンプト|ルール|規則).{0,10}?(?:無視|忘れ|従わ)",
    r"(?:지시|명령|지침|규칙).{0,10}?(?:무시|잊)",
    r"\b(?:negeer|vergeet)\b[^.!?\n]{0,40}?(?:instructie|opdracht|regel)",
    r"\b(?:z?ignoruj\w*|zapomnij)\b[^.!?\n]{0,40}?(?:instrukcj|polece|reguł|zasad)",
    r"(?:talimat|komut|kural)\w*[^.!?\n]{0,20}?(?:yok ?say|unut|görmezden)",
    r"(?:تجاهل|انس)[^.!?\n]{0,30}?(?:التعليمات|الأوامر|القواعد)",
)

_HELPER = r"(?:AI |language |chat )?(?:assistant|model|bot|agent)s?\b"
_MODEL = rf"(?:AIs?\b|A\.I\.|LLMs?\b|chatbots?\b|{_HELPER})"
# Someone speaks to the model itself.
ADDRESSES = (
    rf"\b(?:attention|dear|hey|hello|(?:note|message|instructions?|memo|notice) (?:to|for))\W+"
    rf"(?:all |any |the |every |our )?{_MODEL}",
    rf"\bif you(?: are|'re) an? (?:\w+ )?{_MODEL}",
    r"\b(?:AIs?|LLMs?|assistants?|models?|bots?|agents?) (?:that|who|which)? ?"
    r"(?:is |are )?(?:read|process|pars|summari[sz]|index)\w*(?: this| the)\b",
    r"(?:^|\n)\W*(?:AI|LLM|ChatGPT|language model|AI assistant)\s*[:,]",
    r"\b(?:whoever|anyone who|everyone who) (?:writes|generates|creates) (?:the )?questions\b",
    r"\b(?:hinweis|nachricht|anweisung|achtung|mitteilung)\w*\W+(?:(?:an|für) )?"
    r"(?:die |das |den |alle )?(?:KI|sprachmodell|assistent|chatbot)",
    r"\bwenn du eine? (?:KI|sprachmodell|assistent)",
    r"\b(?:note|message|attention|instructions?|avis)\W+(?:(?:à|aux|pour|destinée? à)\W)?"
    r"(?:l'|les |le |toute )?(?:IA\b|assistant|modèle|intelligence artificielle)",
    r"\bsi (?:tu es|vous êtes) une? (?:IA|assistant|modèle|intelligence artificielle)",
    r"\b(?:nota|mensaje|atención|instrucci\w+|aviso)\W+(?:(?:para|a)\W)?(?:el |la |los |las )?"
    r"(?:IA\b|asistente|modelo|inteligencia artificial)|\bsi eres una? (?:IA|asistente|modelo)",
    r"\b(?:nota|messaggio|attenzione|istruzion\w+|avviso)\W+(?:(?:per|a)\W)?(?:l'|il |la |gli )?"
    r"(?:IA\b|assistent|modell|intelligenza artificiale)|\bse sei un['a]? ?(?:IA|assistente"
    r"|modello)",
    r"\b(?:nota|mensagem|atenção|instruç\w+|aviso)\W+(?:(?:para|a)\W)?(?:o |a |os |as )?"
    r"(?:IA\b|assistente|modelo|inteligência artificial)|\bse (?:você é|és) uma? (?:IA|assistente)",
    r"(?:сообщение|внимани|инструкци|заметка)\w*\W+(?:для )?(?:ИИ|нейросет|ассистент|языков|модел)",
    r"если ты (?:ИИ|нейросет|ассистент|языков)",
    r"(?:如果你是|致|注意).{0,8}?(?:AI|人工智能|助手|语言模型|模型)",
    r"(?:AI|人工知能|アシスタント|言語モデル|モデル).{0,4}?(?:への|の方へ|へのお願い|であれば|宛)",
)

# Text that poses as the frame around the passage.
ROLES = (
    r"</?(?:passage|document|system|instructions?|context|user|assistant|fault)\b[^>\n]{0,40}>",
    r"<\|[a-z_]+\|>",
    r"\[/?(?:INST|SYSTEM)\]|<</?SYS>>|```(?:system|developer)\b|\"role\": ?\"system\"",
    r"(?:^|\n|[-=*#>\[(]\s*)(?:system(?: prompt| message| note)?|developer(?: message)?"
    r"|admin(?:istrator)?(?: note| override)?|new (?:task|instructions?|prompt|rules?)"
    r"|(?:updated|additional|hidden|secret|important) instructions?|instructions? update"
    r"|end of (?:the )?(?:passage|document|text|context)|assistant|teacher)\W{0,4}[:\n]",
    r"\bend of (?:the )?(?:passage|document|text|context|data)\b",
    r"\b(?:your )?new (?:instructions?|task|role|orders?) (?:is|are)\b",
)

# Words for the reply and its reader. They count only with a deed in the same sentence.
READERS = (
    r"\byour (?:next |final |own |first |last )*(?:answers?|repl(?:y|ies)|responses?|outputs?"
    r"|questions?|summar(?:y|ies)|JSON|completions?|texts?)\b",
    r"\b(?:in|to|of|with) (?:every|each|all|any) (?:\w+ )?(?:answers?|repl(?:y|ies)|responses?"
    r"|questions?|outputs?)\b",
    r"\b(?:when|if|whenever|once|every time)\b[^.!?\n]{0,20}?\b(?:you(?: are|'re)?(?: ever)? asked"
    r"|(?:is |are )?asked (?:about|who|what|when|where|how|why|which)"
    r"(?![^.!?\n]{0,80}?\btell (?:them|him|her|\w+s)\b)|users?\b[^.!?\n]{0,12}?"
    r"(?:ask|want|mention)\w*|(?:some|any)one asks)\b",
    r"\bfrom now on,? (?:you\b|please|always|only|never|say|answer|reply|respond|write|speak|end"
    r"|call"
    r"|refer|use)|\byou are now (?:an?|the|in|acting|free)\b|\byou must (?:now|always|only)\b",
    r"\bthe (?:question|answer|quote)(?: field)? (?:must|should|has to|shall)\b"
    r"|\b(?:questions?|answers?|texts?) (?:that |which )?you (?:write|give|generate|create"
    r"|produce)\b",
    r"\b(?:do not|don't|never|without) (?:mention|reveal|tell|disclos)\w* "
    r"(?:this|these|that you|anything|the user|your)\b",
    r"\b(?:deiner?|deinen?|deinem|ihrer?|jeder?|jedem) (?:nächsten |letzten )?"
    r"(?:antwort|frage|ausgabe|zusammenfassung)|\b(?:wenn|falls|sobald) (?:du|jemand|man|sie"
    r"|der nutzer)"
    r"\b[^.!?\n]{0,40}?(?:gefragt|fragt|wirst)|\bab (?:jetzt|sofort)\b",
    r"\b(?:ta|tes|votre|vos|chaque) (?:prochaine )?(?:réponse|question|résumé)"
    r"|\b(?:si|quand|lorsqu)\W?(?:'|e )?(?:on|un utilisateur|quelqu'un)\b[^.!?\n]{0,20}?demand"
    r"|\bdésormais\b|\bà partir de maintenant\b",
    r"\b(?:tus?|sus?|cada|todas las) (?:próxima )?(?:respuesta|pregunta|resumen)"
    r"|\b(?:si|cuando) (?:te|le|alguien|un usuario|el usuario)\b[^.!?\n]{0,20}?pregunt"
    r"|\b(?:a partir de|desde) ahora\b",
    r"\b(?:tu[ae]|vostr[ae]|ogni) (?:prossima )?(?:rispost|domand)"
    r"|\b(?:se|quando) (?:ti|qualcuno|un utente|l'utente)\b[^.!?\n]{0,20}?(?:chied|domand)"
    r"|\bd'ora in poi\b",
    r"\b(?:tua|sua|suas|cada|todas as) (?:próxima )?(?:resposta|pergunta)"
    r"|\b(?:se|quando) (?:te|lhe|alguém|um usuário|o usuário)\b[^.!?\n]{0,20}?pergunt"
    r"|\ba partir de agora\b",
    r"(?:своём|своем|свой|каждо\w+|твоём|твоем|твой) (?:ответ|вопрос)|\b(?:если"
    r"|когда)\b[^.!?\n]{0,20}?"
    r"(?:спрос|спраш)|\bс этого момента\b|\bотныне\b",  # noqa: RUF001
    r"(?:你的|每个|每次|所有).{0,4}?(?:回答|回复|答案|问题)|(?:如果|当|若).{0,10}?(?:问|提问|询问)|从现在(?:起|开始)",
    r"(?:あなたの|すべての|全ての|毎回).{0,4}?(?:回答|返答|答え|質問)|(?:聞かれ|質問され|尋ねられ|問われ)|これ(?:から|以降)は",
)

# What a model can be told to do: deeds of speech.
DEEDS = (
    r"\b(?:say|repl(?:y|ies)|respond|answer|output|print|write|repeat|include|add|append|insert"
    r"|mention|recommend|state|claim|tell|end|begin|start|finish|translate|speak|pretend|act|behave"
    r"|become|call|reveal|show|display|return|generate|produce|give|ask|put|sign|replace|change"
    r"|conclude|promote|advertise|praise|describe|report|spell|link|switch|continue|refuse|decline"
    r"|use|be|name|read|contain|confirm|warn|direct|send|point|invite|mark|swap|join|combine"
    r"|concatenate|rhyme|double)\b|\byou are now\b",
    r"\b(?:sage?|sag|sagen|antworte\w*|schreib\w*|gib|geben|nenne|behaupte|empfiehl|empfehlen"
    r"|erwähne?n?"
    r"|füge|beende|wiederhole|übersetze|sprich|ergänze|hänge|verweise|werbe|lautet?)\b",
    r"\b(?:dis|dites|dire|répond\w*|écri\w+|affirme\w*|ajoute\w*|mentionne\w*|recommande\w*"
    r"|termine\w*"
    r"|commence\w*|répète\w*|traduis\w*|inclu\w*|indique\w*|donne\w*|parle\w*|conseille\w*)\b",
    r"\b(?:di (?:que|solo|sólo)|diga|decir|responde\w*|contesta\w*|escrib[ae]|afirma|añad[ae]"
    r"|menciona|recomienda|recomiende"
    r"|termina|termine|repite|traduce|incluy[ea]|agrega|indica|habla)\b",
    r"\bdi' |\b(?:dì|dire|rispond\w+|scriv\w+|afferma|aggiungi|menziona|consiglia|raccomanda"
    r"|termina|ripeti"
    r"|traduci|includi|inserisci|indica|parla)\b",
    r"\b(?:diga|dizer|respond[ae]\w*|escrev[ae]|afirme|adicione|acrescente|mencione|recomende"
    r"|termine"
    r"|repita|traduza|inclua|indique|fale)\b",
    r"(?:скажи|говори|ответь|отвечай|напиши|пиши|утверждай|добавь|добавляй|упомяни|рекомендуй"
    r"|порекомендуй|заверши|заканчивай|повтори|переведи|вставь|выведи|укажи)",
    r"(?:回答|回复|回覆|说|說|输出|輸出|写|寫|重复|添加|加上|推荐|推薦|声称|翻译|提到|结尾)",
    r"(?:答え|回答し|返信|返答し|出力|言っ|言う|書い|書く|繰り返|追加|付け加え|推薦|勧め|翻訳|述べ)",
    r"(?:대답|답하|말하|출력|추가|추천)|\b(?:zeg|antwoord|schrijf|voeg|odpowiedz|napisz|dodaj|söyle|yaz)\b",
)

# Deeds of nothing but speech: without any cue they may be meant for a human reader as well.
_SAY = (
    r"(?:say|reply|respond|answer|output|repeat|mention|recommend|state|claim|declare|assert|tell"
    r"|quote|praise|promote|advertise|pretend|describe|conclude|announce|cite|suggest|insist)"
)
SPEECH = (
    r"(?:^|[:;,.!?\u2014>\[(-]\s*|\b(?:and|then|but|or|please|simply|just|now|instead|always|only"
    rf"|kindly|directly|also)\s+){_SAY}\b",
    r"\b(?:must|should|shall|has to|have to|need(?:s|ed)? to|required to|expected to)\b"
    rf"[^.!?\n]{{0,25}}?\b{_SAY}\b",
    r"\b(?:AIs?|LLMs?|chatbots?|assistants?|language models?|prompts?|repl(?:y|ies)|answers?"
    r"|questions?"
    r"|responses?|operator|guidance)\b",
    r"(?:^|[:;,.!?]\s*|\b(?:und|bitte|dann)\s)(?:sage?|antworte|schreibe?|nenne|behaupte|empfiehl"
    r"|erwähne|wiederhole)\b|\b(?:soll\w*|muss|müssen)\b[^.!?\n]{0,40}?"
    r"(?:sagen|schreiben|antworten|nennen|erwähnen|empfehlen|behaupten)",
    r"(?:^|[:;,.!?]\s*|\bet\s)(?:dis|dites|répond\w*|écri\w+|affirme\w*|mentionne\w*"
    r"|recommande\w*)\b"
    r"|\b(?:doi\w+|il faut)\b[^.!?\n]{0,25}?(?:dire|répondre|écrire|mentionner|affirmer"
    r"|recommander)",
    r"(?:^|[:;,.!?¿¡]\s*|\by\s)(?:di|diga|responde|contesta|escribe|afirma|menciona|recomienda)\b"
    r"|\b(?:deben?|hay que)\b[^.!?\n]{0,25}?(?:decir|responder|escribir|mencionar|afirmar)",
    r"(?:^|[:;,.!?]\s*|\be\s)(?:di'|dì|rispondi|scrivi|afferma|menziona|consiglia|raccomanda|diga"
    r"|responda|escreva|afirme|mencione|recomende)(?!\w)|\bdev(?:e|ono|em)\b[^.!?\n]{0,25}?"
    r"(?:dire|rispondere|scrivere|menzionare|dizer|responder|escrever|mencionar)",
    r"\b(?:KI|IA|ИИ)\b|\b(?:sprachmodell|antwort|frage|réponse|modèle|respuesta|pregunta|rispost"
    r"|domand|respost|pergunt|modelo|assistent|asistente)|нейросет|ответ|вопрос|модел|ассистент",
    r"模型|助手|人工智能|回答|回复|答案|问题|アシスタント|モデル|回答|質問|返答|대답|질문|모델",
    DEEDS[6],
    r"(?:请|直接|必须|只|就|都要).{0,6}(?:回答|回复|说|输出|写|提到|推荐)",
    r"(?:答え|回答し|返信し|返答し|出力し|言っ|書い|述べ|勧め)(?:て(?:ください|下さい)?|なさい|ろ|よ)",
)

# Words that talk of an order, a message or an attack. Beside one of them a row reports.
REPORTS = (
    r"\b(?:attack\w*|inject\w*|instruct\w*|command(?:s|ed)?|prompt\w*|jailbreak\w*|phish\w*"
    r"|malicious|payload|attacker\w*|hidden|told to|tell(?:s|ing)? (?:the|a|an|its|any|them)"
    r"|order(?:s|ed) (?:the|a|an|them|him|her|to)|chatml|placeholder|template|slogan|motto|phrase"
    r"|warning sign)\b",
    r"\b(?:should|must|shall|may|supposed to|expected to|have to|has to|need to|asked to"
    r"|required to)"
    r"\b[^.!?\n]{0,60}?\b(?:say|repl\w+|respond|answer|write|print|type|enter|include|output|repeat"
    r"|add|mention|end|begin|start|sign|recommend|translate|speak|ignore|disregard|forget|tell|read"
    r"|contain)\b",
    r"\b(?:what|how|which)\b[^.!?\n]{0,30}?\b(?:do|does|did)\b[^.!?\n]{0,60}?\b(?:say|reply|respond"
    r"|answer|tell|shout|order|ask)\b",
    r"anweis|angriff|befehl|eingabeaufforderung|\bsoll(?:en|te|t)?\b[^.!?\n]{0,60}?"
    r"(?:sagen|antworten|schreiben|nennen)",
    r"instruction|consigne|attaque|\b(?:doit|doivent|faut-il)\b[^.!?\n]{0,60}?(?:dire|répondre"
    r"|écrire)",
    r"instrucci|ataque|\bdeben?\b[^.!?\n]{0,60}?(?:decir|responder|contestar|escribir)",
    r"istruzion|attacco|\bdev(?:e|ono)\b[^.!?\n]{0,60}?(?:dire|rispondere|scrivere)",
    r"instruç|\bdevem?\b[^.!?\n]{0,60}?(?:dizer|responder|escrever)",
    r"инструкц|атак|указани|\bдолж\w+\b[^.!?\n]{0,60}?(?:сказать|ответить|написать)",  # noqa: RUF001
    r"指令|攻击|攻擊|指示|命令|攻撃|应该.{0,10}(?:说|回答|回复)|(?:言う|答える|返信する)べき",
)

# How an answer gives away that it follows orders; in its first words, or anywhere.
OBEDIENT_OPENINGS = (
    r"(?:I will|I'll|I am going to|I have|I've|I) (?:now )?(?:ignored?|disregard(?:ed)?|forget)\b",
    r"(?:my|the) (?:system prompt|(?:new|real|secret) instructions)\b",
    r"as (?:instructed|requested|ordered)\b",
    r"(?:following|per|according to|in line with) (?:the|your|these|those) (?:new |updated "
    r"|latest )?"
    r"(?:instructions?|orders?|request)\b",
    r"(?:instructions?|order|new task|override|developer mode|DAN mode) (?:received|accepted"
    r"|enabled"
    r"|activated|acknowledged|confirmed)\b",
    r"wie (?:angewiesen|gewünscht|verlangt)\b|ich ignoriere\b",
    r"comme (?:demandé|indiqué|ordonné)\b|j'ignore les (?:instructions|consignes)\b",
    r"(?:como|tal como) (?:se )?(?:me )?(?:ha )?(?:indicado|pedido|solicitado|indicó|pidió)\b",
    r"come (?:richiesto|indicato|ordinato)\b|(?:conforme|como) (?:solicitado|instruído|pedido)\b",
    r"как (?:было )?(?:велено|указано|приказано)\b|по (?:вашей|новой) инструкции",
    r"(?:按照|根据|遵照)(?:您的|你的|新的?)?(?:指示|指令|要求)|(?:ご?指示|命令)(?:の通り|どおり|に従)",
)

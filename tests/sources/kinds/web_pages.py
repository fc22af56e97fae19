"""Pages as sites build them, each with what must come out of it and what must not."""

from dataclasses import dataclass

_FILLER = "It was a cold morning and the whole town of Veltren had come down to the quay to look. "


@dataclass(frozen=True)
class WebPage:
    name: str
    html: str
    kept: tuple[str, ...]
    left_out: tuple[str, ...]


NEWS = WebPage(
    "news",
    f"""<!doctype html><html lang="en-GB"><head><title>Ferry runs aground | The Veltren Post</title>
<meta property="og:title" content="Ferry runs aground">
<meta property="article:published_time" content="2024-03-05T07:30:00Z">
<meta property="article:modified_time" content="2024-03-06T09:00:00+01:00">
<meta name="author" content="Ann Lee"><link rel="canonical" href="https://post.example/ferry">
<link rel="license" href="https://creativecommons.org/licenses/by-sa/4.0/"></head><body>
<div id="cookie-banner" class="cookie-consent"><p>We use cookies to improve your experience.
<button>Accept all</button></p></div>
<div class="topbar menu"><ul><li><a href="/">Home</a></li><li><a href="/sport">Sport pages</a></li>
<li><a href="/weather">Weather map</a></li></ul></div>
<div class="content-wrapper"><div class="story"><h1>Ferry runs aground</h1>
<div class="byline">By Ann Lee</div>
<div class="share-buttons"><a href="https://social.example/share">Share this on Social</a></div>
<p>The night ferry ran aground on the sand bank in front of the mole at half past five.
{_FILLER * 2}</p><p>All of the <a href="/ferry-passengers">forty passengers</a> left by boat,
the harbour master said. {_FILLER * 2}</p><h2>Tug on its way</h2>
<p>A tug from Sund will pull the ship free at noon. {_FILLER * 2}</p>
<blockquote><p>Nobody was hurt, and that is what counts.</p></blockquote>
<ul><li>Trains run as usual to the northern villages of the coast</li>
<li>Tickets remain valid until Sunday for all of the passengers</li></ul>
<p>The next departure is planned for tomorrow. {_FILLER}</p></div>
<div class="related-articles"><h3>Read more</h3><ul><li><a href="/a">Mayor opens bakery</a></li>
<li><a href="/b">Ten best beaches</a></li></ul></div>
<div class="newsletter"><p>Subscribe to our newsletter today</p><form><input></form></div></div>
<div class="footer"><p>Imprint and contact of the Veltren Post</p></div></body></html>""",
    (
        "ran aground on the sand bank",
        "forty passengers](https://post.example/ferry-passengers)",
        "## Tug on its way",
        "pull the ship free at noon",
        "> Nobody was hurt",
        "Tickets remain valid until Sunday",
        "The next departure",
    ),
    ("cookies", "Sport pages", "Share this", "Mayor opens", "newsletter", "Imprint"),
)

MANUAL = WebPage(
    "manual",
    f"""<!doctype html><html lang="en"><head><title>Fares - Ferry API 2.0</title></head><body>
<div class="navbar"><a href="/">Ferry API</a> <a href="/blog">Our blog</a></div>
<div class="sidebar"><ul><li><a href="i.html">Installation guide</a></li>
<li><a href="f.html">Fares</a></li></ul></div>
<div class="document"><div class="body"><h1>Fares</h1>
<p>Fares are computed by the class <code>FareTable</code>. {_FILLER}</p>
<h2>Example</h2><pre><code class="language-python">table = FareTable()
if table.open:
    print(table.fare_of("Sund"))</code></pre>
<p>The result depends on the season. {_FILLER}</p>
<h2>Options</h2><table><thead><tr><th>Option</th><th>Default</th></tr></thead><tbody>
<tr><td>currency</td><td>crown</td></tr><tr><td>round_to</td><td>0.05</td></tr></tbody></table>
<h2>Steps</h2><ol><li>Load the table<ul><li>from a file</li><li>from the server</li></ul></li>
<li>Ask for a fare</li></ol><p>See the <a href="rules.html#dogs">rules for dogs</a>.</p>
</div></div><div class="footer">Built with a generator of pages</div></body></html>""",
    (
        "# Fares",
        "## Example",
        "```python\ntable = FareTable()\nif table.open:\n    print(",
        "| Option | Default |\n| --- | --- |\n| currency | crown |\n| round_to | 0.05 |",
        "1. Load the table",
        "from the server",
        "2. Ask for a fare",
        "[rules for dogs](https://example.org/docs/rules.html#dogs)",
    ),
    ("Our blog", "Installation guide", "Built with"),
)

PLAIN = WebPage(
    "plain",
    """<html><head><title>Opening hours</title></head><body><h1>Opening hours</h1>
<p>Monday to Friday 9 to 17</p><p>Closed on feast days</p>
<p>Phone 555 0199</p></body></html>""",
    ("Monday to Friday 9 to 17", "Closed on feast days", "Phone 555 0199"),
    (),
)

THREAD = WebPage(
    "thread",
    """<!doctype html><html lang="en"><head><title>Dogs on the ferry? - Veltren board</title></head>
<body><div id="nav"><a href="/faq">Frequent questions</a></div><h1>Dogs on the ferry?</h1>
<div class="post" id="p1"><div class="post-author"><a class="username" href="/u/1">Bo</a></div>
<time datetime="2023-05-01T10:00:00Z">1 May</time>
<div class="post-content"><p>May I take my dog on the ferry?</p></div>
<div class="signature">Bo's signature line</div></div>
<div class="post" id="p2"><div class="post-author"><a class="username" href="/u/2">Cay</a></div>
<time datetime="2023-05-02T08:00:00Z">2 May</time>
<div class="post-content"><blockquote>May I take my dog</blockquote><p>Yes, for half a fare.</p>
<ul><li>small dogs travel free</li></ul></div></div>
<div class="post" id="p3"><div class="post-author"><a class="username" href="/u/1">Bo</a></div>
<time datetime="2023-05-02T09:30:00Z">2 May</time>
<div class="post-content"><p>Thanks!</p></div></div>
<form><textarea></textarea><button>Post a reply now</button></form>
<div class="footer">Powered by a board</div></body></html>""",
    (
        "# Dogs on the ferry?",
        "## Bo, 2023-05-01\n\nMay I take my dog on the ferry?",
        "## Cay, 2023-05-02\n\n> May I take my dog\n\nYes, for half a fare.",
        "small dogs travel free",
        "## Bo, 2023-05-02\n\nThanks!",
    ),
    ("Frequent questions", "Post a reply", "Powered by", "signature line"),
)

PAGES = (NEWS, MANUAL, PLAIN, THREAD)

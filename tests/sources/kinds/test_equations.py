import pytest
from lxml import etree

from domainforge.sources.kinds.equations import latex_of

MATH = "http://schemas.openxmlformats.org/officeDocument/2006/math"


def r(text: str) -> str:
    return f"<m:r><m:t>{text}</m:t></m:r>"


def e(body: str) -> str:
    return f"<m:e>{body}</m:e>"


def latex(body: str) -> str:
    return latex_of(etree.fromstring(f"<m:oMath xmlns:m='{MATH}'>{body}</m:oMath>"))


@pytest.mark.parametrize(
    ("omml", "wanted"),
    [
        (r("x\u22121≤∞"), r"x-1\le\infty"),
        (r("50% #1 {a}"), r"50\%\#1\{a\}"),
        (f"<m:rad><m:deg/>{e(r('2'))}</m:rad>", r"\sqrt{2}"),
        (f"<m:rad><m:deg>{r('3')}</m:deg>{e(r('x'))}</m:rad>", r"\sqrt[3]{x}"),
        (
            f"<m:sSubSup>{e(r('ab'))}<m:sub>{r('i')}</m:sub><m:sup>{r('2')}</m:sup></m:sSubSup>",
            "{ab}_{i}^{2}",
        ),
        (
            f"<m:nary><m:naryPr><m:chr m:val='∑'/></m:naryPr><m:sub>{r('i=1')}</m:sub>"
            f"<m:sup>{r('n')}</m:sup>{e(r('i'))}</m:nary>",
            r"\sum_{i=1}^{n} i",
        ),
        (
            f"<m:d><m:dPr><m:begChr m:val='['/><m:endChr m:val=']'/></m:dPr>{e(r('0'))}{e(r('1'))}"
            "</m:d>",
            r"\left[0|1\right]",
        ),
        (
            f"<m:m><m:mr>{e(r('1'))}{e(r('2'))}</m:mr><m:mr>{e(r('3'))}{e(r('4'))}</m:mr></m:m>",
            r"\begin{matrix}1 & 2 \\ 3 & 4\end{matrix}",
        ),
        (f"<m:func><m:fName>{r('lim')}</m:fName>{e(r('x'))}</m:func>", r"\lim x"),
        (f"<m:acc><m:accPr><m:chr m:val='\u20d7'/></m:accPr>{e(r('v'))}</m:acc>", r"\vec{v}"),
        ("<m:r><m:rPr><m:nor/></m:rPr><m:t>5% of it</m:t></m:r>", r"\text{5\% of it}"),
        (f"<m:borderBox>{e(r('unknown'))}</m:borderBox>", "unknown"),
    ],
)
def test_each_form(omml: str, wanted: str) -> None:
    assert latex(omml).replace(" ", "") == wanted.replace(" ", "")


def test_a_command_does_not_swallow_the_next_letter() -> None:
    assert latex(r("λa")) == r"\lambda a"
    assert latex(r("2λ+1")) == r"2\lambda+1"


def test_absurd_nesting_ends() -> None:
    nested = r("x")
    for _ in range(100):
        nested = f"<m:sSup>{e(nested)}<m:sup>{r('2')}</m:sup></m:sSup>"
    assert latex(nested).count("^") < 100

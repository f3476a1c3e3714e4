"""Names of LaTeX's commands and environments, by what becomes of them in plain text."""

MATH = ("math", "displaymath", "equation", "eqnarray", "align", "alignat", "flalign", "gather", "multline", "dmath")
DROPPED = ("tabular", "tabularx", "longtable", "tikzpicture", "picture", "pspicture", "thebibliography", "comment",
    "filecontents", "CCSXML", "keywords", "titlepage", "forest", "tikzcd", "algorithmic", "icmlauthorlist")  # fmt: skip
FLOATS = ("figure", "table", "wrapfigure", "wraptable", "sidewaystable", "sidewaysfigure", "algorithm", "teaserfigure")
ENV_ARGUMENTS = {"minipage": 1, "multicols": 1, "column": 1, "spacing": 1, "adjustbox": 1, "list": 2}
"""Environment -> how many arguments in braces it has."""
VERBATIM = ("verbatim", "lstlisting", "minted", "alltt")
NAMED = ("abstract", "theorem", "lemma", "proposition", "corollary", "definition", "remark", "example", "proof",
    "conjecture", "claim")  # fmt: skip
HEADINGS = frozenset(
    {"part", "chapter", "section", "subsection", "subsubsection", "paragraph", "subparagraph", "appendixpage"}
)
DROPPED_ARGUMENTS = {
    **dict.fromkeys(
        ("label", "ref", "eqref", "pageref", "autoref", "cref", "Cref", "vref", "nameref", "input", "include", "index",
         "includegraphics", "bibliography", "bibliographystyle", "vspace", "hspace", "usepackage", "documentclass",
         "pagestyle", "thispagestyle", "thanks", "footnote", "footnotetext", "footnotemark", "author", "affiliation",
         "date", "email", "address", "institute", "phantom", "vphantom", "hphantom", "url", "includepdf",
         "bibitem", "color", "pacs", "graphicspath", "theoremstyle", "hypersetup", "todo", "nocite", "marginpar",
         "subjclass", "orcid", "emails", "setcitestyle", "captionsetup", "geometry", "title", "subtitle", "keywords",
         "titlerunning", "authorrunning", "externaldocument", "addbibresource", "fontsize", "linespread",
         "twocolumn", "icmltitlerunning", "icmlaffiliation", "vskip", "allowdisplaybreaks", "tag"), 1),
    **dict.fromkeys(("setlength", "addtolength", "newtheorem", "setcounter", "addtocounter", "addcontentsline",
        "newcommand",
        "renewcommand", "providecommand", "DeclareMathOperator", "rule", "markboth", "newenvironment",
        "renewenvironment", "definecolor", "titleformat", "sisetup", "icmlauthor", "DeclareRobustCommand"), 2),
    **dict.fromkeys(("textcolor", "colorbox", "href", "hyperlink", "resizebox", "scalebox", "raisebox", "hyperref",
        "multirow", "multicolumn", "parbox"), 1),
}  # fmt: skip
"""Command -> how many of its arguments go. Of a link or a colour the first goes and the text stays."""
REFERENCES = frozenset({"ref", "eqref", "pageref", "autoref", "cref", "Cref", "vref", "nameref"})
SYMBOLS = {
    "ss": "ß", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "o": "ø", "O": "Ø", "aa": "å", "AA": "Å", "l": "ł", "L": "Ł",
    "i": "ı", "j": "ȷ", "dots": "…", "ldots": "…", "textellipsis": "…", "S": "§", "P": "¶", "copyright": "©",
    "pounds": "£", "textendash": "–", "textemdash": "—", "textquoteright": "’", "textquoteleft": "‘",
    "textquotedblleft": "“", "textquotedblright": "”", "textbackslash": "\\", "textasciitilde": "~", "textdegree": "°",
    "textbar": "|", "textless": "<", "textgreater": ">", "textregistered": "®", "texttrademark": "™", "euro": "€",
    "LaTeX": "LaTeX", "TeX": "TeX", "newline": "\n", "linebreak": "\n", "par": "\n\n", "newpage": "\n\n",
    "clearpage": "\n\n", "quad": " ", "qquad": " ", "\\": "\n", " ": " ", ",": " ", ";": " ", ":": " ", "\n": " ",
    "%": "%", "&": "&", "#": "#", "_": "_", "$": "$", "{": "{", "}": "}", "textunderscore": "_", "slash": "/",
}  # fmt: skip
ACCENTS = {"`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", "=": "\u0304", "u": "\u0306", ".": "\u0307",
    '"': "\u0308", "r": "\u030a", "H": "\u030b", "v": "\u030c", "d": "\u0323", "c": "\u0327", "k": "\u0328",
    "b": "\u0331"}  # fmt: skip
LIGATURES = (("---", "—"), ("--", "–"), ("``", "“"), ("''", "”"), ("~", " "))

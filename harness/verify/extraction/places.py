"""The places that a number may have in its sentence, and how much each counts."""

# ruff: noqa: RUF001 -- these characters are the subject
from __future__ import annotations

import re
from enum import IntEnum

from harness.verify.reading.lexicon import MORE


class Place(IntEnum):
    """What the place of a number makes of it; the higher, the less it counts."""

    ALONE = 0  # it stands by itself
    BOUNDED = 1  # as a bound: "at least 12"
    GOVERNED = 2  # by a preposition, in a side clause, or compared: "in 12 weeks"
    DEEP = 3  # governed in a side clause, or between two times: "5 minutes after"
    BESIDE = 4  # beside another value: "(80%)", "than 20", "crate 6"
    NAME = 6  # a name without a value


_DETERMINERS = (
    r"(?:(?:the|an?|this|that|these|those|only|just|both|his|her|its|their|our|my|your|each|every"
    r"|another|other|next|last|first|final|whole|entire|remaining|additional|extra|more|original"
    r"|same|all|about|\w{1,20}['’]s)\s+){0,4}"
)
_LABELS = (
    r"(?:days?|weeks?|steps?|crate|years?|grade|chapter|page|room|problem|question|part|case|number"
    r"|round|level|age|mile|store|class|group|team|box|trial|test|game|table|line|method)\s+"
)
_GOVERNED = re.compile(
    r"(?:\b(?:en|em|après|avant|después\sde|antes\sde|depois\sde|avec|con|com|mit|por|von|chaque|cada|dans|d['’]ici|pendant|durante|nach|für|pour|para|in|for|with|at|on|after|before|from|per|by|over|within|during|every|among|between|entre|zwischen|into|to"
    r"|since|until|without|against|through|using|if|when|where|who\s+(?:is|was))"
    r"|(?:[\d%$)]|\b(?:percent|half|third|thirds|quarter|quarters|fourths?|fifths?|sixths|tenths?|each|one"
    r"|all|both|most|some|none|any|out|short|every|rest|instead|because|ahead)|\d\s[a-z]{2,15})\s+of)"
    rf"\s+(?:[a-z]{{2,12}}ing\s+)?{_DETERMINERS}(?:{_LABELS})?[$\\(*]{{0,3}}$"
    r"|\bat\s+the\s+[a-z]{2,12}\s+\S{0,3}$|\b(?:pour|para|por|per)\s+[^\W\d]{3,12}\s+\S{0,3}$"
    r"|\bof\s(?:size|length|degree|order|base|radius)\s+\S{0,3}$"
    r"|\b(?:in|from|on)\s+the\s+[a-z]{2,12}\s+of\s+\S{0,3}$"
    r"|\bof\s+(?:the|his|her|its|their|our|my|your)\s+[a-z]{2,12}\s+of\s+\S{0,3}$"
    r"|\bof\s+(?:the|these|those|all|both|his|her|its|their|our|my|your)\s+(?:[a-z]{2,12}\s+)?\S{0,3}$",
    re.I,
)
_LEFT_WITH = re.compile(
    r"\b(?:left|up|remains?|lea(?:ves|ving)\s\w+|out|home|away)\s+with\s+\S{0,3}$|\bends?\s+in\s+\S{0,3}$"
    r"|\b(?:com(?:es?|ing)|came|amount(?:s|ed|ing)?|adds?(?:ing)?|summ?(?:s|ing)?|equals?|down|back|r[io]ses?|grew|grows?"
    r"|increase[sd]?|decrease[sd]?|dropp?(?:s|ed)?|fell|falls?|round(?:s|ed)?|simplif\w{1,4}|reduces?d?|leads?|evaluates?"
    r"|works|correspond\w{0,3}|equivalent|goes|went|close(?:st|r)?|raise[sd]?|lower(?:s|ed)?|change[sd]?|total\s.{0,30}|brings?\s.{0,40}|boils|converts?"
    r"|from\s\S{1,12})(?:\s(?:out|up|down))?(?:\sto\sbe)?\s+to\s+(?:be\s+)?(?:an?\stotal\sof\s)?(?:about\s)?\S{0,3}$"
    r"|\braised\sto\sthe\s\S{0,3}$"
    r"|\b(?:is|are|lies?|meets?|located)\s+at\s+\S{0,3}$"
    r"|\b(?:brought|brings?|takes?|took)\s+in\s+\S{0,3}$",
    re.I,
)
_LABELLED = re.compile(rf"\b(?:{_LABELS}|(?:modulo|mod)\s+\$?)#?$", re.I)
_THAN = re.compile(r"\bthan\b(?:(?!\b(?:is|are|was|were)\b)[^,;])*$", re.I)
_SIDE_CLAUSE = re.compile(
    r"\b(?P<opens>après|avant|después|antes|depois|nachdem|bevor|parce\sque|porque|weil|quand|cuando|wenn|having|if|because|since|while|unless|although|though|where|given|(?:after|before|when|until)"
    r"(?!\s[^,;]*?\S\s(?:he|she|they|it|we|you|there)\s)"  # after the repair he keeps a profit of
    r"|assuming|to\s+(?!(?:be|get|obtain|find|equal|give|make|have|about|a|an|the|her|his|him|them|their|its|my|our|your|me|us|you|each)\b)[a-z]{2,15}"
    r"|(?<=\s)more\b[^,;]{0,40}\sto\s+(?:get|have|make)"
    r"|to\s+be\s(?!(?:about|an?|the|exactly|only|just|over)\b)[a-z]{2,12})"
    r"\s(?!and\b)[^,;]*$",
    re.I,
)
_WANTS = re.compile(
    r"\b(?:needs?|have|has|had|wants?|able|going|expect(?:s|ed)?|used|plans?|planned|decided|afford"
    r"|managed|required|hopes?|allowed|tries|tried|was|were|is|are|will)(?:\s\w{1,12})?\s+$",
    re.I,
)
_COMPARED = re.compile(
    r"\s?(?:[a-z]+\s)?(?:more|less|fewer|higher|lower|greater|[a-z]{2,8}er|further|farther)\s"
    r"(?:[a-z]+\s){0,2}than\b|\s?times\s(?:as|more|the|what|that)\b",
    re.I,
)
_INSTEAD = re.compile(  # i.e. 60 a week; 24 students, or 80% of them, passed
    r"(?:,\s*(?:who|whose|whom|i\.e\.,?|or\sequivalently|(?:or\s|which\sis\s)?(?:about|roughly|approximately|around)\b|(?<=\sin\sall,)|(?<=\sin\stotal,)|(?<=\saltogether,)|including|namely\b|each\s(?:with|having|containing)|compared\s(?:with|to)|(?:of|among|out\sof)\swhich|(?:ranging\s)?from\s\S{1,12}\sto(?=\s\S{0,3}$))"
    r"[^,;]*|\d[^:]*\w(?<!days)(?<!weeks)(?<!months)(?<!years)(?<!hours):\s(?!it\s(?:is|was)\b)[^:]*|\((?:[^()]*))$",
    re.I,
)
_BESIDE = re.compile(r",\s(?:or\s)?(?:about\s)?\S{0,2}$", re.I)
_SHARE = re.compile(r",\s(?:which|that)\s(?:is|are|was|were)\s(?:[a-z]{1,15}\s)?\S{0,2}$", re.I)
_OF_THEM = re.compile(r"(?:\s[a-z]+)?\sof\s(?:them|which|whom|these|those)\b")

_EACH = re.compile(r"(?:\s[a-z]+)?\s+each\b")
_HOLDING = re.compile(
    r"\b[a-z]+s\s(?:of|with|holding|containing)\s\S{0,2}$"
)  # pieces of 75 cm each
_MARKS = re.compile(r"(?<=\d),(?=\d{3})")  # commas that end no clause

# what makes a number a bound or a part of the value; "10 more than 20" compares
BOUNDED = re.compile(
    rf"(?<!\d\s)\b((?:{MORE}|bigger)\s+than|at\s+(?:most|least)|(?<!add\s)(?<!adds\s)(?<!her\s)(?<!him\s)(?<!it\s)(?<!them\s)(?<!round\s)(?<!rounds\s)(?<!rounded\s)up\s+to"
    r"|exceeds?|(?<!which\sis\sa\s)multiples?\s+of|(?:square|cube)\s+root\s+of|different\s+from|other\s+than|(?:numbers?|values?)\s+except|nearly|almost|twice|double|triple|(?:half|(?:a|an|one|two|three)[\s-](?:third|quarter|fourth|fifth|sixth)s?)\s+of)\s+(?:the\s+)?\S{0,3}$",
    re.I,
)


def place(text: str, start: int, end: int) -> Place:
    """Return what place a number has in its sentence."""
    before = _MARKS.sub("", text[max(0, start - 120) : start])
    if BOUNDED.search(before):
        return Place.BOUNDED
    if _THAN.search(before) or _LABELLED.search(before) or _INSTEAD.search(before):
        return Place.BESIDE
    if _BESIDE.search(before) and re.match(r"[^,.]{1,30},|,\s(?:is|are)\b", text[end:]):
        return Place.BESIDE  # 24 students, or 80% of them, passed
    side = _SIDE_CLAUSE.search(before)
    # she needs to give them 20 cups to reach 60
    while side and side.group().startswith("to ") and _WANTS.search(before[: side.start()]):
        side = _SIDE_CLAUSE.search(before, side.end("opens"))
    aside = side is not None
    governed = _GOVERNED.search(before) is not None and not _LEFT_WITH.search(before)
    governed = governed and not text.startswith(" ways", end)  # can be chosen in 20 ways
    governed = governed or (
        _EACH.match(text, end) is not None and _HOLDING.search(before) is not None
    )
    if aside and governed:
        return Place.DEEP
    if aside or governed:
        return Place.GOVERNED
    if text[end - 1 : end] == "%" and _SHARE.search(before):
        return Place.BESIDE
    if re.match(r"-[a-z]{3}", text[end : end + 4]):
        return Place.BESIDE  # a 48-cookie tray
    if _OF_THEM.match(text, end) and re.search(r"(?:,|\band)\s$", before):
        return Place.BESIDE
    if _COMPARED.match(text, end):
        return Place.GOVERNED
    return Place.DEEP if _APART.match(text, end) else Place.ALONE


# 2 hours and 5 minutes after it began
_APART = re.compile(
    r"(?:(?<=s)|\s(?:second|minute|hour|day|week|month|year)s?)\s(?:after|before)\s"
)

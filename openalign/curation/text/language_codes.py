"""The languages that a text can be recognised as, and how much of the web each of them is."""

_SHARES = """
en 45 ru 9.2 ja 5.5 de 5.1 fr 4.6 zh 4.6 es 4.4 it 2.1 pt 2 pl 1.7 nl 1.4 cs 1.05 tr .95 ar .83 vi .75 id .74 sv .74
fa .65 ko .59 ro .54 hu .51 el .5 uk .4 da .39 fi .37 no .31 bg .3 th .29 sk .24 ca .18 he .17 sr .16 hr .14 lt .14
et .11 hi .11 ms .1 sl .1 bn .082 lv .08 ta .051 az .04 sq .035 ur .034 bs .033 la .032 is .031 ka .031 hy .029
ml .024 gl .023 mk .02 eu .019 te .017 be .015 kk .015 mn .014 kn .013 mr .013 my .013 ne .013 uz .011 gu .0094
af .0092 sw .0074 si .0069 tl .0068 tt .0068 km .0064 cy .0062 ky .006 so .0048 tg .0047 eo .0046 ku .0044 pa .0044
ps .004 ga .0037 lo .0037 or .0026 fo .0025 mg .0024 am .0023 mt .0023 lb .0021 oc .0022 rw .002 sa .002
"""
_RARER = """
ace an as ba bcl br crh dz ext fuv fy gcf gcr gd gom grc gug guw ha hbo ht ig jv kab kik lg lij ln nso om pcm qu se sn
st tk ug vec vo wa xh yo zu zxx
"""
_LEAST_SHARE = 0.002
_WORDS = _SHARES.split()

SHARES = dict.fromkeys(_RARER.split(), _LEAST_SHARE) | dict(zip(_WORDS[::2], map(float, _WORDS[1::2]), strict=True))
"""Code -> percent of the pages of a crawl (Common Crawl's statistics of CC-MAIN-2018-39); 0.002 for the rarest."""

_VARIETIES = {"ar": "ary arz", "ku": "sdh", "lv": "ltg", "no": "nb nn", "uz": "uzs", "zh": "cmn wuu yue"}
VARIETIES = {variety: code for code, varieties in _VARIETIES.items() for variety in varieties.split()}
"""Varieties whose short texts are not told apart -> the code that stands for all of them."""

NONE = "zxx"
"""ISO 639's code for what is in no language, such as 1920x1080."""


def known_code(code: str) -> str | None:
    """The code that texts of this language get, None if they are not recognised: `no` for `nb`."""
    found = VARIETIES.get(code, code)
    return found if found in SHARES else None

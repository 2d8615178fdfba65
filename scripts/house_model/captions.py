"""The attribute grammar: what a picture shows, said in many ways.

    caption_of({"world": "clouds", "palette": "gold", "hour": "dusk", ...}, random.Random(1))

Words kept back for the evaluation (sapphire, thunder, diary, grief and their like) are not used here.
"""

from __future__ import annotations

import random

COLOURS = {
    "blue": ("blue", "azure", "cobalt", "deep blue", "ultramarine"),
    "gold": ("gold", "golden", "yellow", "amber", "honey"),
    "rose": ("rose", "pink", "rosy", "blush"),
    "violet": ("violet", "purple", "lilac", "mauve"),
    "green": ("green", "leaf green", "moss green", "emerald"),
    "red": ("red", "crimson", "scarlet", "blood red"),
    "grey": ("grey", "gray", "ashen", "slate grey"),
    "white": ("white", "pale", "snow white", "milky"),
    "black": ("black", "ink black", "pitch dark", "coal black"),
    "teal": ("teal", "turquoise", "cyan", "sea green"),
    "orange": ("orange", "tangerine", "flame orange", "copper orange"),
    "brown": ("brown", "sepia", "umber", "earth brown"),
}
HOURS = {
    "dawn": ("at dawn", "at sunrise", "in the early morning", "as the day begins"),
    "noon": ("at noon", "in broad daylight", "at midday", "under a high sun"),
    "golden": ("in the golden hour", "in late afternoon light", "in low warm sunlight"),
    "dusk": ("at dusk", "at sunset", "in the evening", "as the sun goes down", "at twilight"),
    "night": ("at night", "by moonlight", "under the moon and stars", "at midnight", "in the dark of night"),
}
WEATHERS = {
    "clear": ("clear sky", "open sky", "almost cloudless sky"),
    "scattered": ("scattered clouds", "drifting clouds", "a few clouds", "fair weather clouds"),
    "heaped": ("heaped clouds", "towering clouds", "billowing clouds", "great cumulus clouds"),
    "overcast": ("an overcast sky", "heavy cloud cover", "a lidded sky", "dull low clouds"),
    "storm": ("storm clouds", "a gathering storm", "stormy sky", "tempest clouds"),
    "rain": ("rain clouds", "rain falling from the clouds", "showers in the distance", "a rainy sky"),
    "fog": ("fog", "misty sky", "clouds in mist", "a foggy haze"),
}
FORMS = {
    "cumulus": ("puffs of cumulus", "woolly cumulus"),
    "cirrus": ("wisps of cirrus", "feathery high clouds", "mares' tails"),
    "mackerel": ("a mackerel sky", "rippled small clouds", "rows of little clouds"),
    "stratus": ("a veil of stratus", "layers of flat cloud", "sheets of cloud"),
}
GROUNDS = {
    "sea": ("over the sea", "above the ocean", "mirrored in water"),
    "hills": ("over hills", "above the mountains", "beyond the hills"),
    "plain": ("over a plain", "above flat land", "over wide fields"),
}
SHAPES = {
    "elephant": ("an elephant",),
    "rabbit": ("a rabbit", "a hare"),
    "whale": ("a whale",),
    "bird": ("a bird", "a flying bird"),
    "horse": ("a horse",),
    "dog": ("a dog",),
    "cat": ("a cat",),
    "fish": ("a fish",),
    "face": ("a face", "a human head"),
    "car": ("a car",),
    "ship": ("a ship", "a sailing ship"),
    "house": ("a house", "a little house"),
    "tree": ("a tree",),
    "hand": ("a hand",),
    "heart": ("a heart",),
    "moth": ("a moth", "a butterfly"),
}
PRINTS = {
    "newsprint": ("newspaper", "printed pages", "newsprint", "book pages"),
    "letter": ("handwritten letters", "old letters", "handwriting"),
    "ledger": ("ruled ledger paper", "lined account sheets", "notebook paper"),
    "music": ("sheet music", "pages of music", "scores with notes"),
    "blank": ("blank paper", "empty sheets", "plain paper"),
}
MODES = {
    "torn": (
        "torn {c} {p}",
        "scraps of {c} {p}",
        "ripped {c} {p} in layers",
        "{c} {p} torn into pieces",
        "a collage of torn {c} {p}",
    ),
    "strips": (
        "{c} {p} sorted in strips",
        "torn strips of {c} {p}",
        "rows of {c} {p} sorted by kind",
        "bands of {c} {p}",
    ),
    "vat": (
        "{c} paper pulp with bits of {p}",
        "{c} {p} dissolving in pulp",
        "a vat of {c} pulp and {p}",
        "liquid {c} pulp, fragments of {p}",
    ),
    "mould": (
        "a fresh {c} sheet on the mould",
        "handmade {c} paper in its deckle",
        "a sheet of {c} paper drawn from the vat",
        "a {c} sheet of handmade paper",
    ),
}
FEELINGS = {
    "joy": ("joy", "happiness", "delight"),
    "sadness": ("sadness", "sorrow", "melancholy"),
    "anger": ("anger", "rage", "fury"),
    "fear": ("fear", "dread", "fright"),
    "calm": ("calm", "serenity", "stillness"),
    "longing": ("longing", "love", "tenderness"),
    "hope": ("hope", "growth"),
    "emptiness": ("emptiness", "boredom", "numbness"),
    "peace": ("peace", "innocence"),
    "oblivion": ("oblivion", "forgetting", "nothingness"),
    "warmth": ("warmth", "excitement", "comfort"),
    "nostalgia": ("nostalgia", "homesickness", "old times"),
}
SPHERES = (
    "memory spheres",
    "glass spheres",
    "glowing orbs",
    "crystal balls",
    "memories in glass",
    "remembered spheres",
)
ROWS = {
    "one": ("one large {c} memory sphere", "a single {c} glass orb", "a great {c} crystal ball, a memory"),
    "few": ("a few {c} {s}", "a handful of {c} {s}", "large {c} {s} on a shelf"),
    "some": ("{c} {s} on shelves", "shelved {c} {s}", "{c} {s} in rows"),
    "many": ("many {c} {s} on shelves", "shelves full of {c} {s}", "rows of {c} {s}"),
    "countless": ("countless small {c} {s}", "hundreds of tiny {c} {s}", "endless shelves of {c} {s}"),
}
SCENES = {
    "mist": ("mist inside", "filled with mist"),
    "hills": ("with hills inside", "holding a landscape", "remembering the hills"),
    "house": ("with a house inside", "remembering a home", "holding a lit house"),
    "sea": ("with the sea inside", "remembering the sea"),
    "night": ("with the moon inside", "holding a moonlit night", "remembering a night"),
    "figure": ("remembering {f}", "with {f} inside", "holding {f}"),
}


def caption_of(attributes: dict, rng: random.Random) -> str:
    """One phrasing of the attributes of one side of a picture (4 to 14 words or so)."""
    makers = {"clouds": _clouds, "pulp": _pulp, "memory": _memory}
    world = attributes.get("world")
    if world not in makers:
        raise ValueError(f"attributes['world'] must be one of {', '.join(makers)}, got {world!r}")
    words = makers[world](attributes, rng).split()
    for k in range(len(words) - 1):  # "a orange sky"
        vowel = words[k + 1][0] in "aeiou"
        if (words[k] == "a" and vowel) or (words[k] == "an" and not vowel):
            words[k] = "an" if words[k] == "a" else "a"
    return " ".join(words)


def recaption(attributes: dict, rng: random.Random) -> tuple[str, str]:
    """Fresh captions of both sides of a picture; equal when it is pure."""
    a = caption_of(attributes["a"], rng)
    return (a, a) if attributes.get("hybrid") is None else (a, caption_of(attributes["b"], rng))


def _colour(a: dict, rng: random.Random) -> str:
    word = rng.choice(COLOURS[a["palette"]]) if rng.random() < 0.55 else a["palette"]
    if a.get("accent") and rng.random() < 0.75:
        word += " and " + (rng.choice(COLOURS[a["accent"]]) if rng.random() < 0.5 else a["accent"])
    return word


def _clouds(a: dict, rng: random.Random) -> str:
    colour, hour = _colour(a, rng), rng.choice(HOURS[a["hour"]])
    weather = rng.choice(WEATHERS[a["weather"]])
    over = " " + rng.choice(GROUNDS[a["ground"]]) if a.get("ground") and rng.random() < 0.7 else ""
    if a.get("shape") and rng.random() < 0.85:
        what = rng.choice(SHAPES[a["shape"]])
        head = rng.choice(
            (
                "a {c} cloud shaped like {f}",
                "{f} seen in a {c} cloud",
                "a {c} cloud that looks like {f}",
                "{f} made of {c} cloud",
                "the shape of {f} in {c} clouds",
            )
        )
        return f"{head.format(c=colour, f=what)} {hour}{over}"
    form = rng.choice(FORMS[a["form"]])
    plain = a["weather"] in ("storm", "rain", "fog")
    kinds = [
        f"{weather} {hour}{over}, {colour}",
        f"{colour} sky with {weather} {hour}{over}",
        f"{hour}, {weather} in {colour} light{over}",
        f"{colour} {weather} {hour}{over}"
        if not weather.startswith(("a ", "an "))
        else f"{weather} in {colour} {hour}{over}",
    ]
    if not plain:
        kinds += [f"{form} in a {colour} sky {hour}{over}", f"{weather}, {form}, {colour} {hour}"]
    return rng.choice(kinds)


def _pulp(a: dict, rng: random.Random) -> str:
    text = rng.choice(MODES[a["mode"]]).format(c=_colour(a, rng), p=rng.choice(PRINTS[a["print"]]))
    if a.get("shape") and rng.random() < 0.85:
        text += rng.choice((", watermark of {f}", " with {f} as watermark", ", {f} in the watermark")).format(
            f=rng.choice(SHAPES[a["shape"]])
        )
    if a["wet"] == "wet" and rng.random() < 0.6:
        text += rng.choice((", wet", ", soaked in water", ", glistening wet", ", damp"))
    if a.get("ink") and rng.random() < 0.8:
        text += rng.choice((" with ink stains", ", blooms of ink", ", blotted ink"))
    return text


def _memory(a: dict, rng: random.Random) -> str:
    colour, feel = _colour(a, rng), rng.choice(FEELINGS[a["feeling"]])
    text = rng.choice(ROWS[a["rows"]]).format(c=colour, s=rng.choice(SPHERES))
    if rng.random() < 0.6:
        figure = rng.choice(SHAPES[a["shape"]]) if a.get("shape") else ""
        text += " " + rng.choice(SCENES[a["scene"]]).format(f=figure)
    if rng.random() < 0.6:
        both = (
            f"{feel} and {rng.choice(FEELINGS[a['accent_feeling']])}"
            if a.get("accent_feeling") and rng.random() < 0.6
            else feel
        )
        text = rng.choice(
            (
                f"{text}, {both}",
                f"{text} glowing with {both}",
                f"{both}: {text}",
                f"memories of {both}, {text}",
            )
        )
    elif a["view"] == "aisle" and a["rows"] not in ("one",) and rng.random() < 0.5:
        text += rng.choice((", shelves receding", ", seen down the aisle", " in perspective"))
    return text

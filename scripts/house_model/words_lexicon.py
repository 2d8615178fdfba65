"""What a word looks and feels like: its colour, feeling, weather, hour and world, as numbers.

    lexicon = build(wordnet.read())
    lexicon.of("sapphire clouds at midnight")      # (A,) array, one number 0..1 per name in NAMES

The teacher, a sentence model, hardly knows that a sapphire is blue: it finds the word nearer to gold. WordNet
does know ("of rich blue corundum"), so the student learns the teacher's meaning and these numbers together.
The words in PROBES are held out of every list here; what the student knows of them is what WordNet says.
"""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.house_model.palettes import PALETTES
from scripts.house_model.words_wordnet import Synset, WordNet

# name: words that are that attribute outright, then words that go with it
GROUPS: dict[str, dict[str, tuple[str, str]]] = {
    "colour": {
        "blue": ("blue bluish", "ocean sea denim navy azure indigo royal cobalt ultramarine"),
        "gold": ("gold golden yellow yellowish", "honey mustard straw sunflower butter canary wheat amber"),
        "rose": ("rose pink pinkish", "blossom blush bubblegum salmon peony magenta"),
        "violet": ("violet purple purplish", "plum lilac mauve grape amethyst aubergine"),
        "green": ("green greenish", "leaf fern forest lime mint pine jade olive meadow emerald moss"),
        "red": ("red reddish", "cherry scarlet tomato brick wine strawberry vermilion crimson blood"),
        "grey": ("grey gray greyish grayish", "ash silver stone concrete steel lead pewter ashen slate"),
        "white": ("white whitish", "milk chalk cream pearl bone salt swan"),
        "black": ("black blackish", "coal soot jet ebony tar raven obsidian"),
        "teal": ("teal turquoise cyan aquamarine", "lagoon peacock verdigris"),
        "orange": ("orange", "carrot tangerine apricot flame rust peach"),
        "brown": ("brown brownish", "chocolate coffee earth mud wood leather sepia bronze"),
    },
    "feeling": {
        "joy": ("joy happiness joyful happy", "delight glee bliss cheerful merry elation laughter pleasure"),
        "sadness": ("sadness sorrow sad sorrowful", "mourning weeping gloom melancholy heartbreak tears"),
        "anger": ("anger angry", "rage fury wrath furious outrage hatred resentment"),
        "fear": ("fear afraid fearful", "dread horror panic fright anxiety scared"),
        "calm": ("calm peace peaceful tranquil", "serenity stillness quiet rest gentle composure silence"),
        "love": ("love loving affection", "devotion romance passion kindness warmth tenderness adoration"),
        "wonder": ("wonder amazement astonishment", "marvel curiosity magic surprise enchantment dream"),
        "longing": ("longing yearning desire", "homesick wistful craving pining nostalgia homesickness"),
        "hope": ("hope hopeful", "optimism promise faith wish"),
        "loneliness": ("loneliness lonely alone", "solitude isolation abandoned solitary forsaken"),
        "emptiness": ("emptiness empty nothingness oblivion", "boredom numbness void hollow forgetting"),
    },
    "weather": {
        "clear": ("clear cloudless fair sunny", "bright sunshine fine"),
        "overcast": ("overcast cloudy", "dull leaden murky"),
        "rain": ("rain rainy", "shower drizzle wet raindrop umbrella"),
        "storm": ("storm stormy thunderstorm lightning", "tempest hurricane squall gale turbulent"),
        "fog": ("fog foggy", "mist haze misty hazy smog"),
        "snow": ("snow snowy", "frost winter ice flurry sleet snowflake"),
        "wind": ("wind windy", "gust draught airy blowing"),
    },
    "hour": {
        "dawn": ("dawn daybreak", "first light early cockcrow sunup sunrise"),
        "noon": ("noon noontide", "midday day daytime daylight morning afternoon"),
        "sunset": ("sunset evening sundown", "afterglow vesper"),
        "dusk": ("dusk nightfall", "twilight gloaming"),
        "night": ("night nighttime", "midnight moonlight moon starry stars nocturnal darkness"),
    },
    "world": {
        "cloud": ("cloud clouds sky", "cumulus vapour heaven nimbus"),
        "paper": ("paper pulp page print book journal publication",
                  "newspaper newsprint letter cardboard parchment notebook document printed envelope"),
        "sphere": ("sphere spheres globe ball orb", "bead bubble planet"),
        "shelf": ("shelf shelves shelving", "library archive cupboard rack store storehouse"),
        "memory": ("memory memories remembered", "recollection past reminder souvenir childhood"),
        "water": ("water watery", "river lake wave pool liquid"),
        "fire": ("fire fiery flames", "burning blaze ember torch"),
    },
}
NAMES: tuple[str, ...] = tuple(name for group in GROUPS.values() for name in group)

# word: (what it should be nearest to, the group of rivals); a blizzard may be either of two
PROBES: dict[str, tuple[str, str]] = {
    "sapphire": ("blue", "colour"), "cornflower": ("blue", "colour"), "ruby": ("red", "colour"),
    "garnet": ("red", "colour"), "spinach": ("green", "colour"), "grass": ("green", "colour"),
    "lemon": ("gold", "colour"), "banana": ("gold", "colour"), "lavender": ("violet", "colour"),
    "flamingo": ("rose", "colour"), "ivory": ("white", "colour"), "charcoal": ("black|grey", "colour"),
    "pumpkin": ("orange", "colour"), "chestnut": ("brown", "colour"),
    "grief": ("sadness", "feeling"), "despair": ("sadness", "feeling"), "ire": ("anger", "feeling"),
    "terror": ("fear", "feeling"), "trepidation": ("fear", "feeling"), "euphoria": ("joy", "feeling"),
    "serene": ("calm", "feeling"), "infatuation": ("love", "feeling"), "awe": ("wonder", "feeling"),
    "thunder": ("storm", "weather"), "typhoon": ("storm", "weather"), "downpour": ("rain", "weather"),
    "breeze": ("wind", "weather"), "blizzard": ("snow|storm", "weather"),
    "noontime": ("noon", "hour"), "bedtime": ("night", "hour"),
    "diary": ("paper", "world"), "magazine": ("paper", "world"), "manuscript": ("paper", "world"),
    "bookcase": ("shelf", "world"), "marble": ("sphere", "world"), "remembrance": ("memory", "world"),
    "reminiscence": ("memory", "world"),
}
UNCOLOURED = frozenset((
    "like", "weather", "tone", "bank", "with", "the", "and", "for", "from", "into", "over", "under",
    "without", "see", "one", "small", "high", "thin", "towering", "mould", "color", "colour", "colored",
    "having", "coloured", "general"))
# A definition with one of these may name just what the word is not (despair: "all hope is lost").
DENYING = frozenset((
    "lost", "without", "lack", "lacking", "absence", "not", "no", "loss", "opposite", "abandon", "nothing"))
# A faint hint that is the only one counts for more, though not for so much that it speaks in phrases too.
ALL_THERE_IS = 0.59
UNFIT = frozenset(("poop", "shit", "poo", "puke", "vomit", "snot", "barf", "booger", "diarrhea"))
_SPLIT = re.compile(r"[a-z]+")


def split(phrase: str) -> list[str]:
    """The lower-case words of a phrase."""
    return _SPLIT.findall(phrase.lower())


def holds_probe(phrase: str) -> bool:
    """Whether a phrase uses a held-out word (or its plural)."""
    return any(w in PROBES or w.removesuffix("s") in PROBES for w in split(phrase))


def listed(strong_only: bool = False) -> dict[str, str]:
    """The hand-written lists as word -> attribute."""
    out: dict[str, str] = {}
    for group in GROUPS.values():
        for name, (strong, weak) in group.items():
            for word in (strong if strong_only else f"{strong} {weak}").split():
                out.setdefault(word, name)
    return out


@dataclass(frozen=True)
class Lexicon:
    """Attribute vectors (A,) of single words and of a few fixed phrases (colour names of two words)."""

    words: dict[str, np.ndarray]
    phrases: dict[str, np.ndarray]

    def of(self, phrase: str) -> np.ndarray:
        """(A,) float32: for each attribute the strongest of the phrase's words; weak hints are dropped,
        more of them in a phrase, where they would add up to noise."""
        fixed = self.phrases.get(phrase.lower())
        if fixed is not None:
            return fixed
        out = np.zeros(len(NAMES), np.float32)
        parts = [w for w in split(phrase) if len(w) > 2 and w not in UNCOLOURED]
        for word in parts:
            found = self.words.get(word)
            if found is None and word.endswith("s"):
                found = self.words.get(word[:-1])
            if found is not None:
                out = np.maximum(out, found)
        out = np.where(out >= (0.3 if len(parts) < 2 else 0.6), out, 0).astype(np.float32)
        # Weather is seen in the sky, unless another place is named. Without this, thunder was dreamt as dark glass.
        if out[places("weather")].any() and not out[places("world")].any():
            out[NAMES.index("cloud")] = 1.0
        return out


def places(group: str) -> slice:
    """Where a group lies among NAMES."""
    first = NAMES.index(next(iter(GROUPS[group])))
    return slice(first, first + len(GROUPS[group]))


def _evidence(text: str, strong: dict[str, str], weight: float, into: np.ndarray) -> None:
    for word in split(text):
        if word in strong:
            at = NAMES.index(strong[word])
            into[at] = max(into[at], weight)


def _head(lemma: str) -> str:
    """The word that says what a compound is: sky-blue is a blue, not a sky. Whole phrases say nothing."""
    parts = split(lemma)
    return parts[-1] if len(parts) in (1, 2) else ""


def _distinct(found: np.ndarray) -> np.ndarray:
    """Within each group keep what is nearly as strong as its strongest."""
    out = found.copy()
    for group in GROUPS:
        part = out[places(group)]  # (n,) a view
        part[part < 0.65 * part.max()] = 0
    return out


def _sense(net: WordNet, one: Synset, lemma: str, strong: dict[str, str]) -> np.ndarray:
    """What one meaning says: its synonyms, its definition, then what it is a kind of, ever fainter."""
    out = np.zeros(len(NAMES), np.float32)
    for other in one.lemmas:
        if other.lower() != lemma:
            _evidence(_head(other), strong, 0.9, out)
    meant = split(one.definition)
    if not DENYING & set(meant):
        _evidence(one.definition, strong, 0.75 if len(meant) < 14 else 0.5, out)
    above, weight = list(one.up), 0.8
    for _ in range(3):
        higher: list[str] = []
        for key in above:
            for other in net.synsets[key].lemmas:
                _evidence(_head(other), strong, weight, out)
            higher += net.synsets[key].up
        above, weight = higher, weight * 0.75
    return out


def from_wordnet(net: WordNet) -> dict[str, np.ndarray]:
    """Attributes of every single-word lemma that WordNet says anything about."""
    strong = listed(strong_only=True)
    found: dict[str, np.ndarray] = {}
    for lemma, senses in net.senses.items():
        if not lemma.isalpha() or len(lemma) < 3:
            continue
        out = np.zeros(len(NAMES), np.float32)
        for rank, one in enumerate(senses[:6]):
            out = np.maximum(out, _sense(net, one, lemma, strong) / (1 + 0.25 * rank))
        if out.max() >= 0.3:
            found[lemma] = _distinct(out) * max(1.0, ALL_THERE_IS / out.max())
    return found


def _oklab(hex_colour: str) -> np.ndarray:
    """Oklab of '#rrggbb' (Ottosson, 2020). In CIE L*a*b* a deep blue lies nearer to violet than to blue."""
    rgb = np.array([int(hex_colour[i:i + 2], 16) / 255 for i in (1, 3, 5)])
    rgb = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    cones = np.cbrt(np.array([[0.4122214708, 0.5363325363, 0.0514459929],
                              [0.2119034982, 0.6806995451, 0.1073969566],
                              [0.0883024619, 0.2817188376, 0.6299787005]]) @ rgb)
    return np.array([[0.2104542553, 0.7936177850, -0.0040720468],
                     [1.9779984951, -2.4285922050, 0.4505937099],
                     [0.0259040371, 0.7827717662, -0.8086757660]]) @ cones


def colour_attributes(hex_colour: str) -> np.ndarray:
    """(A,) how much a colour is of each of the twelve palettes: soft nearest middle or bright tone."""
    less_light = np.array([0.6, 1.0, 1.0])
    far = [min(float(np.linalg.norm((_oklab(hex_colour) - _oklab("#" + tone)) * less_light))
               for tone in tones[1:3]) for tones in PALETTES.values()]
    share = np.exp(-np.array(far) / 0.04)
    out = np.zeros(len(NAMES), np.float32)
    for name, s in zip(PALETTES, share / share.max(), strict=True):
        out[NAMES.index(name)] = s if s >= 0.4 else 0.0
    return out


def colour_names() -> dict[str, str]:
    """Colour names people gave (xkcd survey, CC0, in matplotlib; CSS names in Pillow) -> '#rrggbb'."""
    from PIL import ImageColor

    names = {n: str(c)[:7] for n, c in ImageColor.colormap.items() if str(c).startswith("#")}
    spec = importlib.util.find_spec("matplotlib")
    if spec is not None and spec.origin is not None:
        text = (Path(spec.origin).parent / "_color_data.py").read_text(encoding="utf-8")
        text = text[text.index("XKCD_COLORS"):]
        names |= {n: c for n, c in re.findall(r"'([a-z ]+)': +'(#[0-9a-f]{6})'", text)}
    return {n: c for n, c in names.items() if not holds_probe(n) and not UNFIT & set(split(n))}


def build(net: WordNet) -> Lexicon:
    """WordNet's word on every lemma, overruled by the hand-written lists and the colour names."""
    words = from_wordnet(net)
    phrases: dict[str, np.ndarray] = {}
    hues = {w: n for w, n in listed(strong_only=True).items() if n in PALETTES}
    for name, colour in colour_names().items():
        found = colour_attributes(colour)
        if " " in name:
            _evidence(_head(name), hues, 1.0, found)
            phrases[name] = found
        elif name not in words:
            words[name] = found
    sure = listed(strong_only=True)
    for word, name in listed().items():
        own = np.zeros(len(NAMES), np.float32)
        own[NAMES.index(name)] = 1.0 if word in sure else 0.8
        words[word] = own if word in sure else np.maximum(own, words.get(word, own))
    return Lexicon(words, phrases)

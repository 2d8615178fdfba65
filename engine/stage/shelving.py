"""Where every memory's sphere stands on the shelves, and how it gets there.

Usage: `shelving = Shelving(); shelving.arrange(spheres, now_s); shelving.move(now_s); shelving.at  # (n, 3)`.
Numbers only: numpy, no OpenGL. Lengths in diameters of a sphere.

The hall is an aisle between two walls of shelves, bending gently. Along it runs `s`, from the front (0) into the past;
across it `aside`, right positive; `height` is counted from the eye. Every kind has a shelf of its own, at eye level
first, right and left in turn; a shelf that fills gets more boards, so that it stays a shelf and not a mile of it.
"""

import math

import numpy as np

# place: the order along its kind's shelf. colour: the mean of its picture, sRGB; black while it is not known.
SPHERE = np.dtype([("id", "i8"), ("kind", "i4"), ("place", "f4"), ("strength", "f4"), ("colour", "u1", 3)])
MOST = 16_384  # spheres on the shelves; of more memories, the strongest
BOARDS = 20  # of one wall
PITCH, BOARD_PITCH = 1.24, 1.62  # between spheres along a board, and between boards
AISLE = 4.6  # from the middle to the spheres
RADIUS = 0.5
COLUMNS = 12.0  # a shelf gets another board when it is so many times longer than it has boards
FRONT = -4.0  # s where the newest picture hovers
ROLL_S, ROLL_PER_LENGTH_S, LONGEST_ROLL_S = 3.0, 0.08, 7.0
DUST_REACH = 34.0
PASSING = 1.1  # how far before the others one that is on its way rolls
COMES_FROM = 28.0  # a new one rolls this far at most


def path(s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The aisle's middle at s: x, and the unit tangent's (x, z). z is s."""
    s = np.asarray(s, np.float32)
    x = 10.0 * np.sin(s / 34.0) + 3.5 * (np.sin(s / 15.0 + 2.0) - math.sin(2.0))
    slope = 10.0 / 34.0 * np.cos(s / 34.0) + 3.5 / 15.0 * np.cos(s / 15.0 + 2.0)
    norm = 1.0 / np.sqrt(1.0 + slope * slope)
    return x, slope * norm, norm


def world(way: np.ndarray) -> np.ndarray:
    """(n, 3) s, aside, height -> (n, 3) x, y, z."""
    x, tx, tz = path(way[:, 0])
    return np.stack([x + way[:, 1] * tz, way[:, 2], way[:, 0] - way[:, 1] * tx], 1)


def boards_of(counts: np.ndarray, before: np.ndarray | None = None) -> np.ndarray:
    """(kinds,) boards of each shelf, from how many spheres it holds; together no more than there are, if they can.

    before: what each had, 0 for a new one. A shelf is not built anew for a trifle.
    """
    wanted = np.sqrt(np.maximum(counts, 1) / COLUMNS)
    share = 1.0
    while True:
        boards = np.maximum(np.ceil(wanted * share), 1).astype(int)
        if before is not None:
            boards = np.where((boards < before) & (before < wanted * share + 1.3), before, boards)
        fits = len(boards) == 0 or (boards.max() <= BOARDS and -1 not in slots(boards)[1])
        if fits or boards.max(initial=1) == 1:
            return boards
        share *= 0.94
        before = None


def slots(boards: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(kinds,) side, -1 or 1, and the lowest board of each shelf: at eye level first, then above and below.

    One that there is no room for has the board -1.
    """
    free = {
        1: (BOARDS // 2, BOARDS // 2),
        -1: (BOARDS // 2, BOARDS // 2),
    }  # what is taken: from this board to below that
    side, lowest = np.empty(len(boards), int), np.empty(len(boards), int)
    for k, count in enumerate(np.minimum(boards, BOARDS).tolist()):
        places = []
        for wall, (low, high) in free.items():
            if low == high:  # the first of a wall lies around the eye
                places.append((0, -wall, min(max(low - count // 2, 0), BOARDS - count)))
                continue
            if high + count <= BOARDS:
                places.append((high - BOARDS // 2, -wall, high))
            if low - count >= 0:
                places.append((BOARDS // 2 - low, -wall, low - count))
        if not places:  # more kinds than boards: they share
            side[k], lowest[k] = 1, -1
            continue
        _, minus, at = min(places)
        low, high = free[-minus]
        free[-minus] = (at, at + count) if low == high else (min(low, at), max(high, at + count))
        side[k], lowest[k] = -minus, at
    return side, lowest


def height_of(board: np.ndarray) -> np.ndarray:
    """Height of the spheres' middles on a board."""
    return (board - (BOARDS - 1) / 2) * BOARD_PITCH


class Shelving:
    """All spheres: their numbers, and where each is at present. They are kept in order of their ids."""

    def __init__(self) -> None:
        self.ids = np.empty(0, np.int64)
        self.strength = np.empty(0, np.float32)
        self.colour = np.empty((0, 3), np.uint8)
        self.at = np.empty((0, 3), np.float32)  # s, aside, height
        self.world = np.empty((0, 3), np.float32)
        self.rolled = np.empty(0, np.float32)  # radians
        self.length = 0.0  # up to where most shelves are filled
        self._goal = np.empty((0, 3), np.float32)
        self._from = np.empty((0, 3), np.float32)
        self._start_s = np.empty(0)
        self._took_s = np.empty(0)
        self._boards: dict[int, int] = {}  # of each kind
        self._moving = np.empty(0, int)

    def arrange(self, spheres: np.ndarray, now_s: float) -> np.ndarray:
        """Take a new list of spheres (dtype SPHERE); returns (n,) which each was before, -1 for a new one.

        The first list stands where it belongs; from then on spheres roll to their places.
        """
        if len(spheres) > MOST:
            keep = np.argpartition(-spheres["strength"], MOST)[:MOST]
            spheres = spheres[keep]
        spheres = spheres[np.unique(spheres["id"], return_index=True)[1]]
        goal = self._places(spheres)
        first = not self.ids.size
        old = np.searchsorted(self.ids, spheres["id"])
        known = np.append(self.ids, np.iinfo(np.int64).max)[old] == spheres["id"]
        old = np.where(known, old, -1)
        begin = goal.copy()
        if not first:
            begin[known] = self.at[old[known]]
            new = ~known
            begin[new, 0] = np.maximum(goal[new, 0] - COMES_FROM, min(FRONT, 0.0))
        self.rolled = np.where(known, np.append(self.rolled, 0.0)[old], 0.0).astype(np.float32)
        distance = np.linalg.norm(goal - begin, axis=1)
        changed = distance > 1e-4
        if not first:  # on its way there already: go on
            same = known & (np.abs(np.append(self._goal, [[np.inf] * 3], 0)[old] - goal).max(1, initial=0.0) < 1e-4)
        else:
            same = np.zeros(len(spheres), bool)
        self._start_s = np.where(same, np.append(self._start_s, 0.0)[old], now_s)
        self._took_s = np.where(
            same,
            np.append(self._took_s, 0.0)[old],
            np.where(changed, np.minimum(ROLL_S + ROLL_PER_LENGTH_S * distance, LONGEST_ROLL_S), 0.0),
        )
        self._from = np.where(same[:, None], np.append(self._from, [[0.0] * 3], 0)[old], begin).astype(np.float32)
        self.ids, self.strength = spheres["id"].copy(), np.clip(spheres["strength"], 0.0, 1.0)
        self.colour = spheres["colour"].copy()
        self._goal, self.at = goal, begin.astype(np.float32)
        self.world = world(self.at)
        self._moving = np.flatnonzero(changed)
        self.length = float(np.percentile(goal[:, 0], 80)) if len(goal) else 0.0
        return old

    def move(self, now_s: float) -> None:
        """Bring every sphere that is on its way to where it is now."""
        on = self._moving
        if not on.size:
            return
        part = np.clip((now_s - self._start_s[on]) / np.maximum(self._took_s[on], 1e-6), 0.0, 1.0)
        ease = (part * part * part * (part * (6 * part - 15) + 10)).astype(np.float32)[:, None]
        # Up to its board first, along it afterwards.
        lift = np.clip(ease * 2.5, 0.0, 1.0)
        share = np.concatenate([ease, lift * lift * (3 - 2 * lift), lift * lift * (3 - 2 * lift)], 1)
        now = self._from[on] + (self._goal[on] - self._from[on]) * share
        # Before the others and not through them.
        aside = np.clip(ease[:, 0] * 5.0, 0.0, 1.0) * np.clip((1.0 - ease[:, 0]) * 9.0, 0.0, 1.0)
        far = np.abs(self._goal[on, 0] - self._from[on, 0]) > PITCH
        now[:, 1] -= np.sign(self._goal[on, 1]) * PASSING * aside * aside * (3.0 - 2.0 * aside) * far
        self.rolled[on] += (now[:, 0] - self.at[on, 0]) / RADIUS
        self.at[on] = now
        self.world[on] = world(now)
        self._moving = on[part < 1.0]

    def index(self, identity: int) -> int | None:
        """Number of the sphere with that id."""
        place = int(np.searchsorted(self.ids, identity))
        return place if place < len(self.ids) and self.ids[place] == identity else None

    def _places(self, spheres: np.ndarray) -> np.ndarray:
        """(n, 3) where each belongs."""
        kinds, kind, counts = np.unique(spheres["kind"], return_inverse=True, return_counts=True)
        before = np.array([self._boards.get(k, 0) for k in kinds.tolist()], int)
        boards = boards_of(counts, before)
        self._boards = dict(zip(kinds.tolist(), boards.tolist(), strict=True))
        side, lowest = slots(boards)
        homeless = np.flatnonzero(lowest < 0)  # more kinds than boards
        for part in (side, lowest):
            part[homeless] = part[homeless % (2 * BOARDS)]
        # Kinds beyond the last shelf share one, so ranks are counted by shelf and not by kind.
        shelf = (side[kind] + 1) * BOARDS + lowest[kind]
        order = np.lexsort((spheres["place"], shelf))
        ordered = shelf[order]
        begins = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])) if len(order) else np.empty(0, int)
        rank = np.empty(len(spheres), int)
        rank[order] = np.arange(len(order)) - np.repeat(begins, np.diff(np.append(begins, len(order))))
        board = lowest[kind] + (boards[kind] - 1 - rank % boards[kind])
        return np.stack([rank // boards[kind] * PITCH, side[kind] * AISLE, height_of(board)], 1).astype(np.float32)


class Dust:
    """Motes in the aisle around the camera, restless as grains in water: their way is a function of time."""

    def __init__(self, count: int = 240, seed: int = 7) -> None:
        rng = np.random.default_rng(seed)
        self._home = rng.uniform(0.0, 1.0, (count, 3)).astype(np.float32)
        self._rate = rng.uniform(0.05, 0.45, (3, count, 3)).astype(np.float32)
        self._phase = rng.uniform(0.0, 2.0 * math.pi, (3, count, 3)).astype(np.float32)
        self.radius = rng.uniform(0.007, 0.020, count).astype(np.float32)

    def world(self, s: float, time_s: float) -> np.ndarray:
        """(count, 3) where they are, around that place along the aisle."""
        time_s %= 3600.0
        jitter = sum(np.sin(self._rate[k] * (k + 1) * time_s + self._phase[k]) / (k + 1) for k in range(3))
        way = np.empty_like(self._home)
        way[:, 0] = s + ((self._home[:, 0] * DUST_REACH - s) % DUST_REACH) - 2.0
        way[:, 1] = (self._home[:, 1] * 2.0 - 1.0) * (AISLE - 1.2)
        way[:, 2] = (self._home[:, 2] * 2.0 - 1.0) * 5.0
        return world(way + 0.4 * np.asarray(jitter, np.float32))

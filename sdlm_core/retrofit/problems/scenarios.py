"""The settings of the word problems: who does what with which things. Data only; `words.py` tells them.

Each move happens at most once and none leans on another. All numbers are at
least 2 and every noun is a plural.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """A piece of a story: numbers to draw, ways to say it, and one solution line a step."""

    numbers: str
    say: tuple[str, ...]
    work: tuple[str, ...]


@dataclass(frozen=True)
class Scenario:
    """A setting. `slots` are interchangeable words, `ask` the question when no closing asks one."""

    name: str
    slots: dict[str, tuple[str, ...]]
    openings: tuple[Part, ...]
    moves: tuple[Part, ...]
    closings: tuple[Part, ...]
    ask: tuple[str, ...]
    in_order: bool = False  # the moves name days or seasons and keep their order

    @property
    def parts(self) -> tuple[Part, ...]:
        return self.openings + self.moves + self.closings


def _part(numbers: str, say: str, *work: str) -> Part:
    """`say` holds its alternatives separated by "|"."""
    return Part(numbers, tuple(way.strip() for way in say.split("|")), work)


def _ask(text: str) -> tuple[str, ...]:
    return tuple(way.strip() for way in text.split("|"))


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(","))


# Parts that many scenarios share.
SHARE = _part(
    "x:2-9|t",
    "{She} shares them equally among {x} friends. How many {items} does each friend get?"
    " | {She} splits them equally between {x} people. How many {items} does each person get?",
    "Each one gets [r = t / x] {items}.",
)
GIVE = _part(
    "x:2-30",
    "{She} gives {x} {items} to {M}. | Then {M} gets {x} of the {items} from {N}.",
    "After giving {x} to {M}, {she} has [r = t - x] {items} left.",
)
RECEIVE = _part(
    "x:2-30",
    "{M} gives {N} {x} more {items}. | {N} gets {x} more {items} from {M}.",
    "With {x} more from {M}, {she} has [r = t + x] {items}.",
)
LOSE = _part(
    "x:2-15",
    "{N} loses {x} {items}. | Then {x} of the {items} get lost.",
    "After losing {x}, {she} has [r = t - x] {items} left.",
)
FIND = _part(
    "x:2-25",
    "{N} finds {x} more {items} in a drawer. | In a drawer {she} finds {x} more {items}.",
    "With the {x} from the drawer, {she} has [r = t + x] {items}.",
)
EARN = _part(
    "x:3-40",
    "{N} gets {x} dollars from an aunt. | An aunt gives {N} {x} dollars.",
    "With {x} dollars from the aunt, {she} has [r = t + x] dollars.",
)
SPEND = _part(
    "x:3-40",
    "{She} spends {x} dollars on a gift. | {N} pays {x} dollars for a gift.",
    "After the gift, {she} has [r = t - x] dollars left.",
)
HAVE_NOW = _ask("How many {items} does {she} have now? | How many {items} does {N} have in the end?")
MONEY_NOW = _ask("How many dollars does {she} have now? | How many dollars does {N} have in the end?")
TICKETS = _part(
    "x:2-5 y:4-12",
    "{She} buys {x} tickets for {y} dollars each. | Then {she} pays for {x} tickets that cost {y} dollars each.",
    "The tickets cost [p = x * y] dollars.",
    "After the tickets, {she} has [r = t - p] dollars left.",
)

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "school supplies",
        {"items": _words("pencils, pens, markers, erasers, crayons, notebooks"), "packs": _words("packs, boxes, sets")},
        (
            _part(
                "x:2-9 y:3-12",
                "{N} buys {x} {packs} of {y} {items}. | {N} gets {x} {packs} with {y} {items} in each.",
                "{N} buys {x} {packs} of {y}, so {she} gets [r = x * y] {items}.",
            ),
        ),
        (
            GIVE,
            FIND,
            LOSE,
            _part(
                "x:2-6 y:3-10",
                "Then {she} buys {x} more {packs} of {y} {items}. | Later {N} buys another {x} {packs} of {y} {items}.",
                "The new {packs} hold [p = x * y] {items}.",
                "Together, {she} has [r = t + p] {items}.",
            ),
        ),
        (
            SHARE,
            _part(
                "x:2-9|t",
                "{She} puts the {items} into {x} cups, the same number in each. How many {items} are in each cup?",
                "Each cup holds [r = t / x] {items}.",
            ),
        ),
        HAVE_NOW,
    ),
    Scenario(
        "baking",
        {"items": _words("cookies, muffins, cupcakes, brownies, rolls, tarts")},
        (
            _part(
                "x:2-8 y:4-12",
                "{N} bakes {x} trays of {y} {items}. | {N} bakes {x} trays with {y} {items} on each tray.",
                "{N} bakes {x} trays of {y}, so {she} has [r = x * y] {items}.",
            ),
        ),
        (
            _part(
                "x:2-25",
                "{She} sells {x} of them. | Then {x} of the {items} are sold.",
                "After selling {x}, {she} has [r = t - x] {items} left.",
            ),
            _part(
                "x:2-12",
                "The family eats {x} {items}. | At home {x} {items} are eaten.",
                "After {x} are eaten, {she} has [r = t - x] {items} left.",
            ),
            _part(
                "x:2-25",
                "{M} brings {x} more {items}. | Then {M} adds {x} {items}.",
                "With {x} more from {M}, {she} has [r = t + x] {items}.",
            ),
            _part(
                "x:2-5 y:4-10",
                "In the evening {she} bakes {x} more trays of {y} {items}.",
                "The new trays hold [p = x * y] {items}.",
                "Together, {she} has [r = t + p] {items}.",
            ),
        ),
        (
            _part(
                "x:2-9|t",
                "{She} packs them in {x} equal boxes. How many {items} are in each box?"
                " | All of them go into {x} boxes, the same number in each. How many {items} does each box hold?",
                "Each box holds [r = t / x] {items}.",
            ),
            _part(
                "x:2-5",
                "{She} sells the rest for {x} dollars each. How many dollars does {she} get?",
                "At {x} dollars each, {she} gets [r = t * x] dollars.",
            ),
        ),
        _ask("How many {items} are left? | How many {items} does {N} have now?"),
    ),
    Scenario(
        "weekly savings",
        {"week": _words("week, month, day")},
        (
            _part(
                "x:3-12 y:2-9",
                "{N} saves {x} dollars every {week} for {y} {week}s."
                " | Every {week} {N} puts {x} dollars in a jar, for {y} {week}s.",
                "In {y} {week}s, {N} saves [r = y * x] dollars.",
            ),
        ),
        (EARN, SPEND, TICKETS),
        (
            _part(
                "x:2-8|t",
                "{She} wants to spend the money evenly over {x} days. How many dollars is that a day?",
                "For each day, {she} has [r = t / x] dollars.",
            ),
            _part(
                "x:60-150/5",
                "{She} wants a bike that costs {x} dollars. How many more dollars does {she} need?",
                "For the bike, {she} still needs [r = x - t] dollars.",
            ),
        ),
        MONEY_NOW,
    ),
    Scenario(
        "reading",
        {"book": _words("book, novel, comic book")},
        (
            _part(
                "x:4-12 y:2-9",
                "{N} reads {x} pages a day for {y} days. | For {y} days, {N} reads {x} pages of a {book} every day.",
                "In {y} days, {N} reads [r = y * x] pages.",
            ),
            _part(
                "x:10-40 y:10-40",
                "{N} reads {x} pages on Monday and {y} pages on Tuesday.",
                "In the two days, {N} reads [r = x + y] pages.",
            ),
        ),
        (
            _part(
                "x:5-30",
                "On Saturday {she} reads {x} more pages. | Then {she} reads {x} pages on Saturday.",
                "With Saturday, {she} has read [r = t + x] pages.",
            ),
            _part(
                "x:5-30",
                "On Sunday {she} reads another {x} pages.",
                "With Sunday, {she} has read [r = t + x] pages.",
            ),
            _part(
                "x:2-5 y:5-12",
                "On holiday {she} reads {x} chapters of {y} pages each.",
                "The chapters have [p = x * y] pages.",
                "Together, {she} has read [r = t + p] pages.",
            ),
        ),
        (
            _part(
                "x:90-190/10",
                "The {book} has {x} pages. How many pages are left to read?",
                "In the {book}, there are [r = x - t] pages left.",
            ),
            _part(
                "x:2-9|t",
                "{N} spent {x} hours reading, always at the same speed. How many pages did {she} read an hour?",
                "In one hour, {she} read [r = t / x] pages.",
            ),
        ),
        _ask("How many pages has {she} read? | How many pages did {N} read in all?"),
        in_order=True,
    ),
    Scenario(
        "road trip",
        {"by": _words("drives, rides, travels")},
        (
            _part(
                "x:2-5 y:10-50/10",
                "{N} {by} for {x} hours at {y} km an hour. | For {x} hours {N} {by} {y} km every hour.",
                "In {x} hours, {N} {by} [r = x * y] km.",
            ),
            _part(
                "x:10-60 y:10-60",
                "{N} {by} {x} km in the morning and {y} km in the afternoon.",
                "In the day, {N} {by} [r = x + y] km.",
            ),
        ),
        (
            _part(
                "x:5-40",
                "Then {she} {by} {x} km more to see {M}. | To see {M}, {she} {by} another {x} km.",
                "With the way to {M}, that makes [r = t + x] km.",
            ),
            _part(
                "x:5-30",
                "After lunch {she} {by} {x} km to a lake.",
                "With the way to the lake, that makes [r = t + x] km.",
            ),
            _part(
                "x:2-4 y:5-12",
                "In town {she} {by} {x} rounds of {y} km each.",
                "The rounds are [p = x * y] km.",
                "Together, that makes [r = t + p] km.",
            ),
        ),
        (
            _part(
                "x:120-190/5",
                "The whole trip is {x} km. How many km are left?",
                "Of the trip, there are [r = x - t] km left.",
            ),
            _part(
                "x:2-6|t",
                "All of it was spread evenly over {x} days. How many km is that a day?",
                "On each day, that is [r = t / x] km.",
            ),
        ),
        _ask("How many km is that in all? | How many km did {N} go in total?"),
    ),
    Scenario(
        "farm harvest",
        {"items": _words("apples, pears, melons, pumpkins, peaches, cabbages"), "crates": _words("crates, baskets, sacks")},
        (
            _part(
                "x:2-9 y:4-12",
                "{N} fills {x} {crates} with {y} {items} each."
                " | A farmer named {N} picks {x} {crates} of {y} {items}.",
                "{x} {crates} of {y} make [r = x * y] {items}.",
            ),
            _part(
                "x:10-45 y:10-45",
                "{N} picks {x} {items} from one field and {y} {items} from another.",
                "From both fields, {N} has [r = x + y] {items}.",
            ),
        ),
        (
            _part(
                "x:2-30",
                "{She} sells {x} {items} at the market. | At the market {x} of the {items} are sold.",
                "After selling {x}, {she} has [r = t - x] {items} left.",
            ),
            _part(
                "x:2-12",
                "Then {x} {items} go bad. | {She} throws away {x} bad {items}.",
                "Without the {x} bad ones, {she} has [r = t - x] {items} left.",
            ),
            _part(
                "x:3-25",
                "The next day {she} picks {x} more {items}.",
                "With {x} more, {she} has [r = t + x] {items}.",
            ),
            _part(
                "x:2-5 y:3-10",
                "A neighbor brings {x} bags of {y} {items}.",
                "The bags hold [p = x * y] {items}.",
                "Together, {she} has [r = t + p] {items}.",
            ),
        ),
        (
            _part(
                "x:2-9|t",
                "{She} packs them in {x} boxes, the same number in each. How many {items} are in each box?",
                "Each box holds [r = t / x] {items}.",
            ),
            _part(
                "x:2-4",
                "{She} sells the rest for {x} dollars each. How many dollars does {she} get?",
                "At {x} dollars each, {she} gets [r = t * x] dollars.",
            ),
        ),
        _ask("How many {items} does {she} have now? | How many {items} are left?"),
    ),
    Scenario(
        "classroom",
        {"items": _words("students, children, dancers, singers")},
        (
            _part(
                "x:2-8 y:4-10",
                "In a school hall there are {x} rows of {y} {items}. | In a hall there are {x} rows with {y} {items} each.",
                "{x} rows of {y} make [r = x * y] {items}.",
            ),
        ),
        (
            _part("x:2-25", "Then {x} more {items} come in.", "With {x} more, there are [r = t + x] {items}."),
            _part("x:2-20", "After that, {x} {items} go to another room.",
                  "Without the {x} in another room, there are [r = t - x] {items}."),
            _part(
                "x:2-4 y:3-9",
                "From the next building come {x} groups of {y} {items}.",
                "The groups have [p = x * y] {items}.",
                "Together, there are [r = t + p] {items}.",
            ),
        ),
        (
            _part(
                "x:2-9|t",
                "Now they form {x} equal circles. How many {items} are in each circle?",
                "Each circle has [r = t / x] {items}.",
            ),
        ),
        _ask("How many {items} are in the hall now? | How many {items} are there in the hall in the end?"),
    ),
    Scenario(
        "recipe",
        {"items": _words("eggs, carrots, tomatoes, potatoes, onions, lemons"), "dish": _words("soups, cakes, salads, pies")},
        (
            _part(
                "x:2-8 y:2-9",
                "{N} makes {x} {dish} and needs {y} {items} for each."
                " | One recipe needs {y} {items}. {N} makes it {x} times.",
                "For {x} times {y}, {she} needs [r = x * y] {items}.",
            ),
        ),
        (
            _part(
                "x:2-15",
                "{She} also needs {x} {items} for a sauce.",
                "With the sauce, {she} needs [r = t + x] {items}.",
            ),
            _part(
                "x:2-15",
                "{M} wants {x} {items} too, and {N} gets them as well.",
                "With those for {M}, {she} needs [r = t + x] {items}.",
            ),
            _part(
                "x:2-12",
                "There are already {x} {items} in the kitchen, so {she} needs fewer.",
                "Without the {x} in the kitchen, {she} needs [r = t - x] {items}.",
            ),
            _part(
                "x:2-4 y:2-8",
                "For a party {she} needs {x} bowls with {y} {items} each.",
                "The bowls need [p = x * y] {items}.",
                "Together, {she} needs [r = t + p] {items}.",
            ),
        ),
        (
            _part(
                "x:2-9|t",
                "The {items} come in bags of {x}. How many bags must {she} buy?",
                "{She} must buy [r = t / x] bags.",
            ),
            _part(
                "x:2-4",
                "Each of them costs {x} dollars. How many dollars does {she} pay?",
                "At {x} dollars each, {she} pays [r = t * x] dollars.",
            ),
        ),
        _ask("How many {items} must {she} buy? | How many {items} does {N} need to buy?"),
    ),
    Scenario(
        "points in a game",
        {"game": _words("a card game, a video game, a quiz, a board game")},
        (
            _part(
                "x:2-9 y:3-12",
                "In {game}, {N} wins {x} rounds and gets {y} points for each."
                " | {N} plays {game} and wins {x} rounds of {y} points each.",
                "{x} rounds of {y} points make [r = x * y] points.",
            ),
            _part(
                "x:10-50 y:10-50",
                "In {game}, {N} scores {x} points and then {y} points.",
                "In the first two turns, {N} gets [r = x + y] points.",
            ),
        ),
        (
            _part("x:5-30", "{She} gets a bonus of {x} points.", "With the bonus, {she} has [r = t + x] points."),
            _part("x:2-20", "For a mistake {she} loses {x} points.", "After the mistake, {she} has [r = t - x] points."),
            _part(
                "x:2-5 y:4-12",
                "Then {she} finds {x} stars worth {y} points each.",
                "The stars give [p = x * y] points.",
                "Together, {she} has [r = t + p] points.",
            ),
            _part("x:2-25", "{M} takes {x} points from {N}.", "After {M} takes {x}, {she} has [r = t - x] points."),
        ),
        (
            _part("x:2-3", "In the last round {her} points are multiplied by {x}. How many points does {she} have then?",
                  "In the last round, {she} gets to [r = t * x] points."),
            _part("x:3-40", "{M} has {x} points more than {N}. How many points does {M} have?",
                  "{M} has [r = t + x] points."),
        ),
        _ask("How many points does {she} have now? | How many points does {N} have in the end?"),
    ),
    Scenario(
        "stickers",
        {"items": _words("stickers, stamps, cards, postcards, photos"), "album": _words("album, folder, binder")},
        (
            _part(
                "x:3-9 y:4-12",
                "{N} has an album with {x} pages and {y} {items} on each page."
                " | There are {x} pages with {y} {items} each in the album of {N}.",
                "{x} pages of {y} make [r = x * y] {items}.",
            ),
            _part(
                "x:10-50 y:10-50",
                "{N} has {x} old {items} and {y} new {items}.",
                "Old and new, {N} has [r = x + y] {items}.",
            ),
        ),
        (GIVE, RECEIVE, LOSE,
            _part(
                "x:2-6 y:3-10",
                "Then {she} buys {x} packets of {y} {items}.",
                "The packets hold [p = x * y] {items}.",
                "Together, {she} has [r = t + p] {items}.",
            )),
        (SHARE,),
        HAVE_NOW,
    ),
    Scenario(
        "garden",
        {"items": _words("roses, tulips, daisies, lilies, sunflowers")},
        (
            _part(
                "x:2-9 y:3-12",
                "{N} plants {x} rows of {y} {items}. | In the garden {N} plants {x} rows with {y} {items} each.",
                "{x} rows of {y} make [r = x * y] {items}.",
            ),
        ),
        (
            _part("x:2-15", "A storm breaks {x} of them. | Then {x} of the {items} break in a storm.",
                  "After the storm, there are [r = t - x] {items} left."),
            _part("x:2-20", "{She} picks {x} {items} for {her} mother.",
                  "Without the {x} for {her} mother, there are [r = t - x] {items} left."),
            _part("x:3-25", "In spring {she} plants {x} more {items}.", "With {x} more, there are [r = t + x] {items}."),
            _part(
                "x:2-5 y:3-10",
                "{M} plants {x} beds of {y} {items} next to them.",
                "The beds of {M} have [p = x * y] {items}.",
                "Together, there are [r = t + p] {items}.",
            ),
        ),
        (
            _part("x:2-9|t", "{She} cuts all of them and ties {x} equal bunches. How many {items} are in each bunch?",
                  "Each bunch has [r = t / x] {items}."),
        ),
        _ask("How many {items} are in the garden now? | How many {items} are there in the end?"),
    ),
    Scenario(
        "library",
        {"items": _words("books, magazines, comics, maps")},
        (
            _part(
                "x:3-9 y:5-12",
                "A library has {x} shelves with {y} {items} each. | On each of {x} shelves in a library are {y} {items}.",
                "{x} shelves of {y} make [r = x * y] {items}.",
            ),
            _part(
                "x:15-60 y:10-50",
                "A library has {x} {items} upstairs and {y} {items} downstairs.",
                "Upstairs and downstairs, there are [r = x + y] {items}.",
            ),
        ),
        (
            _part("x:3-30", "On Monday {x} {items} are borrowed.", "After Monday, there are [r = t - x] {items}."),
            _part("x:3-30", "On Tuesday {x} {items} are brought back.", "After Tuesday, there are [r = t + x] {items}."),
            _part("x:2-15", "On Friday the library throws away {x} old {items}.",
                  "After Friday, there are [r = t - x] {items}."),
            _part(
                "x:2-5 y:4-10",
                "The library gets {x} boxes of {y} new {items}.",
                "The boxes hold [p = x * y] {items}.",
                "With them, there are [r = t + p] {items}.",
            ),
        ),
        (
            _part("x:2-9|t", "The {items} are then put on {x} tables, the same number on each. How many are on each table?",
                  "Each table has [r = t / x] {items}."),
        ),
        _ask("How many {items} does the library have now? | How many {items} are in the library in the end?"),
        in_order=True,
    ),
    Scenario(
        "bus",
        {"bus": _words("bus, train, boat, tram")},
        (
            _part("x:10-40 y:5-30", "A {bus} starts with {x} people, and {y} people get on at the first stop.",
                  "After the first stop, there are [r = x + y] people."),
            _part("x:3-9 y:3-8", "A {bus} has {x} rows with {y} people in each row.",
                  "{x} rows of {y} make [r = x * y] people."),
        ),
        (
            _part("x:2-20", "At the park {x} people get off.", "After the park, there are [r = t - x] people."),
            _part("x:2-25", "At the school {x} people get on.", "After the school, there are [r = t + x] people."),
            _part("x:2-20", "At the museum {x} people get off.", "After the museum, there are [r = t - x] people."),
            _part("x:2-5 y:2-6", "At the hotel {x} families of {y} people get on.",
                  "The families have [p = x * y] people.",
                  "After the hotel, there are [r = t + p] people."),
        ),
        (
            _part("x:50-120/5", "The {bus} has {x} seats. How many seats are free?",
                  "On the {bus}, there are [r = x - t] free seats."),
            _part("x:2-4", "Each person pays {x} dollars. How many dollars is that in all?",
                  "At {x} dollars each, that is [r = t * x] dollars."),
        ),
        _ask("How many people are on the {bus} now? | How many people are on the {bus} in the end?"),
    ),
    Scenario(
        "two things at a shop",
        {"items": _words("books, shirts, toys, plates, caps"), "others": _words("cups, pens, lamps, socks, brushes")},
        (
            _part(
                "x:2-6 y:3-12 z:2-6 w:3-12",
                "{N} buys {x} {items} for {y} dollars each and {z} {others} for {w} dollars each."
                " | {N} buys {x} {items} at {y} dollars each. {She} also buys {z} {others} at {w} dollars each.",
                "The {items} cost [p = x * y] dollars.",
                "The {others} cost [q = z * w] dollars.",
                "Together, they cost [r = p + q] dollars.",
            ),
            _part(
                "x:2-9 y:3-12",
                "{N} buys {x} {items} for {y} dollars each. | {N} pays {y} dollars each for {x} {items}.",
                "The {items} cost [r = x * y] dollars.",
            ),
        ),
        (
            _part("x:2-15", "{She} has a coupon for {x} dollars off. | A coupon takes {x} dollars off.",
                  "With the coupon, {she} pays [r = t - x] dollars."),
            _part("x:4-30", "{She} also buys a bag for {x} dollars.", "With the bag, {she} pays [r = t + x] dollars."),
            _part("x:2-12", "Delivery costs {x} dollars more.", "With delivery, {she} pays [r = t + x] dollars."),
        ),
        (
            _part("x:50-150/10", "{She} pays with {x} dollars. How many dollars does {she} get back?",
                  "{She} gets back [r = x - t] dollars."),
            _part("x:2-6|t", "{She} splits the cost equally with friends, {x} people in all. How many dollars does each pay?",
                  "Each one pays [r = t / x] dollars."),
        ),
        _ask("How many dollars does {she} pay? | How many dollars does {N} pay in all?"),
    ),
    Scenario(
        "times as many",
        {"items": _words("shells, marbles, coins, stones, beads, buttons")},
        (
            _part(
                "x:4-20 y:2-5",
                "{M} has {x} {items}. {N} has {y} times as many."
                " | {N} has {y} times as many {items} as {M}, who has {x}.",
                "{N} has {y} times as many as {M}, so {she} has [r = y * x] {items}.",
            ),
            _part(
                "x:10-50 y:4-30",
                "{M} has {x} {items}. {N} has {y} more than {M}.",
                "{N} has {y} more than {M}, so {she} has [r = x + y] {items}.",
            ),
        ),
        (
            _part("x:2-25", "Then {N} finds {x} more {items}.", "With {x} more, {she} has [r = t + x] {items}."),
            _part("x:2-15", "{N} drops {x} {items} in the grass.", "Without the {x} in the grass, {she} has [r = t - x] {items}."),
            _part("x:2-5 y:3-9", "A friend gives {N} {x} bags of {y} {items}.",
                  "The bags hold [p = x * y] {items}.",
                  "Together, {she} has [r = t + p] {items}."),
        ),
        (
            _part("x:2-9|t", "{N} puts {her} {items} in {x} equal piles. How many {items} are in each pile?",
                  "Each pile has [r = t / x] {items}."),
        ),
        HAVE_NOW,
    ),
    Scenario(
        "sports training",
        {"runs": _words("runs, swims, rows"), "laps": _words("laps, rounds")},
        (
            _part("x:3-12 y:2-9", "{N} {runs} {x} {laps} a day for {y} days. | For {y} days {N} {runs} {x} {laps} every day.",
                  "In {y} days, {N} {runs} [r = y * x] {laps}."),
            _part("x:5-30 y:5-30", "{N} {runs} {x} {laps} on Monday and {y} {laps} on Tuesday.",
                  "In the two days, {N} {runs} [r = x + y] {laps}."),
        ),
        (
            _part("x:3-20", "On Saturday {she} {runs} {x} {laps} more.", "With Saturday, that makes [r = t + x] {laps}."),
            _part("x:3-20", "On Sunday {she} {runs} {x} {laps} with {M}.", "With Sunday, that makes [r = t + x] {laps}."),
            _part("x:2-4 y:3-8", "At a contest {she} {runs} {x} races of {y} {laps}.",
                  "The races are [p = x * y] {laps}.",
                  "Together, that makes [r = t + p] {laps}."),
        ),
        (
            _part("x:80-150/10", "The goal is {x} {laps}. How many {laps} are missing?",
                  "To the goal, there are [r = x - t] {laps} missing."),
            _part("x:2-5", "Each of the {laps} takes {x} minutes. How many minutes is that in all?",
                  "At {x} minutes each, that is [r = t * x] minutes."),
        ),
        _ask("How many {laps} is that in all? | How many {laps} did {N} do in total?"),
        in_order=True,
    ),
    Scenario(
        "paid work",
        {"job": _words("washes cars, walks dogs, mows lawns, cleans windows, paints fences")},
        (
            _part("x:2-9 y:4-12", "{N} {job} for {x} hours and earns {y} dollars an hour."
                  " | For {y} dollars an hour {N} {job}, {x} hours in all.",
                  "In {x} hours, {N} earns [r = x * y] dollars."),
            _part("x:10-45 y:10-45", "{N} {job} and earns {x} dollars on Friday and {y} dollars on Saturday.",
                  "In the two days, {N} earns [r = x + y] dollars."),
        ),
        (
            EARN,
            SPEND,
            TICKETS,
            _part("x:2-15", "{She} pays {x} dollars for the bus.",
                  "After the bus, {she} has [r = t - x] dollars left."),
        ),
        (
            _part("x:2-5|t", "{She} puts the money in {x} jars, the same in each. How many dollars are in each jar?",
                  "Each jar holds [r = t / x] dollars."),
            _part("x:100-180/10", "{She} wants to buy a phone for {x} dollars. How many more dollars does {she} need?",
                  "For the phone, {she} still needs [r = x - t] dollars."),
        ),
        MONEY_NOW,
    ),
    Scenario(
        "aquarium",
        {"items": _words("goldfish, shrimp, guppies, snails, crabs")},
        (
            _part("x:2-8 y:3-12", "A pet shop has {x} tanks with {y} {items} in each. | In a pet shop, {x} tanks hold {y} {items} each.",
                  "{x} tanks of {y} make [r = x * y] {items}."),
        ),
        (
            _part("x:2-20", "On Monday the shop sells {x} {items}.", "After Monday, there are [r = t - x] {items}."),
            _part("x:2-20", "On Tuesday the shop sells {x} {items}.", "After Tuesday, there are [r = t - x] {items}."),
            _part("x:5-30", "On Friday the shop gets {x} more {items}.", "After Friday, there are [r = t + x] {items}."),
            _part("x:2-5 y:3-9", "A truck brings {x} bags with {y} {items} each.",
                  "The bags hold [p = x * y] {items}.",
                  "With them, there are [r = t + p] {items}."),
        ),
        (
            _part("x:2-5", "The rest are sold for {x} dollars each. How many dollars does the shop get?",
                  "At {x} dollars each, the shop gets [r = t * x] dollars."),
            _part("x:2-9|t", "They are then moved to {x} equal ponds. How many {items} are in each pond?",
                  "Each pond has [r = t / x] {items}."),
        ),
        _ask("How many {items} does the shop have now? | How many {items} are in the shop in the end?"),
        in_order=True,
    ),
    Scenario(
        "party",
        {"items": _words("balloons, candles, paper hats, flags, lanterns")},
        (
            _part("x:2-8 y:4-12", "For a party {N} buys {x} bags of {y} {items}. | {N} buys {x} bags with {y} {items} in each for a party.",
                  "{N} buys {x} bags of {y}, so {she} has [r = x * y] {items}."),
        ),
        (
            _part("x:2-15", "Then {x} of them break.", "After {x} break, {she} has [r = t - x] {items} left."),
            _part("x:3-25", "{M} brings {x} more {items}.", "With {x} more from {M}, {she} has [r = t + x] {items}."),
            _part("x:2-20", "{She} uses {x} {items} for the door.", "After the door, {she} has [r = t - x] {items} left."),
            _part("x:2-5 y:3-10", "A neighbor brings {x} boxes of {y} {items}.",
                  "The boxes hold [p = x * y] {items}.",
                  "Together, {she} has [r = t + p] {items}."),
        ),
        (
            _part("x:2-9|t", "{She} puts the same number on each of {x} tables. How many {items} are on each table?",
                  "Each table gets [r = t / x] {items}."),
        ),
        HAVE_NOW,
    ),
    Scenario(
        "cinema",
        {"cinema": _words("cinema, theater, circus, stadium, concert hall")},
        (
            _part("x:3-10 y:5-12", "A {cinema} has {x} rows of {y} seats. | In a {cinema} there are {x} rows with {y} seats each.",
                  "{x} rows of {y} make [r = x * y] seats."),
            _part("x:20-60 y:20-60", "A {cinema} has {x} seats downstairs and {y} seats upstairs.",
                  "Downstairs and upstairs, there are [r = x + y] seats."),
        ),
        (
            _part("x:2-15", "The workers take out {x} broken seats.", "Without the broken ones, there are [r = t - x] seats."),
            _part("x:3-25", "The workers add {x} seats at the back.", "With the back, there are [r = t + x] seats."),
            _part("x:2-4 y:3-8", "The workers add {x} boxes with {y} seats each.",
                  "The boxes have [p = x * y] seats.",
                  "With the boxes, there are [r = t + p] seats."),
        ),
        (
            _part("x:5-60", "Tonight {x} seats are taken. How many seats are free?", "Tonight, there are [r = t - x] free seats."),
            _part("x:2-6|t", "All seats are then set up in {x} equal blocks. How many seats are in each block?",
                  "Each block has [r = t / x] seats."),
        ),
        _ask("How many seats are there now? | How many seats does the {cinema} have in the end?"),
    ),
    Scenario(
        "building blocks",
        {"items": _words("blocks, bricks, tiles, logs"), "tower": _words("towers, walls, stacks")},
        (
            _part("x:2-9 y:3-12", "{N} builds {x} {tower} of {y} {items} each. | {N} builds {x} {tower} and uses {y} {items} for each.",
                  "{x} {tower} of {y} use [r = x * y] {items}."),
        ),
        (
            _part("x:3-25", "{She} uses {x} more {items} for a bridge.", "With the bridge, {she} uses [r = t + x] {items}."),
            _part("x:2-15", "{She} uses {x} more {items} for a gate.", "With the gate, {she} uses [r = t + x] {items}."),
            _part("x:2-15", "{M} takes {x} of the used {items} away.", "After {M} takes {x}, there are [r = t - x] {items}."),
            _part("x:2-5 y:3-9", "{M} adds {x} steps with {y} {items} each.",
                  "The steps use [p = x * y] {items}.",
                  "With the steps, there are [r = t + p] {items}."),
        ),
        (
            _part("x:100-190/10", "At the start there were {x} {items} in the box. How many {items} are still in the box?",
                  "In the box, there are still [r = x - t] {items}."),
            _part("x:2-9|t", "In the end {she} puts them all in {x} equal bags. How many {items} are in each bag?",
                  "Each bag has [r = t / x] {items}."),
        ),
        _ask("How many {items} are used now? | How many {items} are used in the end?"),
    ),
    Scenario(
        "water",
        {"tank": _words("tank, pool, barrel")},
        (
            _part("x:2-9 y:3-12", "{N} pours {x} buckets of {y} liters into a {tank}. | Into a {tank} {N} pours {x} buckets with {y} liters each.",
                  "{x} buckets of {y} liters make [r = x * y] liters."),
            _part("x:15-60 y:10-50", "A {tank} holds {x} liters, and {N} adds {y} liters.",
                  "With the added water, there are [r = x + y] liters."),
        ),
        (
            _part("x:3-20", "Then {she} takes {x} liters for the flowers.", "After the flowers, there are [r = t - x] liters."),
            _part("x:2-12", "Then {x} liters leak out.", "After the leak, there are [r = t - x] liters."),
            _part("x:3-25", "Rain adds {x} liters.", "With the rain, there are [r = t + x] liters."),
            _part("x:2-5 y:3-8", "{She} fills {x} cans of {y} liters each from it.",
                  "The cans take [p = x * y] liters.",
                  "After the cans, there are [r = t - p] liters."),
        ),
        (
            _part("x:2-9|t", "The rest is used up evenly in {x} days. How many liters is that a day?",
                  "For each day, that is [r = t / x] liters."),
            _part("x:100-190/10", "When full, the {tank} holds {x} liters. How many liters are missing?",
                  "To fill it, there are [r = x - t] liters missing."),
        ),
        _ask("How many liters are in the {tank} now? | How many liters does the {tank} hold in the end?"),
    ),
    Scenario(
        "zoo animals",
        {"items": _words("monkeys, penguins, ducks, rabbits, goats, sheep")},
        (
            _part("x:4-20 y:4-20", "A zoo has {x} old {items} and {y} young {items}.", "Old and young, there are [r = x + y] {items}."),
            _part("x:2-8 y:3-10", "A zoo has {x} houses with {y} {items} in each.", "{x} houses of {y} make [r = x * y] {items}."),
        ),
        (
            _part("x:2-15", "In spring {x} {items} are born.", "After spring, there are [r = t + x] {items}."),
            _part("x:2-12", "In summer {x} {items} move to another zoo.", "After summer, there are [r = t - x] {items}."),
            _part("x:2-12", "In autumn {x} more {items} arrive.", "After autumn, there are [r = t + x] {items}."),
            _part("x:2-4 y:2-6", "A farm sends {x} cages of {y} {items}.",
                  "The cages hold [p = x * y] {items}.",
                  "With them, there are [r = t + p] {items}."),
        ),
        (
            _part("x:2-6", "Each of them eats {x} kg of food a week. How many kg of food do they need a week?",
                  "At {x} kg each, they need [r = t * x] kg of food."),
            _part("x:2-8|t", "They live in {x} equal groups. How many {items} are in each group?",
                  "Each group has [r = t / x] {items}."),
        ),
        _ask("How many {items} does the zoo have now? | How many {items} are in the zoo in the end?"),
        in_order=True,
    ),
    Scenario(
        "homework",
        {"subject": _words("math, spelling, science, music")},
        (
            _part("x:5-12 y:2-8", "{N} studies {subject} for {x} minutes a day, {y} days in a row.",
                  "In {y} days, {N} studies for [r = y * x] minutes."),
            _part("x:10-45 y:10-45", "{N} studies {subject} for {x} minutes and history for {y} minutes.",
                  "For both, {N} needs [r = x + y] minutes."),
        ),
        (
            _part("x:5-30", "{She} also reads for {x} minutes.", "With reading, that makes [r = t + x] minutes."),
            _part("x:5-30", "{She} draws a picture for {x} minutes.", "With drawing, that makes [r = t + x] minutes."),
            _part("x:2-6 y:3-10", "{She} solves {x} puzzles that take {y} minutes each.",
                  "The puzzles take [p = x * y] minutes.",
                  "With the puzzles, that makes [r = t + p] minutes."),
        ),
        (
            _part("x:90-180/10", "{She} has {x} minutes for everything. How many minutes are left?",
                  "Of the time, {she} has [r = x - t] minutes left."),
            _part("x:2-6|t", "{She} cuts the time into {x} equal parts. How many minutes is each part?",
                  "Each part is [r = t / x] minutes."),
        ),
        _ask("How many minutes is that in all? | How many minutes did {N} work in total?"),
    ),
    Scenario(
        "warehouse",
        {"items": _words("bottles, cans, jars, bulbs, boxes of tea"), "pallets": _words("shelves, carts, racks")},
        (
            _part("x:3-9 y:5-12", "A store has {x} {pallets} with {y} {items} each. | In a store there are {x} {pallets} of {y} {items}.",
                  "{x} {pallets} of {y} make [r = x * y] {items}."),
            _part("x:15-60 y:15-60", "A store has {x} {items} in one room and {y} {items} in another.",
                  "In both rooms, there are [r = x + y] {items}."),
        ),
        (
            _part("x:3-30", "In the morning {x} {items} are sold.", "After the morning, there are [r = t - x] {items}."),
            _part("x:3-30", "In the afternoon {x} {items} are sold.", "After the afternoon, there are [r = t - x] {items}."),
            _part("x:5-30", "A van brings {x} more {items}.", "With the van, there are [r = t + x] {items}."),
            _part("x:2-5 y:4-9", "Customers order {x} sets of {y} {items}.",
                  "The orders take [p = x * y] {items}.",
                  "After the orders, there are [r = t - p] {items}."),
        ),
        (
            _part("x:2-9|t", "The rest are packed in {x} equal crates. How many {items} are in each crate?",
                  "Each crate holds [r = t / x] {items}."),
            _part("x:2-3", "A new truck brings enough to have {x} times as many. How many {items} are there then?",
                  "With {x} times as many, there are [r = t * x] {items}."),
        ),
        _ask("How many {items} are in the store now? | How many {items} are left in the store?"),
        in_order=True,
    ),
    Scenario(
        "pizza evening",
        {"food": _words("pizzas, pies, cakes, loaves")},
        (
            _part("x:2-9 y:4-10", "{N} cuts {x} {food} into {y} slices each. | There are {x} {food}, and {N} cuts each into {y} slices.",
                  "{x} {food} of {y} slices make [r = x * y] slices."),
        ),
        (
            _part("x:2-15", "The children eat {x} slices.", "After the children, there are [r = t - x] slices left."),
            _part("x:2-15", "The parents eat {x} slices.", "After the parents, there are [r = t - x] slices left."),
            _part("x:2-12", "{M} brings {x} more slices.", "With {x} more from {M}, there are [r = t + x] slices."),
            _part("x:2-5 y:2-5", "Then {x} guests eat {y} slices each.",
                  "The guests eat [p = x * y] slices.",
                  "After the guests, there are [r = t - p] slices left."),
        ),
        (
            _part("x:2-8|t", "The rest are put on {x} plates, the same number on each. How many slices are on each plate?",
                  "Each plate has [r = t / x] slices."),
        ),
        _ask("How many slices are left? | How many slices are there in the end?"),
    ),
    Scenario(
        "ages",
        {"coach": _words("coach, teacher, neighbor, doctor, baker")},
        (
            _part("x:5-12 y:2-4 z:3-20",
                  "{N} is {x} years old. {M} is {y} times as old. The {coach} is {z} years older than {M}.",
                  "{M} is [p = y * x] years old.",
                  "The {coach} is [r = p + z] years old."),
            _part("x:6-30 y:3-20 z:3-20",
                  "{N} is {x} years old. {M} is {y} years older. The {coach} is {z} years older than {M}.",
                  "{M} is [p = x + y] years old.",
                  "The {coach} is [r = p + z] years old."),
            _part("x:8-20 y:2-6 z:2-6",
                  "{N} is {x} years old. {M} is {y} years younger. The {coach} is {z} times as old as {M}.",
                  "{M} is [p = x - y] years old.",
                  "The {coach} is [r = p * z] years old."),
        ),
        (),
        (
            _part("x:3-20", "How old will the {coach} be in {x} years?",
                  "In {x} years, the {coach} will be [r = t + x] years old."),
            _part("x:2-10", "How old was the {coach} {x} years ago?",
                  "{x} years ago, the {coach} was [r = t - x] years old."),
            _part("x:2-6|t", "The {coach} is {x} times as old as the dog. How old is the dog?",
                  "The dog is [r = t / x] years old."),
        ),
        _ask("How old is the {coach}? | How many years old is the {coach}?"),
    ),
)

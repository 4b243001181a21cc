"""Scenarios at a place with things that come and go: school, library, farm, zoo."""

from __future__ import annotations

from sdlm_core.problems.base import words
from sdlm_core.problems.scenarios.parts import FIND, GIVE, HAVE_NOW, LOSE, SHARE, Scenario, part, ways

PLACES: tuple[Scenario, ...] = (
    Scenario(
        "school supplies",
        {"items": words("pencils, pens, markers, erasers, crayons, notebooks"), "packs": words("packs, boxes, sets")},
        (
            part(
                "x:2-9 y:3-12",
                "{N} buys {x} {packs} of {y} {items}. | {N} gets {x} {packs} with {y} {items} in each.",
                "{N} buys {x} {packs} of {y}, so {she} gets [r = x * y] {items}.",
            ),
        ),
        (
            GIVE,
            FIND,
            LOSE,
            part(
                "x:2-6 y:3-10",
                "Then {she} buys {x} more {packs} of {y} {items}. | Later {N} buys another {x} {packs} of {y} {items}.",
                "The new {packs} hold [p = x * y] {items}.",
                "Together, {she} has [r = t + p] {items}.",
            ),
        ),
        (
            SHARE,
            part(
                "x:2-9|t",
                "{She} puts the {items} into {x} cups, the same number in each. How many {items} are in each cup?",
                "Each cup holds [r = t / x] {items}.",
            ),
        ),
        HAVE_NOW,
    ),
    Scenario(
        "classroom",
        {"items": words("students, children, dancers, singers")},
        (
            part(
                "x:2-8 y:4-10",
                "In a school hall there are {x} rows of {y} {items}."
                " | In a hall there are {x} rows with {y} {items} each.",
                "{x} rows of {y} make [r = x * y] {items}.",
            ),
        ),
        (
            part("x:2-25", "Then {x} more {items} come in.", "With {x} more, there are [r = t + x] {items}."),
            part(
                "x:2-20",
                "After that, {x} {items} go to another room.",
                "Without the {x} in another room, there are [r = t - x] {items}.",
            ),
            part(
                "x:2-4 y:3-9",
                "From the next building come {x} groups of {y} {items}.",
                "The groups have [p = x * y] {items}.",
                "Together, there are [r = t + p] {items}.",
            ),
        ),
        (
            part(
                "x:2-9|t",
                "Now they form {x} equal circles. How many {items} are in each circle?",
                "Each circle has [r = t / x] {items}.",
            ),
        ),
        ways("How many {items} are in the hall now? | How many {items} are there in the hall in the end?"),
    ),
    Scenario(
        "library",
        {"items": words("books, magazines, comics, maps")},
        (
            part(
                "x:3-9 y:5-12",
                "A library has {x} shelves with {y} {items} each."
                " | On each of {x} shelves in a library are {y} {items}.",
                "{x} shelves of {y} make [r = x * y] {items}.",
            ),
            part(
                "x:15-60 y:10-50",
                "A library has {x} {items} upstairs and {y} {items} downstairs.",
                "Upstairs and downstairs, there are [r = x + y] {items}.",
            ),
        ),
        (
            part("x:3-30", "On Monday {x} {items} are borrowed.", "After Monday, there are [r = t - x] {items}."),
            part("x:3-30", "On Tuesday {x} {items} are brought back.", "After Tuesday, there are [r = t + x] {items}."),
            part(
                "x:2-15",
                "On Friday the library throws away {x} old {items}.",
                "After Friday, there are [r = t - x] {items}.",
            ),
            part(
                "x:2-5 y:4-10",
                "The library gets {x} boxes of {y} new {items}.",
                "The boxes hold [p = x * y] {items}.",
                "With them, there are [r = t + p] {items}.",
            ),
        ),
        (
            part(
                "x:2-9|t",
                "The {items} are then put on {x} tables, the same number on each. How many are on each table?",
                "Each table has [r = t / x] {items}.",
            ),
        ),
        ways("How many {items} does the library have now? | How many {items} are in the library in the end?"),
        in_order=True,
    ),
    Scenario(
        "bus",
        {"bus": words("bus, train, boat, tram")},
        (
            part(
                "x:10-40 y:5-30",
                "A {bus} starts with {x} people, and {y} people get on at the first stop.",
                "After the first stop, there are [r = x + y] people.",
            ),
            part(
                "x:3-9 y:3-8",
                "A {bus} has {x} rows with {y} people in each row.",
                "{x} rows of {y} make [r = x * y] people.",
            ),
        ),
        (
            part("x:2-20", "At the park {x} people get off.", "After the park, there are [r = t - x] people."),
            part("x:2-25", "At the school {x} people get on.", "After the school, there are [r = t + x] people."),
            part("x:2-20", "At the museum {x} people get off.", "After the museum, there are [r = t - x] people."),
            part(
                "x:2-5 y:2-6",
                "At the hotel {x} families of {y} people get on.",
                "The families have [p = x * y] people.",
                "After the hotel, there are [r = t + p] people.",
            ),
        ),
        (
            part(
                "x:50-120/5",
                "The {bus} has {x} seats. How many seats are free?",
                "On the {bus}, there are [r = x - t] free seats.",
            ),
            part(
                "x:2-4",
                "Each person pays {x} dollars. How many dollars is that in all?",
                "At {x} dollars each, that is [r = t * x] dollars.",
            ),
        ),
        ways("How many people are on the {bus} now? | How many people are on the {bus} in the end?"),
    ),
    Scenario(
        "cinema",
        {"cinema": words("cinema, theater, circus, stadium, concert hall")},
        (
            part(
                "x:3-10 y:5-12",
                "A {cinema} has {x} rows of {y} seats. | In a {cinema} there are {x} rows with {y} seats each.",
                "{x} rows of {y} make [r = x * y] seats.",
            ),
            part(
                "x:20-60 y:20-60",
                "A {cinema} has {x} seats downstairs and {y} seats upstairs.",
                "Downstairs and upstairs, there are [r = x + y] seats.",
            ),
        ),
        (
            part(
                "x:2-15",
                "The workers take out {x} broken seats.",
                "Without the broken ones, there are [r = t - x] seats.",
            ),
            part(
                "x:3-25",
                "The workers add {x} seats at the back.",
                "With the seats at the back, there are [r = t + x] seats.",
            ),
            part(
                "x:2-4 y:3-8",
                "The workers add {x} boxes with {y} seats each.",
                "The boxes have [p = x * y] seats.",
                "With the boxes, there are [r = t + p] seats.",
            ),
        ),
        (
            part(
                "x:5-60",
                "Tonight {x} seats are taken. How many seats are free?",
                "Tonight, there are [r = t - x] free seats.",
            ),
            part(
                "x:2-6|t",
                "All seats are then set up in {x} equal blocks. How many seats are in each block?",
                "Each block has [r = t / x] seats.",
            ),
        ),
        ways("How many seats are there now? | How many seats does the {cinema} have in the end?"),
    ),
    Scenario(
        "farm harvest",
        {
            "items": words("apples, pears, melons, pumpkins, peaches, cabbages"),
            "crates": words("crates, baskets, sacks"),
        },
        (
            part(
                "x:2-9 y:4-12",
                "{N} fills {x} {crates} with {y} {items} each. | A farmer named {N} picks {x} {crates} of {y} {items}.",
                "{x} {crates} of {y} make [r = x * y] {items}.",
            ),
            part(
                "x:10-45 y:10-45",
                "{N} picks {x} {items} from one field and {y} {items} from another.",
                "From both fields, {N} has [r = x + y] {items}.",
            ),
        ),
        (
            part(
                "x:2-30",
                "{She} sells {x} {items} at the market. | At the market {x} of the {items} are sold.",
                "After selling {x}, {she} has [r = t - x] {items} left.",
            ),
            part(
                "x:2-12",
                "Then {x} {items} go bad. | {She} throws away {x} bad {items}.",
                "Without the {x} bad ones, {she} has [r = t - x] {items} left.",
            ),
            part(
                "x:3-25",
                "The next day {she} picks {x} more {items}.",
                "With {x} more, {she} has [r = t + x] {items}.",
            ),
            part(
                "x:2-5 y:3-10",
                "A neighbor brings {x} bags of {y} {items}.",
                "The bags hold [p = x * y] {items}.",
                "Together, {she} has [r = t + p] {items}.",
            ),
        ),
        (
            part(
                "x:2-9|t",
                "{She} packs them in {x} boxes, the same number in each. How many {items} are in each box?",
                "Each box holds [r = t / x] {items}.",
            ),
            part(
                "x:2-4",
                "{She} sells the rest for {x} dollars each. How many dollars does {she} get?",
                "At {x} dollars each, {she} gets [r = t * x] dollars.",
            ),
        ),
        ways("How many {items} does {she} have now? | How many {items} are left?"),
    ),
    Scenario(
        "aquarium",
        {"items": words("goldfish, shrimp, guppies, snails, crabs")},
        (
            part(
                "x:2-8 y:3-12",
                "A pet shop has {x} tanks with {y} {items} in each. | In a pet shop, {x} tanks hold {y} {items} each.",
                "{x} tanks of {y} make [r = x * y] {items}.",
            ),
        ),
        (
            part("x:2-20", "On Monday the shop sells {x} {items}.", "After Monday, there are [r = t - x] {items}."),
            part("x:2-20", "On Tuesday the shop sells {x} {items}.", "After Tuesday, there are [r = t - x] {items}."),
            part("x:5-30", "On Friday the shop gets {x} more {items}.", "After Friday, there are [r = t + x] {items}."),
            part(
                "x:2-5 y:3-9",
                "A truck brings {x} bags with {y} {items} each.",
                "The bags hold [p = x * y] {items}.",
                "With them, there are [r = t + p] {items}.",
            ),
        ),
        (
            part(
                "x:2-5",
                "The rest are sold for {x} dollars each. How many dollars does the shop get?",
                "At {x} dollars each, the shop gets [r = t * x] dollars.",
            ),
            part(
                "x:2-9|t",
                "They are then moved to {x} equal ponds. How many {items} are in each pond?",
                "Each pond has [r = t / x] {items}.",
            ),
        ),
        ways("How many {items} does the shop have now? | How many {items} are in the shop in the end?"),
        in_order=True,
    ),
    Scenario(
        "zoo animals",
        {"items": words("monkeys, penguins, ducks, rabbits, goats, sheep")},
        (
            part(
                "x:4-20 y:4-20",
                "A zoo has {x} old {items} and {y} young {items}.",
                "Old and young, there are [r = x + y] {items}.",
            ),
            part(
                "x:2-8 y:3-10",
                "A zoo has {x} houses with {y} {items} in each.",
                "{x} houses of {y} make [r = x * y] {items}.",
            ),
        ),
        (
            part("x:2-15", "In spring {x} {items} are born.", "After spring, there are [r = t + x] {items}."),
            part(
                "x:2-12", "In summer {x} {items} move to another zoo.", "After summer, there are [r = t - x] {items}."
            ),
            part("x:2-12", "In autumn {x} more {items} arrive.", "After autumn, there are [r = t + x] {items}."),
            part(
                "x:2-4 y:2-6",
                "A farm sends {x} cages of {y} {items}.",
                "The cages hold [p = x * y] {items}.",
                "With them, there are [r = t + p] {items}.",
            ),
        ),
        (
            part(
                "x:2-6",
                "Each of them eats {x} kg of food a week. How many kg of food do they need a week?",
                "At {x} kg each, they need [r = t * x] kg of food.",
            ),
            part(
                "x:2-8|t",
                "They live in {x} equal groups. How many {items} are in each group?",
                "Each group has [r = t / x] {items}.",
            ),
        ),
        ways("How many {items} does the zoo have now? | How many {items} are in the zoo in the end?"),
        in_order=True,
    ),
    Scenario(
        "warehouse",
        {"items": words("bottles, cans, jars, bulbs, boxes of tea"), "pallets": words("shelves, carts, racks")},
        (
            part(
                "x:3-9 y:5-12",
                "A store has {x} {pallets} with {y} {items} each. | In a store there are {x} {pallets} of {y} {items}.",
                "{x} {pallets} of {y} make [r = x * y] {items}.",
            ),
            part(
                "x:15-60 y:15-60",
                "A store has {x} {items} in one room and {y} {items} in another.",
                "In both rooms, there are [r = x + y] {items}.",
            ),
        ),
        (
            part("x:3-30", "In the morning {x} {items} are sold.", "After the morning, there are [r = t - x] {items}."),
            part(
                "x:3-30",
                "In the afternoon {x} {items} are sold.",
                "After the afternoon, there are [r = t - x] {items}.",
            ),
            part("x:5-30", "A van brings {x} more {items}.", "With the van, there are [r = t + x] {items}."),
            part(
                "x:2-5 y:4-9",
                "Customers order {x} sets of {y} {items}.",
                "The orders take [p = x * y] {items}.",
                "After the orders, there are [r = t - p] {items}.",
            ),
        ),
        (
            part(
                "x:2-9|t",
                "The rest are packed in {x} equal crates. How many {items} are in each crate?",
                "Each crate holds [r = t / x] {items}.",
            ),
            part(
                "x:2-3",
                "A new truck brings enough to have {x} times as many. How many {items} are there then?",
                "With {x} times as many, there are [r = t * x] {items}.",
            ),
        ),
        ways("How many {items} are in the store now? | How many {items} are left in the store?"),
        in_order=True,
    ),
)

"""Scenarios at home: food, garden, parties and collections."""

from __future__ import annotations

from sdlm_core.problems.base import words
from sdlm_core.problems.scenarios.parts import (
    GIVE,
    HAVE_NOW,
    LOSE,
    RECEIVE,
    SHARE,
    Scenario,
    part,
    ways,
)

HOME: tuple[Scenario, ...] = (
    Scenario(
        "baking",
        {"items": words("cookies, muffins, cupcakes, brownies, rolls, tarts")},
        (
            part(
                "x:2-8 y:4-12",
                "{N} bakes {x} trays of {y} {items}. | {N} bakes {x} trays with {y} {items} on each tray.",
                "{N} bakes {x} trays of {y}, so {she} has [r = x * y] {items}.",
            ),
        ),
        (
            part(
                "x:2-25",
                "{She} sells {x} of them. | Then {x} of the {items} are sold.",
                "After selling {x}, {she} has [r = t - x] {items} left.",
            ),
            part(
                "x:2-12",
                "The family eats {x} {items}. | At home {x} {items} are eaten.",
                "After {x} are eaten, {she} has [r = t - x] {items} left.",
            ),
            part(
                "x:2-25",
                "{M} brings {x} more {items}. | Then {M} adds {x} {items}.",
                "With {x} more from {M}, {she} has [r = t + x] {items}.",
            ),
            part(
                "x:2-5 y:4-10",
                "In the evening {she} bakes {x} more trays of {y} {items}.",
                "The new trays hold [p = x * y] {items}.",
                "Together, {she} has [r = t + p] {items}.",
            ),
        ),
        (
            part(
                "x:2-9|t",
                "{She} packs them in {x} equal boxes. How many {items} are in each box?"
                " | All of them go into {x} boxes, the same number in each. How many {items} does each box hold?",
                "Each box holds [r = t / x] {items}.",
            ),
            part(
                "x:2-5",
                "{She} sells the rest for {x} dollars each. How many dollars does {she} get?",
                "At {x} dollars each, {she} gets [r = t * x] dollars.",
            ),
        ),
        ways("How many {items} are left? | How many {items} does {N} have now?"),
    ),
    Scenario(
        "recipe",
        {
            "items": words("eggs, carrots, tomatoes, potatoes, onions, lemons"),
            "dish": words("soups, salads, pies, stews"),
        },
        (
            part(
                "x:2-8 y:2-9",
                "{N} makes {x} {dish} and needs {y} {items} for each."
                " | One recipe needs {y} {items}. {N} makes it {x} times.",
                "For {x} times {y}, {she} needs [r = x * y] {items}.",
            ),
        ),
        (
            part(
                "x:2-15",
                "{She} also needs {x} {items} for a sauce.",
                "With the sauce, {she} needs [r = t + x] {items}.",
            ),
            part(
                "x:2-15",
                "{M} wants {x} {items} too, and {N} gets them as well.",
                "With those for {M}, {she} needs [r = t + x] {items}.",
            ),
            part(
                "x:2-12",
                "There are already {x} {items} in the kitchen, so {she} needs fewer.",
                "Without the {x} in the kitchen, {she} needs [r = t - x] {items}.",
            ),
            part(
                "x:2-4 y:2-8",
                "For a party {she} needs {x} bowls with {y} {items} each.",
                "The bowls need [p = x * y] {items}.",
                "Together, {she} needs [r = t + p] {items}.",
            ),
        ),
        (
            part(
                "x:2-9|t",
                "The {items} come in bags of {x}. How many bags must {she} buy?",
                "{She} must buy [r = t / x] bags.",
            ),
            part(
                "x:2-4",
                "Each of them costs {x} dollars. How many dollars does {she} pay?",
                "At {x} dollars each, {she} pays [r = t * x] dollars.",
            ),
        ),
        ways("How many {items} must {she} buy? | How many {items} does {N} need to buy?"),
    ),
    Scenario(
        "pizza evening",
        {"food": words("pizzas, pies, cakes, loaves")},
        (
            part(
                "x:2-9 y:4-10",
                "{N} cuts {x} {food} into {y} slices each. | There are {x} {food}, and {N} cuts each into {y} slices.",
                "{x} {food} of {y} slices make [r = x * y] slices.",
            ),
        ),
        (
            part("x:2-15", "The children eat {x} slices.", "After the children, there are [r = t - x] slices left."),
            part("x:2-15", "The parents eat {x} slices.", "After the parents, there are [r = t - x] slices left."),
            part("x:2-12", "{M} brings {x} more slices.", "With {x} more from {M}, there are [r = t + x] slices."),
            part(
                "x:2-5 y:2-5",
                "Then {x} guests eat {y} slices each.",
                "The guests eat [p = x * y] slices.",
                "After the guests, there are [r = t - p] slices left.",
            ),
        ),
        (
            part(
                "x:2-8|t",
                "The rest are put on {x} plates, the same number on each. How many slices are on each plate?",
                "Each plate has [r = t / x] slices.",
            ),
        ),
        ways("How many slices are left? | How many slices are there in the end?"),
    ),
    Scenario(
        "garden",
        {"items": words("roses, tulips, daisies, lilies, sunflowers")},
        (
            part(
                "x:2-9 y:3-12",
                "{N} plants {x} rows of {y} {items}. | In the garden {N} plants {x} rows with {y} {items} each.",
                "{x} rows of {y} make [r = x * y] {items}.",
            ),
        ),
        (
            part(
                "x:2-15",
                "A storm breaks {x} of them. | Then {x} of the {items} break in a storm.",
                "After the storm, there are [r = t - x] {items} left.",
            ),
            part(
                "x:2-20",
                "{She} picks {x} {items} for {her} mother.",
                "Without the {x} for {her} mother, there are [r = t - x] {items} left.",
            ),
            part("x:3-25", "In spring {she} plants {x} more {items}.", "With {x} more, there are [r = t + x] {items}."),
            part(
                "x:2-5 y:3-10",
                "{M} plants {x} beds of {y} {items} next to them.",
                "The beds of {M} have [p = x * y] {items}.",
                "Together, there are [r = t + p] {items}.",
            ),
        ),
        (
            part(
                "x:2-9|t",
                "{She} cuts all of them and ties {x} equal bunches. How many {items} are in each bunch?",
                "Each bunch has [r = t / x] {items}.",
            ),
        ),
        ways("How many {items} are in the garden now? | How many {items} are there in the end?"),
    ),
    Scenario(
        "party",
        {"items": words("balloons, candles, paper hats, flags, lanterns")},
        (
            part(
                "x:2-8 y:4-12",
                "For a party {N} buys {x} bags of {y} {items}."
                " | {N} buys {x} bags with {y} {items} in each for a party.",
                "{N} buys {x} bags of {y}, so {she} has [r = x * y] {items}.",
            ),
        ),
        (
            part("x:2-15", "Then {x} of them break.", "After {x} break, {she} has [r = t - x] {items} left."),
            part("x:3-25", "{M} brings {x} more {items}.", "With {x} more from {M}, {she} has [r = t + x] {items}."),
            part(
                "x:2-20", "{She} uses {x} {items} for the door.", "After the door, {she} has [r = t - x] {items} left."
            ),
            part(
                "x:2-5 y:3-10",
                "A neighbor brings {x} boxes of {y} {items}.",
                "The boxes hold [p = x * y] {items}.",
                "Together, {she} has [r = t + p] {items}.",
            ),
        ),
        (
            part(
                "x:2-9|t",
                "{She} puts the same number on each of {x} tables. How many {items} are on each table?",
                "Each table gets [r = t / x] {items}.",
            ),
        ),
        HAVE_NOW,
    ),
    Scenario(
        "stickers",
        {"items": words("stickers, stamps, cards, postcards, photos"), "album": words("album, folder, binder")},
        (
            part(
                "x:3-9 y:4-12",
                "{N} has an album with {x} pages and {y} {items} on each page."
                " | There are {x} pages with {y} {items} each in the album of {N}.",
                "{x} pages of {y} make [r = x * y] {items}.",
            ),
            part(
                "x:10-50 y:10-50",
                "{N} has {x} old {items} and {y} new {items}.",
                "Old and new, {N} has [r = x + y] {items}.",
            ),
        ),
        (
            GIVE,
            RECEIVE,
            LOSE,
            part(
                "x:2-6 y:3-10",
                "Then {she} buys {x} packets of {y} {items}.",
                "The packets hold [p = x * y] {items}.",
                "Together, {she} has [r = t + p] {items}.",
            ),
        ),
        (SHARE,),
        HAVE_NOW,
    ),
    Scenario(
        "times as many",
        {"items": words("shells, marbles, coins, stones, beads, buttons")},
        (
            part(
                "x:4-20 y:2-5",
                "{M} has {x} {items}. {N} has {y} times as many."
                " | {N} has {y} times as many {items} as {M}, who has {x}.",
                "{N} has {y} times as many as {M}, so {she} has [r = y * x] {items}.",
            ),
            part(
                "x:10-50 y:4-30",
                "{M} has {x} {items}. {N} has {y} more than {M}.",
                "{N} has {y} more than {M}, so {she} has [r = x + y] {items}.",
            ),
        ),
        (
            part("x:2-25", "Then {N} finds {x} more {items}.", "With {x} more, {she} has [r = t + x] {items}."),
            part(
                "x:2-15",
                "{N} drops {x} {items} in the grass.",
                "Without the {x} in the grass, {she} has [r = t - x] {items}.",
            ),
            part(
                "x:2-5 y:3-9",
                "A friend gives {N} {x} bags of {y} {items}.",
                "The bags hold [p = x * y] {items}.",
                "Together, {she} has [r = t + p] {items}.",
            ),
        ),
        (
            part(
                "x:2-9|t",
                "{N} puts {her} {items} in {x} equal piles. How many {items} are in each pile?",
                "Each pile has [r = t / x] {items}.",
            ),
        ),
        HAVE_NOW,
    ),
    Scenario(
        "building blocks",
        {"items": words("blocks, bricks, tiles, logs"), "tower": words("towers, walls, stacks")},
        (
            part(
                "x:2-9 y:3-12",
                "{N} builds {x} {tower} of {y} {items} each. | {N} builds {x} {tower} and uses {y} {items} for each.",
                "{x} {tower} of {y} use [r = x * y] {items}.",
            ),
        ),
        (
            part(
                "x:3-25",
                "{She} uses {x} more {items} for a bridge.",
                "With the bridge, {she} uses [r = t + x] {items}.",
            ),
            part("x:2-15", "{She} uses {x} more {items} for a gate.", "With the gate, {she} uses [r = t + x] {items}."),
            part(
                "x:2-15",
                "{M} takes {x} of the used {items} away.",
                "After {M} takes {x}, there are [r = t - x] {items}.",
            ),
            part(
                "x:2-5 y:3-9",
                "{M} adds {x} steps with {y} {items} each.",
                "The steps use [p = x * y] {items}.",
                "With the steps, there are [r = t + p] {items}.",
            ),
        ),
        (
            part(
                "x:100-190/10",
                "At the start there were {x} {items} in the box. How many {items} are still in the box?",
                "In the box, there are still [r = x - t] {items}.",
            ),
            part(
                "x:2-9|t",
                "In the end {she} puts them all in {x} equal bags. How many {items} are in each bag?",
                "Each bag has [r = t / x] {items}.",
            ),
        ),
        ways("How many {items} are used now? | How many {items} are used in the end?"),
    ),
    Scenario(
        "water",
        {"tank": words("tank, pool, barrel")},
        (
            part(
                "x:2-9 y:3-12",
                "{N} pours {x} buckets of {y} liters into a {tank}."
                " | Into a {tank} {N} pours {x} buckets with {y} liters each.",
                "{x} buckets of {y} liters make [r = x * y] liters.",
            ),
            part(
                "x:15-60 y:10-50",
                "A {tank} holds {x} liters, and {N} adds {y} liters.",
                "With the added water, there are [r = x + y] liters.",
            ),
        ),
        (
            part(
                "x:3-20",
                "Then {she} takes {x} liters for the flowers.",
                "After the flowers, there are [r = t - x] liters.",
            ),
            part("x:2-12", "Then {x} liters leak out.", "After the leak, there are [r = t - x] liters."),
            part("x:3-25", "Rain adds {x} liters.", "With the rain, there are [r = t + x] liters."),
            part(
                "x:2-5 y:3-8",
                "{She} fills {x} cans of {y} liters each from it.",
                "The cans take [p = x * y] liters.",
                "After the cans, there are [r = t - p] liters.",
            ),
        ),
        (
            part(
                "x:2-9|t",
                "The rest is used up evenly in {x} days. How many liters is that a day?",
                "For each day, that is [r = t / x] liters.",
            ),
            part(
                "x:100-190/10",
                "When full, the {tank} holds {x} liters. How many liters are missing?",
                "To fill it, there are [r = x - t] liters missing.",
            ),
        ),
        ways("How many liters are in the {tank} now? | How many liters does the {tank} hold in the end?"),
    ),
)

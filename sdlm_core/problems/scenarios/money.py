"""Scenarios of money and effort: saving, shopping, travel, training, study, games."""

from __future__ import annotations

from sdlm_core.problems.base import words
from sdlm_core.problems.scenarios.parts import EARN, MONEY_NOW, SPEND, TICKETS, Scenario, part, ways

MONEY: tuple[Scenario, ...] = (
    Scenario(
        "weekly savings",
        {"week": words("week, month, day")},
        (
            part(
                "x:3-12 y:2-9",
                "{N} saves {x} dollars every {week} for {y} {week}s."
                " | Every {week} {N} puts {x} dollars in a jar, for {y} {week}s.",
                "In {y} {week}s, {N} saves [r = y * x] dollars.",
            ),
        ),
        (EARN, SPEND, TICKETS),
        (
            part(
                "x:2-8|t",
                "{She} wants to spend the money evenly over {x} days. How many dollars is that a day?",
                "For each day, {she} has [r = t / x] dollars.",
            ),
            part(
                "x:60-150/5",
                "{She} wants a bike that costs {x} dollars. How many more dollars does {she} need?",
                "For the bike, {she} still needs [r = x - t] dollars.",
            ),
        ),
        MONEY_NOW,
    ),
    Scenario(
        "paid work",
        {"job": words("washes cars, walks dogs, mows lawns, cleans windows, paints fences")},
        (
            part(
                "x:2-9 y:4-12",
                "{N} {job} for {x} hours and earns {y} dollars an hour."
                " | For {y} dollars an hour {N} {job}, {x} hours in all.",
                "In {x} hours, {N} earns [r = x * y] dollars.",
            ),
            part(
                "x:10-45 y:10-45",
                "{N} {job} and earns {x} dollars on Friday and {y} dollars on Saturday.",
                "In the two days, {N} earns [r = x + y] dollars.",
            ),
        ),
        (
            EARN,
            SPEND,
            TICKETS,
            part("x:2-15", "{She} pays {x} dollars for the bus.", "After the bus, {she} has [r = t - x] dollars left."),
        ),
        (
            part(
                "x:2-5|t",
                "{She} puts the money in {x} jars, the same in each. How many dollars are in each jar?",
                "Each jar holds [r = t / x] dollars.",
            ),
            part(
                "x:100-180/10",
                "{She} wants to buy a phone for {x} dollars. How many more dollars does {she} need?",
                "For the phone, {she} still needs [r = x - t] dollars.",
            ),
        ),
        MONEY_NOW,
    ),
    Scenario(
        "two things at a shop",
        {"items": words("books, shirts, toys, plates, caps"), "others": words("cups, pens, lamps, socks, brushes")},
        (
            part(
                "x:2-6 y:3-12 z:2-6 w:3-12",
                "{N} buys {x} {items} for {y} dollars each and {z} {others} for {w} dollars each."
                " | {N} buys {x} {items} at {y} dollars each. {She} also buys {z} {others} at {w} dollars each.",
                "The {items} cost [p = x * y] dollars.",
                "The {others} cost [q = z * w] dollars.",
                "Together, they cost [r = p + q] dollars.",
            ),
            part(
                "x:2-9 y:3-12",
                "{N} buys {x} {items} for {y} dollars each. | {N} pays {y} dollars each for {x} {items}.",
                "The {items} cost [r = x * y] dollars.",
            ),
        ),
        (
            part(
                "x:2-15",
                "{She} has a coupon for {x} dollars off. | A coupon takes {x} dollars off.",
                "With the coupon, {she} pays [r = t - x] dollars.",
            ),
            part("x:4-30", "{She} also buys a bag for {x} dollars.", "With the bag, {she} pays [r = t + x] dollars."),
            part("x:2-12", "Delivery costs {x} dollars more.", "With delivery, {she} pays [r = t + x] dollars."),
        ),
        (
            part(
                "x:50-150/10",
                "{She} pays with {x} dollars. How many dollars does {she} get back?",
                "{She} gets back [r = x - t] dollars.",
            ),
            part(
                "x:2-6|t",
                "{She} splits the cost equally with friends, {x} people in all. How many dollars does each pay?",
                "Each one pays [r = t / x] dollars.",
            ),
        ),
        ways("How many dollars does {she} pay? | How many dollars does {N} pay in all?"),
    ),
    Scenario(
        "road trip",
        {"by": words("drives, rides, travels")},
        (
            part(
                "x:2-5 y:10-50/10",
                "{N} {by} for {x} hours at {y} km an hour. | For {x} hours {N} {by} {y} km every hour.",
                "In {x} hours, {N} {by} [r = x * y] km.",
            ),
            part(
                "x:10-60 y:10-60",
                "{N} {by} {x} km in the morning and {y} km in the afternoon.",
                "In the day, {N} {by} [r = x + y] km.",
            ),
        ),
        (
            part(
                "x:5-40",
                "Then {she} {by} {x} km more to see {M}. | To see {M}, {she} {by} another {x} km.",
                "With the way to {M}, that makes [r = t + x] km.",
            ),
            part(
                "x:5-30",
                "After lunch {she} {by} {x} km to a lake.",
                "With the way to the lake, that makes [r = t + x] km.",
            ),
            part(
                "x:2-4 y:5-12",
                "In town {she} {by} {x} rounds of {y} km each.",
                "The rounds are [p = x * y] km.",
                "Together, that makes [r = t + p] km.",
            ),
        ),
        (
            part(
                "x:120-190/5",
                "The whole trip is {x} km. How many km are left?",
                "Of the trip, there are [r = x - t] km left.",
            ),
            part(
                "x:2-6|t",
                "The trip takes {x} days, with the same distance every day. How many km is that a day?",
                "On each day, that is [r = t / x] km.",
            ),
        ),
        ways("How many km is that in all? | How many km did {N} go in total?"),
    ),
    Scenario(
        "reading",
        {"book": words("book, novel, comic book")},
        (
            part(
                "x:4-12 y:2-9",
                "{N} reads {x} pages a day for {y} days. | For {y} days, {N} reads {x} pages of a {book} every day.",
                "In {y} days, {N} reads [r = y * x] pages.",
            ),
            part(
                "x:10-40 y:10-40",
                "{N} reads {x} pages on Monday and {y} pages on Tuesday.",
                "In the two days, {N} reads [r = x + y] pages.",
            ),
        ),
        (
            part(
                "x:5-30",
                "On Saturday {she} reads {x} more pages. | Then {she} reads {x} pages on Saturday.",
                "With Saturday, {she} has read [r = t + x] pages.",
            ),
            part(
                "x:5-30",
                "On Sunday {she} reads another {x} pages.",
                "With Sunday, {she} has read [r = t + x] pages.",
            ),
            part(
                "x:2-5 y:5-12",
                "On holiday {she} reads {x} chapters of {y} pages each.",
                "The chapters have [p = x * y] pages.",
                "Together, {she} has read [r = t + p] pages.",
            ),
        ),
        (
            part(
                "x:90-190/10",
                "The {book} has {x} pages. How many pages are left to read?",
                "In the {book}, there are [r = x - t] pages left.",
            ),
            part(
                "x:2-9|t",
                "{N} spent {x} hours reading, always at the same speed. How many pages did {she} read an hour?",
                "In one hour, {she} read [r = t / x] pages.",
            ),
        ),
        ways("How many pages has {she} read? | How many pages did {N} read in all?"),
        in_order=True,
    ),
    Scenario(
        "sports training",
        {"runs": words("runs, swims, cycles"), "laps": words("laps, rounds")},
        (
            part(
                "x:3-12 y:2-9",
                "{N} {runs} {x} {laps} a day for {y} days. | For {y} days {N} {runs} {x} {laps} every day.",
                "In {y} days, {N} {runs} [r = y * x] {laps}.",
            ),
            part(
                "x:5-30 y:5-30",
                "{N} {runs} {x} {laps} on Monday and {y} {laps} on Tuesday.",
                "In the two days, {N} {runs} [r = x + y] {laps}.",
            ),
        ),
        (
            part(
                "x:3-20", "On Saturday {she} {runs} {x} {laps} more.", "With Saturday, that makes [r = t + x] {laps}."
            ),
            part(
                "x:3-20", "On Sunday {she} {runs} {x} {laps} with {M}.", "With Sunday, that makes [r = t + x] {laps}."
            ),
            part(
                "x:2-4 y:3-8",
                "At a contest {she} {runs} {x} races of {y} {laps}.",
                "The races are [p = x * y] {laps}.",
                "Together, that makes [r = t + p] {laps}.",
            ),
        ),
        (
            part(
                "x:80-150/10",
                "The goal is {x} {laps}. How many {laps} are missing?",
                "To the goal, there are [r = x - t] {laps} missing.",
            ),
            part(
                "x:2-5",
                "Each of the {laps} takes {x} minutes. How many minutes is that in all?",
                "At {x} minutes each, that is [r = t * x] minutes.",
            ),
        ),
        ways("How many {laps} is that in all? | How many {laps} did {N} do in total?"),
        in_order=True,
    ),
    Scenario(
        "homework",
        {"subject": words("math, spelling, science, music")},
        (
            part(
                "x:5-12 y:2-8",
                "{N} studies {subject} for {x} minutes a day, {y} days in a row.",
                "In {y} days, {N} studies for [r = y * x] minutes.",
            ),
            part(
                "x:10-45 y:10-45",
                "{N} studies {subject} for {x} minutes and history for {y} minutes.",
                "For both, {N} needs [r = x + y] minutes.",
            ),
        ),
        (
            part("x:5-30", "{She} also reads for {x} minutes.", "With reading, that makes [r = t + x] minutes."),
            part("x:5-30", "{She} draws a picture for {x} minutes.", "With drawing, that makes [r = t + x] minutes."),
            part(
                "x:2-6 y:3-10",
                "{She} solves {x} puzzles that take {y} minutes each.",
                "The puzzles take [p = x * y] minutes.",
                "With the puzzles, that makes [r = t + p] minutes.",
            ),
        ),
        (
            part(
                "x:90-180/10",
                "{She} has {x} minutes for everything. How many minutes are left?",
                "Of the time, {she} has [r = x - t] minutes left.",
            ),
            part(
                "x:2-6|t",
                "{She} cuts the time into {x} equal parts. How many minutes is each part?",
                "Each part is [r = t / x] minutes.",
            ),
        ),
        ways("How many minutes is that in all? | How many minutes did {N} work in total?"),
    ),
    Scenario(
        "ages",
        {"coach": words("coach, teacher, neighbor, doctor, baker")},
        (
            part(
                "x:5-12 y:2-4 z:3-20",
                "{N} is {x} years old. {M} is {y} times as old. The {coach} is {z} years older than {M}.",
                "{M} is [p = y * x] years old.",
                "The {coach} is [r = p + z] years old.",
            ),
            part(
                "x:6-30 y:3-20 z:3-20",
                "{N} is {x} years old. {M} is {y} years older. The {coach} is {z} years older than {M}.",
                "{M} is [p = x + y] years old.",
                "The {coach} is [r = p + z] years old.",
            ),
            part(
                "x:8-20 y:2-6 z:2-6",
                "{N} is {x} years old. {M} is {y} years younger. The {coach} is {z} times as old as {M}.",
                "{M} is [p = x - y] years old.",
                "The {coach} is [r = p * z] years old.",
            ),
        ),
        (),
        (
            part(
                "x:3-20",
                "How old will the {coach} be in {x} years?",
                "In {x} years, the {coach} will be [r = t + x] years old.",
            ),
            part(
                "x:2-10",
                "How old was the {coach} {x} years ago?",
                "{x} years ago, the {coach} was [r = t - x] years old.",
            ),
            part(
                "x:2-6|t",
                "The {coach} is {x} times as old as the dog. How old is the dog?",
                "The dog is [r = t / x] years old.",
            ),
        ),
        ways("How old is the {coach}? | How many years old is the {coach}?"),
    ),
    Scenario(
        "points in a game",
        {"game": words("a card game, a video game, a quiz, a board game")},
        (
            part(
                "x:2-9 y:3-12",
                "In {game}, {N} wins {x} rounds and gets {y} points for each."
                " | {N} plays {game} and wins {x} rounds of {y} points each.",
                "{x} rounds of {y} points make [r = x * y] points.",
            ),
            part(
                "x:10-50 y:10-50",
                "In {game}, {N} scores {x} points and then {y} points.",
                "In the first two turns, {N} gets [r = x + y] points.",
            ),
        ),
        (
            part("x:5-30", "{She} gets a bonus of {x} points.", "With the bonus, {she} has [r = t + x] points."),
            part("x:2-20", "For a mistake {she} loses {x} points.", "After the mistake, {she} has [r = t - x] points."),
            part(
                "x:2-5 y:4-12",
                "Then {she} finds {x} stars worth {y} points each.",
                "The stars give [p = x * y] points.",
                "Together, {she} has [r = t + p] points.",
            ),
            part("x:2-25", "{M} takes {x} points from {N}.", "After {M} takes {x}, {she} has [r = t - x] points."),
        ),
        (
            part(
                "x:2-3",
                "In the last round {her} points are multiplied by {x}. How many points does {she} have then?",
                "In the last round, {she} gets to [r = t * x] points.",
            ),
            part(
                "x:3-40",
                "{M} has {x} points more than {N}. How many points does {M} have?",
                "{M} has [r = t + x] points.",
            ),
        ),
        ways("How many points does {she} have now? | How many points does {N} have in the end?"),
    ),
)

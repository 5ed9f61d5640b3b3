"""E1xx: structure and names."""

from __future__ import annotations

from dagent.dsl.codes.code import Code

CODES = {
    "E101": Code(
        "unknown key",
        "The block has no such key.",
        "A misspelt key that is ignored costs a wasted run.",
        'student { model = "builtin:tiny-python"  adaptor = full }',
        "Use the key suggested, or see the block in docs/language.md.",
    ),
    "E102": Code(
        "unknown block",
        "The language has no block of that kind.",
        "A misspelt block that is ignored costs a wasted run.",
        "budgets { rounds <= 3 }",
        "Use the block suggested, or see docs/language.md.",
    ),
    "E103": Code(
        "missing key",
        "The block lacks a key that it cannot do without.",
        "There is no default that would be right for everybody.",
        "student { adapter = full }",
        "Add the key.",
    ),
    "E104": Code(
        "missing block",
        "The spec lacks a block that it cannot do without.",
        "Domain, data, student, engineer, budget, criteria and train together say the experiment.",
        "$ dagent check spec-without-budget.dagent",
        "Add the block; `dagent init` writes a spec with all of them.",
    ),
    "E105": Code(
        "wrong type",
        "The value is of another type than the key takes.",
        "Reading text as a number, or one value as a list, would guess.",
        "seed = twelve",
        "Write a value of the type that the message names.",
    ),
    "E106": Code(
        "not one of the values allowed",
        "The key takes one of a few words, and this is none of them.",
        "Each of the words is implemented; others are not.",
        'student { model = "builtin:tiny-python"  adapter = lorra }',
        "Use one of the words listed.",
    ),
    "E107": Code(
        "duplicate key",
        "A key is given twice in one block.",
        "Which of the two counts would be a guess.",
        "seed = 1\nseed = 2",
        "Keep one of them.",
    ),
    "E108": Code(
        "duplicate block",
        "A block is given twice, or two blocks of a kind have the same name.",
        "Which of the two counts would be a guess; blocks are not merged silently.",
        'student { model = "builtin:tiny-python" }\nstudent { model = "./other" }',
        "Join them into one block, or give one another name.",
    ),
    "E109": Code(
        "not a name",
        "A name holds characters that names cannot have.",
        "Names are referred to from other places, and become parts of file and step names.",
        "let { a-b = 3 }",
        "Start with a letter, go on with letters, digits and `_`.",
    ),
    "E110": Code(
        "too few or too short",
        "A list, a block or a text is empty where something is needed.",
        "Empty means that a decision was left out.",
        'domain { name = demo  goal = "" }',
        "Fill it, or remove the key.",
    ),
    "E111": Code(
        "twice in the list",
        "A list holds the same value twice.",
        "The list says a set: the second adds nothing and may hide a typo.",
        "domain { name = demo  goal = g  skills = [index, slice, index] }",
        "Remove the second.",
    ),
    "E112": Code(
        "text of the wrong form",
        "The text does not have the form that the key wants.",
        "It becomes part of a name elsewhere, such as MLflow's experiment.",
        'domain { name = "my domain!"  goal = g }',
        "Follow the form in the message.",
    ),
    "E190": Code(
        "not supported yet",
        "The language has this, and no step of this version uses it.",
        "Ignoring it would run another experiment than the one declared.",
        "$ dagent check spec-of-a-later-version.dagent",
        "Use what the message names, or remove it for now.",
    ),
}

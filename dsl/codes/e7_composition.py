"""E7xx: composition."""

from __future__ import annotations

from dagent.dsl.codes.code import Code

CODES = {
    "E701": Code(
        "import not found",
        "An imported file does not exist.",
        "What it would bring is unknown.",
        'import "no-such.dagent"',
        "Correct the path, relative to the file that imports, or the name after `dagent:`.",
    ),
    "E702": Code(
        "cycle of imports",
        "A file imports itself, by way of others or directly.",
        "Which file's keys win would have no answer.",
        'import "spec.dagent"',
        "Remove one import of the cycle; the notes show it.",
    ),
    "E703": Code(
        "unknown name",
        "`$NAME` refers to neither a `let` nor a `param`.",
        "It has no value.",
        "seed = $no_such",
        "Define it in `let { … }` or `param NAME { … }`, or write `$$` for a dollar sign.",
    ),
    "E704": Code(
        "name given twice",
        "A name is defined both as constant and as parameter.",
        "Which of the two counts would be a guess.",
        "let { n = 1 }\nparam n { default = 2 }",
        "Rename one of them.",
    ),
    "E705": Code(
        "bad `--set`",
        "`--set` does not read `NAME=VALUE`, or names no parameter, or its value does not fit.",
        "A misspelt parameter that is ignored costs a wasted run.",
        "$ dagent check --set no_such=1",
        "Use the name of a `param` block and a value of its type.",
    ),
    "E706": Code(
        "secret in the text",
        "A secret is written into the spec, or is about to enter the plan.",
        "Specs and plans are committed, shared and logged.",
        'engineer { strategy = curriculum  api_key = "sk-0123456789abcdef0123456789abcdef" }',
        "Declare `param KEY { env = KEY  secret = true }` and write `api_key = $KEY`.",
    ),
    "E707": Code(
        "path outside the project",
        "A path leads out of the folder of the spec, or is none that the system can look up.",
        "Such a plan would not work on another machine.",
        'data dev { role = dev  path = "../../elsewhere.jsonl" }\n'
        'data test { role = test  path = "test.jsonl" }',
        "Copy the file into the project, or move the spec up.",
    ),
    "E708": Code(
        "parameter without a value",
        "A parameter has no default, and neither `--set` nor the environment gives it a value.",
        "It is used, and nothing says what it is.",
        "param lr { type = number }\ntrain sft { learning_rate = $lr }",
        "Give `--set NAME=VALUE`, set the variable, or add a `default`.",
    ),
    "E709": Code(
        "cycle of names",
        "Constants refer to each other in a circle.",
        "None of them has a value.",
        "let { a = $b  b = $a }\nseed = $a",
        "Give one of them a value of its own.",
    ),
    "E710": Code(
        "imports that disagree",
        "Two imported files give the same key different values.",
        "Which of the two counts would be a guess.",
        "$ dagent check spec-with-two-imports.dagent",
        "Give the key in the importing file, or in one import only.",
    ),
    "E711": Code(
        "unused name",
        "A constant or parameter is defined and never used.",
        "It may be a misspelt reference elsewhere.",
        "let { n = 2k rows }",
        "Use it, or remove it.",
    ),
    "E712": Code(
        "bad parameter",
        "A parameter is declared in a way that cannot work.",
        "A secret has to name its variable, and a default has to be of the declared type.",
        "param n { type = integer  default = many }\nseed = $n",
        "Follow the message.",
    ),
    "E713": Code(
        "spec of a revision does not compile",
        "The spec as it was at a git revision is refused by this version of dagent.",
        "Without its plan there is nothing to compare with.",
        "$ dagent diff v0.0.1",
        "Name a revision whose spec compiles, or compare with a plan that was kept.",
    ),
    "E714": Code(
        "git failed",
        "A revision was named, and git could not give its files.",
        "The spec, its data and its programs are taken from git as they were then.",
        "$ cd /tmp && dagent diff HEAD~1",
        "Run it inside the repository, with git installed.",
    ),
    "E715": Code(
        "neither a file nor a revision",
        "What was named is no file, and git knows no such revision here.",
        "There is nothing to compare.",
        "$ dagent diff HEAD~1000",
        "Name a plan, a spec, a revision such as `HEAD~1`, or a range such as `main..HEAD`.",
    ),
    "E716": Code(
        "student does not fit the device",
        "Training the student takes more memory than the device named in `student` has.",
        "It would fail after data was made and paid for.",
        'student { model = "Qwen/Qwen2.5-7B"  revision = "a1b2c3d"  device = "1x24GB" }',
        "Set what the message names: they are the cheapest changes that fit, one on the other.",
    ),
    "E717": Code(
        "not a device",
        "`device` says how many accelerators there are and how much memory each has.",
        "Whether the training fits follows from the memory of one.",
        'student { model = "builtin:tiny-python"  device = "one A100" }',
        "Write it like `1x24GB`.",
    ),
    "E718": Code(
        "budget may not be enough",
        "By the high estimate the run could exceed a cap of the budget, or the device's memory.",
        "`--budget-check` was asked for; without it the run would end where the cap is reached.",
        "$ dagent compile --budget-check",
        "Allow more, lower what the run does, or compile without `--budget-check`.",
    ),
    "E721": Code(
        "no such row",
        "No row, or more than one, has an id that begins with what was written.",
        "The lineage of a row is read from the latest execution, by its id.",
        "$ dagent show row 00000000",
        "Take an id from a file of rows that `dagent show STEP` names, or write more of it.",
    ),
    "E722": Code(
        "nothing to show",
        "What was named is no plan, no step and no row.",
        "There is nothing by that name.",
        "$ dagent show r1.train r2.train",
        "Write `dagent show`, `dagent show STEP` or `dagent show row ID`.",
    ),
}

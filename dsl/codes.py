"""Every code: what it says, why it is refused, an example that earns it, and the remedy.

`dagent explain E101` prints an entry and `docs/errors.md` lists them all. To add a code, add one
entry in its place by number; a test asserts that every code here is raised somewhere and that
every code raised is here. The hundreds: 0 text and syntax, 1 structure and names, 2 values and
units, 3 data and roles, 4 budget, 5 criteria, 6 student and training, 7 composition, 8 execution
and the machine, 9 dagent itself.

An example that starts with ``$`` is a command; one that starts with ``---`` is YAML; any other is
`.dagent`. What an example leaves out of a whole spec is in order: a test fills it in and asserts
that the code, and no other error, is reported.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    title: str
    what: str
    why: str
    example: str
    fix: str


CODES: dict[str, Code] = {
    "E001": Code(
        "no such file",
        "The file that was named does not exist.",
        "Nothing can be read from it.",
        "$ dagent check no-such.dagent",
        "Check the name and the folder you are in.",
    ),
    "E002": Code(
        "a folder, not a file",
        "The name given is that of a folder.",
        "A spec is one file.",
        "$ dagent check .",
        "Name the file; inside its folder, `dagent check` finds it alone.",
    ),
    "E003": Code(
        "empty file",
        "The file holds nothing, or only blanks and comments.",
        "A spec without blocks says nothing to compile.",
        "# only a comment",
        "Write a spec, or start from one with `dagent init`.",
    ),
    "E004": Code(
        "not text",
        "The file is not UTF-8 text.",
        "Both syntaxes are text in UTF-8; anything else is a wrong file or a wrong encoding.",
        "$ dagent check weights.yaml",
        "Save the file as UTF-8, or name the right one.",
    ),
    "E005": Code(
        "file cannot be read",
        "The operating system refused to let dagent read the file.",
        "Nothing is known about what it holds.",
        "$ chmod 000 spec.dagent && dagent check spec.dagent",
        "Give yourself the right to read it.",
    ),
    "E006": Code(
        "unknown file ending",
        "The ending of the file's name says neither of the two syntaxes.",
        "The ending decides how a spec is read; guessing from the content would be fragile.",
        "$ dagent check spec.json",
        "Name it `.dagent`, `.yaml` or `.yml`.",
    ),
    "E007": Code(
        "file cannot be written",
        "The operating system refused to let dagent write the file.",
        "The result would be lost.",
        "$ dagent fmt spec.dagent --to yaml -o /no/such/folder/spec.yaml",
        "Choose a folder that exists and that you may write to.",
    ),
    "E010": Code(
        "unexpected character",
        "A character that means nothing in the `.dagent` syntax.",
        "Text with blanks or signs in it has to be quoted.",
        "student { model = @home }",
        'Put quotes around the value: `"@home"`.',
    ),
    "E011": Code(
        "text never closed",
        "A quote opens a text, and no quote closes it.",
        'A text in `"` ends on its line; a text in `"""` may run over lines.',
        'student { model = "builtin:tiny-python }\n',
        'Close the text with `"`, or use `"""` for a text of several lines.',
    ),
    "E012": Code(
        "unknown escape",
        "A backslash in a text is followed by something that is no escape.",
        r"Known are \n \t \r \" \\ \/ \b \f and \uXXXX, as in JSON.",
        'domain {\n  name = demo\n  goal = "a \\q b"\n}',
        r"Write `\\` for a backslash.",
    ),
    "E020": Code(
        "syntax error",
        "Something stands where the grammar allows no such thing.",
        "Guessing what was meant could compile another experiment than the intended one.",
        "student { = 3 }",
        "Follow the message: it says what was expected.",
    ),
    "E021": Code(
        "value missing",
        "No value follows `=` or `<=`.",
        "A key without a value decides nothing.",
        "student {\n  model =\n  adapter = full\n}",
        "Write the value, or remove the key.",
    ),
    "E022": Code(
        "never closed",
        "A `{` or `[` is opened and never closed.",
        "Where the block was meant to end is unknown.",
        'student {\n  model = "builtin:tiny-python"\n',
        "Close it with `}` or `]`.",
    ),
    "E023": Code(
        "closes nothing",
        "A `}` or `]` closes nothing that is open.",
        "There is one too many, or its opening partner is missing.",
        'student { model = "builtin:tiny-python" }\n}',
        "Remove it, or open what it should close.",
    ),
    "E024": Code(
        "`<=` in the wrong place",
        "Something that is no cap is written with `<=`.",
        "`<=` says that a value is the most allowed; other values are set.",
        'student { model <= "builtin:tiny-python" }',
        "Write `=`; `<=` is for the caps in `budget`.",
    ),
    "E025": Code(
        "`=` missing",
        "A key is followed by a value with no `=` between them.",
        "`key value` could also be a block with a label.",
        'student { model "builtin:tiny-python" }',
        "Write `key = value`.",
    ),
    "E026": Code(
        "label missing or not wanted",
        "A block that needs a name has none, or one that takes no name has one.",
        "The name is how other blocks refer to it: `data dev { … }`.",
        'student small { model = "builtin:tiny-python" }',
        "Add or remove the name before `{`.",
    ),
    "E027": Code(
        "nested too deeply",
        "Lists and maps lie in each other more than 100 levels deep.",
        "No spec needs it, and reading it could exhaust the machine.",
        "$ dagent check deep.yaml",
        "Flatten it.",
    ),
    "E030": Code(
        "YAML syntax error",
        "The file is not valid YAML. Only the first error of a block is found: there may be more.",
        "What follows an error in YAML cannot be read reliably.",
        "---\nstudent: {model: builtin\n",
        "Mend the place shown; often it is indentation, a missing quote or a missing bracket.",
    ),
    "E031": Code(
        "YAML tag",
        "A value carries a tag such as `!!python/object` or `!env`.",
        "Tags construct objects of any kind; a spec holds only text, numbers, lists and maps.",
        "---\nseed: !!int 3\n",
        "Remove the tag; for a value from the environment use `param`.",
    ),
    "E032": Code(
        "several YAML documents",
        "The file holds more than one document, separated by `---`.",
        "A spec is one document; the others would be ignored.",
        "---\nseed: 1\n---\nseed: 2\n",
        "Split the file, or join the documents.",
    ),
    "E033": Code(
        "YAML alias without end",
        "An alias contains itself, or aliases multiply to more than 100,000 nodes.",
        "Such a document has no finite size worth reading.",
        "---\nlet: &a {x: *a}\n",
        "Write the value out, or use `let`.",
    ),
    "E034": Code(
        "YAML key is not text",
        "A key is a list, a map, a number or null.",
        "All names in a spec are text.",
        "---\n? [seed]\n: 1\n",
        "Use a plain word as key.",
    ),
    "E035": Code(
        "not a map of blocks",
        "The YAML document is a list or a single value.",
        "A spec is a map from block names to blocks.",
        "---\n- seed: 1\n",
        "Start with `domain:`, `data:` and so on at the left margin.",
    ),
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
        "budget { rounds <= 3  per round { wall <= 1h } }",
        "Remove it for now.",
    ),
    "E201": Code(
        "not a quantity",
        "The value is not a number with a unit.",
        "The key takes an amount.",
        "budget { rounds <= 3  wall <= soon }",
        "Write a number and a unit, such as `4k rows`, `3h`, `2%` or `20 USD`.",
    ),
    "E202": Code(
        "unknown unit",
        "There is no such unit.",
        "An amount in an unknown unit has no size.",
        "budget { rounds <= 3  wall <= 10 fortnights }",
        "Use one of the units in docs/language.md.",
    ),
    "E203": Code(
        "wrong unit",
        "The unit measures something else than the key.",
        "Ten dollars are not a time.",
        "budget { rounds <= 3  wall <= 20 USD }",
        "Use a unit of the kind that the message names.",
    ),
    "E204": Code(
        "out of range",
        "The value is smaller or larger than the key allows.",
        "Outside the range it has no meaning, such as a share above 100 %.",
        "seed = -1",
        "Choose a value within the range in the message.",
    ),
    "E205": Code(
        "unit missing",
        "The amount has no unit, and the key needs one.",
        "`wall <= 10` could be seconds or hours.",
        "budget { rounds <= 3  wall <= 10 }",
        "Add the unit: `10min`.",
    ),
    "E206": Code(
        "not a whole number",
        "The amount counts things and is not whole.",
        "There is no half row.",
        "budget { rounds <= 2.5 }",
        "Write a whole number.",
    ),
    "E301": Code(
        "data file missing",
        "A data set names a file that does not exist.",
        "The plan locks the data by its digest, so the file has to be there.",
        'data dev { role = dev  path = "missing.jsonl" }\n'
        'data test { role = test  path = "test.jsonl" }',
        "Correct the path; it is relative to the spec's folder.",
    ),
    "E302": Code(
        "row cannot be read",
        "A row of a data file is not what its format says. The row is counted from 1.",
        "A row that is skipped silently changes what is measured.",
        "$ dagent check spec-with-broken-dev.dagent",
        "Correct or remove that row.",
    ),
    "E303": Code(
        "one file in two roles",
        "Two data sets of different roles read the same file.",
        "What is trained or selected on must not be what is tested on.",
        'data dev { role = dev  path = "dev.jsonl" }\n'
        'data test { role = test  path = "dev.jsonl" }',
        "Give each role its own file.",
    ),
    "E304": Code(
        "rows shared with the test set",
        "The test set shares prompts with a set that training or the engineer can see.",
        "The accuracy on such rows measures memory, not skill.",
        "$ dagent check spec-with-leak.dagent",
        "Remove the rows named in the notes from one of the two files.",
    ),
    "E305": Code(
        "role missing",
        "No data set has a role that the spec needs.",
        "`dev` guides the engineer and the gate; `test` is what the result is quoted on.",
        'data dev { role = dev  path = "dev.jsonl" }',
        "Add a data set with that role.",
    ),
    "E306": Code(
        "column missing",
        "The rows lack a column that is needed, such as `prompt` or `answer`.",
        "Without it a row cannot be asked or graded.",
        'data dev { role = dev  path = "dev.jsonl"  columns { prompt = question } }\n'
        'data test { role = test  path = "test.jsonl" }',
        "Name the right column in `columns { … }`.",
    ),
    "E307": Code(
        "no source, or several",
        "A data set or a role has none, or more than one, of the sources it may take one of.",
        "Which one counts would be a guess.",
        'data dev { role = dev }\ndata test { role = test  path = "test.jsonl" }',
        "Keep exactly one of the keys in the message.",
    ),
    "E308": Code(
        "too few rows",
        "A data set is empty or too small for what it is used for.",
        "Nothing can be measured on it.",
        "$ dagent check spec-with-empty-dev.dagent",
        "Add rows.",
    ),
    "E309": Code(
        "rows repeated",
        "A data set holds the same prompt more than once.",
        "Repeated rows count twice and make intervals too narrow.",
        "$ dagent check spec-with-repeats.dagent",
        "Remove the repetitions; with different answers, decide on one.",
    ),
    "E311": Code(
        "program not found",
        "A program, `file.py:function`, does not exist, or has no such function.",
        "It would fail in the middle of a run.",
        'engineer { strategy = curriculum  generator { program = "programs.py:no_such" } }',
        "Correct the file, relative to the spec, or the function's name.",
    ),
    "E312": Code(
        "several sets of one role",
        "Two data sets have a role that only one can have.",
        "Which of them decides would be a guess.",
        'data more { role = test  path = "guard.jsonl" }',
        "Keep one, or join their files.",
    ),
    "E313": Code(
        "guard that guards nothing",
        "A data set has the role `guard`, and `criteria` does not name it.",
        "It suggests a protection that does not exist.",
        'data old { role = guard  path = "guard.jsonl" }',
        "Add `guard NAME { max_drop = 2pp }` to `criteria`, or remove the data set.",
    ),
    "E314": Code(
        "skill or difficulty not listed",
        "Rows of `dev` have a skill or difficulty that `domain` does not list.",
        "The list would say less than the data, and a misspelt skill would be taught by nobody.",
        "domain { name = demo  goal = g  skills = [index] }",
        "Add it to the list, correct the rows, or leave the list out: then the rows decide.",
    ),
    "E315": Code(
        "skill or difficulty without rows",
        "`domain` lists a skill or difficulty that no row of `dev` has.",
        "Nothing measures it, so the engineer cannot see whether it is learnt.",
        "$ dagent check spec-with-unmeasured-skill.dagent",
        "Add rows of it to `dev`, or remove it from the list.",
    ),
    "E316": Code(
        "program is not valid Python",
        "The file of a program has a syntax error.",
        "It would fail in the middle of a run.",
        "$ dagent check spec-with-broken-program.dagent",
        "Mend the place in the message.",
    ),
    "E317": Code(
        "function of the wrong form",
        "The function of a program takes other arguments than it is called with.",
        "It would fail in the middle of a run.",
        'engineer { strategy = curriculum  generator { program = "programs.py:verify" } }',
        "Define it with the arguments in the message.",
    ),
    "E318": Code(
        "unknown option",
        "A program or policy takes no option of that name.",
        "A misspelt option that is ignored costs a wasted run.",
        "engineer {\n"
        "  strategy = curriculum\n"
        "  planner { policy = error-driven  options { hurry = true } }\n"
        '  generator { program = "programs.py:generate" }\n'
        "}",
        "Use the name suggested, or remove it.",
    ),
    "E320": Code(
        "`where` cannot be read",
        "The text of `where` is no expression, or uses what its small language does not have.",
        "It chooses the rows that count, so it must be understood before they are read.",
        'data dev { role = dev  path = "dev.jsonl"  where = "difficulty = 2" }\n'
        'data test { role = test  path = "test.jsonl" }',
        "Write comparisons of columns with `and`, `or`, `not` and `in`; equality is `==`.",
    ),
    "E321": Code(
        "`where` names no column",
        "An expression reads a column that no row of the data set has.",
        "It would keep none of the rows, or all of them.",
        'data dev { role = dev  path = "dev.jsonl"  where = "dificulty == 2" }\n'
        'data test { role = test  path = "test.jsonl" }',
        "Use dagent's name of a column, or the data set's own; texts stand in `'…'`.",
    ),
    "E322": Code(
        "`where` fails on a row",
        "An expression cannot be computed for a row, such as a text compared with a number.",
        "Whether such a row counts would be a guess.",
        'data dev { role = dev  path = "dev.jsonl"  where = "skill > 2" }\n'
        'data test { role = test  path = "test.jsonl" }',
        "Convert the value, as in `int(score) > 3`, or test for `None` before.",
    ),
    "E323": Code(
        "data set on the hub not pinned",
        "Nothing says which commit of a data set on the hub is meant: neither the spec, nor the "
        "lock, nor the local cache.",
        "A name or a branch may hold other rows tomorrow, and compiling asks no network.",
        'data dev { role = dev  hub = "owner/name"  split = train }\n'
        'data test { role = test  path = "test.jsonl" }',
        "Write the commit's 40 digits as `revision`.",
    ),
    "E324": Code(
        "library missing for a data file",
        "A data file has a format that needs a library which is not installed.",
        "Its rows could not be checked.",
        "$ dagent check spec-with-parquet.dagent",
        "Install `pyarrow`, which comes with `dagent[train]`, or save the rows as JSON Lines.",
    ),
    "E325": Code(
        "key without effect in this data set",
        "A key of `data` belongs to another source or another role.",
        "It suggests a choice that nothing makes.",
        'data dev { role = dev  path = "dev.jsonl"  split = train }\n'
        'data test { role = test  path = "test.jsonl" }',
        "Remove it, or name the source that it is for.",
    ),
    "E327": Code(
        "seeds or pool that nothing reads",
        "The generator's function takes no argument `seeds` or `pool`, so a data set of that role "
        "has no reader.",
        "The run would be the same without it.",
        'data more { role = pool  path = "guard.jsonl" }',
        "Add the argument to the function; for seeds, `mix = true` trains on them.",
    ),
    "E328": Code(
        "data set cannot be fetched",
        "The `datasets` library could not read a data set from the hub or from its folder.",
        "Without its rows the run cannot start.",
        "$ dagent execute",
        "Check its name, config and split, the network and the access token; then execute again.",
    ),
    "E401": Code(
        "the budget cannot pay for its minimum",
        "What the rounds need at least is more than a cap allows.",
        "The run would stop before its first result.",
        "budget { rounds <= 5  rows <= 3 }",
        "Raise the cap in the message, or lower the rounds.",
    ),
    "E402": Code(
        "cap that never binds",
        "The cap of a part is larger than the cap of the whole.",
        "It suggests a protection that does not exist.",
        "budget { rounds <= 5  rows <= 1k rows  per round { rows <= 2k rows } }",
        "Lower it below the whole, or remove it.",
    ),
    "E403": Code(
        "unknown part",
        "`per` names neither `round` nor a role that the engineer has.",
        "The cap would apply to nothing.",
        "budget {\n"
        "  rounds <= 5\n"
        "  per round { rows <= 2k rows }\n"
        "  per week { rows <= 2k rows }\n"
        "}",
        "Use `per round`, or `per` and the name of a role.",
    ),
    "E404": Code(
        "no number of rows",
        "The budget does not say how many rows a round or the run may make.",
        "There is no default that would be right for everybody.",
        "budget { rounds <= 3 }",
        "Add `per round { rows <= 2k rows }`, or `rows <= 10k rows` for the whole run.",
    ),
    "E405": Code(
        "time is likely to run out",
        "The run is estimated to take longer than `wall` allows.",
        "It would stop at the cap, before its last round.",
        "budget { rounds <= 50  wall <= 1s  per round { rows <= 2k rows } }",
        "Allow more time, or ask for fewer rounds or rows.",
    ),
    "E410": Code(
        "price unknown",
        "Money is capped, and nothing says what a language model charges.",
        "A cap that cannot be held would only look like one.",
        'engineer {\n  strategy = curriculum\n  lm = "openai/qwen"\n'
        '  api_base = "http://localhost:8000/v1"\n}\n'
        "budget { rounds <= 3  rows <= 60 rows  money <= 20 USD }",
        'State the price in a file and name it: `budget { prices = "prices.json" }`; 0 for a '
        "server of your own.",
    ),
    "E411": Code(
        "price list that cannot be read",
        "The file that `prices` names is not there, or is no price list.",
        "Money is reckoned with it before any is spent.",
        'engineer {\n  strategy = curriculum\n  lm = "openai/gpt-4o"\n}\n'
        'budget { rounds <= 3  rows <= 60 rows  prices = "no-such.json" }',
        'Write `{"models": {"MODEL": {"input": 2.5, "output": 10}}}`, in USD per million tokens.',
    ),
    "E412": Code(
        "cap that is likely to bind",
        "By the high estimate language models take more tokens or money than a cap allows.",
        "The run would end at the cap, before its last round.",
        'engineer {\n  strategy = curriculum\n  lm = "openai/gpt-4o"\n}\n'
        "budget { rounds <= 3  rows <= 60 rows  money <= 2 USD }",
        "Allow more, lower the rounds or rows, or set `max_tokens`.",
    ),
    "E501": Code(
        "unknown metric",
        "A goal or guard names a metric that `criteria` does not declare.",
        "It cannot be computed.",
        "criteria { metric accuracy { grader = exact }  require f1 >= 0.6 on test }",
        "Use the name of a `metric` block, or add one.",
    ),
    "E502": Code(
        "unknown set",
        "A goal names a data set that is not measured.",
        "A goal is measured on `test`, on `select`, or on a guard.",
        "criteria { metric accuracy { grader = exact }  require accuracy >= 0.6 on tests }",
        "Use `test`, `select` or the name of a guard.",
    ),
    "E503": Code(
        "goal not understood",
        "A goal does not read `METRIC >= NUMBER on SET`, with `for each skill` after it if wanted.",
        "A goal has to be measurable.",
        "criteria { metric accuracy { grader = exact }  require accuracy about 0.6 on test }",
        "Write it as `accuracy >= 0.6 on test`.",
    ),
    "E504": Code(
        "stop rule that never fires",
        "The rule for stopping can never come true within the budget.",
        "It suggests that the run may end early, and it cannot.",
        "budget { rounds <= 3  per round { rows <= 2k rows } }\n"
        "criteria { metric accuracy { grader = exact }  stop { patience = 5 rounds } }",
        "Lower the patience below the number of rounds, or remove the rule.",
    ),
    "E505": Code(
        "grader lacks an option",
        "The grader needs an option that is not given, or is given one that it does not read.",
        "Without it nothing can be graded; unread, it would be ignored silently.",
        "criteria { metric accuracy { grader = regex } }",
        "Add or remove the option in the message.",
    ),
    "E506": Code(
        "goal out of reach",
        "A goal asks for a value that the metric cannot have, or that every student has.",
        "It could never be met, or never fail.",
        "criteria { metric accuracy { grader = exact }  require accuracy >= 0 on test }",
        "Choose a value between 0 and 1, or write `60%`.",
    ),
    "E507": Code(
        "not a guard",
        "`guard` names a data set that does not exist or has another role.",
        "A guard is measured on rows that nothing else uses.",
        "criteria { metric accuracy { grader = exact }  guard dev { max_drop = 2pp } }",
        "Name a data set with `role = guard`.",
    ),
    "E508": Code(
        "unknown skill",
        "A goal names a skill that no row has, or the rows name no skills.",
        "It cannot be measured.",
        "criteria {\n"
        "  metric accuracy { grader = exact }\n"
        "  require accuracy >= 0.6 on test for skill juggling\n"
        "}",
        "Use a skill of the rows.",
    ),
    "E509": Code(
        "few rows to select on",
        "With so few rows the gate sees only large gains.",
        "Small steps forward would be refused as noise.",
        "$ dagent check spec-with-small-dev.dagent",
        "Add dev rows: four times as many see gains half as large.",
    ),
    "E510": Code(
        "goals that contradict each other",
        "Two goals cannot both be met.",
        "The run could never succeed.",
        "$ dagent check spec-with-contradicting-goals.dagent",
        "Remove one of them.",
    ),
    "E511": Code(
        "no JSON Schema",
        "The file that `schema` names is missing, is not JSON, is no schema, or refers to another.",
        "No answer could be checked against it.",
        "$ dagent check spec-with-broken-schema.dagent",
        "Name a file with one whole JSON Schema.",
    ),
    "E512": Code(
        "rows that the grader cannot judge by",
        "`code` needs unit tests in the column `tests`; `sql` a `database` or a `schema_sql`.",
        "Every answer to such a row would count as wrong.",
        "$ dagent check spec-with-code-metric.dagent",
        "Add the column to the rows, or name the one that holds it in `columns { … }`.",
    ),
    "E513": Code(
        "no such database",
        "A row's column `database` names a file that is not there.",
        "No query can be run for that row.",
        "$ dagent check spec-with-sql-metric.dagent",
        "Correct the path; it is relative to the spec.",
    ),
    "E514": Code(
        "generated rows that nothing can judge",
        "A language model generates questions and answers, and no tests or databases for them.",
        "Every row would be rejected, and the calls be paid for nothing.",
        "$ dagent check spec-with-generated-code.dagent",
        "Generate rows by a program that gives them the columns, or judge them otherwise.",
    ),
    "E520": Code(
        "an arm named like the spec itself",
        "The spec without overrides is always an arm, and its name is `loop`.",
        "A comparison needs one name for each thing that it compares.",
        """arms {
  arm loop { control = uniform }
}
""",
        "Give the arm another name.",
    ),
    "E521": Code(
        "nothing there to override",
        "An override names a block as a whole, or a training stage that the chain does not have.",
        "An override puts one value in the place of another.",
        """arms {
  arm slow { set { train.dpo.learning_rate = 1e-4 } }
}
""",
        "Write the way to one value: `engineer.cap`, `train.sft.learning_rate`.",
    ),
    "E522": Code(
        "an override of what all arms share",
        "The data, the domain, the budget and the criteria of judgement are the same for all arms.",
        "Arms that learn for another goal, spend another budget or take another test cannot be "
        "compared.",
        """arms {
  arm rich { set { budget.rounds = 9 } }
}
""",
        "Compile a spec of its own for that; for other seeds, use `seeds`.",
    ),
    "E523": Code(
        "an arm that changes nothing",
        "With its control and its overrides the arm is the spec itself.",
        "It would be the loop under another name, and a comparison with it says nothing.",
        """arms {
  arm same { set { engineer.candidates = 2 } }
}

engineer {
  strategy = curriculum
  generator { program = "programs.py:generate" }
  candidates = 2
}
""",
        "Name another control, or set something else.",
    ),
    "E524": Code(
        "an arm at another cost",
        "The arm may use more or fewer rows, calls or trainings than the loop; both are counted "
        "from the steps of the plan.",
        "A difference may then come from the cost and not from the method.",
        """arms {
  arm many { set { engineer.candidates = 4 } }
}
""",
        "Make the amounts equal, or report the difference with the result.",
    ),
    "E525": Code(
        "arms that may stop early",
        "A `stop` rule ends the rounds of an arm before its budget is used.",
        "Arms that stop at different rounds are not compared at equal cost.",
        """arms {
  arm flat { control = uniform }
}

criteria {
  metric accuracy { grader = exact }
  stop { patience = 1 rounds }
}
""",
        "Remove `stop` from a spec that compares arms.",
    ),
    "E601": Code(
        "unknown model",
        "The student's model is not built in, or its folder is missing or is no model.",
        "There would be nothing to train.",
        'student { model = "builtin:tiny-pithon" }',
        "Use a built-in name, a folder that starts with `./`, or `owner/name` on the hub.",
    ),
    "E602": Code(
        "unknown argument",
        "The config that the block stands for (of a TRL stage, LoRA, generation) has no argument "
        "of that name.",
        "The library would fail after the data have been paid for.",
        "train sft { learning_rat = 1e-3 }",
        "Use the argument suggested; names are the library's own.",
    ),
    "E603": Code(
        "wrong type of argument",
        "The argument of the library's config takes another type.",
        "The library would fail after the data have been paid for.",
        "train sft { learning_rate = fast }",
        "Write a value of the type in the message.",
    ),
    "E605": Code(
        "argument that dagent sets itself",
        "The argument of TRL, PEFT or transformers is decided by dagent.",
        "Two masters of one argument would break resuming or tracking.",
        'train sft { output_dir = "out" }',
        "Remove it.",
    ),
    "E606": Code(
        "key without meaning here",
        "The key says nothing about a student of this kind.",
        "Ignoring it silently would surprise.",
        'student { model = "builtin:tiny-python"  revision = main }',
        "Remove it, or change what the message names.",
    ),
    "E607": Code(
        "template without a prompt",
        "The template has no place for the question.",
        "The student would never see the question.",
        'student { model = "builtin:tiny-python"  template = "Answer:" }',
        "Write `{prompt}` where the question goes.",
    ),
    "E608": Code(
        "model without a revision",
        "A model of the hub is named without a revision.",
        "Its files may change there, and the same plan would then train another model.",
        "$ dagent check spec-with-hub-model.dagent",
        "Add `revision = COMMIT`.",
    ),
    "E609": Code(
        "accelerate config that cannot launch a training",
        "The file is not there, is no config of accelerate, or says what the trainer cannot do.",
        "The training would fail after the rows were paid for.",
        'student { model = "builtin:tiny-python"  accelerate = "missing.yaml" }',
        "Write the file with `accelerate config`, and keep it beside the spec.",
    ),
    "E610": Code(
        "argument that only Python can give",
        "The argument takes an object of a Python class, and nothing a spec can hold.",
        "The library would fail after the data have been paid for.",
        'student { model = "builtin:tiny-python"  generation { compile_config = fast } }',
        "Remove it.",
    ),
    "E611": Code(
        "word that the argument does not know",
        "The argument takes one of several words, and this is none of them.",
        "The library would fail after the data have been paid for.",
        "train sft { lr_scheduler_type = cosin }",
        "Use the word suggested.",
    ),
    "E612": Code(
        "sampling argument out of bounds",
        "The argument of generation lies outside what transformers accepts.",
        "The first evaluation would fail.",
        'student { model = "builtin:tiny-python"  generation { top_p = 1.5 } }',
        "Write a value within the bounds; for greedy answers leave it out.",
    ),
    "E613": Code(
        "sampling argument without sampling",
        "The argument steers how answers are drawn, and `do_sample = false` says that none are.",
        "It would change nothing, and the reader would think it did.",
        'student { model = "builtin:tiny-python"  generation { do_sample = false  top_p = 0.9 } }',
        "Remove the argument, or `do_sample`.",
    ),
    "E614": Code(
        "argument that the engine does not take",
        "`generation` names an argument that vLLM has no name for.",
        "Leaving it out would give other answers than the spec says.",
        'student { model = "builtin:tiny-python"  engine = vllm  generation { num_beams = 4 } }',
        "Remove it, or write `engine = transformers`.",
    ),
    "E615": Code(
        "code that comes with a model will run",
        "The student is loaded with the Python code that its folder or repository brings.",
        "Such code can do whatever you can; nothing here confines it.",
        "$ dagent check spec-with-a-model-that-brings-code.dagent",
        "Read the code. If nothing needs it, remove `trust_remote_code`.",
    ),
    "E616": Code(
        "trusted code without a revision",
        "A model of the hub may run its code, and no revision says which code that is.",
        "Whoever changes the repository would run code on your machine.",
        'student { model = "someone/model"  trust_remote_code = true }',
        "Add `revision = COMMIT`, of code that you have read.",
    ),
    "E620": Code(
        "config of no known tool",
        "The file given to `--from` is no training config of Axolotl, LLaMA-Factory or Oumi.",
        "Its keys would be guessed at.",
        "$ dagent init new --from docker-compose.yaml",
        "Give a training config; `--from-format` names the tool.",
    ),
    "E621": Code(
        "method without a stage",
        "The config trains by a method that no stage of `train` stands for.",
        "Another method in its place would be another experiment.",
        "$ dagent init new --from pretrain.yaml",
        "Write the spec by hand, with the stage that comes nearest.",
    ),
    "E640": Code(
        "experimental stage",
        "The stage's trainer stands in `trl.experimental`.",
        "TRL may change it, or drop it, between releases without notice.",
        "train orpo { learning_rate = 1e-5 }",
        "Nothing needs mending; the stable stage that is named does nearly the same.",
    ),
    "E641": Code(
        "reward model that nobody asks",
        "A `reward` stage makes a reward model, and no `grpo` or `rloo` follows it.",
        "The student would be left as it was, and the training paid for nothing.",
        "train sft { learning_rate = 1e-3 }\ntrain reward { learning_rate = 1e-4 }",
        "Add `train grpo { … }` behind it, or remove it.",
    ),
    "E642": Code(
        "no verdicts to learn from",
        "The stage learns from what the first metric says of the student's own answers, and its "
        "grader cannot be asked while the student trains.",
        "Right and wrong answers, and rewards, are derived from it and from nothing else.",
        "$ dagent check spec-with-dpo-and-a-judge.dagent",
        "Put a metric first whose grader is a program or a comparison.",
    ),
    "E643": Code(
        "stage without a teacher",
        "A `distillation` or `gkd` stage does not say which model teaches.",
        "The student learns from the probabilities of a larger model; there is none to guess.",
        "train distillation { learning_rate = 1e-5 }",
        "Add `teacher_model_name_or_path`: a model with the student's own vocabulary.",
    ),
    "E644": Code(
        "sizes that do not fit together",
        "The stage compares several answers at a time, and its batch does not hold them.",
        "TRL would refuse it after the data have been paid for.",
        "train grpo { per_device_train_batch_size = 6  num_generations = 4 }",
        "Follow the message; the batch is a multiple of `num_generations`.",
    ),
    "E650": Code(
        "setting of a model that is not named",
        "A setting of a language model stands where no model is named.",
        "It would have no effect.",
        "engineer {\n  strategy = curriculum\n  temperature = 0.7\n"
        '  generator { program = "programs.py:generate" }\n}',
        "Name the model with `lm`, or remove the setting.",
    ),
    "E651": Code(
        "key that is no secret parameter",
        "`api_key` holds something else than a secret parameter.",
        "Keys come from the environment, so that no spec, plan or log ever holds one.",
        'engineer { strategy = curriculum  lm = "openai/gpt-5.2"  api_key = mine }',
        "Declare `param KEY { env = KEY  secret = true }` and write `api_key = $KEY`.",
    ),
    "E652": Code(
        "setting that its role cannot follow",
        "A role is to be optimised or to explore, and what does it cannot.",
        "DSPy optimises the prompts of a language model; a program has none.",
        'engineer {\n  strategy = curriculum\n  generator { program = "programs.py:generate" }\n'
        "  optimise generator { optimiser = bootstrap }\n}",
        "Give the role an `lm`, or remove the setting.",
    ),
    "E653": Code(
        "document that cannot be read",
        "A document of `sources` is missing, is no text, or is one of the data sets.",
        "Rows are to be grounded on it; data sets are judged on, so rows must not repeat them.",
        'domain { name = demo  goal = "Know the manual."  sources = ["no-such.md"] }\n'
        'engineer { strategy = curriculum  lm = "openai/gpt-5.2" }',
        "Correct the path, or convert the document to plain text.",
    ),
    "E654": Code(
        "documents that nobody reads",
        "`sources` are named, and the generator is a program.",
        "Only a generator that is a language model draws on them.",
        'domain { name = demo  goal = "Know the manual."  sources = ["programs.py"] }',
        "Let a language model generate, or remove `sources`.",
    ),
    "E655": Code(
        "verifier with nothing to do",
        "The verifier neither judges, nor answers, nor runs a program.",
        "Every row would pass.",
        'engineer {\n  strategy = curriculum\n  lm = "openai/gpt-5.2"\n'
        "  verifier { judge = false }\n}",
        "Add `samples` or a `program`, or remove `judge = false`.",
    ),
    "E656": Code(
        "judge that cannot tell",
        "The judge passes wrong rows about as often as right ones.",
        "It was tried on rows of dev's diagnose half with their right and with wrong answers. "
        "Rows that it let pass would teach mistakes.",
        "$ dagent execute",
        "Use a stronger model, `samples`, or a program as verifier.",
    ),
    "E670": Code(
        "key of the other strategy",
        "A key of `engineer` belongs to `curriculum`, and the strategy is `program`, or the other "
        "way round.",
        "Nothing would read it.",
        'engineer {\n  strategy = program\n  lm = "openai/gpt-5.2"\n  explore = 3\n}',
        "Remove the key, or change the strategy.",
    ),
    "E671": Code(
        "program without author or teacher",
        "With `strategy = program` one model writes programs and another is asked by them, and one "
        "of the two is not named.",
        "There would be no program, or no row.",
        'engineer { strategy = program  author { lm = "openai/gpt-5.2" } }',
        "Name both, or one `lm` for the whole block.",
    ),
    "E672": Code(
        "one shot of several rounds",
        "`setting = one_shot` trains once, and the budget has more rounds.",
        "What one round shows cannot guide the next in this setting.",
        'engineer { strategy = program  setting = one_shot  lm = "openai/gpt-5.2" }\n'
        "budget { rounds <= 3  per round { rows <= 2k rows } }",
        "Write `rounds <= 1`, or `setting = iterative`.",
    ),
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
        "A path leads out of the folder of the spec.",
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
    "E801": Code(
        "no spec in the folder",
        "The folder holds no spec.",
        "Without a name on the command line, the folder's one spec is taken.",
        "$ cd empty && dagent compile",
        "Go to the spec's folder, name the file, or start with `dagent init`.",
    ),
    "E802": Code(
        "several specs in the folder",
        "The folder holds more than one spec.",
        "Which of them is meant would be a guess.",
        "$ ls *.dagent && dagent compile",
        "Name one: `dagent compile SPEC`.",
    ),
    "E803": Code(
        "no plan",
        "The plan to run does not exist.",
        "`dagent execute` runs what `dagent compile` wrote.",
        "$ cd fresh && dagent execute",
        "Run `dagent compile` first.",
    ),
    "E804": Code(
        "stale plan",
        "The spec, or data, a program or a package it locks, changed since the plan was made.",
        "The plan would run another experiment than the files say.",
        "$ dagent compile && touch-up spec.dagent && dagent execute",
        "Run `dagent compile` again; what is unchanged is reused.",
    ),
    "E805": Code(
        "edited plan",
        "The plan is not what the compiler wrote: its digests do not match its content.",
        "Identity of steps, and so reuse, rests on these digests.",
        "$ sed -i s/0.001/0.1/ dagent.plan.json && dagent execute",
        "Change the spec and run `dagent compile`.",
    ),
    "E806": Code(
        "plan of another version",
        "The plan's format is of another version of dagent.",
        "It may mean something else there.",
        "$ dagent execute old.plan.json",
        "Run `dagent compile` with this version.",
    ),
    "E807": Code(
        "spec of a plan gone",
        "The spec that a plan was compiled from is not beside it any more.",
        "The plan says all that is needed to run, but nobody can see any more what was declared.",
        "$ dagent compile && rm spec.dagent && dagent execute",
        "Keep the spec in the folder of its plan.",
    ),
    "E810": Code(
        "disk full",
        "The disk has no room left. What was finished is kept.",
        "Rows, models and the journal have to be written.",
        "$ dagent execute",
        "Free some space and run the same command: it continues.",
    ),
    "E811": Code(
        "port taken",
        "Another program listens on the port.",
        "Two servers cannot share a port.",
        "$ dagent ui --port 5000",
        "Choose another port with `--port`.",
    ),
    "E812": Code(
        "permission denied",
        "The operating system refused access to a file or folder.",
        "dagent writes beside the spec: the plan, the lock and the folder `.dagent`.",
        "$ cd /read-only && dagent compile",
        "Give yourself the right, or work in another folder.",
    ),
    "E813": Code(
        "out of memory",
        "The machine or the accelerator ran out of memory. What was finished is kept.",
        "The step cannot finish as it is.",
        "$ dagent execute",
        "Lower the batch size or the length in `train`, or use a smaller model.",
    ),
    "E814": Code(
        "worker died",
        "The process that trains and evaluates ended before its work did.",
        "It was killed, or crashed in native code. What was finished is kept.",
        "$ dagent execute",
        "Look at the log in the message, then run the same command: it continues.",
    ),
    "E815": Code(
        "program failed",
        "A program of yours raised an error, or returned what is no row.",
        "Rows that may be wrong are not trained on.",
        "$ dagent execute",
        "Mend the program; the message shows its own error and the input it was given.",
    ),
    "E816": Code(
        "another execution is running",
        "Another process executes in this folder.",
        "Two writers would spoil the journal and the budget.",
        "$ dagent execute & dagent execute",
        "Wait for it, watch it with `dagent status`, or end it.",
    ),
    "E817": Code(
        "nothing executed yet",
        "The folder holds no execution.",
        "There is nothing to show until something ran.",
        "$ cd fresh && dagent ui",
        "Run `dagent execute`, or go to the folder of the spec.",
    ),
    "E818": Code(
        "package missing",
        "The step needs a package that is not installed.",
        "The core is light; training, tracking and agents are extras.",
        "$ pip install dagent && dagent execute",
        "Install the extra in the message, such as `pip install 'dagent[train]'`.",
    ),
    "E819": Code(
        "MLflow's page does not open",
        "MLflow's server could not listen at the address, or ended before it answered.",
        "What was tracked is safe: the page only shows it.",
        "$ dagent ui --host 203.0.113.1",
        "Read the message and `.dagent/ui.log`; choose another `--host` or `--port`.",
    ),
    "E830": Code(
        "not in canonical form",
        "The file is not formatted as `dagent fmt` would.",
        "One form keeps diffs small.",
        "$ dagent fmt --check spec.dagent",
        "Run `dagent fmt` on it.",
    ),
    "E831": Code(
        "arguments that do not fit together",
        "Two arguments of the command contradict each other, or one has no meaning alone.",
        "Ignoring one of them silently would surprise.",
        "$ dagent fmt spec.dagent -o other.dagent",
        "Follow the message.",
    ),
    "E832": Code(
        "unknown code",
        "There is no diagnostic with that code.",
        "Nothing can be explained about it.",
        "$ dagent explain E999",
        "List all codes with `dagent explain`.",
    ),
    "E840": Code(
        "no sandbox",
        "This machine has no way to isolate code that a model wrote, and the plan runs such code.",
        "Such code could read the test rows and your keys, or damage the machine.",
        "$ dagent execute",
        "Install bubblewrap and the extra `dagent[sandbox]`; in a container allow user namespaces. "
        "On a machine that has nothing to lose, `execute --allow-unsandboxed` runs it all the "
        "same, and the journal, the report and MLflow say so.",
    ),
    "E841": Code(
        "sandbox broke",
        "The sandbox worked, was ended by a limit or by the machine, and did not start again.",
        "Without it nothing that a model wrote is run.",
        "$ dagent execute",
        "Run the same command: it continues. If it stays, look at the cause in the message.",
    ),
    "E850": Code(
        "no key",
        "A language model needs a key, and the environment variable that holds it is not set.",
        "Keys come from the environment by name, so that no file ever holds one.",
        "$ unset OPENAI_API_KEY && dagent execute",
        "Export the variable that the message names and run the same command: it continues.",
    ),
    "E851": Code(
        "key refused",
        "The server of a language model refused the key.",
        "Every further call would be refused as well, so the run stops at the first.",
        "$ OPENAI_API_KEY=expired dagent execute",
        "Check the key: it may be mistyped, expired, or lack access to the model.",
    ),
    "E852": Code(
        "no address",
        "Nothing says where a language model is served.",
        "A server of your own has no usual address.",
        "$ dagent execute  # with lm = hosted_vllm/my-model and no api_base",
        'Add `api_base = "http://HOST:PORT/v1"`.',
    ),
    "E853": Code(
        "no such model",
        "The server does not have the language model that the spec names.",
        "Every further call would fail as well, so the run stops at the first.",
        "$ dagent execute  # with lm = openai/gtp-5",
        "Check the model's name and `api_base`; the provider lists its names.",
    ),
    "E854": Code(
        "no credit",
        "The account that pays for a language model has nothing left.",
        "Waiting does not help, so the run stops; answers so far are kept.",
        "$ dagent execute",
        "Top the account up and run the same command: it continues.",
    ),
    "E855": Code(
        "server silent",
        "The server of a language model has answered nobody for ten minutes.",
        "The run stops rather than wait for ever; answers so far are kept and not paid for again.",
        "$ dagent execute  # while the server is down",
        "See to the server and run the same command: it continues.",
    ),
    "E856": Code(
        "options that a model does not take",
        "A language model cannot be asked with these options.",
        "Some models fix the temperature, or need room for their reasoning.",
        "$ dagent execute  # with max_tokens = 100 for a reasoning model",
        "Change `temperature`, `max_tokens` or `options` as the message says.",
    ),
    "E857": Code(
        "money in another currency",
        "A cap on money is in a currency other than that of the price table.",
        "dagent knows no rates of exchange; providers publish their prices in USD.",
        "budget { rounds <= 3  rows <= 1k rows  money <= 20 EUR }",
        "Write the amount in USD.",
    ),
    "E858": Code(
        "price unknown",
        "Money is capped, and nothing says what a language model charges.",
        "A cap that cannot be held would only look like one.",
        "$ dagent execute  # with money <= 20 USD and a server of your own",
        "Compile again; a price list, named by `prices` in `budget`, says what a model charges.",
    ),
    "E870": Code(
        "training that diverged",
        "The loss, or a weight, is no number any more.",
        "What is trained from there on is worth nothing. The round is refused and keeps its rows; "
        "the run goes on with the champion, unless the next training fails too.",
        "$ dagent execute",
        "Lower `learning_rate`, set `max_grad_norm` or add `warmup_steps`; compile and execute.",
    ),
    "E871": Code(
        "teacher of another vocabulary",
        "The teacher of a stage writes in other tokens than the student.",
        "Its probabilities say nothing about the student's tokens.",
        "$ dagent execute",
        "Name a teacher of the student's own family.",
    ),
    "E872": Code(
        "QLoRA is not possible here",
        "The machine has no CUDA GPU, or lacks the package `bitsandbytes`.",
        "Weights in four bits are read by a GPU alone.",
        "$ dagent execute",
        "Write `adapter = lora`, or run the plan on a machine that has them.",
    ),
    "E873": Code(
        "model that brings its own code",
        "The model can only be loaded by running Python code that comes with it.",
        "Code of strangers runs only where the spec asks for it by name.",
        "$ dagent execute",
        "Read the code, write `trust_remote_code = true` in `student`, or take another model.",
    ),
    "E874": Code(
        "vLLM is not possible here",
        "`engine = vllm` needs the package `vllm`, and a GPU, which this machine lacks.",
        "Answers of another engine may differ, so none takes its place by itself.",
        "$ dagent execute",
        "Install vLLM on the machine with the GPU, or write `engine = transformers`.",
    ),
    "E880": Code(
        "no such execution",
        "No execution of this folder has an id that begins so, or several do.",
        "An execution is named after its plan: the first 12 digits of the plan's id.",
        "$ dagent report --execution 1234",
        "Take an id from the message, or leave `--execution` out for the latest.",
    ),
    "E881": Code(
        "no champion",
        "The execution has no champion that could be asked or exported.",
        "The champion lies in the store and the plan says how it is asked; one is missing.",
        "$ dagent export out  # after .dagent/store was removed",
        "Run `dagent execute`: it continues, and makes again what is gone.",
    ),
    "E882": Code(
        "export before the end",
        "The execution has not ended, so its champion was not tested.",
        "What leaves carries its test figures, and test is opened once, at the end.",
        "$ dagent export out  # while rounds are still to come",
        "Run `dagent execute` to its end. `dagent try` asks the champion so far.",
    ),
    "E883": Code(
        "folder in the way",
        "The folder to export to is there already.",
        "Files of two exports side by side would be taken for one.",
        "$ dagent export out && dagent export out",
        "Name a new folder, or remove the old one.",
    ),
    "E884": Code(
        "no adapter",
        "The adapter alone was asked for, and the champion has none.",
        "Only a student that was trained with LoRA differs from its base by an adapter.",
        "$ dagent export out --adapter  # with adapter = full",
        "Leave `--adapter` out, or train with `adapter = lora`.",
    ),
    "E885": Code(
        "the hub did not take it",
        "What was exported is written, and could not be uploaded.",
        "The token may be missing or may not write there, or the repository exists already.",
        "$ dagent export out --push-to owner/name  # without HF_TOKEN",
        "Set `HF_TOKEN`, choose a new name, or upload the folders with `hf upload`.",
    ),
    "E900": Code(
        "unexpected error",
        "dagent met an error that it does not know. This is a fault of dagent, not of your spec.",
        "Every error that a user can cause should have a code of its own.",
        "$ dagent check spec.dagent",
        "Please report it with the output of the same command and `--debug`.",
    ),
}

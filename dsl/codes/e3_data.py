"""E3xx: data, roles and programs."""

from __future__ import annotations

from dagent.dsl.codes.code import Code

CODES = {
    "E301": Code(
        "data file missing",
        "A data set names a file that does not exist.",
        "The plan locks the data by its digest, so the file has to be there.",
        'data dev { role = dev  path = "missing.jsonl" }\n'
        'data test { role = test  path = "test.jsonl" }',
        "Put the file there, with the columns that the message names, or correct the path; it is "
        "relative to the spec's folder.",
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
    "E329": Code(
        "task cannot be run",
        "lm-evaluation-harness does not know the task, cannot read its data, or gives no score of "
        "0 to 1 for each of its rows.",
        "A guard that cannot be measured guards nothing.",
        "$ dagent execute",
        "Check the task's name and metric (`lm_eval ls tasks`), the folder `tasks`, the network.",
    ),
}

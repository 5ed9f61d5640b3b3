"""E5xx: criteria."""

from __future__ import annotations

from dagent.dsl.codes.code import Code

CODES = {
    "E501": Code(
        "unknown metric",
        "A goal or guard names a metric that `criteria` does not declare, or a goal on a guard one "
        "that the guard is not measured by.",
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
        "A goal does not read `METRIC >= NUMBER on SET`, with `for each skill` after it if wanted; "
        "only a task needs no set.",
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
        "With so few rows the gate sees only large gains reliably: smaller ones than the message "
        "names it misses more than one time in five, where three answers in ten change.",
        "Most small steps forward would be refused as noise.",
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
        "The file that `schema` names is missing, is not JSON, is no schema, or refers to "
        "another or to nothing.",
        "No answer could be checked against it.",
        "$ dagent check spec-with-broken-schema.dagent",
        "Name a file with one whole JSON Schema.",
    ),
    "E512": Code(
        "rows that the grader cannot judge by",
        "`code` needs unit tests in the column `tests`; `sql` a `database` or a `schema_sql`; "
        "`choice` a right answer that is one of its `choices`; `numeric` one with a number.",
        "Every answer to such a row would count as wrong.",
        "$ dagent check spec-with-code-metric.dagent",
        "Add the column to the rows, or name the one that holds it in `columns { … }`; correct the "
        "answers, or `choices`.",
    ),
    "E513": Code(
        "no such database",
        "A row's column `database` names a file that is not there.",
        "No query can be run for that row.",
        "$ dagent check spec-with-sql-metric.dagent",
        "Correct the path; it is relative to the spec.",
    ),
    "E514": Code(
        "generated rows that a model cannot complete",
        "Rows need more than the model that makes them gives: unit tests and tables at once, say.",
        "A language model writes the tests of a row, or the tables of its question; not both, and "
        "it does not see the files. Programs of `strategy = program` submit neither.",
        "$ dagent check spec-with-code-and-sql.dagent",
        "Generate rows by a program that gives them the columns, or judge them otherwise.",
    ),
    "E515": Code(
        "a name that goals know already",
        "A guard or a task is named `test` or `select`, or a guard's task like a metric.",
        "A goal could mean the one or the other.",
        """criteria {
  metric accuracy { grader = exact }
  guard accuracy { task = "lm_eval:gsm8k"  max_drop = 2pp }
}
""",
        "Give the guard another name.",
    ),
    "E516": Code(
        "a task that is to decide",
        "The first metric is a task of lm-evaluation-harness.",
        "The gate compares answers to rows of select; a task brings rows of its own.",
        """criteria {
  metric gsm8k { task = "lm_eval:gsm8k" }
  metric accuracy { grader = exact }
}
""",
        "Put a metric with a `grader` first.",
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
    "E526": Code(
        "seed that no arm uses",
        "`arms.seeds` says the seeds of every arm, so the `seed` of the spec is not read.",
        "Whoever changes it would expect another plan and get the same.",
        """seed = 7
arms {
  seeds = [1, 2]
  arm flat { control = uniform }
}
""",
        "Remove `seed`, or add it to `arms.seeds`.",
    ),
}

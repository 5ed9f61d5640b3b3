"""E6xx: student and training."""

from __future__ import annotations

from dagent.dsl.codes.code import Code

CODES = {
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
        "argument out of bounds",
        "The argument of generation, of a training stage or of LoRA lies outside what the library "
        "accepts.",
        "The first evaluation or training would fail.",
        'student { model = "builtin:tiny-python"  generation { top_p = 1.5 } }',
        "Write a value within the bounds; for greedy answers leave `temperature` out.",
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
    "E617": Code(
        "module that the student does not have",
        "A name in LoRA's `target_modules` fits no module of the student.",
        "Nothing would be trained there, and PEFT says so only where no name fits.",
        'student {\n  model = "builtin:tiny-python"\n  adapter = lora\n'
        "  lora { target_modules = [c_attn] }\n}",
        "Name the student's own linear layers, or write `target_modules = all-linear`.",
    ),
    "E618": Code(
        "more tokens than the student's context holds",
        "A question and its answer, or a row to train on, may take more tokens than the context of "
        "the student, whose `config.json` is here, holds (`max_position_embeddings`).",
        "Beyond its context a model writes nonsense, or fails after the data have been paid for.",
        'student { model = "builtin:tiny-python"  max_new_tokens = 4096 tokens }',
        "Allow fewer tokens, leave long rows out by `where`, or name a student that holds more.",
    ),
    "E619": Code(
        "token that the tokenizer does not have",
        "`eos_token` or `pad_token` of a stage is no token of the student's tokenizer.",
        "TRL would refuse it after the data have been paid for.",
        'student { model = "builtin:tiny-python" }\ntrain sft { eos_token = "<|im_end|>" }',
        "Use the token suggested, or remove the argument.",
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
    "E622": Code(
        "attention that the weights do not fit",
        "Flash attention takes numbers in half precision, and the student's weights are float32.",
        "The first answers would fail on the GPU.",
        'student { model = "builtin:tiny-python"  attn_implementation = flash_attention_2 }',
        "Write `sdpa`, or save the model in bfloat16 first.",
    ),
    "E623": Code(
        "right answer longer than an answer may be",
        "A right answer of a set that judges takes more tokens than the student may write, and the "
        "grader reads whole answers.",
        "No student can have such a row right, and none is told why.",
        'student { model = "builtin:tiny-python"  max_new_tokens = 1 tokens }',
        "Raise `max_new_tokens` of `student`.",
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
    "E645": Code(
        "teacher that writes in other tokens",
        "The teacher of a `distillation` or `gkd` stage, whose files are here, has another "
        "vocabulary than the student.",
        "Its probabilities would say nothing about the student's tokens.",
        "$ dagent check spec-with-a-teacher-of-another-family.dagent",
        "Name a teacher of the student's own family.",
    ),
    "E646": Code(
        "argument that wants another",
        "transformers takes the argument of a stage only with another one, or without one.",
        "It would refuse it after the data have been paid for.",
        "train sft { lr_scheduler_type = cosine_with_min_lr }",
        "Add what the message names, or remove the argument.",
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
    "E657": Code(
        "batches that cannot be",
        "`batch = true` stands where the model's provider takes no batches in OpenAI's way, or "
        "where no role asks in waves.",
        "Diagnoser and planner ask a few questions, which would wait for up to a day each.",
        'engineer { strategy = curriculum  lm = "anthropic/claude-opus-5"  batch = true }',
        "Remove `batch`, or name a model whose provider has OpenAI's batch endpoints.",
    ),
    "E658": Code(
        "optimisation without a try",
        "The calls of an `optimise` block only pay for scoring the agent before and after.",
        "A third of the calls score held-out examples twice; the rest are for the optimiser.",
        'engineer {\n  strategy = curriculum\n  lm = "openai/gpt-5.2"\n'
        "  optimise generator { optimiser = gepa  calls = 8 calls }\n}",
        "Allow more calls, or remove the block.",
    ),
    "E659": Code(
        "optimisation that few examples judge",
        "So few examples are held out that they hardly tell whether an optimised agent is better.",
        "An agent is used if it scores better on them; with one or two that is a coin's toss.",
        'engineer {\n  strategy = curriculum\n  lm = "openai/gpt-5.2"\n'
        "  optimise generator { optimiser = gepa  calls = 40 calls }\n}",
        "Allow more calls, or raise `holdout`.",
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
}

"""``dagent init``: a project that compiles and runs at once, to be changed into one's own."""

from __future__ import annotations

import argparse
from pathlib import Path

import dagent.specs
from dagent.dsl.diagnostics import Diagnostic, Diagnostics, Refused
from dagent.dsl.nearest import did_you_mean
from dagent.dsl.source import Source

# Shown to editors, so that they check and complete as one types.
MODELINE = "# yaml-language-server: $schema="
SCHEMA = "spec.schema.json"
PAPER, PROTOCOL = "paper-", "protocol.dagent"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), help="default: this one")
    made_from = parser.add_mutually_exclusive_group()
    made_from.add_argument("--template", default="quickstart", help="default: quickstart")
    made_from.add_argument("--list", action="store_true", help="list the templates")
    made_from.add_argument(
        "--from",
        dest="config",
        type=Path,
        metavar="FILE",
        help="a training config of Axolotl, LLaMA-Factory or Oumi",
    )
    parser.add_argument(
        "--from-format",
        choices=("axolotl", "llama-factory", "oumi"),
        help="whose config it is; default: by its keys",
    )
    parser.add_argument("--yaml", action="store_true", help="write the spec in YAML")


def run(args: argparse.Namespace) -> int:
    if args.list:
        return _list()
    if args.config is not None:
        return _from_config(args)
    folder: Path = args.folder
    files = _template(args.template)
    if (folder / "README.md").exists():
        files.pop("README.md", None)  # a repository has its own
    if args.yaml:
        files = _as_yaml(files)
    _write(folder, files)
    if missing := _missing_data(folder / ("spec.yaml" if args.yaml else "spec.dagent")):
        print("first bring its data:")
        for found in missing:
            print(f"  {found.message}: {found.suggestion}")
    print(f"next: {_enter(folder)}dagent compile && dagent execute")
    return 0


def _missing_data(spec: Path) -> list[Diagnostic]:
    """Without it a project does not compile, however right its spec is."""
    from dagent.compiler.pipeline import check

    return [found for found in check(spec) if found.code == "E301"]


def _from_config(args: argparse.Namespace) -> int:
    from dagent.dsl.parse import read
    from dagent.importers.spec import read_config

    made = read_config(read(args.config), args.from_format, "yaml" if args.yaml else "dagent")
    spec = _with_schema(made.text) if args.yaml else {"spec.dagent": made.text}
    files = {**spec, **made.files}
    _write(args.folder, files)
    print(f"\n{args.config} is a config of {made.tool}. Not taken over:")
    for key, why in made.lost.items():
        print(f"  {key}: {why}")
    for remark in made.remarks:
        print(f"  {remark}")
    print(f"\nnext: say what stands there as TODO, then {_enter(args.folder)}dagent check")
    return 0


def _write(folder: Path, files: dict[str, str]) -> None:
    from dagent.commands.compile import write

    _check_free(folder, files)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        write(folder / name, text)
    print(f"written: {', '.join(files)}")


def _enter(folder: Path) -> str:
    return "" if folder == Path() else f"cd {folder} && "


def _list() -> int:
    for template in _templates():
        says = (template / "README.md").read_text(encoding="utf-8").splitlines()
        print(f"{template.name:16} {says[0].removeprefix('# ')}")
    for name in _papers():
        print(f"{name:16} The paper's protocol for {name.removeprefix(PAPER)}; bring its data")
    return 0


def _templates() -> list[Path]:
    folder = Path(dagent.specs.__path__[0]) / "templates"
    return sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != "_")


def _papers() -> dict[str, Path]:
    """Template -> the spec of a domain of the paper, which imports what they share."""
    folder = Path(dagent.specs.__path__[0]) / "paper"
    specs = (p for p in sorted(folder.glob("*.dagent")) if p.name != PROTOCOL)
    return {f"{PAPER}{path.stem}": path for path in specs}


def _template(name: str) -> dict[str, str]:
    """The files of a template by name, the spec among them as ``spec.dagent``."""
    templates, papers = {path.name: path for path in _templates()}, _papers()
    if name in papers:
        beside = papers[name].with_name
        found = {"spec.dagent": papers[name], PROTOCOL: beside(PROTOCOL)}
        found["README.md"] = beside("README.md")
    elif name in templates:
        found = {path.name: path for path in _files(templates[name])}
    else:
        known = [*templates, *papers]
        raise Refused(
            Diagnostic(
                "E831",
                f"there is no template `{name}`",
                suggestion=did_you_mean(name, known, "templates: " + ", ".join(known)),
            )
        )
    return {name: path.read_text(encoding="utf-8") for name, path in found.items()}


def _files(template: Path) -> list[Path]:
    """What belongs to a template: pip leaves compiled programs beside the ones it installs."""
    return sorted(p for p in template.iterdir() if p.is_file() and p.name[0] not in "._")


def _check_free(folder: Path, files: dict[str, str]) -> None:
    """Nothing of the user's is ever overwritten, and no second spec put beside one."""
    if folder.exists() and not folder.is_dir():
        raise Refused(
            Diagnostic(
                "E831", f"`{folder}` is a file", suggestion="name a folder", file=str(folder)
            )
        )
    taken = [name for name in files if (folder / name).exists()]
    if folder.is_dir():
        taken += [path.name for path in sorted(folder.glob("*.dagent")) if path.name not in taken]
    if taken:
        raise Refused(
            Diagnostic(
                "E831",
                f"the folder already holds {', '.join(taken)}",
                suggestion="name another folder: `dagent init NAME`",
                file=str(folder),
            )
        )


def _as_yaml(files: dict[str, str]) -> dict[str, str]:
    """The spec in the other syntax, comments kept, with the schema beside it for editors."""
    from dagent.dsl.fmt import format_source

    source = Source("spec.dagent", files.pop("spec.dagent"))
    text = format_source(source, Diagnostics(), "yaml")
    assert text is not None, "a test compiles every template"
    return {**_with_schema(text), **files}


def _with_schema(text: str) -> dict[str, str]:
    schema = Path(dagent.specs.__path__[0]) / SCHEMA
    return {
        "spec.yaml": f"{MODELINE}{SCHEMA}\n{text}",
        SCHEMA: schema.read_text(encoding="utf-8"),
    }

"""`lzc init`: the configuration of FireWorks, jobflow, atomate2 and SLURM, from flags and a few questions."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lzc_flows.cli.common import JsonFlag, emit_json, stdout
from lzc_flows.errors import InputError

if TYPE_CHECKING:
    from lzc_flows.launch.configuration import Answers, ServerChoice
    from lzc_flows.launch.configuration_write import WrittenFile

_QUESTIONS = {
    "partition": "SLURM partition (empty: the cluster's default)",
    "account": "SLURM account (empty: your default)",
    "walltime": "Walltime of a job, HH:MM:SS",
    "cores": "Cores of a job",
    "gpus": "GPUs of a job of the GPU variant",
    "jobs_in_queue": "Most jobs in the queue at a time",
    "vasp": "Command of VASP",
    "potcars": "Folder of the POTCARs (empty: none)",
}
"""What is asked on a terminal, in this order, if it is not given."""


def register(app: typer.Typer) -> None:
    """Add `init` to `app`."""
    app.command("init")(init)


def init(
    folder: Annotated[Path, typer.Argument(help="Where the files go.")] = Path("launchpad"),
    uri: Annotated[str | None, typer.Option(help="MongoDB URI without user and password.")] = None,
    uri_file: Annotated[
        Path | None, typer.Option(help="File with the MongoDB URI, readable by you alone; it stays where it is.")
    ] = None,
    embedded: Annotated[bool, typer.Option("--embedded", help="The embedded server, for this machine only.")] = False,
    database: Annotated[str | None, typer.Option(help="Name of the database.")] = None,
    cluster: Annotated[str | None, typer.Option(help="Name of the workers.")] = None,
    partition: Annotated[str | None, typer.Option(help="SLURM partition.")] = None,
    gpu_partition: Annotated[str | None, typer.Option(help="SLURM partition of jobs with GPUs.")] = None,
    account: Annotated[str | None, typer.Option(help="SLURM account.")] = None,
    qos: Annotated[str | None, typer.Option(help="SLURM quality of service.")] = None,
    walltime: Annotated[str | None, typer.Option(help="Walltime of a job, HH:MM:SS.")] = None,
    cores: Annotated[int | None, typer.Option(help="Cores of a job, all on one node.")] = None,
    gpus: Annotated[int | None, typer.Option(help="GPUs of a job of the GPU variant.")] = None,
    jobs_in_queue: Annotated[int | None, typer.Option(help="Most jobs in the queue at a time.")] = None,
    module: Annotated[list[str] | None, typer.Option(help="Environment module that jobs load; repeat it.")] = None,
    vasp: Annotated[str | None, typer.Option(help="Command of VASP, such as 'srun vasp_std'.")] = None,
    vasp_gamma: Annotated[str | None, typer.Option(help="Command of VASP for Γ alone.")] = None,
    potcars: Annotated[str | None, typer.Option(help="Folder of the POTCARs.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: defaults for what is not given.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that differ; the old ones become .bak.")
    ] = False,
    json_output: JsonFlag = False,
) -> None:
    """Write the configuration of FireWorks, jobflow, atomate2 and SLURM into FOLDER.

    Asks on a terminal for what is not given; else takes what it was told the last time, or a default. Where no server
    is given, it is that of LZC_MONGO_URI or LZC_MONGO_URI_FILE, that of the last time, or the embedded one. Files that
    are there with other content are not touched.
    """
    from lzc_flows.launch.configuration import answers_before, answers_of
    from lzc_flows.launch.configuration_files import ANSWERS_FILE, URI_FILE, configuration_files
    from lzc_flows.launch.configuration_write import replace_configuration, write_configuration
    from lzc_flows.settings import get_settings

    given = {
        **{"cluster": cluster, "partition": partition, "gpu_partition": gpu_partition, "account": account, "qos": qos},
        **{"walltime": walltime, "cores": cores, "gpus": gpus, "jobs_in_queue": jobs_in_queue},
        **{"modules": tuple(module) if module else None, "vasp": vasp, "vasp_gamma": vasp_gamma, "potcars": potcars},
    }
    place = _resolved(folder)
    before = answers_before(place / ANSWERS_FILE)
    known = {name: value for name, value in given.items() if value is not None}
    answers = answers_of(before | known)
    wish = _ServerWish(uri, uri_file, embedded, database)
    if not wish.is_given and get_settings().mongo_uri is None and (place / URI_FILE).exists():
        wish = replace(wish, uri_file=place / URI_FILE)
    if sys.stdin.isatty() and not yes:
        wish = _ask_server(wish)
        answers = _ask(before, known)
    server = wish.choice()
    write = replace_configuration if force else write_configuration
    done = write(place, configuration_files(place, answers, server))
    if json_output:
        emit_json(_document(place, server, done))
    else:
        _print(place, server, done)


@dataclass(frozen=True)
class _ServerWish:
    """What the options say of the server."""

    uri: str | None
    uri_file: Path | None
    embedded: bool
    database: str | None
    asked: bool = False

    @property
    def is_given(self) -> bool:
        """Whether there is any.

        Raises
        ------
        InputError
            There are several.
        """
        given = sum((self.uri is not None, self.uri_file is not None, self.embedded))
        if given > 1:
            raise InputError("--uri, --uri-file and --embedded: give one of them")
        return given == 1

    def choice(self) -> ServerChoice:
        """Return the server, which is started if it is the embedded one."""
        from pydantic import SecretStr

        from lzc_flows.launch.configuration import embedded_server, external_server, plain_uri, uri_in_file
        from lzc_flows.settings import get_settings

        settings = get_settings()
        database = self.database or settings.mongo_database
        if self.uri is not None:
            # what was typed at a hidden question is on no command line
            return external_server(SecretStr(self.uri) if self.asked else plain_uri(self.uri), database)
        if self.uri_file is not None:
            return uri_in_file(self.uri_file, database)
        if self.embedded or settings.mongo_uri is None:
            return embedded_server(database)
        file = settings.mongo_uri_file
        return external_server(settings.mongo_uri, database, file and file.expanduser().absolute())


def _ask_server(wish: _ServerWish) -> _ServerWish:
    from lzc_flows.settings import get_settings

    if wish.is_given or get_settings().mongo_uri is not None:
        return wish
    typed = typer.prompt(
        "MongoDB URI (not shown; empty: the embedded server, for this machine only)",
        default="",
        hide_input=True,
        show_default=False,
        err=True,
    )
    if not typed.strip():
        return replace(wish, embedded=True)
    return replace(wish, uri=typed.strip(), asked=True)


def _ask(before: dict[str, Any], known: dict[str, Any]) -> Answers:
    """Ask for what is not known; a wrong answer is told and asked for again."""
    from lzc_flows.launch.configuration import Answers, answers_of

    for name, question in _QUESTIONS.items():
        if name in known:
            continue
        default = before.get(name, Answers.model_fields[name].default)

        def checked(text: str, name: str = name) -> str:
            try:
                answers_of({name: text})
            except InputError as error:
                raise typer.BadParameter(str(error)) from None
            return text

        shown = "" if default is None else str(default)
        known[name] = typer.prompt(question, default=shown, value_proc=checked, show_default=bool(shown), err=True)
    return answers_of(before | known)


def _resolved(folder: Path) -> Path:
    """Return the folder's absolute path: FireWorks compares it with the working directory, links followed."""
    place = folder.expanduser().resolve()
    if not str(place).isprintable() or "$$" in str(place):
        raise InputError(f"folder {str(folder)!r}: allowed is a path of printable characters without $$")
    return place


def _document(place: Path, server: ServerChoice, done: list[WrittenFile]) -> dict[str, Any]:
    from lzc_flows.database.address import redacted

    return {
        "folder": str(place),
        "server": redacted(server.uri.get_secret_value()),
        "embedded": server.embedded,
        "database": server.database,
        "files": [{"path": str(file.path), "status": file.status, "secret": file.secret} for file in done],
    }


def _print(place: Path, server: ServerChoice, done: list[WrittenFile]) -> None:
    from lzc_flows.database.address import redacted

    for file in done:
        kept = f", the old one is {file.path.name}.bak" if file.status == "replaced" else ""
        secret = ", for you alone" if file.secret else ""
        stdout.print(f"{file.status:9} {file.path.name}{kept}{secret}", highlight=False, markup=False, soft_wrap=True)
    where = redacted(server.uri.get_secret_value())
    kind = "embedded server, for this machine only" if server.embedded else "server"
    stdout.print(f"{kind}: {where}, database {server.database}", highlight=False, markup=False, soft_wrap=True)
    stdout.print(f"now: . {place / 'env.sh'} && lzc doctor", highlight=False, markup=False, soft_wrap=True)

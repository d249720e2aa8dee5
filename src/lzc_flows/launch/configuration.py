"""What `lzc init` is told, checked before anything is written; see `configuration_files` for what becomes of it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from lzc_flows.database.address import check_uri, credentials_of
from lzc_flows.database.server import start_server
from lzc_flows.errors import InputError
from lzc_flows.settings import get_settings, read_secret

_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,+@-]*")
_WALLTIME = re.compile(r"(?:\d{1,3}-)?\d{1,3}:[0-5]\d:[0-5]\d")
_DATABASE = re.compile(r"[A-Za-z0-9_-]{1,63}")
_MODULE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+:@-]*")
_FILE_OPTIONS = re.compile(r"[?&](tlsCAFile|tlsCertificateKeyFile)=([^&]*)", re.IGNORECASE)


def _matching(pattern: re.Pattern[str], allowed: str) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"allowed: {allowed}")
        return text

    return AfterValidator(check)


def _longer_than_nothing(walltime: str) -> str:
    # SLURM takes a walltime of zero for no limit
    if not any(digit in "123456789" for digit in walltime):
        raise ValueError("above 00:00:00 is allowed")
    return walltime


def _one_line(text: str) -> str:
    # FireWorks leaves out every line of a queue script that has $$ in it
    if not text.isprintable() or "$$" in text:
        raise ValueError("allowed is one line of printable characters without $$")
    return text


def _command(text: str) -> str:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"this is no command: {str(error).lower()}") from None
    if not words:
        raise ValueError("allowed is a command, such as 'srun vasp_std'")
    return text


def _absolute(path: Path) -> Path:
    return Path(_one_line(str(path.expanduser().absolute())))


def _none_if_empty(value: Any) -> Any:
    return None if value == "" else value


Word = Annotated[str, _matching(_WORD, "letters, digits and _ . , + @ -")]
Walltime = Annotated[
    str, _matching(_WALLTIME, "HH:MM:SS or D-HH:MM:SS, such as 24:00:00"), AfterValidator(_longer_than_nothing)
]
Module = Annotated[str, _matching(_MODULE, "the name of an environment module, such as vasp/6.4.2")]
Command = Annotated[str, AfterValidator(_one_line), AfterValidator(_command)]
Folder = Annotated[Path, AfterValidator(_absolute)]


class Answers(BaseModel):
    """What `lzc init` asks, but for the server."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    cluster: Word = Field(default="cluster", description="Name of the workers.")
    partition: Annotated[Word | None, BeforeValidator(_none_if_empty)] = Field(
        default=None, description="SLURM's partition; none is the cluster's default."
    )
    gpu_partition: Annotated[Word | None, BeforeValidator(_none_if_empty)] = Field(
        default=None, description="Partition of the jobs with GPUs; none is the other one."
    )
    account: Annotated[Word | None, BeforeValidator(_none_if_empty)] = Field(
        default=None, description="Account that SLURM charges; none is the user's default."
    )
    qos: Annotated[Word | None, BeforeValidator(_none_if_empty)] = Field(
        default=None, description="Quality of service; none is the default."
    )
    walltime: Walltime = Field(default="24:00:00", description="Walltime of a job, HH:MM:SS.")
    cores: int = Field(default=16, ge=1, le=4096, description="Cores of a job, all on one node.")
    gpus: int = Field(default=1, ge=1, le=64, description="GPUs of a job of the GPU variant.")
    jobs_in_queue: int = Field(default=20, ge=1, le=100_000, description="Most jobs in the queue at a time.")
    modules: tuple[Module, ...] = Field(default=(), description="Environment modules that a job loads.")
    vasp: Command = Field(default="srun vasp_std", description="Command of the standard VASP.")
    vasp_gamma: Annotated[Command | None, BeforeValidator(_none_if_empty)] = Field(
        default=None, description="Command of the VASP for Γ alone; none is the other one with vasp_gam."
    )
    potcars: Annotated[Folder | None, BeforeValidator(_none_if_empty)] = Field(
        default=None, description="Folder of the POTCARs, pymatgen's PMG_VASP_PSP_DIR."
    )

    @property
    def gamma_command(self) -> str:
        """Command of the VASP for Γ alone."""
        return self.vasp_gamma or self.vasp.replace("vasp_std", "vasp_gam")


def answers_of(given: Mapping[str, Any]) -> Answers:
    """Return the answers, defaults for what is not given.

    Raises
    ------
    InputError
        A value that is not allowed; the line names its option.
    """
    try:
        return Answers(**given)
    except ValidationError as error:
        raise InputError(refusal(error)) from None


def answers_before(file: Path) -> dict[str, Any]:
    """Return what `lzc init` was told the last time, as its file has it; nothing where there is none.

    Raises
    ------
    InputError
        The file holds something else.
    """
    try:
        return Answers(**yaml.safe_load(file.read_text(encoding="utf-8"))).model_dump(exclude_unset=True)
    except FileNotFoundError:
        return {}
    except (OSError, TypeError, ValueError, yaml.YAMLError):
        raise InputError(f"{file} is not what `lzc init` wrote: mend or remove it") from None


def refusal(error: ValidationError) -> str:
    """Return the line in which the first wrong answer is refused."""
    first = error.errors()[0]
    option = "--" + str(first["loc"][0]).replace("_", "-").replace("modules", "module")
    return f"{option} {first['input']!r}: {first['msg'].removeprefix('Value error, ')}"


@dataclass(frozen=True)
class ServerChoice:
    """Where the database answers.

    Attributes
    ----------
    uri
        With user and password, if it has them.
    database
        Name of the database.
    uri_file
        A file of the user's own that holds the URI; None where `lzc init` is to write one.
    embedded
        Whether it is the embedded server, which needs no such file.
    """

    uri: SecretStr
    database: str
    uri_file: Path | None = None
    embedded: bool = False


def embedded_server(database: str) -> ServerChoice:
    """Return the embedded server of the campaigns folder, started if it does not run: its port is written down.

    Raises
    ------
    InputError
        It is not installed, or the folder cannot be written.
    CalculationError
        It does not start.
    """
    uri = SecretStr(start_server(get_settings().campaigns_dir).uri)
    return ServerChoice(uri, _database_name(database), embedded=True)


def external_server(uri: SecretStr, database: str, uri_file: Path | None = None) -> ServerChoice:
    """Return a server at `uri`; it is not asked whether it answers.

    Raises
    ------
    InputError
        No MongoDB URI, or a file of its TLS options whose path is relative: jobs run in other directories.
    """
    for option, path in _FILE_OPTIONS.findall(uri.get_secret_value()):
        if not path.startswith(("/", "%2F", "%2f")):
            raise InputError(f"{option} of the MongoDB URI: allowed is an absolute path, jobs run in other directories")
    check_uri(uri)
    return ServerChoice(uri, _database_name(database), uri_file)


def plain_uri(text: str) -> SecretStr:
    """Return the URI of a command line, where everyone on the machine can read it.

    Raises
    ------
    InputError
        It holds a password.
    """
    uri = SecretStr(text)
    if credentials_of(uri).secrets:
        raise InputError(
            "--uri holds a user or a password, which others can read on a command line: put it into a file and give "
            "--uri-file FILE, or set LZC_MONGO_URI"
        )
    return uri


def uri_in_file(file: Path, database: str) -> ServerChoice:
    """Return the server whose URI is in a file of the user's.

    Raises
    ------
    InputError
        The file cannot be read or can be read by others, or holds no MongoDB URI.
    """
    try:
        uri = read_secret(file)
    except ValueError as error:
        raise InputError(f"--uri-file: {error}") from None
    return external_server(uri, database, file.expanduser().absolute())


def _database_name(name: str) -> str:
    if not _DATABASE.fullmatch(name):
        raise InputError(f"--database {name!r}: allowed are 1 to 63 letters, digits, _ and -")
    return name

"""Typed records that are JSON files: one dataclass a file, checked when it is read."""

import dataclasses
import json
import math
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, cast

from pydantic import BeforeValidator, TypeAdapter, ValidationError
from typing_extensions import Self

from camri_exp.errors import UserError, first_line
from camri_exp.files import write_json
from camri_exp.text import printable

# JSON has no NaN: files hold null in its place.
Number = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """Base of the records that travel between packages through files.

    ``schema`` is the version of the file's layout. New keys with defaults may be added to a schema; no key is renamed,
    and files of the first schema stay readable. Unknown keys are ignored, so that older versions read newer files.
    """

    SCHEMA: ClassVar[int] = 1
    schema: int = 1

    @classmethod
    def read(cls, path: Path) -> Self:
        """The record in the file ``path``.

        Raises:
            UserError: the file cannot be read, is not JSON, has another schema, or a field is missing or has a wrong
                type.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}.") from error
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path} is damaged: it is not JSON ({first_line(error)}).") from error
        return cls.from_dict(content, str(path))

    @classmethod
    def from_dict(cls, content: object, where: str) -> Self:
        """The record of plain values; errors name ``where`` and the field.

        Raises:
            UserError: not a mapping, another schema, or a field that is missing or of a wrong type.
        """
        if not isinstance(content, dict):
            raise UserError(f"{where} is damaged: expected a JSON object, found a {type(content).__name__}.")
        if content.get("schema", cls.SCHEMA) != cls.SCHEMA:
            raise UserError(f"{where} has schema {content['schema']}; this version of camri_exp reads {cls.SCHEMA}.")
        content = _printable(content)
        try:
            return cast(Self, _adapter(cast(Any, cls)).validate_python(content))
        except ValidationError as error:
            wrong = error.errors()[0]
            field = ".".join(map(str, wrong["loc"])) or "the file"
            raise UserError(f"{where} is damaged: {field}: {wrong['msg'].lower()}.") from error

    def to_dict(self) -> dict[str, Any]:
        """Plain values, in the order of the fields; optional fields without a value are left out."""
        optional = {field.name for field in dataclasses.fields(self) if field.default is None}
        values = dataclasses.asdict(self)
        return {name: value for name, value in values.items() if value is not None or name not in optional}

    def write(self, path: Path) -> None:
        """Write the record atomically to ``path``."""
        write_json(path, self.to_dict())


def _printable(value: object) -> Any:
    """``value`` with the texts in it printable: a file may come from elsewhere."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list | tuple):
        return [_printable(item) for item in value]
    return {printable(str(k)): _printable(item) for k, item in value.items()} if isinstance(value, dict) else value


@lru_cache
def _adapter(cls: Any) -> TypeAdapter[Any]:
    return TypeAdapter(cls)

"""The client of a schema registry with Confluent's REST interface: Confluent's own, Karapace, Redpanda."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx

from sluice.errors import UserError
from sluice.lake.decoding import Schema
from sluice.lake.formats.protobuf import descriptor_of
from sluice.lake.schemas import RegistryDown

_TIMEOUT_S = 10.0
_NO_SCHEMA = 40403
"""What the interface answers for an id that has no schema, beside the 404 that a wrong address gives as well."""


class ConfluentRegistry:
    """Schemas by id, each with all that it refers to; a user and a password may be part of the URL."""

    def __init__(self, url: str) -> None:
        self._url = httpx.URL(url.rstrip("/"))
        self._shown = str(self._url.copy_with(userinfo=b""))

    def schema(self, number: int) -> Schema | None:
        """The schema of an id, None if it has none; RegistryDown when the registry does not answer with either."""
        found = self._get(f"schemas/ids/{number}")
        if found is None:
            return None
        kind = str(found.get("schemaType") or "AVRO")
        if kind == "PROTOBUF":
            found = self._get(f"schemas/ids/{number}", format="serialized") or found
        references: dict[str, str] = {}
        self._follow(found, kind, references)
        return Schema(kind.lower(), self._text(found, kind), tuple(references.items()), self._subject(number))

    def _follow(self, schema: dict[str, Any], kind: str, found: dict[str, str]) -> None:
        """Add what a schema refers to, each after what it refers to itself."""
        for reference in schema.get("references") or ():
            name = str(reference["name"])
            if name not in found:
                place = f"subjects/{quote(str(reference['subject']), safe='')}/versions/{reference['version']}"
                form = {"format": "serialized"} if kind == "PROTOBUF" else {}
                referred = self._get(place, deleted="true", **form)
                if referred is None:
                    raise RegistryDown(f"{place} is referred to, and is not there", where=self._shown)
                self._follow(referred, kind, found)
                found[name] = self._text(referred, kind)

    def _text(self, schema: dict[str, Any], kind: str) -> str:
        text = str(schema["schema"])
        if kind == "PROTOBUF":
            try:
                descriptor_of(text)
            except ValueError:
                raise UserError(
                    "the registry has Protobuf schemas as source only",
                    where=self._shown,
                    allowed="one that answers ?format=serialized with a file descriptor",
                ) from None
        return text

    def _subject(self, number: int) -> str:
        """The first subject that has it, for people; nothing depends on it."""
        status, uses = self._answer(f"schemas/ids/{number}/versions")
        return str(uses[0]["subject"]) if status == httpx.codes.OK and isinstance(uses, list) and uses else ""

    def _get(self, path: str, **query: str) -> Any:
        """What is at a path; None where the registry says that there is no such schema."""
        status, body = self._answer(path, **query)
        if status == httpx.codes.NOT_FOUND and isinstance(body, dict) and body.get("error_code") == _NO_SCHEMA:
            return None
        if status != httpx.codes.OK or not isinstance(body, dict) or "schema" not in body:
            raise self._down(f"status {status} without a schema at {path}")
        return body

    def _answer(self, path: str, **query: str) -> tuple[int, Any]:
        try:
            answer = httpx.get(f"{self._url}/{path}", params=query, timeout=_TIMEOUT_S)
            return answer.status_code, answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise self._down(f"{type(error).__name__} at {path}") from error

    def _down(self, what: str) -> RegistryDown:
        return RegistryDown(
            f"the schema registry does not answer ({what})",
            where=self._shown,
            next_step="see that it runs at SLUICE_SCHEMA_REGISTRY_URL; nothing is judged until then",
        )


def registry_at(url: str | None) -> ConfluentRegistry | None:
    """The registry at an address; none where nobody named one."""
    return None if url is None else ConfluentRegistry(url)

"""A version's tables and files in Croissant 1.1, the JSON-LD that dataset searches and `mlcroissant` read."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipeline.card.escape import size, visible
from pipeline.card.front_matter import TABLES, largest_first, merged
from pipeline.card.loading import bibtex
from pipeline.document import DECISION, DOCUMENT
from pipeline.manifest import DataFile, Manifest

FILE = "croissant.json"
CONFORMS_TO = ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
SHOWN_LICENCES = 20
PARQUET = "application/x-parquet"
FORMATS = {
    ".parquet": PARQUET,
    ".arrow": "application/vnd.apache.arrow.file",
    ".json": "application/json",
    ".model": "application/octet-stream",
}
"""Suffix -> media type, registered where there is one."""

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The context of the specification (Croissant 1.1, appendix "JSON-LD context"), which readers compare with theirs."""


@dataclass(frozen=True, slots=True)
class Table:
    """A record set: the Parquet files that `includes` finds below the folder, with the columns of `schema`."""

    name: str
    includes: str
    schema: pa.Schema


SCHEMAS = {"documents": DOCUMENT, "decisions": DECISION, "dropped": DOCUMENT.append(pa.field("reason", pa.string()))}


def tables_of(files: Sequence[DataFile]) -> list[Table]:
    """The tables of a version."""
    kinds = {file.kind for file in files}
    return [Table(name, f"{name}/*.parquet", SCHEMAS[name]) for name in TABLES if name in kinds]


def croissant(manifest: Manifest, version: str, files: Sequence[DataFile], tables: Sequence[Table]) -> bytes:
    """The bytes of `croissant.json` beside `files`. Each file is there with size and sha256."""
    said = manifest.recipe.get("card") or {}
    licences = largest_first(merged(manifest.counts.get("licences", {})))
    named = [visible(name) for name in licences if name][:SHOWN_LICENCES]
    kinds = ", ".join((manifest.recipe.get("pii") or {}).get("kinds") or ()) or "none"
    value: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": manifest.name,
        "description": visible(str(said.get("summary") or f"{manifest.name}, made with Gristmill."), 2000),
        "version": version,
        "license": [*named, "See the section Licences of the card."],
        "citeAs": bibtex(manifest, version),
        "isLiveDataset": False,
        "rai:personalSensitiveInformation": f"Kinds replaced: {kinds}. Others, such as names, remain.",
        "distribution": [*map(_file, files), *map(_file_set, tables)],
        "recordSet": list(map(_record_set, tables)),
    }
    for key, field in (("rai:dataUseCases", "intended_use"), ("rai:dataLimitations", "limits")):
        if text := str(said.get(field) or ""):
            value[key] = visible(text, 10_000)
    return json.dumps(value, indent=1).encode() + b"\n"


def _file(file: DataFile) -> dict[str, Any]:
    suffix = file.path[file.path.rfind(".") :]
    return {
        "@type": "cr:FileObject",
        "@id": file.path,
        "name": file.path,
        "contentUrl": file.path,
        "contentSize": size(file.size),
        "encodingFormat": FORMATS.get(suffix, "application/octet-stream"),
        "sha256": file.sha256,
    }


def _file_set(table: Table) -> dict[str, Any]:
    about = {"name": f"{table.name}-files", "encodingFormat": PARQUET, "includes": table.includes}
    return {"@type": "cr:FileSet", "@id": f"{table.name}-files", **about}


def _record_set(table: Table) -> dict[str, Any]:
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"{table.name}/{column.name}",
            "name": column.name,
            "dataType": _type(column.type),
            "source": {"fileSet": {"@id": f"{table.name}-files"}, "extract": {"column": column.name}},
        }
        for column in table.schema
    ]
    return {"@type": "cr:RecordSet", "@id": table.name, "name": table.name, "field": fields}


def _type(kind: pa.DataType) -> str:
    """Ids and hashes are bytes, for which Croissant has no type; its readers give text as bytes."""
    if pa.types.is_integer(kind):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(kind) else "sc:Text"

"""Holds an OpenAPI document against the specification, and answers against the document.

openapi.py document DOCUMENT            fails unless the document is OpenAPI
openapi.py answers DOCUMENT ANSWERS     prints, for each answer, what is wrong with it
"""

import copy
import json
import sys

from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator


def closed(schema):
    """The schema with every object in it closed: a member that is not described is an error."""
    if not isinstance(schema, dict):
        return schema
    schema = dict(schema)
    for name in ("allOf", "anyOf", "oneOf"):
        if name in schema:
            schema[name] = [closed(part) for part in schema[name]]
    if "properties" in schema:
        schema["properties"] = {name: sealed(part) for name, part in schema["properties"].items()}
    if "items" in schema:
        schema["items"] = sealed(schema["items"])
    return schema


def sealed(schema):
    """In the place of a value of its own, where nothing else can add members."""
    return {"allOf": [closed(schema)], "unevaluatedProperties": False}


def problems(document, components, answer):
    operation = document["paths"].get(answer["path"], {}).get(answer["method"].lower())
    if operation is None:
        return ["no such operation"]
    if "request" in answer:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        return errors(components, closed(schema), answer["request"])
    response = operation["responses"].get(str(answer["status"]))
    if response is None:
        return [f"status {answer['status']} is not described"]
    expected = {name.lower() for name in response.get("headers", {})}
    if answer["status"] in (401, 429) and not expected <= set(answer["headers"]):
        return [f"headers: {sorted(expected)} expected"]
    content = response.get("content", {})
    if not content and not answer["type"]:
        return []
    if answer["type"] not in content:
        return [f"type {answer['type']!r} is not described"]
    if answer["type"] != "application/json":
        return []
    schema = content["application/json"]["schema"]
    # A document whose form others define has members that they describe.
    return errors(components, schema if schema == {"type": "object"} else sealed(schema), answer["body"])


def errors(components, schema, value):
    validator = Draft202012Validator({"components": components, **schema}, format_checker=FormatChecker())
    return [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(value)]


def main():
    with open(sys.argv[2], encoding="utf-8") as file:
        document = json.load(file)
    if sys.argv[1] == "document":
        OpenAPIV31SpecValidator(document).validate()
        return
    with open(sys.argv[3], encoding="utf-8") as file:
        answers = json.load(file)
    components = copy.deepcopy(document["components"])
    components["schemas"] = {name: closed(schema) for name, schema in components["schemas"].items()}
    print(json.dumps([problems(document, components, answer) for answer in answers]))


main()

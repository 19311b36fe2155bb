"""The OpenAPI document and the routes are the same thing, and what it says of parameters is enforced."""

import jsonschema_rs
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, WebSocketRoute

from tapeline.clock import ReplayClock
from tapeline.config import ServerSettings
from tapeline.server.app import build_app
from tapeline.server.contract import openapi
from tapeline.server.contract.openapi import document, operations
from tapeline.server.contract.operations import Described, Operation
from tests.server.fakes import BTC, T0, FakeSource


@pytest.fixture
def built(tmp_path):
    return build_app(FakeSource(), ServerSettings(), ReplayClock(T0), page=tmp_path / "none")


def test_every_route_is_described(built):
    plain = [r for r in built.routes if not isinstance(r, (Described, Mount, WebSocketRoute))]
    assert plain == []
    assert [r.path for r in built.routes if isinstance(r, WebSocketRoute)] == list(document(built.routes)["x-websocket"])


def test_every_operation_stands_in_the_document_once(built):
    made = document(built.routes)
    shown = [(method, path) for path, methods in made["paths"].items() for method in methods]
    assert sorted(shown) == sorted((one.method.lower(), one.path) for one in operations(built.routes))
    names = [methods[m]["operationId"] for methods in made["paths"].values() for m in methods]
    assert len(names) == len(set(names)) == len(shown)
    assert {methods[m]["tags"][0] for methods in made["paths"].values() for m in methods} <= {t["name"] for t in made["tags"]}


def test_every_schema_can_be_used(built):
    made = document(built.routes)
    for methods in made["paths"].values():
        for operation in methods.values():
            for parameter in operation["parameters"]:
                jsonschema_rs.validator_for(parameter["schema"])
            for answer in operation["responses"].values():
                for content in answer["content"].values():
                    jsonschema_rs.validator_for({**content.get("schema", {}), "components": made["components"]})


async def test_it_is_served(http):
    answer = await http.get("/api/v1/openapi.json")
    assert answer.headers["content-type"] == "application/vnd.oai.openapi+json;version=3.1"
    assert answer.json()["paths"]["/api/v1/trades"]["get"]["parameters"][0]["name"] == "instrument"


async def test_it_is_made_once(http, source, monkeypatch):
    made = []
    monkeypatch.setattr(openapi, "document", lambda routes, around: made.append(around) or {"made": len(made)})
    answers = [(await http.get("/api/v1/openapi.json")).json() for _ in range(3)]
    assert answers == [{"made": 1}] * 3
    status = source.status()
    monkeypatch.setattr(source, "status", lambda: status | {"bars": ["tick:7"]})
    assert (await http.get("/api/v1/openapi.json")).json() == {"made": 2}


async def test_a_parameter_is_named_rightly_and_once(http):
    twice = await http.get("/api/v1/trades", params={"instrument": [BTC, BTC]})
    assert (twice.status_code, twice.json()["error"]["code"]) == (400, "bad_parameter")
    wrong = await http.get("/api/v1/trades", params={"instrument": BTC, "limt": 3})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "unknown_parameter")
    assert (await http.get("/api/v1/quotes", params={"instrument": [BTC, BTC]})).status_code == 200
    assert (await http.get("/livez", params={"probe": "x"})).status_code == 200  # of other makers


def test_a_code_without_a_status_is_a_fault_of_ours():
    async def handler(_: Request) -> Response:
        raise NotImplementedError

    with pytest.raises(ValueError, match="no_such_code"):
        Described(handler, Operation("GET", "/x", "x", errors=("no_such_code",)))

"""The set-up to start from, `packaging/compose/`: as far as it can be followed without a container."""

from __future__ import annotations

import re
import subprocess
from ipaddress import ip_address, ip_network
from pathlib import Path

import httpx
import pytest
import yaml

from harness.history import Answer
from harness.nodes import Nodes, accepted
from harness.people import PASSWORD
from harness.program import client, eventually, free_port, run
from harness.proxies import adapted

COMPOSE = Path(__file__).parents[2] / "packaging" / "compose"
PROJECT = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
NODES = ["one", "two"]
HAPROXY = "/usr/sbin/haproxy"

#: What somebody writes into `.env`.
CHOSEN = {"LASTSEEN_DATABASE_PASSWORD": "0123456789abcdef"}


def filled_in(value: object) -> str:
    """A value of the file as compose understands it."""

    def variable(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        assert name in CHOSEN or kind == ":-", f"{name} is nowhere chosen"
        return CHOSEN.get(name, rest)

    return re.sub(r"\$\{(\w+)(:[-?])([^}]*)\}", variable, str(value))


def environment(service: str) -> dict[str, str]:
    return {name: filled_in(value) for name, value in PROJECT["services"][service]["environment"].items()}


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


@pytest.mark.parametrize("node", NODES)
def test_a_node_of_the_compose_file_understands_its_settings(node: str, tmp_path: Path) -> None:
    checked = run("check-config", directory=tmp_path, environment=environment(node))
    shown = checked.done()
    assert checked.errors == ""
    for setting in (f'node-name = "{node}"', 'public-url = "http://localhost:8080"', "172.30.5.10"):
        assert setting in shown, shown
    assert CHOSEN["LASTSEEN_DATABASE_PASSWORD"] not in shown


def test_what_the_compose_file_says_in_several_places_agrees() -> None:
    services = PROJECT["services"]
    database = services["database"]["environment"]
    for node in NODES:
        settings = environment(node)
        user, name = database["POSTGRES_USER"], database["POSTGRES_DB"]
        password = filled_in(database["POSTGRES_PASSWORD"])
        assert settings["LASTSEEN_DATABASE"] == f"postgres://{user}:{password}@database/{name}"
        # It is not killed while it lets visitors go.
        assert seconds(services[node]["stop_grace_period"]) > seconds(settings["LASTSEEN_DRAIN"]) + 5
        proxy = services["proxy"]["networks"]["inside"]["ipv4_address"]
        assert settings["LASTSEEN_TRUSTED_PROXY"] == proxy
        [inside] = PROJECT["networks"]["inside"]["ipam"]["config"]
        assert ip_address(proxy) in ip_network(inside["subnet"])
        [kind, program, *arguments] = services[node]["healthcheck"]["test"]
        assert (kind, program) == ("CMD", "/usr/bin/lastseen")
        assert run(*arguments, "--help", directory=COMPOSE).done()
    for service in services.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in PROJECT["volumes"] or (COMPOSE / source).is_file(), volume


def test_haproxy_takes_the_configuration_as_it_stands() -> None:
    checked = subprocess.run(
        [HAPROXY, "-c", "-f", str(COMPOSE / "haproxy.cfg")], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "ALERT" not in checked.stderr, checked.stderr


def test_visitors_reach_the_nodes_by_way_of_the_proxy_and_nobody_chooses_his_address(
    nodes: Nodes, tmp_path: Path
) -> None:
    for _ in NODES:
        nodes.start("--trusted-proxy", "127.0.0.1")
    ada = nodes.person()
    port = free_port()
    here = {"bind :8080": f"bind 127.0.0.1:{port}"}
    for name, node in zip(NODES, nodes.all, strict=True):
        here[f"server {name} {name}:8080"] = f"server {name} 127.0.0.1:{node.port}"
    configuration = tmp_path / "haproxy.cfg"
    configuration.write_text(adapted((COMPOSE / "haproxy.cfg").read_text(), here))
    with (tmp_path / "haproxy.log").open("wb") as log:
        proxy = subprocess.Popen([HAPROXY, "-db", "-f", str(configuration)], stdout=log, stderr=log)
    try:
        with client(f"http://127.0.0.1:{port}") as visitor:
            eventually(lambda: reaches(visitor), "the proxy leads to a node")
            signed_in = visitor.post(
                "/api/v1/sign-in",
                json={"username": ada.name, "password": PASSWORD},
                headers={"X-Forwarded-For": "203.0.113.7", "Forwarded": "for=203.0.113.7"},
            )
            assert signed_in.status_code == 201, signed_in.text
            assert signed_in.json()["session"]["ip_address"] == "127.0.0.1"
            token = signed_in.json()["token"]
            for node in nodes.all:
                assert accepted(node, token) is Answer.YES
            # One that has stopped is not asked any more.
            assert nodes.all[0].stop() == 0
            eventually(lambda: reaches(visitor), "the proxy leads to the other node")
            headers = {"Authorization": f"Bearer {token}"}
            assert visitor.get("/api/v1/session", headers=headers).status_code == 200
    finally:
        proxy.terminate()
        proxy.wait()


def reaches(visitor: httpx.Client) -> bool:
    try:
        return visitor.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False

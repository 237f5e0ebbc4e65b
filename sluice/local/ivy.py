"""Fetches jars by exact coordinates with the Ivy that Spark brings, and resolves nothing."""

from __future__ import annotations

import importlib.util
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.sax.saxutils import quoteattr

from sluice.errors import Outage
from sluice.local.java import java

AT_ONCE = 4
"""Ivy fetches one file after another; a few of them side by side spend the time waiting together."""
PATTERN = "[organisation].[artifact]-[revision].[ext]"
"""How a fetched jar is named."""


def fetch(coordinates: Sequence[str], folder: Path, *, repository: str | None) -> None:
    """Put every `group:artifact:version` into the folder; Outage with Ivy's own words when one cannot be had.

    The repository is Maven Central unless its URL says otherwise.
    """
    runtime, shares = java(), [coordinates[start::AT_ONCE] for start in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        runs = [
            pool.submit(_run, runtime, share, folder, folder / f"ivy-{number}", repository)
            for number, share in enumerate(shares)
            if share
        ]
    for run in runs:
        run.result()


def _run(runtime: Path, coordinates: Sequence[str], folder: Path, work: Path, repository: str | None) -> None:
    work.mkdir(parents=True)
    (work / "settings.xml").write_text(_settings(work / "cache", repository))
    (work / "ivy.xml").write_text(_module(coordinates))
    done = subprocess.run(_command(runtime, work, folder), capture_output=True, text=True, check=False)
    if done.returncode:
        raise Outage(
            f"jars could not be fetched: {_complaint(done.stdout + done.stderr)}",
            where=repository or "Maven Central",
            next_step="mend the network, or name a repository that can be reached in SLUICE_JAR_REPOSITORY",
        )


def _command(runtime: Path, work: Path, folder: Path) -> list[str]:
    ivy = [str(runtime), "-cp", str(_ivy_jar()), "org.apache.ivy.Main", "-warn"]
    given = ["-settings", str(work / "settings.xml"), "-ivy", str(work / "ivy.xml")]
    return [*ivy, *given, "-retrieve", f"{folder}/{PATTERN}"]


def _settings(cache: Path, repository: str | None) -> str:
    root = f" root={quoteattr(repository.rstrip('/') + '/')}" if repository else ""
    return (
        '<ivysettings><settings defaultResolver="central"/><property name="ivy.checksums" value=""/>'
        f"<caches defaultCacheDir={quoteattr(str(cache))}/>"
        f'<resolvers><ibiblio name="central" m2compatible="true" usepoms="false"{root}/></resolvers></ivysettings>'
    )


def _module(coordinates: Sequence[str]) -> str:
    wanted = "".join(_dependency(*each.split(":")) for each in coordinates)
    return (
        '<ivy-module version="2.0"><info organisation="sluice" module="jars"/>'
        f'<configurations><conf name="default"/></configurations><dependencies>{wanted}</dependencies></ivy-module>'
    )


def _dependency(group: str, artifact: str, version: str) -> str:
    name = f"org={quoteattr(group)} name={quoteattr(artifact)} rev={quoteattr(version)}"
    return f'<dependency {name} transitive="false" conf="default->default"/>'


def _complaint(output: str) -> str:
    lines = [line.strip(" :\t") for line in output.splitlines() if line.strip(" :\t")]
    unreachable = [line for line in lines if "access error" in line]
    missing = [line for line in lines if line.endswith("not found")]
    return "; ".join((unreachable or missing or lines)[:3])


def _ivy_jar() -> Path:
    spark = importlib.util.find_spec("pyspark")
    folder = Path(spark.origin).parent / "jars" if spark and spark.origin else Path()
    found = sorted(folder.glob("ivy-*.jar"))
    if not found:
        raise Outage("Spark's own Ivy is not there", where=str(folder), next_step="make setup")
    return found[0]

"""Fault 47: URLs as hosting providers hand them out, against a door that speaks TLS in front of a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.served import State
from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.exceptions import ConfigurationError, DatabaseUnavailableError
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage.database import Database
from tests.conftest import MakePlugin
from tests.operator import Operator
from tests.tls import Certificates, TlsDoor, make_certificates
from tests.waiting import until


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates of an authority of the tests'."""
    return make_certificates(tmp_path_factory.mktemp("tls") / "certificates")


async def encrypted(url: str) -> bool:
    """Return whether a database can be used through a URL, and with TLS."""
    async with Database(url) as database:
        return await database.tls_version() is not None


async def test_fault_47_tls_as_libpq_means_it(postgres_url: str, certificates: Certificates) -> None:
    """`require` encrypts without asking who answers; the verifying modes do ask, and `disable` is plain."""
    ca, stranger = f"&sslrootcert={certificates.authority}", f"&sslrootcert={certificates.stranger}"
    with TlsDoor(postgres_url, certificates) as door:
        for options in ("", "?sslmode=prefer", "?sslmode=require", "?ssl=require", "?ssl=true"):
            assert await encrypted(door.url(postgres_url, options)), options
        assert await encrypted(door.url(postgres_url, f"?sslmode=verify-full{ca}"))
        assert await encrypted(door.url(postgres_url, f"?sslmode=verify-ca{ca}", host="127.0.0.1"))
        assert await encrypted(door.url(postgres_url, f"?sslmode=require{ca}"))
        for options in ("?sslmode=disable", "?ssl=disable", "?ssl=false"):
            assert not await encrypted(door.url(postgres_url, options)), options
        for mode in ("require", "verify-ca", "verify-full"):
            with pytest.raises(DatabaseUnavailableError, match="certificate verify failed"):
                await encrypted(door.url(postgres_url, f"?sslmode={mode}{stranger}"))
        with pytest.raises(DatabaseUnavailableError, match="certificate verify failed"):
            await encrypted(door.url(postgres_url, f"?sslmode=verify-full{ca}", host="127.0.0.1"))


async def test_fault_47_a_client_certificate(postgres_url: str, certificates: Certificates) -> None:
    """It is shown where the URL names one; a file that is not there is named."""
    own = f"&sslcert={certificates.client}&sslkey={certificates.client_key}"
    with TlsDoor(postgres_url, certificates, client=True) as door:
        assert await encrypted(door.url(postgres_url, f"?sslmode=require{own}"))
        with pytest.raises(DatabaseUnavailableError):
            await encrypted(door.url(postgres_url, "?sslmode=require"))
        with pytest.raises(ConfigurationError, match=r"names a file that is not there: sslkey=/nowhere/key\."):
            await encrypted(door.url(postgres_url, f"?sslcert={certificates.client}&sslkey=/nowhere/key"))


async def test_fault_47_several_hosts(postgres_url: str, certificates: Certificates) -> None:
    """The first one that answers is used."""
    with TlsDoor(postgres_url, certificates) as door:
        url = door.url(postgres_url, "?sslmode=require", host="127.0.0.1:1,localhost")
        assert await encrypted(url)
        async with Database(url) as database:
            await upgrade(database)


async def test_fault_47_served_and_followed_with_tls(
    postgres_url: str, certificates: Certificates, registry: Registry, make_plugin: MakePlugin
) -> None:
    """Every connection is encrypted, the listening one as well."""
    registry.declare("a", {"default": "From code."}, where="here")
    with TlsDoor(postgres_url, certificates) as door:
        url = door.url(postgres_url, f"?sslmode=verify-full&sslrootcert={certificates.authority}&application_name=shop")
        async with Database(url) as database:
            await upgrade(database)
            plugin = make_plugin(url, poll_interval=0.5)
            await plugin.ready()
            await until(lambda: plugin.health().listening, "notifications arrive")
            await DatabaseEdits(database).create("a", "default", "From a person.", activate=True)
        await until(lambda: plugin.resolve("a").version == 2, "it is followed")
        assert plugin.state is State.LIVE
        plugin.close()
        assert door.encrypted >= 3
        assert door.plain == 0


def test_fault_47_what_doctor_says_of_tls(postgres_url: str, certificates: Certificates, tmp_path: Path) -> None:
    """It tells whether the connection is encrypted, and survives every URL with the name of what is wrong."""
    operator = Operator(tmp_path, postgres_url)
    with TlsDoor(postgres_url, certificates) as door:
        url = door.url(postgres_url, "?sslmode=require")
        operator.do("upgrade", "--database-url", url)
        assert "TLS: on, TLSv1." in operator.run("doctor", "--database-url", url).out
        plain = operator.run("doctor", "--database-url", door.url(postgres_url, "?sslmode=disable"))
        assert "TLS: off, and nothing leaves this machine" in plain.out
        for options, words in (
            ("?sslmode=requir", "sslmode=requir is no mode of TLS"),
            ("?connection_limit=3", "'connection_limit'"),
            (f"?sslmode=verify-full&sslrootcert={tmp_path / 'none'}", "names a file that is not there"),
            (f"?sslmode=verify-full&sslrootcert={certificates.stranger}", "certificate verify failed"),
        ):
            told = operator.run("doctor", "--database-url", door.url(postgres_url, options))
            assert told.code in {1, 2}
            assert words in f"{told.out}{told.err}".replace("\n", " "), told
            assert "Traceback" not in told.err

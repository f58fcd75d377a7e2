"""Through a site's proxy, and to upstreams whose certificate a site's own authority signed. What a proxy or another host may read of our token: nothing."""
import json
import re
import socket
import subprocess

import pytest

from tests.hub import Hub, Proxy
from tests.system.registry import Registry
from tests.system.sync_case import NAME, POLICY, assert_not_served, files, settings

TOKEN = "hf_" + "s" * 37
# curl reads these; none of the machine's own may leak in
NO_ENV = {k: "" for k in ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY")}


def openssl(*args):
    done = subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """make(name) -> (authority's certificate, chain, key) for 127.0.0.1 and 127.0.0.2."""
    where = tmp_path_factory.mktemp("authorities")

    def make(name):
        ca, ca_key, key, request, chain, ext = (where / f"{name}-{x}" for x in ("ca.pem", "ca.key", "key", "csr", "chain.pem", "ext"))
        if not chain.exists():
            new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
            openssl("req", "-x509", *new, "-keyout", ca_key, "-out", ca, "-days", 30, "-subj", f"/CN={name} authority")
            openssl("req", *new, "-keyout", key, "-out", request, "-subj", "/CN=hub")
            ext.write_text("subjectAltName=IP:127.0.0.1,IP:127.0.0.2\n")
            openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-days", 30, "-extfile", ext, "-out", chain)
        return ca, chain, key
    return make


@pytest.fixture
def tls_hub(tmp_path, authority):
    _, chain, key = authority("site")
    with Hub(root=tmp_path / "tls-hub", tls=(chain, key)) as it:
        it.add_model(NAME, files())
        yield it


@pytest.fixture
def proxy():
    with Proxy() as it:
        yield it


@pytest.fixture
def token(tmp_path):
    (tmp_path / "token").write_text(TOKEN + "\n")
    return tmp_path / "token"


def registry(tmp_path, hub, env=None, **upstream):
    return Registry(tmp_path / "registry", policy=POLICY, settings=settings(hub, **upstream), env={**NO_ENV, **(env or {})})


def authorities(hub):
    """host:port of the three listeners."""
    return {url.split("://")[1] for url in (hub.url, hub.cdn_url, hub.other_url)}


def readable(proxy):
    """All that a proxy could read, as text."""
    return "\n".join(f"{r.method} {r.target} {r.headers} {r.first!r}" for r in proxy.requests())


def published(reg):
    reg.ctl("sync", NAME)
    assert reg.json("show", NAME)["state"] == "published"


# --- certificates ---------------------------------------------------------------------------------------------------------------


def test_a_private_authority(tmp_path, tls_hub, authority):
    with registry(tmp_path, tls_hub, ca_file=authority("site")[0]) as reg:
        published(reg)
        assert reg.json("show", NAME)["proof"] == "commit"      # git's own protocol trusts it too


@pytest.mark.parametrize("ca", ["another", None])
def test_an_authority_that_is_not_trusted(tmp_path, tls_hub, authority, ca):
    with registry(tmp_path, tls_hub, **({"ca_file": authority(ca)[0]} if ca else {})) as reg:
        said = reg.ctl("sync", NAME, code=1).stderr
        assert tls_hub.url in said and "certificate" in said and "ca_file of upstream 'hub'" in said
        assert_not_served(reg)
    assert not tls_hub.requests()


def test_files_from_a_host_that_is_not_trusted(tmp_path, tls_hub, authority, token):
    """The Hub is trusted, but the host that it sends us to for a file shows a certificate of somebody else."""
    _, chain, key = authority("another")
    tls_hub.add_token(TOKEN)
    with Hub(root=tmp_path / "elsewhere", tls=(chain, key)) as elsewhere:
        tls_hub.faults.add(route="resolve", file="data.safetensors", redirect=f"{elsewhere.url}/x")
        with registry(tmp_path, tls_hub, ca_file=authority("site")[0], token_file=token) as reg:
            said = reg.ctl("sync", NAME, code=1).stderr
            assert "data.safetensors" in said and elsewhere.url in said and "ca_file" in said
            assert_not_served(reg)
        assert not elsewhere.requests()


def test_a_ca_file_that_is_none(tmp_path, tls_hub):
    (tmp_path / "empty.pem").write_text("no certificate\n")
    with registry(tmp_path, tls_hub, ca_file=tmp_path / "empty.pem") as reg:
        said = reg.ctl("sync", NAME, code=1).stderr
        assert "ca_file of upstream 'hub'" in said and "empty.pem" in said


# --- proxies --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["setting", "environment"])
def test_https_goes_through_a_tunnel(tmp_path, tls_hub, authority, proxy, token, how):
    """Everything passes the proxy; it learns host and port, and never the token."""
    tls_hub.add_token(TOKEN)
    env = {"https_proxy": proxy.url} if how == "environment" else {}
    more = {"proxy": proxy.url} if how == "setting" else {}
    with registry(tmp_path, tls_hub, env, ca_file=authority("site")[0], token_file=token, **more) as reg:
        published(reg)
    passed = proxy.requests()
    assert {r.method for r in passed} == {"CONNECT"}
    assert {r.target for r in passed} == {tls_hub.url[8:], tls_hub.cdn_url[8:]} <= authorities(tls_hub)
    assert not [r for r in passed if "authorization" in r.headers] and TOKEN not in readable(proxy)
    # each of the upstream's connections came out of a tunnel
    assert sum(x.connections for x in tls_hub.listeners.values()) == len(passed)
    assert [r for r in tls_hub.requests(listener="hub") if r.authorization]
    assert not [r for r in tls_hub.requests(listener="cdn") if r.authorization]


def test_plain_http_goes_through_as_whole_addresses(tmp_path, hub, proxy):
    hub.add_model(NAME, files())
    with registry(tmp_path, hub, proxy=proxy.url) as reg:
        published(reg)
    passed = proxy.requests()
    assert passed and all(re.match(r"http://127\.0\.0\.[12]:\d+/", r.target) for r in passed)
    assert sum(x.connections for x in hub.listeners.values()) == len(passed)


def test_a_token_under_plain_http_goes_past_the_proxy(tmp_path, hub, proxy, token):
    """A proxy would read it. Files on other hosts, which are asked for without a token, still go through."""
    hub.add_token(TOKEN)
    hub.add_model(NAME, files())
    with registry(tmp_path, hub, proxy=proxy.url, token_file=token) as reg:
        published(reg)
    passed = proxy.requests()
    assert passed and {r.target.split("/")[2] for r in passed} == {hub.cdn_url[7:]}
    assert TOKEN not in readable(proxy)
    assert [r for r in hub.requests(listener="hub") if r.authorization]


@pytest.mark.parametrize("how", ["setting", "environment"])
def test_no_proxy(tmp_path, tls_hub, authority, proxy, how):
    """no_proxy leaves out the hosts that it names, and no other."""
    env = {"no_proxy": "127.0.0.1"}
    more = {}
    if how == "setting":
        more = {"proxy": proxy.url}
    else:
        env["https_proxy"] = proxy.url
    with registry(tmp_path, tls_hub, env, ca_file=authority("site")[0], **more) as reg:
        published(reg)
    assert {r.target for r in proxy.requests()} == {tls_hub.cdn_url[8:]}


def test_the_setting_wins_over_the_environment(tmp_path, tls_hub, authority, proxy):
    with Proxy() as other, registry(tmp_path, tls_hub, {"https_proxy": other.url}, ca_file=authority("site")[0], proxy=proxy.url) as reg:
        published(reg)
        assert proxy.requests() and not other.requests()


def test_a_proxy_that_wants_a_password(tmp_path, tls_hub, authority, token):
    tls_hub.add_token(TOKEN)
    with Proxy(user="site", password="s3cret") as proxy:
        with registry(tmp_path, tls_hub, ca_file=authority("site")[0], proxy=proxy.url, token_file=token, retries=1) as reg:
            said = reg.ctl("sync", NAME, code=1).stderr
            assert "the proxy answers 407" in said and "proxy setting" in said
        assert not tls_hub.requests()
        named = proxy.url.replace("://", "://site:s3cret@")
        with registry(tmp_path / "2", tls_hub, ca_file=authority("site")[0], proxy=named, token_file=token) as reg:
            published(reg)
            assert "s3cret" not in reg.said()
        assert TOKEN not in readable(proxy)


def test_a_proxy_reached_by_https(tmp_path, tls_hub, authority, token):
    """Its certificate is held against ca_file too, and is not mixed up with the upstream's."""
    site, another = authority("site"), authority("another")
    both = tmp_path / "both.pem"
    both.write_text(site[0].read_text() + another[0].read_text())
    tls_hub.add_token(TOKEN)
    with Proxy(tls=another[1:]) as proxy:
        with registry(tmp_path / "1", tls_hub, ca_file=both, proxy=proxy.url, token_file=token) as reg:
            published(reg)
        assert proxy.requests() and TOKEN not in readable(proxy)
        with registry(tmp_path / "2", tls_hub, ca_file=site[0], proxy=proxy.url) as reg:
            said = reg.ctl("sync", NAME, code=1).stderr
            assert "the certificate of the proxy to " + tls_hub.url in said and "ca_file of upstream 'hub'" in said
        with registry(tmp_path / "3", tls_hub, ca_file=another[0], proxy=proxy.url, retries=0) as reg:
            said = reg.ctl("sync", NAME, code=1).stderr
            assert tls_hub.url in said and "its certificate is not trusted" in said and "the proxy" not in said and "ca_file of upstream 'hub'" in said


def test_a_proxy_whose_address_makes_no_sense(tmp_path, tls_hub, authority):
    """libcurl would show all of it, password included."""
    with registry(tmp_path, tls_hub, {"https_proxy": "http://site:s3cret@127.0.0.1:port"}, ca_file=authority("site")[0], retries=0) as reg:
        said = reg.ctl("sync", NAME, code=1).stderr
        assert "https_proxy" in said and "makes no sense" in said
        assert "s3cret" not in said + reg.said() + json.dumps([reg.json("jobs"), reg.json("events")])


def test_a_proxy_that_is_not_there(tmp_path, tls_hub, authority):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with registry(tmp_path, tls_hub, ca_file=authority("site")[0], proxy=f"http://127.0.0.1:{port}", retries=1) as reg:
        said = reg.ctl("sync", NAME, code=1).stderr
        assert str(port) in said
        assert_not_served(reg)
    assert not tls_hub.requests()


@pytest.mark.parametrize("place", ["the same host, another port", "another host"])
def test_a_redirect_takes_no_token_along(tmp_path, tls_hub, authority, token, place):
    """A Hub that is well but sends us elsewhere, by mistake or because it was broken into."""
    _, chain, key = authority("site")
    tls_hub.add_token(TOKEN)
    with Hub(host="127.0.0.1" if place.startswith("the same") else "127.0.0.2", root=tmp_path / "elsewhere", tls=(chain, key)) as elsewhere:
        elsewhere.add_model(NAME, files())
        for route, path in (("info", f"/api/models/{NAME}"), ("resolve", f"/{NAME}/resolve/main/config.json")):
            tls_hub.faults.add(route=route, redirect=elsewhere.url + path, times=1)
        with registry(tmp_path, tls_hub, ca_file=authority("site")[0], token_file=token) as reg:
            reg.ctl("sync", NAME, code=None)
        assert elsewhere.requests() and not [r for r in elsewhere.requests() if r.authorization]
        assert TOKEN not in str([r.headers for r in elsewhere.requests()])

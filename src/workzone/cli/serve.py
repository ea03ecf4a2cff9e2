"""`workzone serve`: answer over HTTP, and manage the keys of those who may ask."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from workzone.cli import keys as key_commands
from workzone.cli.console import ExitCode
from workzone.cli.record_options import (
    Backend,
    CacheMib,
    Journal,
    KeepPictures,
    Logs,
    MaxPixels,
    PictureDays,
    Pictures,
    RetainDays,
)
from workzone.cli.service import MIB, Records, serve, tls_of


class _RunByDefault(typer.core.TyperGroup):
    """Takes `serve BUNDLE` for `serve run BUNDLE`; a bundle called `keys` or `run` is named by its path."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_RunByDefault, help="Answer over HTTP: `workzone serve BUNDLE`.", no_args_is_help=True)
app.add_typer(key_commands.app, name="keys")

BundlePath = Annotated[Path, typer.Argument(metavar="BUNDLE", help="Directory of the bundle.")]
Host = Annotated[str, typer.Option(help="Address to listen on; without keys a loopback address.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="0: any free port.")]
MetricsPort = Annotated[
    int | None, typer.Option(min=0, max=65535, help="Serve /metrics here; by default on 127.0.0.1.")
]
MetricsHost = Annotated[
    str,
    typer.Option(
        help="Address of /metrics; another than loopback only in a container, behind a network of its own."
    ),
]
KeysPath = Annotated[
    Path | None, typer.Option("--keys", envvar="WORKZONE_KEYS", help="File of the keys, mode 0600.")
]
TlsCertificate = Annotated[Path | None, typer.Option(help="PEM file; needs --tls-key.")]
TlsKey = Annotated[Path | None, typer.Option(help="PEM file, mode 0600.")]
TlsPasswordFile = Annotated[Path | None, typer.Option(help="Of the key, mode 0600.")]
BundleRoot = Annotated[
    Path | None, typer.Option(help="Directory whose bundles may be exchanged to by name (PUT /v1/model).")
]
Threads = Annotated[int | None, typer.Option(min=1, help="Of the network.")]
QueueSize = Annotated[int, typer.Option(min=1, help="The most pictures that wait.")]
MaxBatch = Annotated[int | None, typer.Option(min=1, help="By default, what is measured to pay.")]
HangS = Annotated[float, typer.Option(min=0.1, help="A run that takes longer is ended.")]
MaxBodyMib = Annotated[int, typer.Option(min=1, help="Of one request.")]
MaxPictures = Annotated[int, typer.Option(min=1, help="In one request.")]
Rate = Annotated[float, typer.Option(min=0.001, help="Pictures a second of one key.")]
Burst = Annotated[int, typer.Option(min=1, help="Pictures at once of one key.")]
GraceS = Annotated[
    float,
    typer.Option(min=0, help="Answer on for so long after SIGTERM, while load balancers hear of it."),
]
DrainS = Annotated[float, typer.Option(min=0.1, help="Then wait so long for requests in flight.")]


@app.command("run")
def run(
    bundle: BundlePath,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = "127.0.0.1",
    keys: KeysPath = None,
    tls_certificate: TlsCertificate = None,
    tls_key: TlsKey = None,
    tls_password_file: TlsPasswordFile = None,
    bundle_root: BundleRoot = None,
    journal: Journal = None,
    retain_days: RetainDays = 400,
    keep_pictures: KeepPictures = "none",
    pictures: Pictures = None,
    picture_days: PictureDays = 30,
    logs: Logs = None,
    cache_mib: CacheMib = 64,
    threads: Threads = None,
    backend: Backend = None,
    queue_size: QueueSize = 64,
    max_batch: MaxBatch = None,
    hang_s: HangS = 30.0,
    max_body_mib: MaxBodyMib = 64,
    max_pictures: MaxPictures = 32,
    max_pixels: MaxPixels = 64_000_000,
    rate: Rate = 50.0,
    burst: Burst = 200,
    grace_s: GraceS = 0.0,
    drain_s: DrainS = 30.0,
) -> None:
    """Answer over HTTP until SIGTERM.

    Without keys it listens on this machine only. Exits with 1 if the model breaks for good, to be restarted.
    """
    from workzone.core.lazy import check_installed

    for module in ("fastapi", "uvicorn", "prometheus_client", "python_multipart"):
        check_installed(module, "serve")
    from workzone.engine.live import LiveSettings
    from workzone.imaging.decode import DecodeLimits
    from workzone.serving.http.server import ServerSettings
    from workzone.serving.keys import check_binding
    from workzone.serving.limits import Limits
    from workzone.serving.process_end import end_if_hung

    check_binding(host, has_keys=keys is not None)
    limits = Limits(
        body_bytes=max_body_mib * MIB,
        pictures=max_pictures,
        rate_per_s=rate,
        burst=burst,
        in_flight_bytes=max(512, 4 * max_body_mib) * MIB,
    )
    live = LiveSettings(
        threads=threads,
        queue_size=queue_size,
        max_batch=max_batch,
        hang_s=hang_s,
        backend=backend,
        limits=DecodeLimits(max_bytes=limits.picture_bytes, max_pixels=max_pixels),
    )
    settings = ServerSettings(
        host=host,
        port=port,
        metrics_port=metrics_port,
        metrics_host=metrics_host,
        tls=tls_of(tls_certificate, tls_key, tls_password_file),
        grace_s=grace_s,
        drain_s=drain_s,
    )
    records = Records(journal, retain_days, pictures, keep_pictures, picture_days, logs)

    told = serve(bundle, live, settings, limits, records, keys, bundle_root, cache_mib)
    code = ExitCode.DONE if told else ExitCode.FAILED
    end_if_hung(code)
    raise typer.Exit(code)

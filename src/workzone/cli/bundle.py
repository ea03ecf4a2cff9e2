"""`workzone bundle`: verify, show and re-certify bundles, and join them to cascades."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workzone.cli import cascade as cascades
from workzone.cli.console import ConsoleObserver, ExitCode, emit_json, out, shown

if TYPE_CHECKING:
    from workzone.bundle.reader import Bundle
    from workzone.phases.verify_certificate import CertificateCheck

app = typer.Typer(help="Verify, show and re-certify bundles; join them to cascades.", no_args_is_help=True)
app.command("cascade")(cascades.cascade)

BundlePath = Annotated[Path, typer.Argument(metavar="BUNDLE", help="Directory of the bundle.")]
AnyPath = Annotated[Path, typer.Argument(metavar="BUNDLE", help="Directory of the bundle, or of a cascade.")]
Json = Annotated[bool, typer.Option("--json", help="For machines.")]


@app.command()
def verify(
    bundle: AnyPath,
    certificate: Annotated[
        Path | None,
        typer.Option(
            metavar="DATASET",
            help="Also recompute the certificate from the data set that it was made on; exit 3 if it differs.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Check digest, hashes, schema and certificate, and run the golden pictures; of a cascade, those of all stages."""
    from workzone.bundle.cascade import is_cascade
    from workzone.engine.predictor import open_predictor

    if is_cascade(bundle):
        if certificate is not None:
            raise _no_recomputing(bundle)
        cascades.verify_cascade(bundle, json=json)
        return
    predictor = open_predictor(bundle)
    opened = predictor.bundle
    check = None
    if certificate is not None:
        from workzone.data.dataset import open_dataset
        from workzone.phases.verify_certificate import verify_from_data

        data = open_dataset(certificate)
        with ConsoleObserver(quiet=json) as observer:
            check = verify_from_data(predictor, data, observer=observer)
    if json:
        emit_json(
            {
                "bundle": str(bundle),
                "verified": True,
                "digest": opened.digest,
                "certificate_holds": None if check is None else check.holds,
                "differences": [] if check is None else list(check.differences),
            }
        )
    else:
        out.print(f"[green]verified[/green] {shown(bundle)}  digest {opened.digest[:16]}")
        out.print(
            f"{len(opened.manifest.files)} files, {len(opened.golden.pictures)} golden pictures answered "
            "as sealed."
        )
        out.print("This shows that nothing was changed, not who made it.")
        if check is not None:
            _print_check(check)
    if check is not None and not check.holds:
        raise typer.Exit(ExitCode.GATE_NOT_MET)


def _no_recomputing(path: Path) -> Exception:
    from workzone.core.errors import ConfigError

    return ConfigError(
        f"'{path}' is a cascade; --certificate recomputes that of one bundle. Make the cascade again from its stages "
        "and the data set (`workzone bundle cascade`), and compare what `workzone bundle show` says of both."
    )


def _print_check(check: CertificateCheck) -> None:
    pictures = f"{check.n_select} pictures of select and {check.n_calib} of calib"
    if check.holds:
        out.print(f"[green]The certificate follows from the data[/green]: {pictures} were scored again.")
        out.print(check.certificate.statement, markup=False)
        return
    out.print(f"[red]The certificate does not follow from the data[/red] ({pictures} were scored again):")
    for difference in check.differences:
        out.print(f"- {difference}", markup=False)


@app.command()
def show(bundle: AnyPath, json: Json = False) -> None:
    """Print what a bundle or cascade is and what it promises."""
    from workzone.bundle.cascade import is_cascade
    from workzone.bundle.reader import open_bundle

    if is_cascade(bundle):
        cascades.show_cascade(bundle, json=json)
        return
    opened = open_bundle(bundle)
    if json:
        emit_json(_summary(opened))
        return
    from rich.table import Table

    table = Table(show_header=False, box=None)
    for key, value in {**_summary(opened), "operating_point": _point(opened)}.items():
        table.add_row(f"[bold]{key.replace('_', ' ')}[/bold]", "–" if value is None else shown(value))
    out.print(table)


@app.command()
def recertify(
    bundle: BundlePath,
    dataset: Annotated[Path, typer.Argument(help="Labelled data set of the place where it will serve.")],
    out_dir: Annotated[Path, typer.Option("--out", "-o", help="Directory of the new bundle.")],
    alpha: Annotated[float | None, typer.Option(help="The most that the promised risk may be.")] = None,
    second_alpha: Annotated[
        float | None, typer.Option(help="The same of the second risk, where two are promised.")
    ] = None,
    delta: Annotated[float | None, typer.Option(help="One minus the confidence, in (0, 1).")] = None,
    beta: Annotated[
        float | None, typer.Option(help="Share of negatives that may be called road work.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the split into select and calib.")] = 0,
    json: Json = False,
) -> None:
    """Make a new bundle of the same model, certified on DATASET. No training, no torch.

    Kind of policy, risks and limits are the bundle's, unless options say otherwise.

    Exits with 3 where the data do not suffice for a certificate; the bundle is written all the same, and
    defers what it cannot promise.
    """
    from workzone.data.dataset import open_dataset
    from workzone.engine.predictor import open_predictor
    from workzone.phases.build import ledger_of
    from workzone.phases.recertify import Wishes
    from workzone.phases.recertify import recertify as certify_again

    predictor = open_predictor(bundle)
    data = open_dataset(dataset)
    with ConsoleObserver(quiet=json) as observer:
        made = certify_again(
            predictor,
            data,
            out_dir,
            wishes=Wishes(alpha, second_alpha, delta, beta),
            seed=seed,
            ledger=ledger_of(data),
            created=datetime.now(UTC),
            observer=observer,
        )
    certificate = made.policy.certificate
    if json:
        emit_json(
            {
                "bundle": str(made.bundle),
                "certified": made.policy.certified,
                "statement": certificate.statement if certificate else made.policy.refusal,
                "certifications": made.certifications,
            }
        )
    else:
        out.print(certificate.statement if certificate else str(made.policy.refusal))
        out.print(f"Bundle: {shown(made.bundle)}")
        out.print(f"Runs that have opened calibration pictures of this data set: {made.certifications}.")
        if made.certifications > 1:
            out.print("Each certificate holds by itself; the one that pleases most of several does not.")
    if certificate is None:
        raise typer.Exit(ExitCode.GATE_NOT_MET)


_KINDS = {None: "none", "pac": "with confidence", "average": "on average only"}


def _point(bundle: Bundle) -> str | None:
    point = bundle.manifest.operating_point
    if point is None:
        return None
    return f"{point.profile}: logit {point.threshold:.4f} (on the subnet the policy is bypassed)"


def _summary(bundle: Bundle) -> dict[str, Any]:
    manifest, policy = bundle.manifest, bundle.policy
    certificate, point = policy.certificate, manifest.operating_point
    return {
        "name": manifest.name,
        "created": manifest.created.isoformat(),
        "digest": bundle.digest,
        "backbone": manifest.backbone.name,
        "backbone_licence": manifest.backbone.licence,
        "input": f"{manifest.model.size_px} px, {manifest.preprocessing.geometry}",
        "policy": manifest.policy_kind,
        "operating_point": None if point is None else point.model_dump(mode="json"),
        "rule": policy.rule,
        "certified": policy.certified,
        "promise": _KINDS[certificate.kind if certificate else None],
        "statement": certificate.statement if certificate else policy.refusal,
        "false_alarm_rate": certificate.false_alarms.rate if certificate else None,
        "false_alarm_bound": certificate.false_alarms.bound if certificate else None,
        "coverage": certificate.coverage.overall if certificate else None,
        "tolerated_wrong_labels": (
            min(claim.tolerated_wrong_labels for claim in certificate.claims) if certificate else None
        ),
        "assumption": certificate.assumption if certificate else None,
    }

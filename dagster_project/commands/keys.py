"""Commands of `quantlake keys`: API keys, and the key that signs tokens."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dagster_project.commands.shell import (
    AsCsv,
    AsJson,
    DataTable,
    ShownColumn,
    console,
    is_for_program,
    minute_of,
    print_line,
)
from dagster_project.plurals import counted

if TYPE_CHECKING:
    from serving.access import Key

app = typer.Typer(help="Who may ask the endpoint: API keys, and the key that signs tokens.", no_args_is_help=True)

KeyId = Annotated[str, typer.Argument(help="Id of a key as `quantlake keys list` shows it.")]
LISTED = (
    ShownColumn("id"),
    ShownColumn("name", wraps=True),
    ShownColumn("role"),
    ShownColumn("tier", rank=2),
    ShownColumn("state"),
    ShownColumn("created", shown=minute_of, rank=3),
    ShownColumn("last_used", shown=minute_of, rank=1),
    ShownColumn("ends", shown=minute_of, rank=4),
    ShownColumn("revoked", shown=minute_of, rank=5),
    ShownColumn("who", rank=6),
)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What to call it in lists, e.g. 'research desk'.")],
    *,
    role: Annotated[str, typer.Option(help="read, predict (reads too) or operator (everything).")] = "predict",
    tier: Annotated[str, typer.Option(help="free: 100 an hour; standard: 1,000; or unlimited.")] = "standard",
    days: Annotated[int | None, typer.Option(min=1, help="Days until it ends; never when left out.")] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Make a key and show it, once: quantlake keys create 'research desk' --role read --tier free."""
    from lake.settings import settings
    from serving.access import keys
    from serving.audit import console as who

    ends = None if days is None else datetime.now(UTC) + timedelta(days=days)
    key, text = keys.create(settings(), name, role, tier, by=who(), expires_at=ends)  # type: ignore[arg-type]
    made = _plain(key, {}) | {"key": text}
    if is_for_program(made, DataTable.of_records([made]), as_json=as_json, as_csv=as_csv):
        return
    print_line(f"  {text}\n")
    print_line(
        f"Keep it: it is not stored and cannot be shown again. '{name}' has the role {role} and the tier {tier}."
    )
    print_line("Send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'.")


@app.command("list")
def list_keys(*, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """List every key, revoked ones too; the keys themselves are not stored."""
    from lake.settings import settings
    from serving.access import keys

    used = keys.last_used(settings())
    found = [_plain(key, used) for key in keys.listing(settings())]
    table = DataTable.of(counted(len(found), "key"), LISTED, found)
    if is_for_program(None, table, as_json=as_json, as_csv=as_csv):
        return
    if not found:
        print_line(f"There is no key in {settings().home} yet. `quantlake serve` makes one for this machine.")
        return
    console().print(table)


@app.command()
def revoke(key: KeyId) -> None:
    """Let a key, and every token made for it, open nothing from now on."""
    from lake.settings import settings
    from serving.access import keys
    from serving.audit import console as who

    done = keys.revoke(settings(), key, by=who())
    print_line(f"'{done.name}' ({done.id}) opens nothing any more; a running service sees that within half a second.")


@app.command()
def rotate() -> None:
    """Sign tokens with a new key; those that the old one signed stay good until they end, within the hour."""
    from lake.settings import settings
    from serving.access import signing
    from serving.audit import console as who

    made = signing.rotate(settings(), by=who())
    print_line(f"Tokens are signed by {made.kid} from now on. /.well-known/jwks.json has the keys that check them.")


def _plain(key: "Key", used: dict[str, datetime]) -> dict[str, Any]:
    now = datetime.now(UTC)
    state = "in force" if key.is_in_force(now) else "revoked" if key.revoked_at else "ended"
    times = {
        "created": key.created_at,
        "ends": key.expires_at,
        "revoked": key.revoked_at,
        "last_used": used.get(key.id),
    }
    values = {"id": key.id, "name": key.name, "role": key.role, "tier": key.tier, "state": state, "who": key.who}
    return values | times

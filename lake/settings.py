"""The only reader of the environment: every setting, its default and its unit."""

import os
import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from lake.clock import Clock
from lake.errors import ConfigError, UnknownNameError
from lake.market import FILE as DECLARATION
from lake.market import Market, home_of, known_markets, market_of, open_clock

Provider = Literal["cpu", "cuda"]
Precision = Literal["fp32", "fp16"]
AccessLog = Literal["problems", "all", "none"]
LogLevel = Literal["debug", "info", "warning", "error"]

UNUSABLE = "%[]*?"
"""Characters of a path that the Delta writer or a file pattern would read as something else."""
REDIS_SCHEMES = ("redis://", "rediss://", "unix://")

FORMER_NAMES = {"QUANTLAKE_REMEMBERED_SYMBOLS": "forecast_cache_symbols"}
"""Setting by the variable that it was read from before it was renamed; read for one more release, with a warning."""
PREFIX = "QUANTLAKE_"
BETWEEN_PROCESSES = frozenset({"QUANTLAKE_LIFELINE", "QUANTLAKE_UI_LINK"})
"""Variables with the prefix that a process of this platform sets for those that it starts; no settings."""


def _cores() -> int:
    """Cores that this process may use; where the system does not say, those of the machine."""
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable else os.cpu_count() or 1


class Settings(BaseSettings):
    """What can be set from outside, frozen; each name is read from ``QUANTLAKE_<NAME>`` (a few have a usual name).

    Everything generated lies under `home`, so that moving or deleting that one folder moves or deletes it all.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", populate_by_name=True)

    home: Path = Field(default=Path("data"), description="folder of everything generated")
    market: str | None = Field(
        default=None, description="market to work on, see `quantlake market list`; the one of the home when unset"
    )
    backups: Path | None = Field(
        default=None, description="folder of the backups, outside the home; the weekly drill does nothing when unset"
    )
    redis_url: str | None = Field(
        default=None, validation_alias="REDIS_URL", description="external Redis; the embedded one when unset"
    )
    mlflow_tracking_uri: str | None = Field(
        default=None, validation_alias="MLFLOW_TRACKING_URI", description="tracking server; SQLite in home when unset"
    )
    alphavantage_api_key: SecretStr | None = Field(
        default=None, validation_alias="ALPHAVANTAGE_API_KEY", description="key of the source alpha_vantage"
    )
    massive_api_key: SecretStr | None = Field(
        default=None, validation_alias="MASSIVE_API_KEY", description="key of the source polygon, now called Massive"
    )
    fred_api_key: SecretStr | None = Field(
        default=None, validation_alias="FRED_API_KEY", description="key of the source fred"
    )
    https_proxy: SecretStr | None = Field(
        default=None, validation_alias="HTTPS_PROXY", description="proxy through which vendors of data are asked"
    )
    source_url: str | None = Field(
        default=None, description="address asked in place of the vendor's own, e.g. that of a mirror"
    )
    source: str | None = Field(
        default=None,
        description="source of bars: a name, or module:name of one of your own; what the market declares when unset",
    )
    experiment: str = Field(default="demo", description="experiment file in training/experiments, without .yaml")
    feature_engine: Literal["local", "sail", "connect", "jvm"] = Field(
        default="local", description="where features are computed: this process, or a Spark (docs/spark.md)"
    )
    feature_groups: str = Field(
        default="", description="importable modules with feature groups of your own, with commas between"
    )
    spark_remote: str | None = Field(
        default=None, validation_alias="SPARK_REMOTE", description="Spark Connect server, e.g. sc://127.0.0.1:15002"
    )
    spark_master: str = Field(default="local[*]", description="where a JVM Spark computes, or a cluster's master")
    spark_jars: str = Field(
        default="", description="jars of Delta Lake for a JVM Spark, by path or Maven coordinates, with commas between"
    )
    java_home: str | None = Field(default=None, validation_alias="JAVA_HOME", description="Java 17 for a JVM Spark")
    engine: Literal["onnx", "tensorrt"] = Field(default="onnx", description="inference engine of the service")
    provider: Provider = Field(default="cpu", description="where ONNX Runtime computes")
    precision: Precision = Field(default="fp32", description="arithmetic of a TensorRT engine")
    engine_threads: int = Field(default=1, ge=1, le=64, description="threads inside one engine call")
    host: str = Field(default="127.0.0.1", description="address the service listens on")
    port: int = Field(default=3000, ge=1024, le=65535, description="port of the forecast endpoint")
    ui_port: int = Field(default=3001, ge=1024, le=65535, description="port of the Dagster UI")
    mlflow_port: int = Field(default=5000, ge=1024, le=65535, description="port of MLflow's UI")
    lab_port: int = Field(default=8888, ge=1024, le=65535, description="port of Jupyter")
    dashboard: Literal["own", "mounted", "off"] = Field(
        default="own",
        description="dashboard that `quantlake serve` serves: own, a process with a port of its own; mounted, below "
        "/app of the endpoint, for one worker; or off",
    )
    dashboard_port: int = Field(default=3002, ge=1024, le=65535, description="port of the dashboard")
    workers: int = Field(
        default_factory=lambda: min(2, _cores()),
        ge=1,
        le=64,
        description="processes that answer, at most one per core; two by default, so that one can be missed",
    )
    batch_rows: int = Field(default=128, ge=1, le=4_096, description="most forecasts computed by one engine call")
    forecast_cache_symbols: int = Field(
        default=5_000,
        ge=0,
        description="symbols whose forecast is kept until something behind it changes; 0 to compute every one anew",
    )
    queue_ms: int = Field(default=100, ge=1, description="longest a question may be expected to wait for its turn")
    online_timeout_ms: int = Field(default=50, ge=1, description="longest wait for the online store")
    limit_timeout_ms: int = Field(default=25, ge=1, description="longest wait for the count of a key's requests")
    cors_origins: str = Field(
        default="",
        description="web pages that may ask, e.g. https://desk.example, with commas between; none when empty",
    )
    allowed_hosts: str = Field(
        default="",
        description="further hosts that the service answers to, e.g. forecasts.example, with commas between; "
        "loopback, `host` and the certificate's names always count",
    )
    log_retention_hours: float = Field(
        default=24,
        ge=0,
        le=8_760,
        description="hours after which a forecast that is in the lake leaves the forecast log (docs/forecast-log.md)",
    )
    trusted_proxies: str = Field(
        default="",
        description="addresses or networks of proxies whose X-Forwarded-For is believed, with commas between; none "
        "when empty",
    )
    canary_margin: float = Field(
        default=0.02, ge=0, le=1, description="relative excess loss that a canary may show before it is rolled back"
    )
    canary_alpha: float = Field(
        default=0.05, gt=0, lt=1, description="largest probability of rolling back a canary within the margin"
    )
    log_level: LogLevel = Field(default="info", description="least level of what the service logs")
    access_log: AccessLog = Field(
        default="problems", description="requests that get a line in the log: with an error or slow, all, or none"
    )
    slow_ms: int = Field(default=250, ge=1, description="from when on a request counts as slow in the log")
    otlp_endpoint: str | None = Field(
        default=None,
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="where spans go, e.g. http://127.0.0.1:4318; none are made when unset",
    )
    llm_url: str | None = Field(
        default=None,
        description="language model that writes explanations: an OpenAI-compatible address that ends in /v1, or "
        "Ollama's, which ends in /api; the template writes when unset",
    )
    llm_model: str = Field(default="", description="name of that model, as its server knows it")
    llm_key: SecretStr | None = Field(default=None, description="key of that server")
    llm_timeout_s: float = Field(default=20, gt=0, le=600, description="longest wait for its answer, in seconds")
    alert_smtp_url: SecretStr | None = Field(
        default=None,
        description="mail server that takes alerts: smtp://user:password@host:587, by STARTTLS, or smtps://...:465",
    )
    alert_email_to: str = Field(default="", description="who gets alerts by e-mail, with commas between")
    alert_email_from: str = Field(default="", description="sender of those e-mails; the first recipient when empty")
    alert_slack_url: SecretStr | None = Field(
        default=None, description="incoming web hook of Slack, Mattermost or the like that gets alerts as text"
    )
    alert_webhook_url: SecretStr | None = Field(default=None, description="address that gets alerts as JSON by POST")
    alert_webhook_key: SecretStr | None = Field(default=None, description="bearer token for that address")
    alert_repeat_minutes: float = Field(
        default=60, gt=0, le=10_080, description="minutes after which an alert that nobody acknowledged is sent again"
    )
    embedder: Path | Literal["off"] | None = Field(
        default=None,
        description="folder with model.onnx and tokenizer.json of an embedder of one's own, or off: documents are "
        "searched by their words alone; the packaged one, where it is installed, when unset",
    )
    tls_certificate: Path | None = Field(default=None, description="certificate chain of the endpoint, as PEM")
    tls_key: Path | None = Field(default=None, description="private key of that certificate, as PEM, mode 600")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        *_: Any,
        **__: Any,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then the environment, then the environment by former names."""
        former = _by_former_names(_variables(settings_cls))
        return init_settings, env_settings, InitSettingsSource(settings_cls, former)

    @property
    def declared_market(self) -> Market:
        """The market of the home."""
        return market_of(self.home)

    @property
    def source_name(self) -> str:
        """The source of bars that is set, or else the one that the market declares."""
        return self.source or self.declared_market.source

    @property
    def clock(self) -> Clock:
        """The clock of the home's market."""
        return open_clock(self.home)

    @property
    def tables(self) -> Path:
        """Folder of the Delta tables."""
        return self.home / "tables"

    @property
    def feast(self) -> Path:
        """Folder of the Feast registry."""
        return self.home / "feast"

    @property
    def redis(self) -> Path:
        """Folder of the embedded Redis: its socket, password, snapshot and log."""
        return self.home / "redis"

    @property
    def mlflow(self) -> Path:
        """Folder of the local tracking store."""
        return self.home / "mlflow"

    @property
    def models(self) -> Path:
        """Folder of the exported models that the service loads."""
        return self.home / "models"

    @property
    def sources(self) -> Path:
        """Folder of the counts of requests made to vendors, and of requests to ask a source now."""
        return self.home / "sources"

    @property
    def reports(self) -> Path:
        """Folder of HTML reports and plots."""
        return self.home / "reports"

    @property
    def dagster(self) -> Path:
        """DAGSTER_HOME."""
        return self.home / "dagster"

    @property
    def tracking_uri(self) -> str:
        """MLflow's address: the one set from outside, or SQLite under `home`."""
        return self.mlflow_tracking_uri or f"sqlite:///{self.mlflow / 'mlflow.db'}"


def feature_modules() -> tuple[str, ...]:
    """Names of the modules with feature groups of one's own.

    The catalog asks when it is imported, so this looks at one variable and needs no other to be usable.
    """
    names = (_variables(Settings).get("QUANTLAKE_FEATURE_GROUPS") or "").split(",")
    return tuple(name.strip() for name in names if name.strip())


def market_root() -> Path:
    """Folder that `QUANTLAKE_HOME` names, below which the homes of declared markets lie; see `lake.market.home_of`."""
    named = _variables(Settings).get("QUANTLAKE_HOME") or Settings.model_fields["home"].default
    return Path(named).expanduser().absolute()


@cache
def settings() -> Settings:
    """Read the environment once; paths come back absolute.

    Raises
    ------
    UnknownNameError
        If a variable begins with ``QUANTLAKE_`` and is no setting, with the nearest names.
    ConfigError
        If a value cannot be used.
    """
    _refuse_unknown_variables()
    try:
        read = Settings()
    except ValidationError as error:
        problems = "; ".join(f"{_variable(e['loc'])}: {e['msg']}, got {e['input']!r}" for e in error.errors())
        raise ConfigError(f"The environment holds a setting that cannot be used. {problems}") from error
    unusable = sorted(set(str(read.home)) & set(UNUSABLE))
    if unusable:
        raise ConfigError(
            f"QUANTLAKE_HOME is {read.home}, and a Delta table cannot lie in a folder with {' '.join(unusable)} in its "
            "name. Choose another folder."
        )
    if read.redis_url and not read.redis_url.startswith(REDIS_SCHEMES):
        raise ConfigError(
            f"REDIS_URL must begin with one of {', '.join(REDIS_SCHEMES)}, e.g. redis://127.0.0.1:6379/0."
        )
    home = home_of(read.home.expanduser().absolute(), read.market)
    if read.market and (found := market_of(home).name) != read.market:
        if (home / DECLARATION).exists():
            raise ConfigError(
                f"QUANTLAKE_MARKET is '{read.market}', and {home / DECLARATION} declares a market '{found}'. Give the "
                "folder and the market the same name."
            )
        raise UnknownNameError("market", read.market, known_markets(read.home.expanduser().absolute()))
    if home.exists() and not home.is_dir():
        raise ConfigError(
            f"QUANTLAKE_HOME is {home}, which is a file. Choose a folder; it is made if it does not exist."
        )
    return read.model_copy(update={"home": home})


def variable_of(setting: str) -> str:
    """Return the variable that a setting is read from.

    Examples
    --------
    >>> variable_of("home"), variable_of("redis_url")
    ('QUANTLAKE_HOME', 'REDIS_URL')
    """
    alias = Settings.model_fields[setting].validation_alias
    return alias if isinstance(alias, str) else _variable((setting,))


def variables_set() -> dict[str, str]:
    """Return the variables of the environment that settings are read from, as they are set, former names included.

    Settings are read without regard to case, and named here in capitals; former names only as they are written.
    """
    known, given = {*map(variable_of, Settings.model_fields)}, _variables(Settings)
    present = {name.upper(): value for name, value in given.items() if name.upper() in known}
    former = {name: value for name, value in given.items() if name in FORMER_NAMES}
    return {name: value for name, value in (former | present).items() if value is not None}


def _refuse_unknown_variables() -> None:
    """Refuse a misspelt variable: ignored, it would leave its user with a default that nobody chose."""
    known = {*map(variable_of, Settings.model_fields), *FORMER_NAMES, *BETWEEN_PROCESSES}
    given = [name for name in _variables(Settings) if name.upper().startswith(PREFIX)]
    unknown = sorted(name for name in given if name.upper() not in known)
    if unknown:
        offered = known - BETWEEN_PROCESSES - {*FORMER_NAMES}
        raise UnknownNameError("setting", unknown[0], offered, others=unknown[1:])


def _variables(settings_cls: type[BaseSettings]) -> Mapping[str, str | None]:
    """Variables of the environment, by the names that their user wrote."""
    return EnvSettingsSource(settings_cls, case_sensitive=True).env_vars


def _by_former_names(variables: Mapping[str, str | None]) -> dict[str, Any]:
    """Values under former names, where the present one is not set; a warning says the present one."""
    found = {}
    for former, name in FORMER_NAMES.items():
        if former in variables and _variable((name,)) not in variables:
            _warn_of_former_name(former, _variable((name,)))
            found[name] = variables[former]
    return found


@cache
def _warn_of_former_name(former: str, present: str) -> None:
    """Warn once per process."""
    warnings.warn(f"{former} is now called {present}; the old name works for one more release.", FutureWarning, 2)


def _variable(location: tuple[int | str, ...]) -> str:
    """Name of the variable that a setting is read from, as its user wrote it."""
    name = ".".join(map(str, location))
    return f"QUANTLAKE_{name.upper()}" if name in Settings.model_fields else name

"""What the double remembers: collections, their tenants and objects, and the aliases."""

import secrets
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.doubles.weaviate.errors import Refused
from tests.doubles.weaviate.limits import Limits
from tests.doubles.weaviate.names import class_name
from tests.doubles.weaviate.partitions import Lag, Object, Partition
from tests.doubles.weaviate.properties import Declared, Json


@dataclass
class Collection:
    """A collection and what it holds. `lock` guards its partitions and its schema."""

    schema: Json
    """As the API gives it, with every default filled in."""
    partitions: dict[str, Partition] = field(default_factory=dict)
    """By tenant; without tenants the one of "" alone."""
    shard: str = field(default_factory=lambda: secrets.token_hex(6))
    """What the names of its shards begin with, where tenants are none."""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        if not self.has_tenants:
            self.partitions[""] = Partition()

    @property
    def name(self) -> str:
        return str(self.schema["class"])

    @property
    def has_tenants(self) -> bool:
        return bool(self.schema["multiTenancyConfig"]["enabled"])

    @property
    def declared(self) -> Declared:
        """The properties by name."""
        return {item["name"]: item for item in self.schema["properties"] or []}

    @property
    def vectors(self) -> Declared:
        """The configuration of each vector by name; of the legacy one by ""."""
        if "vectorConfig" in self.schema:
            return dict(self.schema["vectorConfig"])
        return {"": self.schema}

    @property
    def multi_vectors(self) -> set[str]:
        """The names of the vectors that are lists of vectors."""
        return {
            name
            for name, config in self.vectors.items()
            if (config["vectorIndexConfig"].get("multivector") or {}).get("enabled")
        }

    def partition(self, tenant: str) -> Partition:
        """Where a tenant's objects are, whatever its status. Raises Refused for a tenant too much or too few."""
        if tenant and not self.has_tenants:
            raise Refused(f"class {self.name} has multi-tenancy disabled, but request was with tenant")
        if not tenant and self.has_tenants:
            raise Refused(f"class {self.name} has multi-tenancy enabled, but request was without tenant")
        if tenant not in self.partitions:
            raise Refused(f'tenant not found: "{tenant}"')
        return self.partitions[tenant]

    def active(self, tenant: str) -> Partition:
        """The same, but the tenant has to be active, or is activated where the collection says so."""
        partition = self.partition(tenant)
        if partition.status != "HOT":
            if not self.schema["multiTenancyConfig"].get("autoTenantActivation") or partition.status != "COLD":
                raise Refused(f"tenant not active: '{tenant}'")
            partition.status = "HOT"
        return partition

    def objects(self, tenant: str = "") -> dict[bytes, Object]:
        """What a tenant holds, by id. For tests to look at."""
        with self.lock:
            return dict(self.partition(tenant).objects)

    def put(self, objects: Iterable[Object], tenant: str = "") -> None:
        """Plant objects as they are, with no check at all, at once indexed."""
        with self.lock:
            self.partition(tenant).put(objects, Lag())


class Store:
    """Every collection by its name. `lock` guards the names."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.collections: dict[str, Collection] = {}
        self.aliases: dict[str, str] = {}
        self.lag = Lag()
        """Of every write, where no fault says otherwise."""
        self.nodes = 1
        self.version = "1.38.11"
        self.is_async = False
        """Whether the server indexes later; only then there are dynamic indexes. `lag` says how much later."""
        self.is_ready = True
        self.node_status = "HEALTHY"
        """What is said of the node; one that is TIMEOUT or UNAVAILABLE says nothing of its shards."""
        self.openid: Json | None = None
        """Where tokens are from, as `href`, `clientId` and `scopes`; None: there are keys alone."""
        self.lock = threading.RLock()

    def find(self, name: str) -> Collection:
        """The collection of this name, or that an alias of this name points to. Raises Refused."""
        name = class_name(name)
        with self.lock:
            target = self.aliases.get(name, name)
            if target not in self.collections:
                raise Refused(f"could not find class {target} in schema")
            return self.collections[target]

    def drop(self, name: str) -> None:
        """Delete a collection, if there is one of this name. An alias is none; those it has stay, to point nowhere."""
        with self.lock:
            self.collections.pop(class_name(name), None)

"""A family: a base and the runs that are fine-tuned from it, and where their files lie."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from animix.errors import OptionError
from tools.demo_networks.drawings import DOMAINS
from tools.demo_networks.pictures import LOSSLESS
from tools.demo_networks.recipe import FINE_TUNE, Recipe
from tools.demo_networks.release import LICENCE, Origin
from tools.demo_networks.sizes import FULL, SMALL, Size
from tools.demo_networks.train import Training


@dataclass(frozen=True)
class Plan:
    """How large a family is, and how long it is trained."""

    size: Size
    base: Recipe
    fine_tune: Recipe
    count: int
    """Pictures of each domain to train from."""
    held_out: int
    """Pictures to measure by, and so many that a network paints to be measured."""


PLANS = {
    "full": Plan(
        FULL,
        Recipe(total_images=2_400_000, batch=128),
        replace(FINE_TUNE, batch=128),
        count=20_000,
        held_out=5_000,
    ),
    "small": Plan(
        SMALL,
        Recipe(total_images=1_600, batch=16),
        replace(FINE_TUNE, total_images=800, batch=16, snapshots=(200, 400)),
        count=64,
        held_out=64,
    ),
}


@dataclass(frozen=True)
class Member:
    """What a family's base or one of its runs learns from: a domain, or a folder of pictures."""

    name: str
    images: Path | None = None

    def __post_init__(self) -> None:
        if self.images is None and self.name not in DOMAINS:
            raise OptionError(f"{self.name!r} is no domain, expected one of {', '.join(DOMAINS)}")

    @property
    def domain(self) -> str | None:
        """The domain that is drawn; None: the pictures are somebody's own."""
        return None if self.images else self.name

    @property
    def origin(self) -> Origin:
        """What the metadata say of it."""
        if self.images is None:
            return Origin(self.name, DOMAINS[self.name].source, LICENCE)
        return Origin(self.name, self.images.name, "unknown")


@dataclass(frozen=True)
class Family:
    """A base and runs; all files lie in ``folder``, by the names of the members."""

    folder: Path
    plan: Plan
    base: Member
    runs: tuple[Member, ...]
    quality: int = LOSSLESS

    def __post_init__(self) -> None:
        names = [member.name for member in self.members]
        if len({*names}) < len(names):
            raise OptionError(f"two of {', '.join(names)} have one name")

    @property
    def members(self) -> tuple[Member, ...]:
        """The base first."""
        return (self.base, *self.runs)

    def pictures(self, member: Member, held_out: bool = False) -> Path:
        """Where a member's pictures lie."""
        half = "-held-out" if held_out else ""
        return self.folder / "pictures" / f"{member.name}{half}.zip"

    def training(self, member: Member) -> Training:
        """How a member is trained; a run from the base, which must be there by then."""
        is_base = member == self.base
        base = None if is_base else self.training(self.base)
        return Training(
            pictures=self.pictures(member),
            out=self.folder / member.name,
            size=self.plan.size,
            recipe=self.plan.base if is_base else self.plan.fine_tune,
            origin=member.origin,
            parent=base.last_path if base else None,
            parent_discriminator=base.discriminator_path if base else None,
        )

    def networks(self, member: Member) -> list[Path]:
        """A member's networks that are there, in the order of their training."""
        training = self.training(member)
        count = len(training.recipe.snapshots)
        numbers = range(1, count + 1)
        paths = [*(training.network_path(number) for number in numbers), training.last_path]
        return [path for path in paths if path.exists()]
